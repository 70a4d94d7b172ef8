"""What the scores of a report mean: each kind has its words."""

from dataclasses import replace

import pytest

from varlm.report.glossary import glossary
from varlm.tables.score_kinds import SCORE_KINDS

KIND = SCORE_KINDS


@pytest.mark.parametrize("kind", SCORE_KINDS.values(), ids=SCORE_KINDS)
def test_every_kind_is_explained(kind):
    said = glossary({"m": kind})
    ((term, meaning),) = said.scores
    assert term.casefold().startswith(kind.title.casefold())
    assert len(meaning) > 80
    assert ("have none" in meaning) == (kind.alleles is None)
    assert (said.score == "LLR") == kind.is_llr
    assert said.distribution == kind.distribution
    assert said.distance == (kind.swap == "same")


def test_models_of_one_kind_share_its_explanation():
    said = glossary({"a": KIND["masked"], "b": KIND["masked"]})
    assert [term for term, _ in said.scores] == ["LLR (log-likelihood ratio)"]
    assert said.lead.startswith("A negative LLR means")


def test_unlike_log_ratios_are_told_apart():
    said = glossary({"a": KIND["masked"], "b": KIND["dense"], "c": KIND["masked"]})
    assert [term for term, _ in said.scores] == [
        "LLR (log-likelihood ratio): a, c",
        "LLR (log-likelihood ratio): b",
    ]


def test_a_k_mer_is_another_hidden_thing_than_a_base():
    ((_, joint),) = glossary({"m": KIND["masked"].of_bases()}).scores
    assert "hidden k-mer" in joint
    assert "have none" in joint
    ((_, dense),) = glossary({"m": KIND["dense"].of_bases()}).scores
    assert "pseudo" not in dense
    assert "have none" in dense
    both = glossary({"a": KIND["masked"], "b": KIND["masked"].of_bases()}).scores
    assert [term[-1] for term, _ in both] == ["a", "b"]


def test_which_strands_the_scores_are_of():
    masked = KIND["masked"]
    assert glossary({"a": masked, "b": KIND["dense"]}).strands == "the mean of both"
    forward, transcript = (replace(masked, strands=name) for name in ("forward", "transcript"))
    assert glossary({"a": forward}).strands == "that of the forward strand"
    said = glossary({"a": masked, "b": forward, "c": transcript, "d": forward}).strands
    assert said.startswith("the mean of both (a); that of the forward strand (b, d); that of the")
    assert said.endswith("there are none (c)")


def test_the_harmful_ends_are_one_sentence():
    assert glossary({"m": KIND["cosine"]}).lead == (
        "The harmful end of the scores is high for cosine distance."
    )
    kinds = {"a": KIND["cosine"], "b": KIND["masked"], "c": KIND["influence"], "d": KIND["dense"]}
    assert glossary(kinds).lead == (
        "The harmful end of the scores is low for LLR (b, d), and high for cosine distance (a) and "
        "influence (c)."
    )

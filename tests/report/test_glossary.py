"""What the scores of a report mean: each kind has its words."""

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


def test_the_harmful_ends_are_one_sentence():
    assert glossary({"m": KIND["cosine"]}).lead == (
        "The harmful end of the scores is high for cosine distance."
    )
    kinds = {"a": KIND["cosine"], "b": KIND["masked"], "c": KIND["influence"], "d": KIND["dense"]}
    assert glossary(kinds).lead == (
        "The harmful end of the scores is low for LLR (b, d), and high for cosine distance (a) and "
        "influence (c)."
    )

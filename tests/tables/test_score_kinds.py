"""Kinds of score: their columns tell them apart, and the table's metadata those that share them."""

import json
from dataclasses import replace

import pytest

from varlm.errors import UserError
from varlm.results.tags import score_columns_of
from varlm.tables.columns import annotated_names, calibrated_columns
from varlm.tables.schemas import MODEL_ABOUT, annotated, read_annotated_table, read_kinds
from varlm.tables.score_kinds import SCORE_KINDS, kind_in, score_columns

KINDS = pytest.mark.parametrize("kind", SCORE_KINDS.values(), ids=list(SCORE_KINDS))


def written(folder, kinds, **about):
    metadata = {f"{MODEL_ABOUT}{model}": json.dumps(said) for model, said in about.items()}
    path = folder / "annotated.parquet"
    annotated(kinds).empty().write_parquet(path, metadata=metadata)
    return path


@KINDS
def test_columns_tell_all_that_follows_from_a_score(kind):
    alike = kind_in([f"m_{name}" for name, _ in score_columns(kind)], "m")
    same = ("column", "harmful", "difference", "swap", "distribution", "unit")
    assert all(getattr(alike, name) == getattr(kind, name) for name in same)


@KINDS
def test_a_table_that_says_so_names_the_kind_itself(tmp_path, kind):
    both = {"m": kind, "n": SCORE_KINDS["masked"]}
    path = written(tmp_path, both, m={"score": kind.name}, n={})
    assert read_kinds(path, ["m", "n"]) == both
    assert read_annotated_table(path, ["m", "n"]).names == annotated(both).names


@pytest.mark.parametrize("strands", ["both", "forward", "transcript"])
@pytest.mark.parametrize("alleles", ["pseudo", None])
def test_strands_and_alleles_are_read_back(tmp_path, strands, alleles):
    kind = replace(SCORE_KINDS["masked"], strands=strands)
    kind = kind if alleles else kind.of_bases()
    about = {"strands": strands, **({} if alleles else {"alleles": None})}
    path = written(tmp_path, {"m": kind, "n": SCORE_KINDS["cosine"]}, m=about, n={})
    assert read_kinds(path, ["m", "n"]) == {"m": kind, "n": SCORE_KINDS["cosine"]}
    names = read_annotated_table(path, ["m", "n"]).names
    assert ("m_strand" in names) == (strands == "transcript")


def test_what_a_table_says_does_not_override_its_columns(tmp_path):
    path = written(tmp_path, {"m": SCORE_KINDS["cosine"]}, m={"score": "influence"})
    assert read_kinds(path, ["m"])["m"].name == "cosine"
    with pytest.raises(UserError, match="no score of the model other"):
        read_kinds(path, ["other"])


@pytest.mark.parametrize("name", ["masked", "likelihood", "mean_likelihood"])
@pytest.mark.parametrize("strands", ["both", "transcript"])
def test_a_calibrated_score_is_read_back(tmp_path, name, strands):
    kind = replace(SCORE_KINDS[name], strands=strands, calibrated=True)
    kinds = {"m": kind, "n": SCORE_KINDS["masked"]}
    path = written(tmp_path, kinds, m={"score": name}, n={})
    assert read_kinds(path, ["m", "n"]) == kinds
    names = read_annotated_table(path, ["m", "n"]).names
    assert names == annotated(kinds).names == annotated_names(kinds)
    assert names[names.index("m_percentile") + 1] == "m_llr_calibrated"
    assert "n_llr_calibrated" not in names
    assert calibrated_columns(kinds) == {"m_llr_calibrated": "low"}
    tags = score_columns_of(kinds)
    assert tags["LLR_CALIBRATED_m"] == "m_llr_calibrated"
    assert [column for column in tags.values() if column.startswith("m_")] == [
        column for column in names if column.startswith("m_")
    ]

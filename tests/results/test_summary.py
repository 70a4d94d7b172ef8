"""summary.tsv: one row per cohort and model, and counts that must add up."""

import csv
from dataclasses import replace

import numpy as np
import pytest

from making.records import accounting, plan, prepared_model
from varlm.annotation.mutation_calibration import CohortCalibration, ContextCounts
from varlm.annotation.published.joining import ScoreJoin
from varlm.cli import main
from varlm.errors import UserError
from varlm.results.summary import CALIBRATED, DENSE, summarise
from varlm.scoring.dense_scale import measured, unmeasured

COUNTS = plan().cohorts["c"]


def test_one_row_per_cohort_and_model(tmp_path):
    entries = [accounting(cohort="a"), accounting(cohort="b", by_reason={"too_long": 3})]
    plans = [plan("x", "ab"), plan("y", "ab")]
    step = ["summarise", "--summary", str(tmp_path / "summary.tsv")]
    for flag, files in (("--accounting", entries), ("--plan", plans)):
        for index, content in enumerate(files):
            path = tmp_path / f"{flag[2:]}.{index}.json"
            content.write(path)
            step += [flag, str(path)]
    assert main(step) == 0
    with (tmp_path / "summary.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert [(row["cohort"], row["model"]) for row in rows] == [
        *(("a", "x"), ("a", "y"), ("b", "x"), ("b", "y"))
    ]
    assert rows[0] == {
        "cohort": "a",
        "model": "x",
        "alleles_in": "9",
        "accepted": "6",
        "rejected": "3",
        "sites": "4",
        "sites_scored": "1",
        "sites_from_store": "3",
        "alleles": "1",
        "alleles_scored": "1",
        "alleles_from_store": "0",
        "background_scored": "7",
        "damaged_files": "1",
        "rejected_breakend": "1",
        "rejected_symbolic": "2",
        "rejected_too_long": "0",
    }
    assert rows[2]["rejected_too_long"] == "3"
    assert rows[2]["rejected_symbolic"] == "0"


def test_without_a_model_a_row_is_a_cohorts_and_tables_say_what_was_matched():
    joins = {
        cohort: {
            "cadd": ScoreJoin(
                table="cadd",
                path="cadd.tsv.gz",
                alleles=6,
                matched=matched,
                not_matched=5 - matched,
                on_lacking_contigs=1,
                lacking_contigs=("chrM",),
                values={"cadd_phred": matched},
                rows_read=20,
                refs_checked=20,
                refs_wrong=2,
                seconds=0.1,
            )
        }
        for cohort, matched in (("a", 3), ("b", 4))
    }
    cohorts = [accounting(cohort=name) for name in "ab"]
    rows = summarise(cohorts, [], joins=joins)
    assert rows[0] == {
        "cohort": "a",
        "alleles_in": "9",
        "accepted": "6",
        "rejected": "3",
        "rejected_breakend": "1",
        "rejected_symbolic": "2",
        "cadd_matched": "3",
        "cadd_not_matched": "2",
        "cadd_on_lacking_contigs": "1",
        "cadd_refs_wrong": "2",
    }
    with_models = summarise(cohorts, [plan("x", "ab"), plan("y", "ab")], joins=joins)
    assert [row["cadd_matched"] for row in with_models] == ["3", "3", "4", "4"]


def test_dense_scores_are_told_where_a_model_has_them(tmp_path):
    """Numbers as numbers, which a spreadsheet reads, and nothing where there is none."""
    model = prepared_model(name="d")
    dense = np.arange(9.0).reshape(3, 3)
    scales = [measured(model, model, 1.5, (dense, dense + 2)), unmeasured(model, model, None)]
    expected = [
        ["1.5", "checkpoint", "3", "1.0", "1.0", "0.5"],
        ["0.0", "none", "", "", "", ""],
    ]
    accounting().write(tmp_path / "a.json")
    step = ["summarise", "--accounting", str(tmp_path / "a.json")]
    for name in ("d", "m"):
        plan(name).write(tmp_path / f"{name}.plan.json")
        step += ["--plan", str(tmp_path / f"{name}.plan.json")]
    for scale, values in zip(scales, expected, strict=True):
        scale.write(tmp_path / "d.json")
        more = ["--dense", str(tmp_path / "d.json"), "--summary", str(tmp_path / "summary.tsv")]
        assert main([*step, *more]) == 0
        with (tmp_path / "summary.tsv").open(newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        assert [[row[name] for name in DENSE] for row in rows] == [values, [""] * 6]
        assert list(rows[0])[-8:] == [*DENSE, "rejected_breakend", "rejected_symbolic"]


def test_alleles_for_which_a_kind_of_score_is_not_defined_are_counted_apart():
    entry = accounting(other_alleles=3)
    counts = replace(COUNTS, alleles=3, alleles_scored=3)
    none = replace(COUNTS, alleles=0, alleles_scored=0)
    plans = [plan("all", counts=counts), plan("sites", counts=none, unscored={"c": 3})]
    rows = summarise([entry], plans)
    assert [(row["alleles"], row["alleles_without_score"]) for row in rows] == [
        ("3", "0"),
        ("0", "3"),
    ]
    with pytest.raises(UserError, match="planned 4 sites and 2 other alleles, but 4 and 3"):
        summarise([entry], [plan("sites", counts=none, unscored={"c": 2})])


@pytest.mark.parametrize(
    ("entry", "planned", "message"),
    [
        (accounting(accepted=7), plan(), "9 alleles in, 7 accepted, 3 rejected .* do not add up"),
        (accounting(by_reason={"symbolic": 2}), plan(), "do not add up"),
        (accounting(sites=9), plan(), "planned 4 sites and 1 other alleles, but 9 and 1"),
        (
            accounting(),
            plan(counts=replace(COUNTS, sites_scored=0)),
            "of 4 sites, model m scored or found .* 3; delete",
        ),
        (
            accounting(),
            plan(counts=replace(COUNTS, alleles_from_store=1)),
            "of 1 alleles, model m .* 2; delete",
        ),
        (accounting(), plan("m", "ab"), "cohort c: the plan of model m is of the cohorts a, b; "),
    ],
)
def test_counts_that_do_not_add_up(entry, planned, message):
    with pytest.raises(UserError, match=message):
        summarise([entry], [planned])


def test_what_was_calibrated_follows_the_models_counts(tmp_path):
    counts = CohortCalibration(models={"x": ContextCounts(3, 2, 1)})
    entries = [accounting(cohort="a"), accounting(cohort="b")]
    step = ["summarise", "--summary", str(tmp_path / "summary.tsv")]
    files = [("--plan", plan(model, "ab")) for model in "xy"]
    for index, (flag, content) in enumerate([*(("--accounting", e) for e in entries), *files]):
        content.write(tmp_path / f"{index}.json")
        step += [flag, str(tmp_path / f"{index}.json")]
    for cohort in "ab":
        counts.write(tmp_path / f"{cohort}.json")
        step += ["--calibration", f"{cohort}={tmp_path / cohort}.json"]
    assert main(step) == 0
    with (tmp_path / "summary.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert [tuple(row[name] for name in CALIBRATED) for row in rows] == 2 * [
        *(("3", "2", "1"), ("", "", ""))
    ]

"""summary.tsv: one row per cohort and model, and counts that must add up."""

import csv
from dataclasses import replace

import pytest

from making.records import accounting, plan
from varlm.cli import main
from varlm.errors import UserError
from varlm.results.summary import summarise

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

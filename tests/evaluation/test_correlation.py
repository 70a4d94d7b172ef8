"""Pearson's correlation against scipy, and correlations within groups against one by one."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from varlm.evaluation import resampling
from varlm.evaluation.compared import compared_scores
from varlm.evaluation.correlation import FEWEST_OF_A_GROUP, by_group, pearson
from varlm.evaluation.groups import Groups
from varlm.evaluation.labels import LabelSpec
from varlm.evaluation.measuring import measure
from varlm.evaluation.rows import Settings
from varlm.evaluation.tasks import label_task
from varlm.report.charts.evaluation import evaluation_figure
from varlm.report.evaluation import evaluation_section


@given(
    st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=3, max_size=30),
    st.sampled_from([0.0, 0.1, 1e4]),
)
def test_pearson_is_scipys(pairs, shift):
    x, y = np.array(pairs, float).T + shift
    correlation = pearson(x[None], y, 3, 7)
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert np.isnan(correlation.values[0])
        return
    assert correlation.values[0] == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-9)
    for i, (times,) in enumerate(resampling.resamples([x.size], 3, 7)):
        drawn = np.repeat(np.arange(x.size), times)
        if len(set(x[drawn])) > 1 and len(set(y[drawn])) > 1:
            expected = stats.pearsonr(x[drawn], y[drawn]).statistic
            assert correlation.resampled[0, i] == pytest.approx(expected, abs=1e-9)
        else:
            assert np.isnan(correlation.resampled[0, i])


def test_the_interval_of_pearson_has_fishers_width():
    rng = np.random.default_rng(8)
    x = rng.normal(size=800)
    correlation = pearson(x[None], x + rng.normal(size=800), 300)
    low, high = correlation.interval(0)
    width = 2 * 1.96 / 797**0.5  # of atanh r
    assert np.arctanh(high) - np.arctanh(low) == pytest.approx(width, rel=0.2)


def studies(seed=0, sizes=(40, 25, 10, 9, 60, 12)):
    """Numbers that follow a score within each study, and nothing else across them."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(len(sizes)), sizes)
    score = rng.normal(size=group.size)
    numbers = score + rng.normal(size=group.size) - 20.0 * group
    order = rng.permutation(group.size)
    scores = np.stack([score, rng.normal(size=group.size), 1.0 * group])
    return scores[:, order], numbers[order], group[order]


def test_by_group_is_the_mean_of_scipys():
    scores, numbers, group = studies()
    group[:2] = -1
    within = by_group(scores, numbers, group, 200, 1)
    kept = [g for g in range(6) if (group == g).sum() >= FEWEST_OF_A_GROUP]
    assert within.groups == len(kept)
    assert within.alleles == sum((group == g).sum() for g in kept)
    assert (within.small, within.flat) == (6 - len(kept), 0)
    for measured, oracle in ((within.spearman, stats.spearmanr), (within.pearson, stats.pearsonr)):
        for k in (0, 1):
            alone = [oracle(scores[k, group == g], numbers[group == g]).statistic for g in kept]
            assert measured.values[k] == pytest.approx(np.mean(alone))
            for i, (times,) in enumerate(resampling.resamples([len(kept)], 200, 1)):
                expected = np.repeat(alone, times).mean()
                assert measured.resampled[k, i] == pytest.approx(expected)
        # A score that is the same within each group puts nothing in order, for all its pooled one.
        assert measured.values[2] == 0
    assert pearson(scores, numbers).values[2] < -0.9
    assert within.pearson.values[0] > 0.5
    assert abs(pearson(scores, numbers).values[0]) < 0.2


def test_groups_that_are_small_or_of_one_number_are_left_out():
    scores, numbers, group = studies(sizes=(10, 12, 9))
    numbers[group == 1] = 3
    within = by_group(scores, numbers, group, 50)
    assert (within.groups, within.alleles, within.small, within.flat) == (1, 10, 1, 1)
    assert within.spearman.interval(0) == resampling.NO_INTERVAL
    none = by_group(scores, numbers, np.full(group.size, -1), 50)
    assert none.groups == none.alleles == 0
    assert np.isnan(none.pearson.values).all()


def grouped_task(seed=0, **sizes):
    scores, numbers, group = studies(seed, **sizes)
    table = pl.DataFrame(
        {
            "chrom": ["1"] * numbers.size,
            "consequence": pl.Series([None] * numbers.size, dtype=pl.String),
            "gpn_llr": -scores[0],
            "noise": scores[1],
        }
    )
    task = label_task(LabelSpec("x", "c"), pl.Series(numbers).cast(pl.String), {})
    groups = Groups(group, [f"study {g}" for g in range(group.max() + 1)])
    return replace(task, groups=groups), table, (scores, numbers, group)


def test_rows_of_a_number_have_pearson_beside_spearman_with_scipys_p_value():
    task, table, (scores, numbers, _) = grouped_task()
    compared = compared_scores(["gpn"], {"noise": "higher"}, [])
    rows = measure([replace(task, groups=None)], table, compared, Settings(50))
    assert rows["metric"].to_list() == ["spearman", "spearman", "pearson", "pearson"]
    for row, score in ((2, scores[0]), (3, scores[1])):
        oracle = stats.pearsonr(score, numbers)
        assert rows["value"][row] == pytest.approx(oracle.statistic, abs=1e-6)
        assert rows["p_value"][row] == pytest.approx(oracle.pvalue, rel=1e-4)
        assert rows["low"][row] < rows["value"][row] < rows["high"][row]
    assert rows["difference"][3] == pytest.approx(rows["value"][3] - rows["value"][2], abs=2e-6)
    assert rows["difference_low"][3] < rows["difference"][3] < rows["difference_high"][3]


def test_rows_of_a_number_with_groups():
    task, table, (scores, numbers, group) = grouped_task()
    compared = compared_scores(["gpn"], {"noise": "higher"}, [])
    rows = measure([task], table, compared, Settings(50))
    by_study = rows.filter(pl.col("metric").str.ends_with("_by_group"))
    assert by_study["metric"].to_list() == ["spearman_by_group"] * 2 + ["pearson_by_group"] * 2
    assert set(by_study["group"]) == {"all"}
    expected = by_group(scores, numbers, group, 50)
    assert by_study["value"][0] == pytest.approx(expected.spearman.values[0], abs=1e-6)
    assert by_study["value"][3] == pytest.approx(expected.pearson.values[1], abs=1e-6)
    assert set(by_study["alleles"]) == {147}
    assert set(by_study["note"]) == {
        "mean over 5 groups of 147 alleles, each group as much; left out: groups of fewer than 10 "
        "alleles (1)"
    }
    assert by_study["difference_high"][1] < 0
    assert by_study["low"].is_not_null().all()


def test_numbers_with_groups_are_never_pooled_and_still_shown():
    task, table, (scores, numbers, group) = grouped_task()
    terms = np.where(np.arange(numbers.size) % 3, "missense_variant", "synonymous_variant")
    table = table.with_columns(consequence=pl.Series(terms))
    compared = compared_scores(["gpn"], {"noise": "higher"}, [])
    rows = measure([task], table, compared, Settings(20))
    assert set(rows["metric"]) == {"spearman_by_group", "pearson_by_group"}
    assert rows["group"].unique(maintain_order=True).to_list() == [
        "all",
        "missense_variant",
        "synonymous_variant",
    ]
    missense = terms == "missense_variant"
    alone = by_group(scores[:, missense], numbers[missense], group[missense])
    row = rows.filter(group="missense_variant", metric="pearson_by_group", score="gpn")
    assert row["value"].item() == pytest.approx(alone.pearson.values[0], abs=1e-6)
    assert row["alleles"].item() == alone.alleles
    # A task whose only numbers are these has its table and its two charts.
    whole = rows.select(pl.lit("cohort").alias("cohort"), pl.all())
    entry = {"name": "x", "kind": task.kind, "about": task.about, "counts": {}, "notes": []}
    summary = {"bootstrap": 20, "contigs": None, "repeated": 0, "scores_absent": []}
    summary |= {"scores": [], "tasks": [entry]}
    section = evaluation_section(whole, summary)
    assert [chart.title for chart in section.charts] == ["Rank correlation", "Linear correlation"]
    (points,) = section.charts[0].specification["datasets"].values()
    assert points[0]["line"] == "x, by group"
    # Labels of three lines have room beside two scores, so that none is left out.
    assert section.charts[0].specification["height"] >= 3 * 3 * 13
    (shown,) = section.tasks
    assert {row.metric for row in shown.rows} == {
        "Spearman’s ρ, mean over groups",
        "Pearson’s r, mean over groups",
    }
    assert {row.group for row in shown.others} == {"missense_variant", "synonymous_variant"}
    assert len(json.dumps(evaluation_figure(whole))) > 5000


def test_numbers_without_a_large_group_say_so():
    task, table, _ = grouped_task(sizes=(5, 9, 3))
    rows = measure([task], table, compared_scores(["gpn"], {}, []), Settings(0))
    assert rows["note"].to_list()[-1] == (
        "not by group: none has at least 10 alleles with numbers that differ; left out: groups of "
        "fewer than 10 alleles (3)"
    )

"""Controls: the rule against brute force and scikit-learn, what is left out, the step."""

import time

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import RobustScaler

from varlm.errors import UserError
from varlm.evaluation.compared import compared_scores
from varlm.evaluation.features import PENTAMERS, TRINUCLEOTIDES
from varlm.evaluation.matched_tasks import FEATURES, KINDS, Matching, with_controls
from varlm.evaluation.matching import match_controls, nearest_left, scaled
from varlm.evaluation.measuring import measure
from varlm.evaluation.rows import Settings
from varlm.evaluation.tasks import LABELS, Task, contrast_task, frequency_task
from varlm.run.config_keys import BY_NAMES, GROUP_NAMES, NEAR_NAMES

MATCH = {
    "by": ["consequence"],
    "near": ["tss_distance", "af"],
    "controls": 1,
    "tasks": ["labels", "contrasts", "frequencies"],
}


def test_scaling_is_scikit_learns():
    rng = np.random.default_rng(0)
    features = np.stack([rng.normal(size=50), rng.exponential(1000, 50), np.full(50, 7.0)])
    oracle = RobustScaler(with_centering=False).fit_transform(features.T).T
    assert scaled(features) == pytest.approx(oracle)
    assert scaled(features[:0]).shape == (0, 50)


@given(
    st.integers(0, 10_000),
    st.integers(1, 30),
    st.integers(1, 300),
    st.integers(1, 4),
    st.integers(1, 3),
    st.booleans(),
)
def test_each_positive_takes_the_nearest_that_are_left(
    seed, positives, negatives, controls, dimensions, ties
):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(positives + negatives, dimensions)) ** 3
    points = np.round(points) if ties else points
    ours, theirs = points[:positives], points[positives:]
    order, taken = nearest_left(ours, theirs, controls, rng)
    assert order.size == min(positives, negatives // controls)
    assert np.unique(order).size == order.size
    assert np.unique(taken).size == taken.size == order.size * controls
    left = np.ones(negatives, bool)
    for row, rows in zip(order, taken, strict=True):
        distances = ((theirs - ours[row]) ** 2).sum(axis=1)
        nearest = np.sort(distances[left])[:controls]
        assert np.sort(distances[rows]) == pytest.approx(nearest, rel=1e-12)
        left[rows] = False


def test_groups_stay_within_their_category_and_those_without_enough_are_left_out():
    rng = np.random.default_rng(1)
    category = np.repeat([0, 1, 2], [50, 20, 5])
    positive = np.zeros(75, bool)
    positive[:5] = positive[50:65] = positive[70:72] = True
    negative = ~positive
    negative[10] = False
    features = rng.normal(size=(2, 75))
    codes = match_controls(positive, negative, category, features, 3, 0)
    assert codes.max() + 1 == 5 + 5 // 3 + 3 // 3
    for group in range(codes.max() + 1):
        members = codes == group
        assert (members & positive).sum() == 1
        assert (members & negative).sum() == 3
        assert np.unique(category[members]).size == 1
    assert codes[10] == -1
    assert (match_controls(positive, negative, category, features, 3, 0) == codes).all()
    assert (match_controls(positive, negative, category, features, 3, 1) != codes).any()
    # Without features controls are drawn at random.
    anything = match_controls(positive, negative, category, features[:0], 3, 0)
    assert np.bincount(anything[anything >= 0]).tolist() == [4] * 7


def test_many_alleles_are_matched_in_seconds():
    """10,000 positives in a heap, where what is near is soon taken, with 9 controls each."""
    rng = np.random.default_rng(0)
    positive = np.arange(30_000) < 3_000
    features = rng.normal(size=(2, 30_000))
    features[:, positive] *= 0.05
    begin = time.process_time()
    codes = match_controls(positive, ~positive, np.zeros(30_000, np.int64), features, 9, 0)
    assert time.process_time() - begin < 10  # 0.4 s on one core
    assert (codes >= 0).all()


def alleles(size=600, seed=0):
    """Alleles whose label follows the distance from a transcription start, and nothing else."""
    rng = np.random.default_rng(seed)
    distance = rng.integers(-5000, 5000, size)
    near = (np.abs(distance) < rng.exponential(700, size)) & (rng.random(size) < 0.3)
    terms = np.array(["missense_variant", "synonymous_variant", "stop_gained"])
    return pl.DataFrame(
        {
            "chrom": [f"c{i}" for i in rng.integers(0, 3, size)],
            "pos": np.arange(size),
            "ref": ["A"] * size,
            "alt": ["C"] * size,
            "consequence": terms[rng.integers(0, 3, size)],
            "tss_distance": distance.astype(np.int32),
            "af": pl.Series(rng.choice([0.002, 0.1, 0.3], size), dtype=pl.Float32),
            "bad": near,
            "closeness": -np.abs(distance).astype(np.float64),
            "noise": rng.normal(size=size),
        }
    )


def labelled(table):
    bad = table["bad"].to_numpy()
    return Task("lab", LABELS, "", bad, ~bad)


def test_a_score_that_is_the_nuisance_is_worth_nothing_once_it_is_matched():
    table = alleles(6000)
    scores = compared_scores([], {"closeness": "higher", "noise": "higher"}, [])
    task = with_controls(
        labelled(table), table, Matching.parse({**MATCH, "near": ["tss_distance"]}), 0
    )
    rows = measure([task], table, scores, Settings(200))
    raw = rows.filter(group="all", metric="auroc", score="closeness").row(0, named=True)
    assert raw["low"] > 0.8
    matched = rows.filter(group="matched 1:1", metric="pairwise_accuracy")
    first, second = matched.to_dicts()
    assert first["low"] < 0.5 < first["high"]
    assert second["low"] < 0.5 < second["high"]
    assert first["positives"] == first["negatives"] == task.counts["matched"]["groups"] > 200
    balance = task.counts["matched"]["balance"]["tss_distance"]
    assert balance == pytest.approx(1 - first["value"], abs=1e-4)
    assert (
        f"AUROC within groups of what they are near in: tss_distance {balance:.3g}" in first["note"]
    )
    assert "a positive and 1 control, same consequence, nearest in tss_distance" in first["note"]


def test_contrasts_and_frequencies_are_matched_by_what_they_may():
    table = alleles()
    pair = ("missense_variant", "synonymous_variant")
    matching = Matching.parse({**MATCH, "by": ["chrom", "consequence"], "near": ["maf", "af"]})
    rng = np.random.default_rng(0)
    names = rng.choice(["A[C>T]G", "T[C>A]A"], table.height)
    known = pl.DataFrame(
        {
            "trinucleotide": pl.Series(names, dtype=TRINUCLEOTIDES),
            "pentamer": pl.Series([None] * table.height, dtype=PENTAMERS),
            "cpg": names == "A[C>T]G",
            "kind": ["snv"] * table.height,
            "maf": table["af"].cast(pl.Float64),
        }
    )
    task = contrast_task(pair, table["consequence"])
    contrast = with_controls(task, table, matching, 0, known)
    assert "same chrom, nearest in maf and af" in contrast.groups.about
    chroms = table["chrom"].to_numpy()
    for group in range(3):
        assert np.unique(chroms[contrast.groups.codes == group]).size == 1
    context = Matching.parse({**MATCH, "by": ["trinucleotide"], "near": []})
    codes = with_controls(task, table, context, 0, known).groups.codes
    assert codes.max() > 20
    for group in range(codes.max() + 1):
        assert np.unique(names[codes == group]).size == 1
    # Of turned alleles the mutation is that from ALT to REF.
    often = table.with_columns(af=1 - pl.col("af"))
    codes = with_controls(frequency_task(often), often, context, 0, known).groups.codes
    assert codes.max() > 20
    rare = with_controls(frequency_task(table), table, matching, 0, known)
    assert rare.groups.about.startswith("a positive and 1 control, same chrom and consequence")
    assert "nearest" not in rare.groups.about
    nowhere = frequency_task(table.with_columns(af=pl.lit(None, pl.Float32)))
    assert with_controls(nowhere, table, matching, 0).groups is None
    only = Matching.parse({**MATCH, "tasks": ["labels"]})
    assert with_controls(contrast, table, only, 0) is contrast
    grouped = with_controls(labelled(table), table, only, 0)
    assert grouped.groups is not None
    assert with_controls(grouped, table, matching, 0) is grouped
    assert set(KINDS) == set(MATCH["tasks"])
    assert set(FEATURES) <= {*BY_NAMES, *NEAR_NAMES} <= {*FEATURES, *GROUP_NAMES}


def test_what_cannot_be_matched_is_counted():
    table = alleles(60).with_columns(
        consequence=pl.when(pl.int_range(60) >= 7).then(pl.lit("stop_gained")),
        bad=pl.int_range(60) % 2 == 0,
        af=pl.lit(None, pl.Float32),
        tss_distance=pl.when(pl.int_range(60) >= 9).then("tss_distance"),
    )
    matching = Matching.parse({**MATCH, "controls": 2})
    task = with_controls(labelled(table), table, matching, 0)
    counts = {"groups": 13, "without_value": 9, "without_controls": 12}
    assert {name: task.counts["matched"][name] for name in counts} == counts
    for said in (
        "not by af: no allele has a value",
        "12 positives left out: too few controls",
        "9 alleles left out: no consequence or tss_distance",
    ):
        assert said in task.groups.about
    scores = compared_scores([], {"noise": "higher"}, [])
    none = with_controls(labelled(table.head(7)), table.head(7), matching, 0)
    rows = measure([none], table.head(7), scores, Settings(0)).filter(group="matched 1:2")
    assert rows["note"][0].startswith("too few: 0 groups with both classes")
    assert "7 alleles left out" in rows["note"][0]


def test_columns_that_cannot_be_matched_by():
    schema = {"consequence": pl.String(), "af": pl.Float32(), "gene": pl.String()}
    for change, said in (
        ({}, "the annotated table of one has no column tss_distance"),
        ({"near": ["gene"]}, r"match\.near: the column gene holds String, no numbers"),
        ({"near": [], "by": ["amino_acid"]}, "has no column protein_change"),
    ):
        with pytest.raises(UserError, match=said):
            Matching.parse({**MATCH, **change}).check_columns(schema, "one")
    # The regions have no INFO.
    Matching.parse({**MATCH, "near": ["maf"], "by": ["info_X", "cpg"]}).check_columns(
        schema, "regions"
    )
    with_info = {**schema, "info_Y": pl.String()}
    with pytest.raises(UserError, match="has no column info_X"):
        Matching.parse({**MATCH, "near": [], "by": ["info_X"]}).check_columns(with_info, "one")

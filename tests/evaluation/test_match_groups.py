"""Match groups: metrics against brute force and scikit-learn, groups of columns, rows, the step."""

import gzip
import itertools
import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import average_precision_score, roc_auc_score

from making.config import load_config
from making.evaluation import real_cohort, step
from making.report import make_inputs
from varlm.errors import UserError
from varlm.evaluation import metrics, resampling
from varlm.evaluation.compared import compared_scores
from varlm.evaluation.group_metrics import (
    Sets,
    by_class,
    ordered_pairs,
    share_interval,
    standard_error,
    within_groups,
)
from varlm.evaluation.groups import DERIVED, class_groups, group_names, number_groups
from varlm.evaluation.labels import LabelSpec
from varlm.evaluation.measuring import measure
from varlm.evaluation.rows import Settings
from varlm.evaluation.tasks import CONTRAST, LABELS, Task
from varlm.report.evaluation import evaluation_section, read_evaluation
from varlm.run.config_keys import GROUP_NAMES


@st.composite
def grouped(draw):
    """Two scores full of ties, and groups that each have both classes."""
    sizes = draw(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 4)), min_size=1, max_size=6))
    positive = [c for p, n in sizes for c in [True] * p + [False] * n]
    group = [g for g, (p, n) in enumerate(sizes) for _ in range(p + n)]
    order = draw(st.permutations(range(len(group))))
    numbers = st.lists(st.integers(-2, 2), min_size=len(group), max_size=len(group))
    scores = np.array([draw(numbers), draw(numbers)], np.float64)
    return scores, Sets(np.array(positive)[order], np.array(group)[order])


def by_hand(score, sets):
    """Ordered pairs of each group, one pair after the other."""
    counts = np.zeros(sets.group.max() + 1)
    for i, j in itertools.product(range(score.size), repeat=2):
        if sets.group[i] == sets.group[j] and sets.positive[i] and not sets.positive[j]:
            counts[sets.group[i]] += (score[i] > score[j]) + (score[i] == score[j]) / 2
    return counts


@given(grouped())
def test_ordered_pairs_are_those_counted_by_hand(made):
    scores, sets = made
    ordered = ordered_pairs(scores, sets)
    assert ordered.tolist() == [by_hand(score, sets).tolist() for score in scores]
    for group in np.unique(sets.group):
        inside = sets.group == group
        auroc = roc_auc_score(sets.positive[inside], scores[0][inside])
        assert ordered[0, group] / sets.pairs[group] == pytest.approx(auroc)
    share = within_groups(ordered, sets.pairs)
    assert share.values == pytest.approx(ordered.sum(axis=1) / sets.pairs.sum())


@given(grouped(), st.integers(0, 5))
def test_resamples_are_of_whole_groups(made, seed):
    scores, sets = made
    auroc, auprc = metrics.areas(scores, sets.positive, 1, seed, sets.group)
    share = within_groups(ordered_pairs(scores, sets), sets.pairs, 1, seed)
    (drawn,) = next(resampling.resamples([sets.pairs.size], 1, seed))
    rows = np.concatenate(
        [np.flatnonzero(sets.group == g) for g, times in enumerate(drawn) for _ in range(times)]
    )
    truth, values = sets.positive[rows], scores[1][rows]
    assert auroc.resampled[1, 0] == pytest.approx(roc_auc_score(truth, values))
    assert auprc.resampled[1, 0] == pytest.approx(average_precision_score(truth, values))
    expected = sum(by_hand(scores[1], sets) * drawn) / sum(sets.pairs * drawn)
    assert share.resampled[1, 0] == pytest.approx(expected)


def pairs_of(hits):
    """Pairs whose positive is above its negative where `hits` is 1, beside it at 0.5."""
    hits = np.asarray(hits, np.float64)
    scores = np.concatenate([hits, np.full(hits.size, 0.5)])
    positive = np.repeat([True, False], hits.size)
    return scores, Sets(positive, np.tile(np.arange(hits.size), 2))


@pytest.mark.parametrize("hits", [0, 10])
def test_the_interval_of_all_pairs_in_one_order_is_wilsons(hits):
    interval = share_interval(hits / 10, 10)
    oracle = binomtest(hits, 10).proportion_ci(method="wilson")
    assert (interval.low, interval.high) == pytest.approx((oracle.low, oracle.high), abs=1e-4)
    assert share_interval(0.9, 10).high == 1
    half = 1.96 * standard_error(0.3, 100)
    assert share_interval(0.3, 100).low == pytest.approx(0.3 - half, abs=1e-4)


def test_pairwise_accuracy_counts_ties_half_and_has_the_binomial_error():
    scores, sets = pairs_of([1, 1, 1, 0.5, 0])
    share = within_groups(ordered_pairs(scores[None], sets), sets.pairs)
    assert share.values.tolist() == [0.7]
    assert standard_error(0.7, 5) == pytest.approx(np.sqrt(0.7 * 0.3 / 5))


@given(grouped())
def test_a_score_that_is_the_same_within_groups_gets_one_half(made):
    _, sets = made
    of_group = (sets.group**2 % 5).astype(np.float64)[None]
    share = within_groups(ordered_pairs(of_group, sets), sets.pairs, 3)
    assert share.values.tolist() == [0.5]
    assert share.resampled.tolist() == [[0.5] * 3]


def test_the_mean_over_classes_counts_each_class_as_much():
    scores, sets = pairs_of([1] * 6 + [0] * 2 + [1, 0])
    classes = np.array([0] * 6 + [1] * 2 + [2, -1])
    ordered = ordered_pairs(scores[None], sets)
    assert by_class(ordered, sets.pairs, classes).values == pytest.approx([2 / 3])
    # Groups of a class are drawn within it: these are all alike, so that no resample differs.
    resampled = by_class(ordered, sets.pairs, classes, 50).resampled
    assert resampled == pytest.approx(2 / 3)
    mixed = by_class(ordered, sets.pairs, np.array([0] * 7 + [1] * 3), 400).resampled
    assert mixed.std() == pytest.approx(np.sqrt(6 / 7 / 7 / 7 + 1 / 3 * 2 / 3 / 3) / 2, rel=0.15)


def noise(groups, negatives=1, seed=0, shift=0.0):
    """A table of groups whose level differs, with a score of that level, and noise."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(groups), 1 + negatives)
    positive = np.tile([True] + [False] * negatives, groups)
    return pl.DataFrame(
        {
            "chrom": ["c"] * group.size,
            "pos": np.arange(group.size),
            "ref": ["A"] * group.size,
            "alt": ["C"] * group.size,
            "consequence": np.where(group < 40, "missense_variant", "intergenic_variant"),
            "gene": [f"g{g}" for g in group],
            "label": np.where(positive, "bad", "good"),
            "level": (group + 3 * positive).astype(np.float64),
            "noise": rng.normal(size=group.size) + shift * positive,
        }
    )


def task_of(table, **more):
    spec = LabelSpec("lab", "c", positive=("bad",), negative=("good",), group=("gene",), **more)
    positive, negative = ((table["label"] == name).to_numpy() for name in ("bad", "good"))
    groups = class_groups(group_names(table, spec.group), positive, negative, spec, table)
    return Task("lab", LABELS, "", positive, negative, groups=groups)


SCORES = compared_scores([], {"noise": "higher", "level": "higher"}, [["noise", "level"]])


def rows_of(table, task=None, **settings):
    rows = measure(
        [task or task_of(table)], table, SCORES, Settings(**{"bootstrap": 200, **settings})
    )
    rows = rows.filter(group="match groups")
    return {(row["metric"], row["score"]): row for row in rows.to_dicts()}


def test_a_score_that_the_groups_hold_fixed_is_seen_through():
    table = noise(100)
    values = rows_of(table)
    level = values["pairwise_accuracy", "level"]
    assert level["value"] == 1  # within a pair it tells them apart, among all alleles hardly
    assert (level["low"], level["high"]) == (pytest.approx(100 / (100 + 1.96**2), abs=1e-5), 1)
    assert level["note"].endswith("standard error 0 = √(p(1 − p)/n), so the interval is Wilson’s")
    assert roc_auc_score(table["label"] == "bad", table["level"]) < 0.55
    chance = values["pairwise_accuracy", "noise"]
    error = np.sqrt(chance["value"] * (1 - chance["value"]) / 100)
    assert chance["low"] == pytest.approx(chance["value"] - 1.96 * error, abs=1e-4)
    assert chance["low"] < 0.5 < chance["high"]
    assert f"standard error {error:.3g}" in chance["note"]
    assert "100 pairs: groups of the same gene" in chance["note"]
    assert level["difference"] == pytest.approx(1 - chance["value"], abs=1e-5)
    assert level["difference_low"] > 0.3
    assert (level["alleles"], level["positives"], level["negatives"]) == (200, 100, 100)
    macro = values["pairwise_accuracy_by_consequence", "noise"]
    assert "intergenic_variant (60), missense_variant (40)" in macro["note"]
    hits = table["noise"].to_numpy().reshape(100, 2)
    right = hits[:, 0] > hits[:, 1]
    assert macro["value"] == pytest.approx((right[:40].mean() + right[40:].mean()) / 2, abs=1e-5)
    assert macro["low"] < macro["value"] < macro["high"]
    # Where a consequence has fewer than 30 groups it does not count.
    few = rows_of(noise(69))["pairwise_accuracy_by_consequence", "noise"]
    assert few["note"].endswith(
        "at least 30 groups: missense_variant (40); not in it: 29 groups of a consequence with "
        "fewer"
    )


def test_no_mean_over_consequences_says_why():
    for table in (noise(20), noise(20, 3)):
        values = rows_of(table)
        row = values[None, None]
        assert not [metric for metric, _ in values if metric and metric.endswith("consequence")]
        assert row["note"] == (
            "not by consequence: none has at least 30 groups; not in it: 20 groups of a "
            "consequence with fewer"
        )
        assert (row["value"], row["positives"]) == (None, 20)
    assert (None, None) not in rows_of(noise(69))
    # A contrast's positives are of one consequence, so that nothing is missing.
    contrast = replace(task_of(noise(20)), kind=CONTRAST)
    assert (None, None) not in rows_of(noise(20), contrast)


def test_groups_of_no_consequence_are_counted():
    table = noise(80, 1)
    more = table.filter(pl.col("gene").is_in(["g41", "g42"]), label="bad")
    more = more.with_columns(consequence=pl.lit("stop_gained"))
    table = pl.concat([table, more]).with_columns(
        consequence=pl.when(pl.col("gene") == "g3").then(None).otherwise("consequence")
    )
    note = rows_of(table)["auprc_by_consequence", "noise"]["note"]
    assert note.endswith(
        "missense_variant (39), intergenic_variant (38); not in it: 2 groups whose positives "
        "differ in it, 1 groups whose positives have none"
    )


@pytest.mark.parametrize("negatives", [1, 9])
def test_groups_permuted_give_one_half_within_the_interval(negatives):
    """A score of the label stays, whose groups it cannot see any more, once labels are permuted."""
    table = noise(300, negatives, seed=3, shift=2.0)
    metric = "pairwise_accuracy" if negatives == 1 else "auroc_within_groups"
    true = rows_of(table)[metric, "noise"]
    assert true["low"] > 0.8
    labels = table["label"].to_numpy().reshape(300, -1).copy()
    np.random.default_rng(1).permuted(labels, axis=1, out=labels)
    permuted = table.with_columns(label=pl.Series(labels.ravel()))
    by_chance = rows_of(permuted)[metric, "noise"]
    assert by_chance["low"] < 0.5 < by_chance["high"]
    assert by_chance["high"] - by_chance["low"] < 0.15


def test_more_negatives_are_measured_over_the_matched_alleles():
    table = noise(80, 4, shift=0.5)
    values = rows_of(table)
    truth = (table["label"] == "bad").to_numpy()
    for metric, oracle in (("auroc", roc_auc_score), ("auprc", average_precision_score)):
        for score in ("noise", "level"):
            expected = oracle(truth, table[score])
            assert values[metric, score]["value"] == pytest.approx(expected, abs=1e-5)
    assert "0.2 by chance" in values["auprc", "noise"]["note"]
    assert values["auroc_within_groups", "level"]["value"] == 1
    parts = [
        average_precision_score(truth[rows], table["noise"].to_numpy()[rows])
        for rows in (slice(0, 200), slice(200, None))
    ]
    assert values["auprc_by_consequence", "noise"]["value"] == pytest.approx(
        np.mean(parts), abs=1e-5
    )
    assert not [metric for metric, _ in values if metric and metric.startswith("pairwise")]


def test_groups_that_lose_a_class_to_a_missing_score_are_left_out_whole():
    table = noise(60, 2)
    lacking = [0, 4, 5, 7]  # the only positive of the first, both negatives of the second, one
    gaps = table.with_columns(
        noise=pl.when(pl.int_range(pl.len()).is_in(lacking)).then(None).otherwise(pl.col("noise"))
    )
    row = rows_of(gaps)["auroc_within_groups", "noise"]
    assert (row["alleles"], row["positives"], row["missing"]) == (180 - 6 - 1, 58, 4)
    assert "58 groups: " in row["note"]
    assert "2 groups left out: a score has no value there" in row["note"]
    kept = gaps.filter(pl.int_range(pl.len()) > 5, pl.col("noise").is_not_null())
    alone = rows_of(kept)
    assert row["value"] == alone["auroc_within_groups", "noise"]["value"]
    # Combinations rank the alleles that are compared.
    both = ("auroc", "noise+level")
    assert rows_of(gaps)[both]["value"] == alone[both]["value"]


def test_few_groups_and_none_say_so():
    few = rows_of(noise(9))[None, None]
    assert few["note"] == (
        "too few: 9 groups with both classes; at least 10 are needed; groups of the same gene"
    )
    table = noise(9).with_columns(gene=pl.lit(None, pl.String))
    assert "too few: 0 groups" in rows_of(table)[None, None]["note"]


def test_groups_of_one_class_are_left_out_and_counted_unless_pairs_are_demanded():
    table = noise(5).with_columns(
        gene=pl.Series(["a", "a", "b", "b", "c", "c", "d", "d", None, None]),
        label=pl.Series(["bad", "good", "bad", "bad", "bad", "good", "odd", "good", "bad", "good"]),
    )
    groups = task_of(table).groups
    assert groups.codes.tolist() == [0, 0, -1, -1, 1, 1, -1, -1, -1, -1]
    assert groups.names == ["a", "c"]
    assert groups.pairs
    assert groups.counts == {
        "without_group": 2,
        "groups": 2,
        "groups_of_one_class": 2,
        "in_groups_of_one_class": 3,
    }
    with pytest.raises(UserError) as caught:
        task_of(table, pairs=True)
    assert str(caught.value) == (
        "evaluate.labels.lab.pairs: the group 'b' (gene) has 2 positive and 0 negative alleles, "
        "expected one of each; its first is c:2 A>C; so it is with 1 more groups. Correct the "
        "groups, or remove pairs"
    )
    right = table.filter(pl.col("gene").is_in(["a", "c"]))
    assert task_of(right, pairs=True).groups.pairs
    three = pl.concat([right, right.head(1)])
    assert not task_of(three).groups.pairs


def test_one_class_groups_are_in_the_note_of_the_rows():
    table = noise(60).with_columns(
        gene=pl.when(pl.col("gene") == "g7").then(pl.lit("alone")).otherwise("gene"),
        label=pl.when(pl.col("gene") == "g7").then(pl.lit("bad")).otherwise("label"),
    )
    values = rows_of(table)
    said = "59 pairs: groups of the same gene; 1 groups of one class left out (2 alleles)"
    assert {row["note"].startswith(said) for row in values.values()} == {True}
    few = rows_of(table.head(20))[None, None]["note"]
    assert few.endswith("1 groups of one class left out (2 alleles)")


def test_groups_that_are_nearly_all_pairs_are_warned_of(caplog):
    table = noise(4)
    odd = pl.concat([table, table.filter(gene="g2", label="good")])
    assert not task_of(odd).groups.pairs
    assert caplog.messages == [
        "evaluate.labels.lab.group: 3 of 4 groups are one positive and one negative, but the group "
        "'g2' (gene) has 1 positive and 2 negative alleles; its first is c:4 A>C. So AUROC and "
        "AUPRC are measured, no pairwise accuracy; pairs: true makes such groups an error"
    ]
    caplog.clear()
    # Neither pairs alone, beside what has one class, nor groups of which few are pairs.
    alone = table.filter((pl.col("gene") != "g2") | (pl.col("label") == "good"))
    assert task_of(alone).groups.pairs
    three = pl.concat([odd, table.filter(pl.col("gene").is_in(["g0", "g1"]), label="good")])
    assert not task_of(three).groups.pairs
    assert caplog.messages == []


def test_names_of_groups_are_of_the_labels_table_first():
    alleles = pl.DataFrame(
        {
            "gene": ["a", "a", None, "b"],
            "af": [0.5, 1.0, 1.0, None],
            "protein_change": ["12A>12V", "3*>3W", "7L", "5MK>5I"],
        }
    )
    own = pl.DataFrame({"gene": ["x", None, "y", "z"]})

    def parts(names):
        return [name if name is None else name.split("\t") for name in names]

    assert parts(group_names(alleles, ["gene"])) == [["a"], ["a"], None, ["b"]]
    assert parts(group_names(alleles, ["gene", "af"], own)) == [
        ["x", "0.5"],
        None,
        ["y", "1"],
        None,
    ]
    residues = group_names(alleles, ["amino_acid"])
    assert residues.to_list() == ["A", "*", "L", None]
    assert group_names(alleles.drop("protein_change"), ["amino_acid"]).null_count() == 4
    assert tuple(DERIVED) == GROUP_NAMES
    numbers = number_groups(group_names(alleles, ["gene"]), np.array([False, True, True, True]))
    assert (numbers.codes.tolist(), numbers.names) == ([-1, 0, -1, 1], ["a", "b"])
    assert numbers.counts == {"without_group": 1}


def test_page_and_chart_name_them():
    table = noise(60, 3)
    pairs = task_of(table.filter(pl.int_range(pl.len()) % 4 < 2))
    assert pairs.groups.pairs
    rows = []
    for name, task, alleles in (
        ("one", pairs, table.filter(pl.int_range(pl.len()) % 4 < 2)),
        ("more", task_of(table), table),
    ):
        rows.append(measure([replace(task, name=name)], alleles, SCORES, Settings(20)))
    whole = pl.concat(rows).select(pl.lit("cohort").alias("cohort"), pl.all())
    summary = {
        "bootstrap": 20,
        "contigs": None,
        "repeated": 0,
        "scores_absent": [],
        "scores": [{"name": "noise", "about": "noise"}],
        "tasks": [
            {"name": name, "kind": LABELS, "about": "", "counts": {"without_group": 3}, "notes": []}
            for name in ("one", "more")
        ],
    }
    section = evaluation_section(whole, summary)
    first, second = section.tasks
    shown = {row.metric for row in first.rows if row.group == "match groups"}
    assert shown == {"pairwise accuracy", "pairwise accuracy, mean over consequences"}
    assert "AUROC within match groups" in {row.metric for row in second.rows}
    assert {row.group for row in first.others} == {"missense_variant", "intergenic_variant"}
    assert "Alleles with a label but no group: 3." in first.notes
    (data,) = section.charts[0].specification["datasets"].values()
    lines = {point["line"] for point in data}
    assert {"one, match groups, pairs", "more, match groups, within"} <= lines


def test_a_note_that_several_rows_have_is_read_once():
    """The page has it in the first of them; evaluation.tsv has it in each."""
    table = noise(60, 3)
    rows = measure([task_of(table)], table, SCORES, Settings(0))
    whole = rows.select(pl.lit("cohort").alias("cohort"), pl.all())
    task = {"name": rows["task"][0], "kind": LABELS, "about": "", "counts": {}, "notes": []}
    summary = {"bootstrap": 0, "contigs": None, "repeated": 0, "scores_absent": []}
    section = evaluation_section(whole, {**summary, "scores": [], "tasks": [task]})
    notes = [row.note for row in section.tasks[0].rows if row.group == "match groups"]
    in_table = rows.filter(group="match groups")["note"].to_list()
    assert notes[0] == in_table[0]
    assert notes[1] == "as above"
    assert in_table[1] == in_table[0]
    assert [note for note in notes if note != "as above"] == list(dict.fromkeys(in_table))
    assert section.notes[0].startswith("Nothing is resampled")
    assert section.notes[0].endswith("(by Wilson’s formula where they are 0 or 1).")


# Config and step


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ({"group": "gen"}, "x.group: no column has the name gen; did you mean gene?"),
        ({"group": ["gene", "residue"]}, "x.group: no column has the name residue"),
        ({"group": []}, "evaluate.labels.x.group"),
        ({"pairs": True}, "x.pairs: there are no groups; name their column in group"),
        (
            {"group": "gene", "pairs": True, "positive": [], "negative": []},
            "x.pairs: is for classes, not for a number",
        ),
        ({"group": "gene", "pairs": "yes"}, "evaluate.labels.x.pairs"),
    ],
)
def test_config_errors(config, label, said):
    classes = {"column": "kind", "positive": ["snv"], "negative": ["ins"]}
    with pytest.raises(UserError) as caught:
        config(labels={"x": {**classes, **label}})
    assert said in str(caught.value)


def test_a_labels_group_may_be_of_its_own_table(config):
    label = {"table": "t.tsv", "column": "a", "group": "anything"}
    assert config(labels={"x": label})["labels"]["x"]["pairs"] is False


@pytest.fixture
def config(root):
    def make(**evaluate):
        whole = {
            "reference": {"fasta": "g.fa"},
            "cohorts": "c.tsv",
            "models": {"gpn": {"path": "x"}, "other": {"path": "y"}},
            "annotate": {"info": ["CLNSIG"], "bigwigs": {"phylop": "x.bw"}},
            "evaluate": evaluate,
        }
        return load_config(whole, root / "config/schemas/config.schema.yaml")["evaluate"]

    return make


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return make_inputs(
        tmp_path_factory.mktemp("grouped"),
        rows=1500,
        models=("gpn", "other"),
        lengths={"chr1": 20_000, "chr2": 15_000, "chr3": 9_000},
    )


@pytest.fixture
def no_figure(monkeypatch):
    """No figure: it takes seconds."""
    monkeypatch.setattr("varlm.steps.evaluate.write_figures", lambda *_: None)


def sheet_of(inputs, path):
    """Write a label table whose elements hold one positive and one negative; return its rows."""
    table = pl.read_parquet(inputs.folder / "annotated.parquet")
    alleles = table.unique(["chrom", "pos", "ref", "alt"], maintain_order=True)
    alleles = alleles.filter(pl.col("gpn_llr").is_not_null(), pl.col("other_llr").is_not_null())
    alleles = alleles.head(alleles.height // 2 * 2).with_columns(
        effect=pl.int_range(pl.len()) % 2,
        element=pl.format("e{}", pl.int_range(pl.len()) // 2),
    )
    alleles.select("chrom", "pos", "ref", "alt", "effect", "element").write_csv(
        path, separator="\t"
    )
    return alleles


@pytest.mark.usefixtures("no_figure")
def test_the_step_takes_groups_of_a_labels_table(inputs, config, tmp_path, capsys, caplog):
    caplog.set_level("INFO", "varlm")
    sheet = tmp_path / "l.tsv"
    alleles = sheet_of(inputs, sheet)
    label = {"table": "kept out", "column": "effect", "positive": [1], "negative": [0]}
    label |= {"group": "element", "pairs": True}
    settings = config(labels={"x": label}, contrasts=[], frequencies=False, bootstrap=20)
    assert step(inputs.folder, settings, "--labels", f"x={sheet}") == 0
    rows = read_evaluation(inputs.folder / "out/evaluation.tsv")
    row = rows.filter(metric="pairwise_accuracy", score="gpn").row(0, named=True)
    llr = alleles["gpn_llr"].to_numpy().reshape(-1, 2)
    hits = (llr[:, 1] < llr[:, 0]) + (llr[:, 1] == llr[:, 0]) / 2
    assert row["value"] == pytest.approx(hits.mean(), abs=1e-5)
    assert row["positives"] == row["negatives"] == alleles.height // 2
    assert "evaluate.labels.x: by element: without group 0; groups " in caplog.text
    summary = json.loads((inputs.folder / "out/evaluation.json").read_text())
    assert summary["tasks"][0]["counts"]["groups"] == alleles.height // 2
    assert summary["tasks"][0]["counts"]["groups_of_one_class"] == 0
    # Of one contig alone an element may have lost its other allele: an error where pairs are due.
    cut = alleles.with_columns(element=pl.lit("same"))
    cut.select("chrom", "pos", "ref", "alt", "effect", "element").write_csv(sheet, separator="\t")
    assert step(inputs.folder, settings, "--labels", f"x={sheet}") == 2
    half = alleles.height // 2
    said = f"the group 'same' (element) has {half} positive and {half} negative alleles"
    assert said in capsys.readouterr().err
    settings["labels"]["x"]["group"] = ["element", "nowhere"]
    assert step(inputs.folder, settings, "--labels", f"x={sheet}") == 2
    error = capsys.readouterr().err
    assert "evaluate.labels.x.group: there is no column nowhere in" in error
    assert "l.tsv (chrom, pos, ref, alt, effect, element) nor the annotated table" in error


@pytest.mark.usefixtures("no_figure")
def test_the_step_matches_what_has_no_groups(inputs, config, caplog):
    caplog.set_level("INFO", "varlm")
    label = {"column": "impact", "positive": ["HIGH"], "negative": ["MODIFIER"]}
    settings = config(
        labels={"free": label, "grouped": {**label, "group": "chrom"}},
        contrasts=[["missense_variant", "synonymous_variant"]],
        match={"by": ["chrom"], "near": ["tss_distance"], "controls": 2},
        bootstrap=20,
    )
    assert step(inputs.folder, settings) == 0
    rows = read_evaluation(inputs.folder / "out/evaluation.tsv")
    groups = {
        task: set(rows.filter(task=task)["group"]) & {"matched 1:2", "match groups"}
        for task in rows["task"].unique()
    }
    assert groups["free"] == {"matched 1:2"}
    assert groups["grouped"] == {"match groups"}
    assert groups["missense_variant vs synonymous_variant"] == {"matched 1:2"}
    assert groups["allele frequency"] == {"matched 1:2"}
    assert "evaluate.match: free: " in caplog.text
    tasks = json.loads((inputs.folder / "out/evaluation.json").read_text())["tasks"]
    assert {"groups", "without_controls", "balance"} <= set(tasks[0]["counts"]["matched"])
    before = (inputs.folder / "out/evaluation.tsv").read_bytes()
    assert step(inputs.folder, settings) == 0
    assert (inputs.folder / "out/evaluation.tsv").read_bytes() == before


@pytest.mark.real_data
@pytest.mark.usefixtures("no_figure")
def test_yeast_functional_sites_against_the_same_residue_of_the_gene(shared_data, tmp_path, config):
    """UniProt's sites on chromosome I and conservation, in groups of a gene and a residue."""
    yeast = shared_data / "yeast"
    cohort = real_cohort(yeast, tmp_path, yeast / "labels/uniprot_functional_sites.vcf.gz", "I")
    text = gzip.decompress((yeast / "labels/uniprot_functional_sites.tsv.gz").read_bytes())
    sites = pl.read_csv(text, separator="\t", infer_schema=False)
    sites = sites.with_columns(residue=pl.col("aa_change").str.slice(0, 1))
    sites.write_csv(tmp_path / "sites.tsv", separator="\t")
    label = {"table": "kept out", "column": "label", "positive": [1], "negative": [0]}
    settings = config(
        labels={"sites": {**label, "group": ["gene", "residue"]}},
        scores={"phylop": "higher"},
        contrasts=[],
        frequencies=False,
        mutation_context=False,
        bootstrap=200,
    )
    settings["scores"] = {"spar": "higher"}
    assert step(tmp_path, settings, "--labels", f"sites={tmp_path / 'sites.tsv'}") == 0
    rows = read_evaluation(tmp_path / "out/evaluation.tsv").filter(score="spar")
    counts = json.loads((tmp_path / "out/evaluation.json").read_text())["tasks"][0]["counts"]
    on_chromosome = sites.filter(chrom="I")
    sizes = on_chromosome.group_by("gene", "residue").agg(pl.col("label").n_unique().alias("n"))
    assert counts["groups"] == sizes.filter(n=2).height > 30
    assert counts["groups_of_one_class"] == sizes.filter(n=1).height > 0
    keys = ["chrom", "pos", "ref", "alt"]
    table = on_chromosome.with_columns(pl.col("pos").cast(pl.UInt32)).join(cohort, on=keys)
    table = table.filter(pl.col("spar").is_not_null())
    parts = [
        (truth, part["spar"], truth.sum() * (~truth).sum())
        for _, part in table.group_by("gene", "residue")
        for truth in [(part["label"] == "1").to_numpy()]
        if 0 < truth.sum() < truth.size
    ]
    pairs = np.array([number for *_, number in parts])
    areas = np.array([roc_auc_score(truth, score) for truth, score, _ in parts])
    row = rows.filter(metric="auroc_within_groups").row(0, named=True)
    assert row["value"] == pytest.approx((areas * pairs).sum() / pairs.sum(), abs=1e-5)
    assert row["low"] < row["value"] < row["high"]
    whole = rows.filter(group="match groups", metric="auprc").row(0, named=True)
    truth, score = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    assert whole["value"] == pytest.approx(average_precision_score(truth, score), abs=1e-5)
    assert whole["alleles"] == truth.size

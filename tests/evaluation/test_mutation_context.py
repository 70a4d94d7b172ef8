"""The baseline made of trinucleotides: by its definition, and of no use on noise."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from varlm.errors import UserError
from varlm.evaluation import mutation_context
from varlm.evaluation.compared import Score, compared_scores
from varlm.evaluation.features import PENTAMERS, TRINUCLEOTIDES
from varlm.evaluation.labels import LABEL, LabelSpec
from varlm.evaluation.measuring import measure
from varlm.evaluation.metrics import areas
from varlm.evaluation.mutation_context import BLOCKS, PSEUDO_COUNT, cells, folds, log_odds, means
from varlm.evaluation.rows import Settings
from varlm.evaluation.tasks import frequency_task, label_task

ROWS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.sampled_from("pn-")), min_size=1, max_size=40
)


@given(ROWS)
def test_log_odds_are_those_of_the_other_chromosomes(rows):
    cell, fold = (np.array(column) for column in zip(*[row[:2] for row in rows], strict=True))
    classes = np.array([row[2] for row in rows])
    scores = log_odds(cell, fold, classes == "p", classes == "n")
    for i, score in enumerate(scores):
        away = [row for row in rows if row[1] != fold[i] and row[2] != "-"]
        of_cell = [row[2] == "p" for row in away if row[0] == cell[i]]
        rate = (sum(row[2] == "p" for row in away) + 0.5) / (len(away) + 1)
        share = (sum(of_cell) + PSEUDO_COUNT * rate) / (len(of_cell) + PSEUDO_COUNT)
        expected = np.log(share / (1 - share)) - np.log(rate / (1 - rate))
        assert score == pytest.approx(expected, abs=1e-12)


@given(ROWS)
def test_means_are_those_of_the_other_chromosomes(rows):
    cell, fold = (np.array(column) for column in zip(*[row[:2] for row in rows], strict=True))
    numbers = np.array([{"p": 1.5, "n": -2, "-": 0.25}[row[2]] for row in rows])
    for i, score in enumerate(means(cell, fold, numbers)):
        away = fold != fold[i]
        mean = numbers[away].mean() if away.any() else 0
        of_cell = numbers[away & (cell == cell[i])]
        expected = (of_cell.sum() + PSEUDO_COUNT * mean) / (of_cell.size + PSEUDO_COUNT) - mean
        assert score == pytest.approx(expected, abs=1e-12)


def test_one_chromosome_is_cut_into_blocks_of_neighbours():
    positions = np.repeat(np.arange(1, 51), 2)
    rng = np.random.default_rng(0)
    positions = rng.permutation(positions)
    alleles = pl.DataFrame({"chrom": ["1"] * 100, "pos": positions.astype(np.uint32)})
    blocks = folds(alleles)
    assert np.bincount(blocks).tolist() == [10] * BLOCKS
    assert (blocks == (positions - 1) // 5).all()  # five positions, two alleles of each
    two = alleles.with_columns(chrom=pl.Series(["1", "2"] * 50))
    assert folds(two).tolist() == [0, 1] * 50
    assert folds(alleles.clear()).size == 0
    assert set(folds(alleles.head(3))) <= set(range(BLOCKS))


def test_each_kind_of_allele_that_has_no_trinucleotide_has_a_cell():
    known = pl.DataFrame(
        {
            "trinucleotide": pl.Series(["A[C>A]A", "T[T>G]T", *[None] * 6], dtype=TRINUCLEOTIDES),
            "kind": ["snv", "snv", "snv", "mnv", "ins", "del", "delins", None],
        }
    )
    assert cells(known).tolist() == [0, 95, 96, 97, 98, 99, 100, 96]
    assert mutation_context.CELLS == 101


def features_of(trinucleotides):
    size = len(trinucleotides)
    return pl.DataFrame(
        {
            "trinucleotide": pl.Series(trinucleotides, dtype=TRINUCLEOTIDES),
            "pentamer": pl.Series([None] * size, dtype=PENTAMERS),
            "cpg": [False] * size,
            "kind": ["snv"] * size,
        }
    )


def labelled(size, rng, effect):
    """Alleles of 16 chromosomes: a table, its features and a label that follows the cell."""
    cell = rng.integers(0, 96, size)
    rate = 1 / (1 + np.exp(-effect * rng.normal(size=96)[cell]))
    bad = rng.random(size) < rate
    table = pl.DataFrame(
        {
            "chrom": [f"c{i}" for i in rng.integers(0, 16, size)],
            "pos": rng.integers(1, 10**6, size).astype(np.uint32),
            "consequence": pl.Series([None] * size, dtype=pl.String),
            "gpn_llr": rng.normal(size=size),
        }
    )
    known = features_of(np.array(TRINUCLEOTIDES.categories)[cell])
    return table, known, bad, rate


def test_it_finds_mutability_and_nothing_in_noise():
    rng = np.random.default_rng(1)
    table, known, bad, rate = labelled(20_000, rng, 1)
    everything = np.ones(bad.size, bool)
    column = mutation_context.SCORE.column
    fitted = mutation_context.with_column(table, known, everything, (bad, ~bad))[column].to_numpy()
    assert areas(fitted[None], bad)[0].values[0] == pytest.approx(
        areas(rate[None], bad)[0].values[0], abs=0.01
    )
    noise = rng.permutation(bad)
    fitted = mutation_context.with_column(table, known, everything, (noise, ~noise))[
        column
    ].to_numpy()
    low, high = areas(fitted[None], noise, 200)[0].interval(0)
    assert low < 0.5 < high
    # Chromosomes of other rates do not make it worse than chance.
    uneven = rng.random(bad.size) < np.linspace(0.1, 0.9, 16)[folds(table)]
    fitted = mutation_context.with_column(table, known, everything, (uneven, ~uneven))[
        column
    ].to_numpy()
    assert areas(fitted[None], uneven)[0].values[0] > 0.45


def test_it_is_a_row_of_every_task_and_takes_no_allele_from_the_others():
    rng = np.random.default_rng(2)
    table, known, bad, _ = labelled(600, rng, 2)
    table = table.with_columns(
        ref=pl.lit("A"), alt=pl.lit("C"), af=pl.Series(np.where(bad, 0.01, 0.3))
    )
    spec = LabelSpec("lab", "c", positive=("bad",), negative=("good",))
    tasks = [
        label_task(spec, pl.Series(LABEL, np.where(bad, "bad", "good")), {}),
        label_task(LabelSpec("num", "c"), pl.Series(bad * 1.0).cast(pl.String), {}),
        frequency_task(table),
    ]
    scores = mutation_context.with_baseline(
        compared_scores(["gpn"], {}, [["gpn", "mutation_context"]])
    )
    assert [score.name for score in scores] == [
        "gpn",
        "mutation_context",
        "gpn+mutation_context",
    ]
    rows = measure(tasks, table, scores, Settings(20, 0, (0.2,)), known)
    baseline = rows.filter(score="mutation_context", group="all")
    assert baseline["value"].is_not_null().all()
    assert set(baseline["task"]) == {task.name for task in tasks}
    assert set(baseline["missing"]) == {0}
    assert set(baseline["alleles"]) == {600}
    assert baseline.filter(pl.col("metric").is_in(["auroc", "spearman"]))["value"].abs().min() > 0.2
    both = rows.filter(score="gpn+mutation_context")
    assert both.filter(pl.col("task") != "num")["value"].is_not_null().all()
    assert both.filter(task="num")["note"].to_list() == [
        "left out: mutation_context rises with the number, other scores with harm; say which end "
        "of the number is harmful: evaluate.labels.num.harmful: high or low"
    ]


def correlations(harmful, number, table, known):
    scores = mutation_context.with_baseline(
        compared_scores(
            ["gpn"], {}, [["gpn", "mutation_context"]], fit=[["gpn", "mutation_context"]]
        )
    )
    spec = LabelSpec.parse("num", {"column": "c", "harmful": harmful}, None)
    task = label_task(spec, pl.Series(number).cast(pl.String), {})
    assert task.about.endswith("; low is harmful") == (harmful == "low")
    rows = measure([task], table, scores, Settings(0), known).filter(group="all")
    return {
        metric: dict(rows.filter(metric=metric).select("score", "value").iter_rows())
        for metric in ("spearman", "pearson")
    }


@pytest.mark.parametrize(("harmful", "sign"), [("high", 1), ("low", -1)])
def test_where_it_is_known_which_end_of_a_number_is_harmful_all_scores_rise_with_harm(
    harmful, sign
):
    rng = np.random.default_rng(8)
    table, known, bad, _ = labelled(600, rng, 2)
    harm = bad + 0.3 * rng.normal(size=600)
    table = table.with_columns(gpn_llr=pl.Series(-harm - 0.5 * rng.normal(size=600)))
    turned = correlations(harmful, sign * harm, table, known)
    for of_scores in turned.values():
        assert list(of_scores) == [
            "gpn",
            "mutation_context",
            "gpn+mutation_context",
            "gpn+mutation_context fitted",
        ]
        assert min(sign * value for value in of_scores.values()) > 0.25
        fitted, alone = of_scores["gpn+mutation_context fitted"], of_scores["gpn"]
        assert sign * fitted > sign * alone
    plain = correlations(None, sign * harm, table, known)
    assert [*plain["spearman"]] == ["gpn", "mutation_context", "gpn+mutation_context fitted"]
    for name, value in plain["spearman"].items():
        as_number = sign if name == "gpn" else 1
        assert as_number * value > 0.25  # fits and the baseline rise with the number
        assert abs(value) == pytest.approx(abs(turned["spearman"][name]), abs=1e-6)


def test_what_mutates_is_the_allele_that_is_looked_at():
    """Where ALT is the ancestral base, the mutation is the one back."""
    size = 400
    ref_is_derived = np.arange(size) % 2 == 0
    change = np.where(ref_is_derived, "C[T>C]C", "C[C>T]C")
    table = pl.DataFrame(
        {
            "chrom": [f"c{i % 4}" for i in range(size)],
            "pos": np.arange(1, size + 1, dtype=np.uint32),
            "ref": np.where(ref_is_derived, "T", "C"),
            "alt": np.where(ref_is_derived, "C", "T"),
            "af": np.where(ref_is_derived, 0.99, 0.01),
            "info_AA": ["C"] * size,
            "gpn_llr": np.zeros(size),
        }
    ).with_columns(af=pl.when(pl.int_range(size) % 8 < 4).then("af").otherwise(0.5))
    known = features_of(change)
    scores = mutation_context.with_baseline(compared_scores(["gpn"], {}, []))
    rows = measure([frequency_task(table)], table, scores, Settings(0), known)
    assert rows.filter(score="mutation_context", group="all", metric="auroc")["value"][0] == 0.5


def test_a_score_of_its_name_is_refused():
    with pytest.raises(UserError, match="a score has the name mutation_context"):
        mutation_context.with_baseline([Score("mutation_context", "x")])
    assert mutation_context.with_baseline([]) == []

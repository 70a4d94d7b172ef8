"""AUROC within strata against pairs counted one by one, and against known truths."""

import time

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from varlm.evaluation import resampling
from varlm.evaluation.compared import compared_scores
from varlm.evaluation.features import TRINUCLEOTIDES
from varlm.evaluation.labels import LABEL, LabelSpec
from varlm.evaluation.measuring import measure
from varlm.evaluation.metrics import FEWEST_CHROMOSOMES
from varlm.evaluation.mutation_context import cells
from varlm.evaluation.rows import Settings
from varlm.evaluation.strata import Strata
from varlm.evaluation.tasks import contrast_task, frequency_task, label_task
from varlm.evaluation.within_strata import LEAST_AUROC, explained, within_strata

DEFAULT = Strata(("trinucleotide", "consequence", "tss_distance"), (500, 2000, 10_000, 100_000))


def by_pairs(score, positive, stratum, chromosome):
    """The mean over chromosomes of the share of pairs in the right order, pair by pair."""
    shares = []
    for own in np.unique(chromosome):
        right = pairs = 0
        for i in np.flatnonzero(positive & (chromosome == own)):
            for j in np.flatnonzero(~positive & (chromosome == own) & (stratum == stratum[i])):
                pairs += 1
                right += (score[i] > score[j]) + (score[i] == score[j]) / 2
        if pairs:
            shares.append(right / pairs)
    return np.mean(shares) if shares else None


ROWS = st.lists(
    st.tuples(
        st.integers(-2, 2), st.integers(-2, 2), st.booleans(), st.integers(0, 2), st.integers(0, 6)
    ),
    min_size=1,
    max_size=40,
)


def arrays(rows):
    first, second, positive, stratum, chromosome = (
        np.array(column) for column in zip(*rows, strict=True)
    )
    return np.array([first, second], float), positive, stratum, chromosome


@given(ROWS)
def test_within_strata_is_the_share_of_pairs(rows):
    scores, positive, stratum, chromosome = arrays(rows)
    measured = within_strata(scores, positive, stratum, chromosome)
    expected = [by_pairs(score, positive, stratum, chromosome) for score in scores]
    if measured is None:
        assert expected == [None, None]
        return
    assert measured.within.values == pytest.approx(expected)
    used = measured.used
    names = [*zip(chromosome.tolist(), stratum.tolist(), strict=True)]
    both = {n for n, p in zip(names, positive, strict=True) if p} & {
        n for n, p in zip(names, positive, strict=True) if not p
    }
    assert used.tolist() == [name in both for name in names]
    assert measured.strata == len(both)
    assert measured.chromosomes == len({name[0] for name in both})
    counts = [
        [
            sum(n == name for n in np.array(names)[of & used].tolist())
            for of in (positive, ~positive)
        ]
        for name in map(list, both)
    ]
    assert measured.pairs == sum(p * n for p, n in counts)
    on_the_same = (positive[used], np.zeros(used.sum(), int), chromosome[used])
    raw = [by_pairs(score[used], *on_the_same) for score in scores]
    assert measured.raw.values == pytest.approx(raw)


@given(ROWS, st.integers(0, 1000))
def test_a_resample_is_the_metric_of_the_alleles_drawn(rows, seed):
    scores, positive, stratum, chromosome = arrays(rows)
    measured = within_strata(scores, positive, stratum, chromosome, 3, seed)
    if measured is None:
        return
    used = np.flatnonzero(measured.used)
    own = np.unique(chromosome[used])
    parts = [used[chromosome[used] == one] for one in own]
    if own.size >= FEWEST_CHROMOSOMES:
        for i, (times,) in enumerate(resampling.resamples([own.size], 3, seed)):
            alone = [
                by_pairs(*(a[part] for a in (scores[1], positive, stratum, chromosome)))
                for part in parts
            ]
            expected = np.repeat(alone, times).mean()
            assert measured.within.resampled[1, i] == pytest.approx(expected)
        return
    members = [part[positive[part] == of] for of in (True, False) for part in parts]
    sizes = [part.size for part in members]
    for i, drawn in enumerate(resampling.resamples(sizes, 3, seed)):
        rows_drawn = np.concatenate([np.repeat(m, t) for m, t in zip(members, drawn, strict=True)])
        expected = by_pairs(*(a[rows_drawn] for a in (scores[1], positive, stratum, chromosome)))
        if expected is None:
            assert np.isnan(measured.within.resampled[1, i])
        else:
            assert measured.within.resampled[1, i] == pytest.approx(expected)


def confounded(size=6000, chromosomes=3, seed=0):
    """Two classes whose share differs between ten strata; an effect that is of no stratum."""
    rng = np.random.default_rng(seed)
    stratum = rng.integers(0, 10, size)
    positive = rng.random(size) < np.linspace(0.05, 0.6, 10)[stratum]
    effect = rng.normal(size=size) + 0.8 * positive
    return positive, stratum, rng.integers(0, chromosomes, size), effect, rng


@pytest.mark.parametrize("chromosomes", [1, 3, 8])
def test_known_truths(chromosomes):
    positive, stratum, chromosome, effect, rng = confounded(chromosomes=chromosomes)
    nuisance = stratum.astype(float)
    noisy = nuisance + rng.normal(size=positive.size)
    scores = np.array([nuisance, noisy, effect, rng.normal(size=positive.size)])
    measured = within_strata(scores, positive, stratum, chromosome, 200, 1)
    assert measured.within.values[0] == 0.5  # a score constant within strata
    assert measured.within.interval(0) == (0.5, 0.5)
    assert measured.raw.values[0] > 0.65
    assert measured.explained.values[0] == 1  # the nuisance itself
    assert measured.explained.interval(0) == (1, 1)
    assert measured.explained.values[1] > 0.9  # the nuisance with noise
    low, high = measured.within.interval(1)
    assert low < 0.5 < high
    assert measured.explained.values[2] < 0.06  # an effect that the strata know nothing of
    assert measured.explained.interval(2).low == pytest.approx(0, abs=0.02)
    assert np.isnan(measured.explained.values[3])  # noise: there is nothing to explain
    assert abs(measured.raw.values[3] - 0.5) < LEAST_AUROC - 0.5
    difference = measured.within.difference_interval(2)
    assert difference.low > 0.1


def test_nothing_is_explained_of_a_perfect_score_and_half_of_one_half_way():
    positive, stratum, chromosome, *_ = confounded()
    measured = within_strata(positive[None] * 1.0, positive, stratum, chromosome)
    assert (measured.within.values, measured.explained.values) == (1, 0)
    assert explained(np.array([0.6, 0.9, 0.4, 0.6]), np.array([0.7, 0.8, 0.7, 0.5])) == (
        pytest.approx([0.5, 0, 1, np.nan], nan_ok=True)
    )


def test_one_stratum_is_scikit_learns():
    positive, _, _, effect, _ = confounded(500)
    nothing = np.zeros(positive.size, int)
    measured = within_strata(effect[None], positive, nothing, nothing)
    assert measured.within.values[0] == pytest.approx(roc_auc_score(positive, effect))
    assert measured.raw.values[0] == measured.within.values[0]
    assert within_strata(effect[None], np.ones(500, bool), nothing, nothing) is None


def test_intervals_cover_the_truth_also_where_strata_are_tiny():
    """Strata of a positive and two negatives on one chromosome: drawn within them, none varied."""
    rng = np.random.default_rng(7)
    stratum, positive = np.repeat(np.arange(80), 3), np.tile([True, False, False], 80)
    nothing = np.zeros(positive.size, int)
    covered = 0
    for seed in range(100):
        score = rng.normal(size=positive.size) + rng.normal(size=80)[stratum] * 3
        low, high = within_strata(
            score[None], positive, stratum, nothing, 200, seed
        ).within.interval(0)
        covered += low <= 0.5 <= high
    assert covered >= 90


def test_a_thousand_resamples_of_many_alleles_take_seconds():
    positive, stratum, chromosome, effect, _ = confounded(20_000)
    started = time.process_time()
    within_strata(effect[None], positive, stratum, chromosome, 1000)
    assert time.process_time() - started < 20  # 1 s where nothing else runs


# Strata of alleles, and their rows


def known_alleles(**columns):
    size = len(next(iter(columns.values())))
    names = {
        "trinucleotide": pl.Series(
            columns.get("trinucleotide", [None] * size), dtype=TRINUCLEOTIDES
        ),
        "pentamer": pl.Series([None] * size, dtype=pl.String),
        "cpg": pl.Series(columns.get("cpg", [None] * size), dtype=pl.Boolean),
        "kind": pl.Series(columns.get("kind", ["snv"] * size)),
        "consequence": pl.Series(columns.get("consequence", [None] * size), dtype=pl.Categorical),
        "tss_distance": pl.Series(columns.get("tss_distance", [None] * size), dtype=pl.Int32),
    }
    return pl.DataFrame(names)


def test_alleles_alike_in_all_are_of_one_stratum():
    known = known_alleles(
        trinucleotide=[
            "A[C>A]A",
            "A[C>A]A",
            "A[C>A]G",
            "A[C>A]A",
            "A[C>A]A",
            None,
            None,
            "A[C>A]A",
        ],
        cpg=[False, False, True, False, False, None, None, False],
        kind=[*["snv"] * 5, "ins", "del", "snv"],
        consequence=["a", "a", "a", "b", "a", "a", "a", None],
        tss_distance=[-499, 499, 0, 0, 500, 0, 0, None],
    )
    missing = LabelSpec("x", "c", positive=("p",), negative=("n",))
    task = label_task(missing, pl.Series(LABEL, ["p"] * 4 + ["n"] * 4), {})
    strata = DEFAULT.of(task, known)
    assert strata.words == "trinucleotide × consequence × tss_distance"
    assert strata.codes[0] == strata.codes[1]
    assert len(set(strata.codes.tolist())) == 7
    contrast = contrast_task(("stop_gained", "intergenic"), known["consequence"])
    strata = DEFAULT.of(contrast, known)
    assert strata.words == "trinucleotide × tss_distance"
    assert strata.codes[0] == strata.codes[1] == strata.codes[3]
    assert len(set(strata.codes.tolist())) == 6
    by_cpg = Strata(("cpg",), ()).of(task, known)
    assert by_cpg.codes.tolist() == [0, 0, 1, 0, 0, *cells(known)[5:7], 0]
    far = known_alleles(tss_distance=[0, 9, 10, -10, -11, 100, 10**6, None])
    codes = Strata(("tss_distance",), (10, 100)).of(task, far).codes
    assert codes.tolist() == [0, 0, 1, 1, 1, 2, 2, 3]
    assert Strata.parse(None) is None
    assert Strata.parse({"by": ["cpg"], "distance_bins": [9, 1]}) == Strata(("cpg",), (1, 9))


def made_tasks(size=3000, seed=3):
    """A score that is the context and the label's share with it; labels, contrast, frequencies."""
    rng = np.random.default_rng(seed)
    cell = rng.integers(0, 4, size)
    bad = rng.random(size) < np.array([0.1, 0.3, 0.5, 0.8])[cell]
    names = np.array(TRINUCLEOTIDES.categories)[cell]
    term = np.where(rng.random(size) < 0.5, "missense_variant", "synonymous_variant")
    table = pl.DataFrame(
        {
            "chrom": [f"c{i}" for i in rng.integers(0, 6, size)],
            "pos": rng.integers(1, 10**6, size).astype(np.uint32),
            "ref": ["A"] * size,
            "alt": ["C"] * size,
            "consequence": term,
            "af": np.where(bad, 0.01, 0.3),
            "gpn_llr": -cell - 0.0,
            "noise": rng.normal(size=size),
        }
    )
    known = known_alleles(trinucleotide=names, consequence=term, tss_distance=[10] * size)
    spec = LabelSpec("lab", "c", positive=("bad",), negative=("good",))
    tasks = [
        label_task(spec, pl.Series(LABEL, np.where(bad, "bad", "good")), {}),
        contrast_task(("missense_variant", "synonymous_variant"), table["consequence"]),
        frequency_task(table),
        label_task(LabelSpec("num", "c"), pl.Series(bad * 1.0).cast(pl.String), {}),
    ]
    return tasks, table, known


def test_rows_of_every_task_of_two_classes():
    tasks, table, known = made_tasks()
    scores = compared_scores(["gpn"], {"noise": "higher"}, [])
    rows = measure(tasks, table, scores, Settings(50, strata=DEFAULT), known)
    value = {(r["task"], r["metric"], r["score"]): r for r in rows.filter(group="all").to_dicts()}
    for task in ("lab", "allele frequency"):
        within = value[task, "auroc_within_strata", "gpn"]
        assert within["value"] == 0.5
        assert within["alleles"] == within["positives"] + within["negatives"]
        assert within["note"].startswith(f"{within['alleles']} of 3000 alleles, ")
        assert (
            "of 6 chromosomes, each of which weighs the same; chromosomes resampled"
            in within["note"]
        )
        share = value[task, "auroc_explained", "gpn"]
        assert (share["value"], share["low"], share["high"]) == (1, 1, 1)
        assert share["note"].startswith("of the AUROC without strata, 0.7")
        nothing = value[task, "auroc_explained", "noise"]
        assert nothing["value"] is None
        assert "nothing to explain: the AUROC without strata is 0." in nothing["note"]
        other = value[task, "auroc_within_strata", "noise"]
        assert other["difference"] == pytest.approx(other["value"] - 0.5, abs=2e-6)
        assert other["difference_low"] < other["difference"] < other["difference_high"]
    contrast = value["missense_variant vs synonymous_variant", "auroc_within_strata", "gpn"]
    assert contrast["value"] == 0.5
    assert "(trinucleotide × tss_distance)" in contrast["note"]
    assert not [metric for task, metric, _ in value if task == "num" and "strata" in (metric or "")]
    plain = measure(tasks, table, scores, Settings(50), known)
    with_strata = rows.filter(~pl.col("metric").is_in(["auroc_within_strata", "auroc_explained"]))
    assert plain.equals(with_strata)


def test_strata_that_cannot_be_say_so():
    tasks, table, known = made_tasks(200)
    scores = compared_scores(["gpn"], {}, [])
    alone = known.with_columns(tss_distance=pl.int_range(200, dtype=pl.Int32) * 1000)
    bins = tuple(range(500, 200_000, 1000))
    rows = measure(
        tasks[:1], table, scores, Settings(9, strata=Strata(("tss_distance",), bins)), alone
    )
    note = rows.filter(pl.col("note").str.starts_with("not within strata"))["note"].item()
    assert "(tss_distance): too few: 0 positive and 0 negative alleles" in note
    rows = measure(
        tasks[1:2], table, scores, Settings(9, strata=Strata(("consequence",), ())), known
    )
    assert rows["note"].to_list()[-1] == (
        "not within strata: they are of the consequence alone, which is what is asked for"
    )


def test_what_turning_gives_a_score_within_strata_is_told():
    """Scores that prefer REF; the note has what they reach, shuffled, and the rest has a row."""
    _, table, known = made_tasks()
    rng = np.random.default_rng(5)
    back_and_forth = rng.choice(["A[C>T]A", "A[T>C]A"], table.height)
    known = known.with_columns(trinucleotide=pl.Series(back_and_forth, dtype=TRINUCLEOTIDES))
    common = (table["af"] > 0.1).to_numpy() & (rng.random(table.height) < 0.5)
    table = table.with_columns(
        gpn_llr=pl.Series(rng.normal(-1, 1, table.height)),
        af=pl.Series(np.where(common, 0.7, table["af"].to_numpy())),
    )
    scores = compared_scores(["gpn"], {}, [])
    rows = measure([frequency_task(table)], table, scores, Settings(20, strata=DEFAULT), known)
    rows = rows.filter(metric="auroc_within_strata")
    assert rows["group"].to_list() == ["all", "not turned"]
    assert rows["value"][0] > 0.6
    by_chance = float(rows["note"][0].split("; ")[-1].split(" by chance")[0])
    assert by_chance == pytest.approx(rows["value"][0], abs=0.03)
    assert rows["low"][1] < 0.5 < rows["high"][1]

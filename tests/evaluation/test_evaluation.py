"""Metrics against scikit-learn and scipy, labels, frequencies, tasks, the step and the report."""

import gzip
import json
import shutil
import subprocess
import time

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.stats.contingency import odds_ratio as scipy_odds_ratio
from sklearn.metrics import average_precision_score, roc_auc_score

from making.config import load_config
from making.evaluation import real_cohort, step
from making.report import EXTRA, make_inputs
from varlm.annotation.genes.terms import NAMES
from varlm.cli import main
from varlm.errors import UserError
from varlm.evaluation import label_tables, metrics, resampling
from varlm.evaluation import labels as labelling
from varlm.evaluation.cohort import EvaluationInput, evaluate
from varlm.evaluation.compared import check_columns, compared_scores, comparison, turns
from varlm.evaluation.labels import LabelSpec
from varlm.evaluation.measuring import measure
from varlm.evaluation.rows import Settings
from varlm.evaluation.spectrum import spectrum
from varlm.evaluation.tasks import contrast_task, frequency_task, label_task
from varlm.files.whole import write_digest
from varlm.report.charts.evaluation import evaluation_figure
from varlm.report.evaluation import evaluation_section, read_evaluation
from varlm.run.config_keys import CONSEQUENCES
from varlm.tables.schemas import EVALUATION, annotated
from varlm.tables.score_kinds import SCORE_KINDS
from varlm.variants.accounting import Accounting

MINIMAL = {"reference": {"fasta": "g.fa"}, "cohorts": "c.tsv", "models": {"gpn": {"path": "x"}}}


# Metrics


@st.composite
def scored_classes(draw):
    """Two scores full of ties, and two classes, both there."""
    size = draw(st.integers(2, 40))
    numbers = st.lists(st.integers(-3, 3), min_size=size, max_size=size)
    scores = np.array([draw(numbers), draw(numbers)], np.float64)
    positive = np.array(draw(st.lists(st.booleans(), min_size=size, max_size=size)))
    positive[0], positive[1] = True, False
    return scores, positive


@given(scored_classes())
def test_areas_are_scikit_learns(made):
    scores, positive = made
    auroc, auprc = metrics.areas(scores, positive)
    for i in (0, 1):
        assert auroc.values[i] == pytest.approx(roc_auc_score(positive, scores[i]))
        assert auprc.values[i] == pytest.approx(average_precision_score(positive, scores[i]))


def test_areas_of_known_orders():
    positive = np.array([True, True, False, False, False])
    best, worst, level = [5, 4, 3, 2, 1], [1, 2, 3, 4, 5], [7, 7, 7, 7, 7]
    auroc, auprc = metrics.areas(np.array([best, worst, level], float), positive)
    assert auroc.values.tolist() == [1, 0, 0.5]
    # Worst: the positives are 4th and 5th: (1/4 + 2/5) / 2. Level: the share of positives.
    assert auprc.values == pytest.approx([1, (1 / 4 + 2 / 5) / 2, 2 / 5])


@given(scored_classes(), st.integers(0, 1000))
def test_a_resample_is_the_metric_of_the_alleles_drawn(made, seed):
    scores, positive = made
    auroc, auprc = metrics.areas(scores, positive, 2, seed)
    sizes = (int(positive.sum()), int((~positive).sum()))
    for i, (of_positives, of_negatives) in enumerate(resampling.resamples(sizes, 2, seed)):
        assert (of_positives.sum(), of_negatives.sum()) == sizes
        times = np.empty(positive.size, int)
        times[positive], times[~positive] = of_positives, of_negatives
        drawn = np.repeat(np.arange(positive.size), times)
        for k in (0, 1):
            truth, score = positive[drawn], scores[k][drawn]
            assert auroc.resampled[k, i] == pytest.approx(roc_auc_score(truth, score))
            assert auprc.resampled[k, i] == pytest.approx(average_precision_score(truth, score))


@given(scored_classes())
def test_areas_know_ranks_only_and_turn_with_the_score(made):
    scores, positive = made
    auroc, auprc = metrics.areas(scores, positive)
    same, same_too = metrics.areas(np.exp(scores / 2) - 7, positive)
    assert same.values == pytest.approx(auroc.values)
    assert same_too.values == pytest.approx(auprc.values)
    turned, _ = metrics.areas(-scores, ~positive)
    assert turned.values == pytest.approx(auroc.values)


def test_one_class_is_refused():
    with pytest.raises(ValueError, match="one class is missing"):
        metrics.areas(np.zeros((1, 3)), np.ones(3, bool))


def test_the_interval_of_auroc_has_the_width_of_hanley_and_mcneil():
    rng = np.random.default_rng(1)
    positive = np.arange(2000) < 500
    score = rng.normal(size=2000) + positive
    auroc, _ = metrics.areas(score[None], positive, 400, 3)
    low, high = auroc.interval(0)
    a = auroc.values[0]
    q1, q2 = a / (2 - a), 2 * a**2 / (1 + a)
    variance = (a * (1 - a) + 499 * (q1 - a**2) + 1499 * (q2 - a**2)) / (500 * 1500)
    assert high - low == pytest.approx(2 * 1.96 * variance**0.5, rel=0.15)
    assert low < a < high


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(5)
    truth = stats.norm.cdf(1 / 2**0.5)  # of two normals one standard deviation apart
    positive = np.arange(150) < 50
    covered = 0
    for seed in range(100):
        score = rng.normal(size=150) + positive
        low, high = metrics.areas(score[None], positive, 200, seed)[0].interval(0)
        covered += low <= truth <= high
    assert 87 <= covered <= 99


def test_paired_differences_are_narrower_than_those_of_strangers():
    rng = np.random.default_rng(2)
    positive = np.arange(600) < 200
    score = rng.normal(size=600) + positive
    scores = np.stack([score, score + rng.normal(0, 0.1, 600)])
    auroc, _ = metrics.areas(scores, positive, 300, 0)
    paired = np.subtract(*reversed(auroc.difference_interval(1)))
    alone = np.subtract(*reversed(auroc.interval(1)))
    assert paired < alone / 4
    low, high = auroc.difference_interval(1)
    assert low < auroc.difference(1) < high
    assert auroc.difference(0) == 0


def test_the_same_seed_gives_the_same_numbers_and_another_gives_others():
    rng = np.random.default_rng(3)
    positive, scores = rng.random(100) < 0.3, rng.normal(size=(1, 100))
    first, again, other = (metrics.areas(scores, positive, 50, seed)[0] for seed in (1, 1, 2))
    assert (first.resampled == again.resampled).all()
    assert (first.resampled != other.resampled).any()
    assert metrics.areas(scores, positive)[0].interval(0) == resampling.NO_INTERVAL


def test_a_thousand_resamples_of_many_alleles_take_seconds():
    rng = np.random.default_rng(4)
    positive = rng.random(20_000) < 0.1
    started = time.process_time()
    metrics.areas(rng.normal(size=(1, 20_000)), positive, 1000)
    assert time.process_time() - started < 10  # 0.3 s where nothing else runs


def test_by_chromosome_is_the_weighted_mean_of_scikit_learns():
    rng = np.random.default_rng(6)
    chromosome = rng.integers(0, 7, 400)
    positive = rng.random(400) < 0.2
    positive[chromosome == 6] = False  # left out: no positive
    scores = rng.normal(size=(2, 400)) + positive
    means = metrics.areas_by_chromosome(scores, positive, chromosome, 100)
    sizes = [(chromosome == c).sum() for c in range(6)]
    for measured, oracle in ((means.auroc, roc_auc_score), (means.auprc, average_precision_score)):
        for k in (0, 1):
            by_one = [
                oracle(positive[chromosome == c], scores[k, chromosome == c]) for c in range(6)
            ]
            assert measured.values[k] == pytest.approx(np.average(by_one, weights=sizes))
            low, high = measured.interval(k)
            assert min(by_one) <= low < measured.values[k] < high <= max(by_one)
    assert (means.chromosomes, means.alleles) == (6, sum(sizes))


def test_by_chromosome_without_enough_chromosomes():
    positive = np.array([True, False, True, True, False, False])
    score = np.arange(6.0)[None]
    assert metrics.areas_by_chromosome(score, positive, np.array([0, 1, 2, 2, 3, 3])) is None
    few = metrics.areas_by_chromosome(score, positive, np.array([0, 0, 0, 1, 1, 1]), 100)
    assert few.auroc.interval(0) == resampling.NO_INTERVAL


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=3, max_size=30))
def test_spearman_is_scipys(pairs):
    x, y = np.array(pairs, float).T
    correlation = metrics.spearman(x[None], y, 2, 7)
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert np.isnan(correlation.values[0])
        return
    assert correlation.values[0] == pytest.approx(stats.spearmanr(x, y).statistic)
    for i, (times,) in enumerate(resampling.resamples([x.size], 2, 7)):
        drawn = np.repeat(np.arange(x.size), times)
        if len(set(x[drawn])) > 1 and len(set(y[drawn])) > 1:
            expected = stats.spearmanr(x[drawn], y[drawn]).statistic
            assert correlation.resampled[0, i] == pytest.approx(expected)
        else:
            assert np.isnan(correlation.resampled[0, i])


def test_the_interval_of_spearman_has_fishers_width():
    rng = np.random.default_rng(8)
    x = rng.normal(size=800)
    correlation = metrics.spearman(x[None], x + rng.normal(size=800), 300)
    low, high = correlation.interval(0)
    width = 2 * 1.96 * (1.06 / 797) ** 0.5  # of atanh ρ (Fieller, Hartley and Pearson 1957)
    assert np.arctanh(high) - np.arctanh(low) == pytest.approx(width, rel=0.2)


@pytest.mark.parametrize("cells", [(30, 10, 200, 400), (3, 9, 40, 11), (1000, 900, 90_000, 80_000)])
def test_odds_ratio_is_scipys(cells):
    ratio = metrics.odds_ratio(*cells)
    table = [cells[:2], cells[2:]]
    oracle = scipy_odds_ratio(table, kind="sample")
    assert ratio.value == pytest.approx(oracle.statistic)
    assert ratio.interval == pytest.approx(tuple(oracle.confidence_interval()))
    assert ratio.p_value == pytest.approx(stats.fisher_exact(table).pvalue)
    assert not ratio.corrected


def test_odds_ratio_of_an_empty_cell_is_finite():
    ratio = metrics.odds_ratio(12, 0, 40, 50)
    assert ratio.corrected
    assert ratio.value == pytest.approx(12.5 * 50.5 / (0.5 * 40.5))
    assert ratio.interval.low < ratio.value < ratio.interval.high < 1e6


def test_the_highest_share_takes_ties_with_it():
    score = np.array([1.0, 5, 5, 5, 2, 3, 4, 0, 0, 0])
    assert metrics.highest(score, 0.1).sum() == 3
    assert metrics.highest(score, 0.4).sum() == 4
    assert metrics.highest(score, 1.0).all()


@given(st.lists(st.integers(0, 5), min_size=1, max_size=20))
def test_mean_rank_is_scipys(values):
    first = np.array(values, float)
    second = first[::-1].copy()
    expected = (stats.rankdata(first) + stats.rankdata(second)) / 2
    assert metrics.mean_rank(np.stack([first, second])) == pytest.approx(expected)


# Labels


def allele_table(*rows):
    """Alleles from (chrom, pos, ref, alt[, input_pos, input_ref, input_alt])."""
    whole = [row if len(row) == 7 else (*row, *row[1:]) for row in rows]
    names = ("chrom", "pos", "ref", "alt", "input_pos", "input_ref", "input_alt")
    return pl.DataFrame(whole, names, orient="row")


ALLELES = allele_table(
    ("1", 10, "A", "C"),
    ("1", 10, "A", "G"),
    ("1", 19, "TA", "T", 20, "AAc", "Ac"),
    ("2", 5, "G", "T"),
)
CONTIGS = {"1": "chr1", "2": "chr2"}


def matched(path, text, column="label"):
    path.write_text(text)
    table = label_tables.read_label_table(path, column, "evaluate.labels.x")
    return label_tables.match_labels(ALLELES, table, CONTIGS, "here")


def test_labels_match_as_given_or_as_normalised_by_either_name_of_a_contig(tmp_path):
    text = (
        "##a comment\n#chrom\tpos\tref\talt\tlabel\n1\t10\ta\tc\tbad\nchr1\t10\tA\tG\tgood\n"
        "1\t20\tAAC\tAC\tworse\n2\t5\tG\tT\tNA\n2\t6\tG\tT\tgood\n\n"
    )
    matches = matched(tmp_path / "x.tsv", text)
    assert matches.labels.to_list() == ["bad", "good", "worse", None]
    assert (matches.rows, matches.unmatched) == (4, 1)
    assert matches.examples == ["line 7: chr2:6 G>T"]
    normalised = text.replace("1\t20\tAAC\tAC", "1\t19\tTA\tT")
    assert matched(tmp_path / "x.tsv", normalised).labels.to_list()[2] == "worse"
    zipped = tmp_path / "x.tsv.gz"
    zipped.write_bytes(gzip.compress(text.replace("\n", "\r\n").encode()))
    assert label_tables.read_label_table(zipped, "label", "x").height == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("chrom\tpos\tref\n1\t1\tA\n", "has no column alt, label; its columns are chrom, pos, ref"),
        ("", "has no column chrom, pos, ref, alt, label; its columns are none"),
        ("chrom\tpos\tref\talt\tlabel\n1\t1\tA\tC\n", "line 2: 4 cells, expected 5"),
        ("chrom\tpos\tref\talt\tlabel\n1\tx\tA\tC\tb\n", "line 2: the position is 'x'"),
        (
            "chrom\tpos\tref\talt\tlabel\n1\t10\tA\tC\tbad\n1\t10\tA\tG\tb\nchr1\t10\tA\tC\tgood\n",
            "lines 2 and 4 are of one allele (1:10 A>C), with the labels 'bad' and 'good'",
        ),
        (
            "chrom\tpos\tref\talt\tlabel\n2\t5\tG\tT\tb\n2\t5\tG\tT\tb\n",
            "lines 2 and 3 are of one allele (2:5 G>T), with the labels both 'b'; keep one row",
        ),
        (
            "chrom\tpos\tref\talt\tlabel\n1\t19\tTA\tT\tb\n1\t20\tAAC\tAC\tb\n",
            "lines 2 and 3 name one allele (1:19 TA>T) in two ways",
        ),
    ],
)
def test_label_tables_that_are_refused(tmp_path, text, said):
    with pytest.raises(UserError) as caught:
        matched(tmp_path / "x.tsv", text)
    assert said in str(caught.value)


def test_a_label_table_that_is_none(tmp_path):
    (tmp_path / "x.gz").write_bytes(b"\x1f\x8bno")
    (tmp_path / "x.zip").write_bytes(b"PK\x03\x04")
    for name, message in {
        "absent.tsv": r"cannot be read \(.*; evaluate\.labels\.x must name a TSV",
        "x.gz": "truncated",
        "x.zip": r"found zip; evaluate\.labels\.x must name a TSV",
    }.items():
        with pytest.raises(UserError, match=rf"{name}: {message}"):
            label_tables.read_label_table(tmp_path / name, "label", "evaluate.labels.x")


def test_a_label_table_that_is_a_bomb(tmp_path):
    bomb = gzip.compress(b"chrom\tpos\tref\talt\tlabel\n1\t1\tA\tC\t" + b"x" * (24 << 20))
    (tmp_path / "x.tsv").write_bytes(bomb)
    with pytest.raises(UserError, match=r"x\.tsv, line 2: longer than"):
        label_tables.read_label_table(tmp_path / "x.tsv", "label", "evaluate.labels.x")


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (pl.Series([True, None, False]), ["true", None, "false"]),
        (pl.Series([1.0, 2.5, None, float("nan")]), ["1", "2.5", None, None]),
        (pl.Series([1, None, -3]), ["1", None, "-3"]),
        (pl.Series(["a", "", "NA", "."]), ["a", None, None, None]),
        (pl.Series([["a", "b"], [], None]), ["a,b", None, None]),
    ],
)
def test_columns_become_text(values, text):
    assert labelling.column_text(values).to_list() == text


def test_classes_and_numbers_of_labels():
    spec = LabelSpec.parse(
        "x", {"column": "c", "positive": ["bad", 1, True], "negative": ["good"]}, None
    )
    assert spec.positive == ("bad", "1", "true")
    classes = labelling.classes(pl.Series(labelling.LABEL, ["bad", "good", None, "odd", "1"]), spec)
    assert classes.positive.tolist() == [True, False, False, False, True]
    assert (classes.negative.sum(), classes.other, classes.unlabelled) == (1, 1, 1)
    with pytest.raises(UserError, match="no allele is bad or 1 or true, nor good; the values of c"):
        labelling.classes(pl.Series(labelling.LABEL, ["Bad", "Good"]), spec)
    assert not labelling.classes(pl.Series(labelling.LABEL, [None], pl.String), spec).positive.any()
    number = LabelSpec.parse("x", {"info": "FC", "absolute": True}, None)
    assert number.column == "info_FC"
    assert np.isnan(labelling.numbers(pl.Series([None, "-2"]), number)).tolist() == [True, False]
    assert labelling.numbers(pl.Series(["-2"]), number).tolist() == [2]
    with pytest.raises(UserError, match="1 labels in info_FC are no numbers, the first is 'high'"):
        labelling.numbers(pl.Series(["high", "1"]), number)


# Frequencies


def frequency_frame(af, **info):
    size = len(af)
    frame = {"ref": ["A"] * size, "alt": ["C"] * size, "af": pl.Series(af, dtype=pl.Float32)}
    return pl.DataFrame({**frame, **info})


def test_alleles_above_one_half_are_turned():
    folded = spectrum(
        frequency_frame(
            [0.01, 0.99, 0.3, 0.94, 0.5, None, 0.0, 1.0],
            info_AC=[1, 99, 30, 94, 50, None, 0, 100],
            info_AN=[100] * 8,
        )
    )
    assert folded.frequency[:5] == pytest.approx([0.01, 0.01, 0.3, 0.06, 0.5], abs=1e-6)
    assert np.isnan(folded.frequency[5:]).all()
    assert folded.turned.tolist() == [False, True, False, True, False, False, False, False]
    assert folded.rare.tolist() == [True, True, *[False] * 6]
    assert folded.common.tolist() == [False, False, True, True, True, False, False, False]
    assert folded.left_out == {"no frequency": 1, "frequency 0 or 1": 2}


def test_the_ancestral_allele_decides_where_it_is_known():
    polarised = spectrum(
        frequency_frame(
            [0.1, 0.9, 0.9, 0.2, 0.2],
            info_AC=[1, 9, 9, 2, 2],
            info_AN=[10] * 5,
            info_AA=["a", "C", "A|||", "G", None],
        )
    )
    assert polarised.turned.tolist() == [False, True, False, False, False]
    assert polarised.rare.tolist() == [True, True, False, False, False]
    assert polarised.frequency[:3] == pytest.approx([0.1, 0.1, 0.9], abs=1e-6)
    assert polarised.left_out["ancestral allele unknown, or neither REF nor ALT"] == 2
    assert "INFO/AA" in polarised.polarity


def test_rare_without_counts():
    singletons = spectrum(frequency_frame([0.02, 0.98, 0.02, 0.04, 0.5]))
    assert singletons.rare.tolist() == [True, True, True, False, False]
    assert "taken for the allele count 1" in singletons.rare_is
    spread = np.concatenate([np.linspace(0.001, 0.5, 400)])
    low = spectrum(frequency_frame(spread))
    assert low.rare.sum() == (spread.astype(np.float32) <= 0.01).sum()
    assert "1% or less" in low.rare_is
    from_ac = spectrum(frequency_frame([0.02, 0.98], info_AC=[1, 49]))
    assert from_ac.rare.tolist() == [True, True]
    assert spectrum(frequency_frame([None, None])) is None


# Scores and tasks


def test_scores_are_turned_so_that_higher_is_worse():
    table = pl.DataFrame(
        {
            "gpn_llr": [-3.0, 1.0, None, 2.0],
            "cons": [0.5, 0.1, 0.2, None],
            "fit": [1.0, 2.0, 3.0, 4.0],
            "nothing": pl.Series([None] * 4, dtype=pl.Float32),
        }
    )
    columns = {"cons": "higher", "fit": "lower", "gpn_llr": "llr", "nothing": "higher"}
    scores = compared_scores(["gpn"], columns, [["gpn_llr", "cons"], ["gpn", "nothing"]])
    assert [s.name for s in scores] == ["gpn", "cons", "fit", "nothing", "gpn+cons", "gpn+nothing"]
    assert [s.about for s in scores[:3]] == ["−gpn_llr", "cons", "−fit"]
    turned = np.array([False, True, False, False])
    compared = comparison(table, scores, np.ones(4, bool), turned)
    assert compared.rows.tolist() == [0, 1]
    assert [s.name for s in compared.scores] == ["gpn", "cons", "fit", "gpn+cons"]
    # The second LLR changes its sign with the alleles; the scores of the site do not.
    assert compared.values.tolist() == [[3, 1], [0.5, 0.1], [-1, -2], [2, 1]]
    assert compared.missing == {"gpn": 1, "cons": 1, "fit": 0, "nothing": 4, "gpn+cons": 1}
    assert compared.dropped == ["nothing", "gpn+nothing"]


def test_published_scores_are_compared_unless_the_config_says_otherwise():
    table = pl.DataFrame({"t_low": [-3.0, 1.0], "t_high": [0.5, 0.1], "t_llr": [1.0, 2.0]})
    table = table.with_columns(t_out=pl.lit(1.0))
    ends = {"t_low": "low", "t_high": "high", "t_llr": "high", "t_out": "low"}
    ways = {"t_llr": "llr", "t_out": "none"}
    scores = compared_scores([], ways, [["t_low", "t_high"]], ends)
    assert [score.name for score in scores] == ["t_low", "t_high", "t_llr", "t_low+t_high"]
    everything = np.ones(2, bool)
    compared = comparison(table, scores, everything)
    assert compared.values.tolist() == [[3, -1], [0.5, 0.1], [-1, -2], [2, 1]]
    # Of REF instead of ALT they know nothing, but for the one that is an LLR.
    compared = comparison(table, scores, everything, np.array([False, True]))
    assert compared.rows.tolist() == [0]
    assert compared.unturned == {"t_low": 1, "t_high": 1, "t_llr": 0, "t_low+t_high": 1}
    none = comparison(table, scores, np.zeros(2, bool))
    assert none.values.shape == (4, 0)


@pytest.mark.parametrize("kind", SCORE_KINDS.values(), ids=list(SCORE_KINDS))
def test_each_kind_of_score_is_turned_so_that_high_is_deleterious(kind):
    column = f"m_{kind.column}"
    table = pl.DataFrame({column: [-3.0, 1.0, None, 2.0], "cons": [0.4, 0.1, 0.2, 0.3]})
    scores = compared_scores(
        {"m": kind}, {column: "higher", "cons": "higher"}, [[column, "cons"], ["m", "cons"]]
    )
    assert [score.name for score in scores] == ["m", "cons", "m+cons", "m+cons"]
    assert scores[0].about == column if kind.harmful == "high" else f"−{column}"
    everything, turned = np.ones(4, bool), np.array([False, True, False, False])
    sign = 1 if kind.harmful == "high" else -1
    as_they_are = comparison(table, scores, everything)
    assert as_they_are.values[0].tolist() == [sign * -3, sign * 1, sign * 2]
    assert as_they_are.unturned == {"m": 0, "cons": 0, "m+cons": 0}
    compared = comparison(table, scores, everything, turned)
    left_out = kind.swap is None
    assert compared.rows.tolist() == ([0, 3] if left_out else [0, 1, 3])
    second = {"negates": [-sign], "same": [sign], None: []}[kind.swap]
    assert compared.values[0].tolist() == [sign * -3, *second, sign * 2]
    assert compared.missing["m"] == 1 + left_out
    assert compared.unturned == {"m": left_out, "cons": 0, "m+cons": left_out}
    assert turns(compared)[0] == (kind.swap == "negates")


def test_alleles_that_a_score_cannot_be_turned_for_are_left_out_and_counted():
    table = many().with_columns(
        m_divergence=-pl.col("gpn_llr"), af=pl.lit(pl.Series(np.linspace(0.01, 0.99, 400)))
    )
    turned = int((table["af"] > 0.5).sum())
    for models in ({"m": SCORE_KINDS["divergence"]}, {"gpn": SCORE_KINDS["masked"]}):
        scores = compared_scores(models, {"noise": "higher"}, [])
        rows = measure([frequency_task(table)], table, scores, Settings(0))
        row = rows.filter(pl.col("metric") == "spearman", score=scores[0].name).row(0, named=True)
        left_out = turned if "m" in models else 0
        assert (row["alleles"], row["missing"]) == (400 - left_out, left_out)
        said = f"{turned} alleles left out: seen from REF, such a score is another"
        assert (said in (row["note"] or "")) == ("m" in models)


@pytest.mark.parametrize(
    ("column", "said"),
    [("absent", "has no such column; it has gpn_llr, gene"), ("gene", "holds String, no numbers")],
)
def test_columns_that_are_no_scores(column, said):
    scores = compared_scores(["gpn"], {column: "higher"}, [])
    with pytest.raises(UserError, match=said):
        check_columns(scores, {"gpn_llr": pl.Float32(), "gene": pl.String()})


def many(size=400, seed=0):
    """A table in which LLRs know the consequence, and frequencies the LLR."""
    rng = np.random.default_rng(seed)
    terms = np.array(
        ["stop_gained", "missense_variant", "synonymous_variant", "intergenic_variant"]
    )
    which = rng.integers(0, 4, size)
    llr = rng.normal(which - 4.0, 1)
    return pl.DataFrame(
        {
            "chrom": [f"c{i}" for i in rng.integers(0, 6, size)],
            "ref": ["A"] * size,
            "alt": ["C"] * size,
            "consequence": terms[which],
            "af": pl.Series(np.clip(np.exp(llr) / 10, 0.002, 0.4), dtype=pl.Float32),
            "gpn_llr": llr,
            "noise": rng.normal(size=size),
        }
    )


def test_measures_of_each_kind_of_task():
    table = many()
    scores = compared_scores(["gpn"], {"noise": "higher"}, [])
    is_bad = table["consequence"].is_in(["stop_gained", "missense_variant"])
    label = pl.Series(labelling.LABEL, np.where(is_bad.to_numpy(), "bad", "good"))
    spec = LabelSpec("lab", "c", positive=("bad",), negative=("good",))
    number = LabelSpec("num", "c")
    tasks = [
        label_task(spec, label, {}),
        label_task(number, table["gpn_llr"].cast(pl.String), {}),
        contrast_task(("stop_gained", "intergenic"), table["consequence"]),
        contrast_task(("start_lost", "intergenic"), table["consequence"]),
        frequency_task(table),
    ]
    rows = measure(tasks, table, scores, Settings(bootstrap=50, quantiles=(0.001, 0.2)))
    value = {(r["task"], r["group"], r["metric"], r["score"]): r for r in rows.to_dicts()}
    first = value["lab", "all", "auroc", "gpn"]
    expected = roc_auc_score(is_bad.to_numpy(), -table["gpn_llr"].to_numpy())
    assert first["value"] == pytest.approx(expected, abs=1e-6)
    assert first["low"] < first["value"] < first["high"]
    assert first["difference"] is None
    second = value["lab", "all", "auroc", "noise"]
    assert second["difference"] == pytest.approx(second["value"] - first["value"], abs=2e-6)
    assert second["difference_high"] < 0
    assert value["lab", "all", "auprc_by_chromosome", "gpn"]["note"].startswith("mean over 6")
    # Each consequence has one class only.
    assert "too few: 0 positive" in value["lab", "synonymous_variant", None, None]["note"]
    assert value["num", "all", "spearman", "gpn"]["value"] == -1
    assert value["num", "all", "spearman", "gpn"]["p_value"] < 1e-50
    noise = value["num", "all", "spearman", "noise"]
    oracle = stats.spearmanr(table["noise"], table["gpn_llr"])
    assert (noise["value"], noise["p_value"]) == pytest.approx(tuple(oracle), abs=1e-5)
    contrast = value["stop_gained vs intergenic", "all", "auroc", "gpn"]
    assert contrast["value"] > 0.9
    assert contrast["positives"] == (table["consequence"] == "stop_gained").sum()
    few = value["start_lost vs intergenic", "all", None, None]
    assert few["note"] == (
        f"too few: 0 positive and {few['negatives']} negative alleles; at least 10 of each are "
        "needed"
    )
    rare = value["allele frequency", "top 20 %", "odds_ratio", "gpn"]
    assert rare["value"] > 1 > rare["p_value"]
    assert "too few" in value["allele frequency", "top 0.1 %", "odds_ratio", "gpn"]["note"]
    assert value["allele frequency", "all", "spearman", "gpn"]["value"] < -0.9
    assert rows["task"].unique(maintain_order=True).to_list() == [task.name for task in tasks]


def test_what_turning_alone_gives_a_score_is_told():
    """Noise that prefers REF tells rare from common, since common alleles are turned more often."""
    rng = np.random.default_rng(4)
    size = 4000
    rare = rng.random(size) < 0.5
    af = np.where(rare, 0.01, rng.uniform(0.05, 0.95, size))
    table = pl.DataFrame(
        {
            "chrom": ["1"] * size,
            "ref": ["A"] * size,
            "alt": ["C"] * size,
            "consequence": pl.Series([None] * size, dtype=pl.String),
            "af": pl.Series(af, dtype=pl.Float32),
            "gpn_llr": rng.normal(-1, 1, size),
            "site": rng.normal(size=size),
        }
    )
    scores = compared_scores(["gpn"], {"site": "higher"}, [["gpn", "site"]])
    rows = measure([frequency_task(table)], table, scores, Settings(100, 0, (0.1,)))
    value = {(r["group"], r["metric"], r["score"]): r for r in rows.to_dicts()}
    biased = value["all", "auroc", "gpn"]
    assert biased["low"] > 0.6
    by_chance = float(biased["note"].split("; ")[-1].split(" by chance")[0])
    assert by_chance == pytest.approx(biased["value"], abs=0.03)
    honest = value["not turned", "auroc", "gpn"]
    assert honest["low"] < 0.5 < honest["high"]
    assert honest["alleles"] == (af.astype(np.float32) <= 0.5).sum()
    assert "by chance" not in value["all", "auroc", "site"]["note"]
    assert "by chance" in value["all", "auroc", "gpn+site"]["note"]
    odds = value["top 10 %", "odds_ratio", "gpn"]
    by_chance = float(odds["note"].split("; ")[-1].split(" by chance")[0])
    assert by_chance == pytest.approx(odds["value"], rel=0.4)
    assert value["all", "spearman", "gpn"]["note"].endswith("by chance, the scores shuffled")


def test_tails_of_a_score_full_of_ties_say_so():
    table = many().with_columns(noise=pl.lit(1.0))
    scores = compared_scores(["gpn"], {"noise": "higher"}, [])
    rows = measure([frequency_task(table)], table, scores, Settings(0, 0, (0.1,)))
    tied = rows.filter(metric="odds_ratio", score="noise")
    assert "too few" in tied["note"][0]  # nothing is outside
    flat = rows.filter(metric="spearman", score="noise").row(0, named=True)
    assert flat["value"] is None
    assert flat["note"] == "not defined: all alleles have one value"
    half = table.with_columns(noise=pl.when(pl.int_range(pl.len()) % 2 == 0).then(1.0).otherwise(0))
    rows = measure([frequency_task(half)], half, scores, Settings(0, 0, (0.1,)))
    note = rows.filter(metric="odds_ratio", score="noise")["note"][0]
    assert "50.0% of all: many share the value" in note


def test_a_score_without_values_is_told_and_does_not_empty_the_comparison():
    table = many().with_columns(noise=pl.lit(None, pl.Float32))
    scores = compared_scores(["gpn"], {"noise": "higher"}, [])
    tasks = [contrast_task(("stop_gained", "synonymous_variant"), table["consequence"])]
    rows = measure(tasks, table, scores, Settings(0))
    assert rows.filter(score="noise")["note"].to_list() == [
        "not compared: no value on any allele of the task"
    ]
    assert rows.filter(score="gpn")["value"].is_not_null().all()
    assert rows["low"].is_null().all()


@pytest.mark.parametrize("size", [0, 5])
def test_tables_of_few_alleles_give_rows_that_say_so(size):
    table = many().head(size).with_columns(pl.lit(None, pl.String).alias("consequence"))
    scores = compared_scores(["gpn"], {}, [])
    task = contrast_task(("stop_gained", "intergenic"), table["consequence"])
    numbers = label_task(LabelSpec("n", "c"), table["gpn_llr"].cast(pl.String), {})
    rows = measure([task, numbers, frequency_task(table)], table, scores, Settings(10))
    assert rows["value"].is_null().all()
    assert set(rows["task"]) == {"stop_gained vs intergenic", "n", "allele frequency"}
    assert rows["note"].is_not_null().all()
    assert bool(task.notes) == bool(size)


# The step


@pytest.fixture
def config(root):
    def make(**evaluate):
        annotate = {"info": ["CLNSIG"], "bigwigs": {"phylop": "x.bw"}}
        models = {"gpn": {"path": "x"}, "other": {"path": "y"}}
        whole = {**MINIMAL, "models": models, "annotate": annotate, "evaluate": evaluate}
        return load_config(whole, root / "config/schemas/config.schema.yaml")["evaluate"]

    return make


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return make_inputs(
        tmp_path_factory.mktemp("evaluated"),
        rows=1500,
        models=("gpn", "other"),
        lengths={"chr1": 20_000, "chr2": 15_000, "chr3": 9_000},
    )


@pytest.fixture
def quick(monkeypatch):
    """No figures and no Vega bundle: what takes seconds."""
    monkeypatch.setattr("varlm.steps.evaluate.write_figures", lambda *_: None)
    monkeypatch.setattr("varlm.steps.report.write_figures", lambda *_: None)
    monkeypatch.setattr("varlm.report.page.vega_bundle", lambda: "")


def test_the_step_writes_table_counts_and_figure_the_same_twice(inputs, config):
    label = {"column": "impact", "positive": ["HIGH"], "negative": ["LOW"]}
    settings = config(
        scores={"phylop": "higher"},
        combine=[["gpn", "phylop"]],
        labels={"impact": label},
        bootstrap=20,
    )
    assert step(inputs.folder, settings) == 0
    out = inputs.folder / "out"
    files = [p for p in sorted(out.rglob("*")) if p.is_file()]
    assert [p.name for p in files] == [
        "evaluation.json",
        "evaluation.tsv",
        "evaluation.png",
        "evaluation.svg",
    ]
    before = [path.read_bytes() for path in files]
    assert step(inputs.folder, settings) == 0
    assert [path.read_bytes() for path in files] == before
    rows = read_evaluation(out / "evaluation.tsv")
    assert rows.schema == EVALUATION.schema
    assert set(rows["cohort"]) == {"cohort"}
    assert rows["score"].drop_nulls().unique(maintain_order=True).to_list() == [
        "gpn",
        "other",
        "phylop",
        "mutation_context",
        "gpn+phylop",
    ]
    svg = (out / "figures/evaluation.svg").read_text()
    assert all(word in svg for word in ("AUROC", "gpn+phylop", "odds ratio"))
    assert (out / "figures/evaluation.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.usefixtures("quick")
def test_the_step_takes_tables_contigs_and_only_its_cohorts_labels(
    inputs, config, tmp_path, caplog
):
    table = pl.read_parquet(inputs.folder / "annotated.parquet")
    rng = np.random.default_rng(0)
    labels = table.filter(pl.col("chrom") != "chr3").unique(["chrom", "pos", "ref", "alt"])
    labels = labels.with_columns(effect=pl.Series(rng.normal(size=labels.height)))
    labels.select("chrom", "pos", "ref", "alt", "effect").write_csv(
        tmp_path / "l.tsv", separator="\t"
    )
    with (tmp_path / "l.tsv").open("a") as file:
        file.write("chr9\t1\tA\tC\t2\n")
    settings = config(
        labels={
            "mpra": {"table": "kept out", "column": "effect", "absolute": True},
            "elsewhere": {"column": "kind", "cohort": "another"},
        },
        contrasts=[],
        contigs=["chr1"],
        frequencies=False,
        bootstrap=0,
    )
    assert step(inputs.folder, settings, "--labels", f"mpra={tmp_path / 'l.tsv'}") == 0
    summary = json.loads((inputs.folder / "out/evaluation.json").read_text())
    assert [task["name"] for task in summary["tasks"]] == ["mpra"]
    counts = summary["tasks"][0]["counts"]
    assert counts["label_rows"] == labels.height + 1
    assert counts["label_rows_unmatched"] == 1
    assert "1 of " in caplog.text
    assert "line " in counts["unmatched_examples"][0]
    rows = read_evaluation(inputs.folder / "out/evaluation.tsv")
    on_chr1 = table.filter(chrom="chr1").unique(["chrom", "pos", "ref", "alt"]).height
    assert rows.filter(group="all", metric="spearman")["alleles"].to_list() == [on_chr1] * 3
    assert summary["on_other_contigs"] == table.filter(pl.col("chrom") != "chr1").height


@pytest.mark.usefixtures("quick")
def test_a_table_read_in_pieces_gives_the_same_as_one_with_labels_of_all_cohorts(
    inputs, config, monkeypatch, tmp_path
):
    (tmp_path / "l.tsv").write_text("chrom\tpos\tref\talt\teffect\n")
    contrasts = [["missense_variant", "synonymous_variant"], ["missense_variant", "intergenic"]]
    settings = {"contigs": ["chr1", "chr3"], "contrasts": contrasts, "bootstrap": 5}
    # With a table of labels all contigs and texts are kept until it has been matched.
    label = {"mpra": {"table": "kept out", "column": "effect"}}
    assert (
        step(inputs.folder, config(**settings, labels=label), "--labels", f"mpra={tmp_path}/l.tsv")
        == 0
    )
    whole = read_evaluation(inputs.folder / "out/evaluation.tsv").filter(pl.col("task") != "mpra")
    counted = json.loads((inputs.folder / "out/evaluation.json").read_text())
    monkeypatch.setattr("varlm.evaluation.cohort._ROWS", 7)
    assert step(inputs.folder, config(**settings)) == 0
    rows = read_evaluation(inputs.folder / "out/evaluation.tsv")
    assert rows.equals(whole)
    assert rows["value"].is_not_null().any()
    again = json.loads((inputs.folder / "out/evaluation.json").read_text())
    for name in ("alleles_in", "on_other_contigs", "repeated", "alleles"):
        assert again[name] == counted[name]


@pytest.fixture
def of_kinds(inputs, tmp_path):
    """The cohort's table with a cosine distance of the first model, and where it lies."""
    kinds = {"gpn": SCORE_KINDS["cosine"], "other": SCORE_KINDS["masked"]}
    table = annotated(kinds, EXTRA)
    rows = pl.read_parquet(inputs.folder / "annotated.parquet")
    llrs = {"": "llr", "_fwd": "llr_fwd", "_rev": "llr_rev"}
    rows = rows.with_columns(
        (-pl.col(f"gpn_{llr}")).alias(f"gpn_cosine{strand}") for strand, llr in llrs.items()
    ).select(table.names)
    shutil.copy(inputs.folder / "accounting.json", tmp_path)
    shutil.copytree(inputs.folder / "reference", tmp_path / "reference")
    rows.write_parquet(tmp_path / "annotated.parquet")
    write_digest(tmp_path / "annotated.parquet")
    return tmp_path, rows


@pytest.mark.usefixtures("quick")
def test_the_step_takes_the_kind_of_a_score_from_the_table(of_kinds, config):
    folder, table = of_kinds
    settings = {
        **config(combine=[["gpn", "other"]], bootstrap=0, frequencies=False),
        "contrasts": [["missense_variant", "synonymous_variant"]],
        "scores": {"gpn_cosine_fwd": "higher"},
        "combine": [["gpn_cosine", "other_llr"]],
        "fit": [["gpn_cosine", "mutation_context"]],
    }
    assert step(folder, settings) == 0
    rows = read_evaluation(folder / "out/evaluation.tsv").filter(metric="auroc")
    names = ["gpn", "other", "gpn_cosine_fwd", "mutation_context", "gpn+other"]
    assert rows["score"].to_list() == [*names, "gpn+mutation_context fitted"]
    both = table.unique(["chrom", "pos", "ref", "alt"], keep="first", maintain_order=True)
    both = both.filter(pl.col("consequence").is_in(["missense_variant", "synonymous_variant"]))
    truth = (both["consequence"] == "missense_variant").to_numpy()
    for row, sign, column in ((0, 1, "gpn_cosine"), (1, -1, "other_llr")):
        expected = roc_auc_score(truth, sign * both[column].to_numpy())
        assert rows["value"][row] == pytest.approx(expected, abs=1e-5)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"contigs": ["chr7"]}, "evaluate.contigs: chr7 is neither a contig of the cohort"),
        ({"scores": {"phyloq": "higher"}}, "evaluate.scores.phyloq: the annotated table has no"),
        ({"scores": {"gene": "higher"}}, "the column gene holds String"),
        ({"labels": {"x": {"column": "absent"}}}, "has no column absent; it has chrom, pos"),
        ({"labels": {"x": {"column": "gene"}}}, "are no numbers, the first is 'G"),
    ],
)
def test_the_step_refuses(inputs, config, capsys, change, said):
    assert step(inputs.folder, {**config(), **change}) == 2
    assert said in capsys.readouterr().err


@pytest.mark.usefixtures("quick")
def test_the_step_refuses_tables_of_another_run(inputs, config, capsys):
    assert step(inputs.folder, config(), cohort="other") == 2
    assert "of the cohort 'cohort', expected 'other'" in capsys.readouterr().err


@pytest.mark.usefixtures("quick")
def test_regions_have_no_info_and_repeated_alleles_count_once(tmp_path, config, monkeypatch):
    def edit(piece):
        twice = pl.concat([piece, piece.head(1)]).sort("pos", maintain_order=True)
        return twice.drop("info_CLNSIG")

    monkeypatch.setattr("making.report.EXTRA", EXTRA[1:])
    inputs = make_inputs(
        tmp_path,
        rows=80,
        models=("gpn", "other"),
        edit=lambda piece: edit(piece.with_columns(pl.lit("x").alias("info_CLNSIG"))),
    )
    settings = config(
        labels={"clin": {"info": "CLNSIG", "positive": ["a"], "negative": ["b"]}},
        scores={"info_CLNSIG": "higher"},
        combine=[["gpn", "info_CLNSIG"]],
        bootstrap=0,
    )
    assert step(inputs.folder, settings) == 0
    summary = json.loads((inputs.folder / "out/evaluation.json").read_text())
    assert summary["repeated"] >= 2
    assert summary["alleles"] + summary["repeated"] == summary["alleles_in"]
    assert summary["scores_absent"] == ["gpn+info_CLNSIG", "info_CLNSIG"]
    rows = read_evaluation(inputs.folder / "out/evaluation.tsv")
    assert "too few: 0 positive" in rows.filter(task="clin")["note"][0]
    # Without a model there is nothing left to compare.
    files = (inputs.folder / name for name in ("annotated.parquet", "accounting.json"))
    annotated, accounting = files
    alone = evaluate(
        EvaluationInput(
            "cohort",
            annotated,
            Accounting.read(accounting),
            [],
            {**settings, "combine": []},
            inputs.folder / "reference",
        )
    )
    assert alone.rows.is_empty()
    assert alone.summary["scores_absent"] == ["info_CLNSIG"]
    assert evaluation_section(alone.rows, alone.summary).tasks == []


# The report


def made_evaluation():
    """Rows and counts of a small evaluation, with a name that would be markup."""
    table = many()
    scores = compared_scores(["gpn"], {"noise": "higher"}, [])
    tasks = [
        contrast_task(("stop_gained", "synonymous_variant"), table["consequence"]),
        frequency_task(table),
    ]
    rows = measure(tasks, table, scores, Settings(20))
    rows = rows.select(pl.lit("cohort").alias("cohort"), pl.all())
    summary = {
        "cohort": "cohort",
        "alleles": table.height,
        "repeated": 2,
        "contigs": ["<b>1</b>"],
        "on_other_contigs": 5,
        "bootstrap": 20,
        "scores": [{"name": s.name, "about": s.about} for s in scores],
        "scores_absent": ["info_X"],
        "tasks": [
            {"name": t.name, "kind": t.kind, "about": t.about, "counts": t.counts, "notes": t.notes}
            for t in tasks
        ],
    }
    return rows, summary


@pytest.mark.usefixtures("quick")
def test_the_report_has_a_section_where_there_is_an_evaluation(tmp_path, capsys):
    inputs = make_inputs(tmp_path, rows=60)
    assert 'id="evaluation"' not in inputs.make()
    rows, summary = made_evaluation()
    rows.write_csv(tmp_path / "e.tsv", separator="\t", null_value="NA", quote_style="never")
    (tmp_path / "e.json").write_text(json.dumps(summary))
    more = [
        "--evaluation",
        str(tmp_path / "e.tsv"),
        "--evaluation-summary",
        str(tmp_path / "e.json"),
    ]
    assert main([*inputs.arguments(), *more]) == 0
    text = inputs.report.read_text()
    for said in (
        '<a href="#evaluation">',
        "stop_gained vs synonymous_variant",
        "the same alleles",
        "&lt;b&gt;1&lt;/b&gt;",
        "20 resamples",
        "no INFO fields: info_X",
        "turned where the alternate",
        "evaluation_auroc",
    ):
        assert said in text, said
    assert main([*inputs.arguments(), *more[:2]]) == 2
    assert "together, or neither" in capsys.readouterr().err
    (tmp_path / "e.json").write_text(json.dumps({**summary, "cohort": "b"}))
    assert main([*inputs.arguments(), *more]) == 2
    assert "the evaluation is of the cohort 'b'" in capsys.readouterr().err
    (tmp_path / "e.json").write_text(json.dumps(summary))
    (tmp_path / "e.tsv").write_text("x\ny\n")
    assert main([*inputs.arguments(), *more]) == 2
    assert "'evaluation'" in capsys.readouterr().err


def test_section_and_figure_stay_small_however_many_tasks():
    rows, summary = made_evaluation()
    contrast = rows.filter(pl.col("task") == "stop_gained vs synonymous_variant")
    names = [f"task{i}" for i in range(300)]
    rows = pl.concat([contrast.with_columns(pl.lit(name).alias("task")) for name in names])
    summary["tasks"] = [{**summary["tasks"][0], "name": name} for name in names]
    section = evaluation_section(rows, summary)
    assert sum(len(task.rows) for task in section.tasks) == 400
    assert sum(task.left_out for task in section.tasks) == rows.height - 400
    for entry in section.charts:
        (points,) = entry.specification["datasets"].values()
        assert len({point["line"] for point in points}) == 40
    summary["tasks"].pop()
    with pytest.raises(UserError, match=r"the task 'task299', which evaluation\.json lacks"):
        evaluation_section(rows, summary)


@pytest.mark.parametrize(("name", "columns"), [("gpn", 2), ("gpn+mutation_context fitted", 1)])
def test_long_names_stand_below_each_other_in_the_legend(name, columns):
    """Beside each other the second is cut off on a phone."""
    rows, _ = made_evaluation()
    first = rows["score"].drop_nulls()[0]
    rows = rows.with_columns(
        pl.when(pl.col("score") == first)
        .then(pl.lit(name))
        .otherwise(pl.lit("phylop"))
        .alias("score")
    )
    assert f'"columns": {columns},' in json.dumps(evaluation_figure(rows))


def test_the_figure_of_nothing_says_so():
    text = json.dumps(evaluation_figure(EVALUATION.empty()))
    assert "No task has enough alleles" in text


# Config


@pytest.mark.parametrize(
    ("evaluate", "said"),
    [
        ({"labels": {"x": {}}}, "evaluate.labels.x: found neither of column and info"),
        ({"labels": {"x": {"column": "af", "info": "CLNSIG"}}}, "found both of column and info"),
        ({"labels": {"x": {"info": "Y"}}}, "x.info: Y is not carried along; add it to annotate.i"),
        ({"labels": {"x": {"info": "CLNSIG", "table": "t"}}}, "give column instead of info"),
        (
            {"labels": {"x": {"column": "kindd"}}},
            "no column has the name kindd; did you mean kind?",
        ),
        (
            {"labels": {"x": {"column": "kind", "positive": ["snv"]}}},
            "positive is given without negative",
        ),
        (
            {"labels": {"x": {"column": "kind", "positive": ["a"], "negative": ["a"]}}},
            "'a' is both positive and negative",
        ),
        (
            {
                "labels": {
                    "x": {"column": "a", "table": "t", "positive": [1], "negative": [0]}
                    | {"absolute": True}
                }
            },
            "x.absolute: is for numbers",
        ),
        (
            {
                "labels": {
                    "x": {"column": "a", "table": "t", "positive": [1], "negative": [0]}
                    | {"harmful": "low"}
                }
            },
            "evaluate.labels.x.harmful: is for numbers; of classes the positive one is harmful",
        ),
        (
            {"labels": {"x": {"column": "kind", "harmful": "lower"}}},
            "evaluate.labels.x.harmful: found 'lower'; use one of high, low",
        ),
        ({"scores": {"phylp": "higher"}}, "no column has the name phylp; did you mean phylop?"),
        ({"scores": {"phylop": "up"}}, "found 'up'; use one of higher, lower, llr"),
        ({"combine": [["gpn", "phylop"]]}, "no model or score has the name phylop"),
        ({"combine": [["gpn", "gpn_llr"]]}, "gpn and gpn_llr are one score"),
        (
            {"combine": [["gpn", "mutation_context"]], "mutation_context": False},
            "no model or score has the name mutation_context",
        ),
        ({"fit": [["gpn"]]}, "evaluate.fit.0: found ['gpn']; expected a list of at least 2"),
        ({"fit": [["gpn", "phylop"]]}, "evaluate.fit: no model or score has the name phylop"),
        ({"fit": [["gpn", "gpn_llr"]]}, "evaluate.fit: [gpn, gpn_llr] has a score twice"),
        (
            {"fit": [["gpn", "mutation_context"], ["mutation_context", "gpn_llr"]]},
            "evaluate.fit: [mutation_context, gpn_llr] has the scores of another entry",
        ),
        ({"fit": [["gpn"]]}, "evaluate.fit.0"),
        ({"contrasts": [["stop", "intergenic"]]}, "no consequence has the name stop"),
        ({"contrasts": [["stop_gained"]]}, "evaluate.contrasts.0"),
        ({"quantiles": [0]}, "evaluate.quantiles.0"),
        ({"strata": {"by": ["gene"]}}, "use one of trinucleotide, cpg, consequence, tss_distance"),
        ({"strata": {"distance_bins": [0]}}, "evaluate.strata.distance_bins.0"),
        ({"boostrap": 3}, "evaluate.boostrap: unknown key (value 3); did you mean bootstrap?"),
    ],
)
def test_config_errors(config, evaluate, said):
    with pytest.raises(UserError) as caught:
        config(**evaluate)
    assert said in str(caught.value)


def test_the_name_of_the_baseline_is_its_own(root):
    schema = root / "config/schemas/config.schema.yaml"
    annotate = {"bigwigs": {"mutation_context": "x.bw"}}
    as_model = {**MINIMAL, "models": {"mutation_context": {"path": "x"}}}
    as_column = {**MINIMAL, "annotate": annotate}
    for config, scores, said in (
        (as_model, {}, "models.mutation_context: is the name of a baseline of evaluate"),
        (as_column, {"mutation_context": "higher"}, "set evaluate.mutation_context: false"),
    ):
        with pytest.raises(UserError, match=said):
            load_config({**config, "evaluate": {"scores": scores}}, schema)
        evaluate = {"scores": scores, "mutation_context": False}
        load_config({**config, "evaluate": evaluate}, schema)
    load_config({**as_column, "evaluate": {}}, schema)
    load_config(as_model, schema)
    combined = {"combine": [["gpn", "mutation_context"]]}
    load_config({**MINIMAL, "evaluate": combined}, schema)


def test_nothing_is_evaluated_by_default_and_an_empty_mapping_has_defaults(root):
    schema = root / "config/schemas/config.schema.yaml"
    assert load_config(MINIMAL, schema)["evaluate"] is None
    whole = load_config({**MINIMAL, "evaluate": {}}, schema)["evaluate"]
    assert whole["bootstrap"] == 1000
    assert whole["frequencies"]
    assert ["missense_variant", "intergenic"] in whole["contrasts"]
    assert (whole["strata"], whole["mutation_context"]) == (None, True)
    strata = load_config({**MINIMAL, "evaluate": {"strata": {}}}, schema)["evaluate"]["strata"]
    assert strata["by"] == ["trinucleotide", "consequence", "tss_distance"]
    assert strata["distance_bins"] == [500, 2000, 10_000, 100_000]
    assert {term for pair in whole["contrasts"] for term in pair} <= set(CONSEQUENCES)


def test_the_configs_consequences_are_the_annotations():
    assert (*NAMES, "intergenic") == CONSEQUENCES


def test_a_label_table_may_be_an_address(root):
    from varlm.run.inputs import addresses

    labels = {"x": {"table": "https://example.org/x.tsv", "column": "a"}}
    whole = load_config(
        {**MINIMAL, "evaluate": {"labels": labels}}, root / "config/schemas/config.schema.yaml"
    )
    assert ("evaluate.labels.x.table", "https://example.org/x.tsv") in list(addresses(whole, {}))


# Real data


@pytest.mark.real_data
def test_yeast_mpra_labels_and_conservation(shared_data, tmp_path, config, capsys):
    """Effects in a reporter assay and allele frequencies of yeast, against conservation."""
    yeast = shared_data / "yeast"
    cohort = real_cohort(yeast, tmp_path, yeast / "labels/mpra_renganaath2020.vcf.gz", "I")
    assert cohort.height > 50
    settings = {**config(), "scores": {"spar": "higher"}, "bootstrap": 100, "contrasts": []}
    mpra = {"table": None, "column": "logFC", "absolute": True}
    settings["labels"] = {"mpra": {**mpra, "positive": [], "negative": [], "cohort": None}}
    tsv = yeast / "labels/mpra_renganaath2020.tsv.gz"
    # Some alleles were measured in two libraries: which of them counts is the user's to say.
    assert step(tmp_path, settings, "--labels", f"mpra={tsv}") == 2
    assert "and 0.2183" in capsys.readouterr().err.replace("'", "")
    table = pl.read_csv(gzip.decompress(tsv.read_bytes()), separator="\t", infer_schema=False)
    table = table.unique(["chrom", "pos", "ref", "alt"], keep="first", maintain_order=True)
    tsv = tmp_path / "mpra.tsv"
    table.write_csv(tsv, separator="\t")
    assert step(tmp_path, settings, "--labels", f"mpra={tsv}") == 0
    summary = json.loads((tmp_path / "out/evaluation.json").read_text())
    counts = summary["tasks"][0]["counts"]
    rows = read_evaluation(tmp_path / "out/evaluation.tsv")
    # Every allele of the VCF has its label: the table is of the same library.
    assert counts["labelled"] == summary["alleles"]
    assert counts["label_rows_unmatched"] == counts["label_rows"] - counts["labelled"]
    conserved = rows.filter(task="mpra", group="all", score="spar").row(0, named=True)
    joined = (
        cohort.unique(["pos", "ref", "alt"])
        .join(table.with_columns(pl.col("pos").cast(pl.UInt32)), on=["chrom", "pos", "ref", "alt"])
        .filter(pl.col("spar").is_not_null())
    )
    oracle = stats.spearmanr(joined["spar"], joined["logFC"].cast(pl.Float64).abs())
    assert conserved["value"] == pytest.approx(oracle.statistic, abs=1e-5)
    assert conserved["p_value"] == pytest.approx(oracle.pvalue, rel=1e-3)
    assert rows.filter(task="allele frequency")["value"].is_not_null().any()


@pytest.mark.real_data
def test_yeast_derived_alleles_are_polarised_by_the_outgroup(shared_data, tmp_path, config):
    yeast = shared_data / "yeast"
    cohort = real_cohort(yeast, tmp_path, yeast / "cohorts/scer7.vcf.gz", "I", ("AC", "AN", "AA"))
    settings = {**config(), "scores": {"spar": "higher"}, "bootstrap": 50, "contrasts": []}
    assert step(tmp_path, settings) == 0
    (task,) = json.loads((tmp_path / "out/evaluation.json").read_text())["tasks"]
    known = cohort.filter(pl.col("info_AA").is_not_null(), pl.col("af").is_between(1e-6, 1 - 1e-6))
    derived_ref = known.filter(pl.col("info_AA") == pl.col("alt"))
    assert task["counts"]["turned"] == derived_ref.height > 0
    count = pl.when(pl.col("info_AA") == pl.col("alt")).then(pl.col("info_AN") - pl.col("info_AC"))
    single = known.filter(
        pl.col("info_AA").is_in([pl.col("ref"), pl.col("alt")])
        if False
        else (pl.col("info_AA") == pl.col("ref")) | (pl.col("info_AA") == pl.col("alt")),
        count.otherwise(pl.col("info_AC")) == 1,
    )
    assert task["counts"]["rare"] == single.height > 100
    rows = read_evaluation(tmp_path / "out/evaluation.tsv")
    assert rows.filter(metric="odds_ratio")["value"].is_not_null().any()


def test_scipy_and_scikit_learn_are_loaded_by_what_measures_only(root):
    code = (
        f"import sys; sys.path.insert(0, {str(root / 'workflow_scripts')!r}); "
        "import varlm.steps.report, varlm.steps.evaluate; "
        "print([m for m in ('scipy', 'sklearn', 'torch') if m in sys.modules])"
    )
    shown = subprocess.run(
        [root / ".venv/bin/python", "-c", code], capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == "[]"

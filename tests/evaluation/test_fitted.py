"""Scores fitted to a task: scikit-learn's weights, and what they may and may not find."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from varlm.evaluation import mutation_context
from varlm.evaluation.compared import Score, compared_scores, comparison
from varlm.evaluation.features import TRINUCLEOTIDES
from varlm.evaluation.fit_alleles import FitAlleles
from varlm.evaluation.fitted import RIDGE, linear, logistic, with_fits
from varlm.evaluation.groups import Groups
from varlm.evaluation.labels import LABEL, LabelSpec
from varlm.evaluation.measuring import measure
from varlm.evaluation.rows import Settings
from varlm.evaluation.strata import Strata
from varlm.evaluation.tasks import Task, contrast_task, frequency_task, label_task
from varlm.evaluation.within_strata import within_strata

SPEC = LabelSpec("lab", "c", positive=("bad",), negative=("good",))
SCORES = compared_scores(["gpn"], {"other": "higher"}, [], fit=[["gpn", "other"]])
FIT = "gpn+other fitted"


def alleles(size=1200, chromosomes=8, seed=0):
    """A table of noise on some chromosomes."""
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "chrom": [f"c{i}" for i in rng.integers(0, chromosomes, size)],
            "pos": rng.integers(1, 10**6, size).astype(np.uint32),
            "ref": ["A"] * size,
            "alt": ["C"] * size,
            "consequence": pl.Series([None] * size, dtype=pl.String),
            "gpn_llr": rng.normal(size=size),
            "other": rng.normal(size=size),
        }
    )


def labelled(bad):
    return label_task(SPEC, pl.Series(LABEL, np.where(bad, "bad", "good")), {})


def measured(table, bad, scores=SCORES, bootstrap=200):
    """Rows of the task whose positives are bad, by (metric, score)."""
    rows = measure([labelled(bad)], table, scores, Settings(bootstrap)).filter(group="all")
    return {(row["metric"], row["score"]): row for row in rows.iter_rows(named=True)}


def values_of(table, truth, scores=SCORES, known=None):
    """The fitted score of all alleles."""
    everything = np.ones(table.height, bool)
    fits = with_fits(table, scores, everything, truth, None, known)
    assert fits.rows == []
    return comparison(fits.table, fits.scores, everything).values[-1]


@pytest.mark.parametrize("effect", [0, 1, 3])
def test_weights_make_the_penalised_loss_least(effect):
    rng = np.random.default_rng(effect)
    features = rng.normal(size=(3, 400))
    features[2] = features[1] + 0.1 * features[2]
    positive = rng.random(400) < 1 / (1 + np.exp(1 - effect * features[:2].sum(0)))

    def loss(weights):
        odds = weights[0] + weights[1:] @ features
        fit = np.logaddexp(0, odds).sum() - odds[positive].sum()
        return fit + 0.5 * RIDGE * 400 * (weights[1:] ** 2).sum()

    least = minimize(loss, np.zeros(4), method="BFGS", options={"gtol": 1e-6})
    assert logistic(features, positive) == pytest.approx(least.x[1:], abs=1e-4)
    numbers = effect * features[0] + rng.normal(size=400) + 5
    design = np.vstack([np.ones(400), features])
    penalty = RIDGE * 400 * np.diag([0, 1, 1, 1])
    solved = np.linalg.solve(design @ design.T + penalty, design @ numbers)
    assert linear(features, numbers) == pytest.approx(solved[1:], abs=1e-9)


def test_separable_classes_have_finite_weights():
    score = np.linspace(-1.7, 1.7, 60)[None]
    fit = logistic(score, score[0] > 0)
    assert np.isfinite(fit).all()
    assert fit[0] > 5
    far = np.r_[np.full(30, -1.0), np.full(29, 0.9), 1e4][None]
    assert np.isfinite(logistic(far, far[0] > 0)).all()


def test_each_chromosome_has_the_fit_of_the_others_by_scikit_learn():
    table = alleles(300, 4)
    rng = np.random.default_rng(1)
    parts = np.stack([-table["gpn_llr"].to_numpy(), table["other"].to_numpy()])
    bad = rng.random(300) < 1 / (1 + np.exp(2 - parts[0] - 3 * parts[1]))
    numbers = parts[0] - parts[1] + rng.normal(size=300)
    fitted, of_number = values_of(table, (bad, ~bad)), values_of(table, numbers)
    chromosomes = table["chrom"].to_numpy()
    center = parts.mean(1)[None]
    for chromosome in np.unique(chromosomes):
        here = chromosomes == chromosome
        total = (~here).sum()
        classes = LogisticRegression(C=1 / (RIDGE * total), solver="newton-cholesky", tol=1e-12)
        classes = make_pipeline(StandardScaler(), classes).fit(parts[:, ~here].T, bad[~here])
        expected = classes.decision_function(parts[:, here].T)
        expected -= classes.decision_function(center)
        assert fitted[here] == pytest.approx(expected, abs=1e-5)
        ridge = make_pipeline(StandardScaler(), Ridge(alpha=RIDGE * total))
        ridge.fit(parts[:, ~here].T, numbers[~here])
        expected = ridge.predict(parts[:, here].T) - ridge.predict(center)
        assert of_number[here] == pytest.approx(expected, abs=1e-8)


def test_two_scores_that_know_different_things_are_better_together():
    table = alleles()
    rng = np.random.default_rng(2)
    first, second = -table["gpn_llr"].to_numpy(), table["other"].to_numpy()
    odds = first + 2 * second
    bad = rng.random(table.height) < 1 / (1 + np.exp(-odds))
    rows = measured(table, bad)
    reached = {score: rows["auroc", score]["value"] for score in ("gpn", "other", FIT)}
    assert rows["auroc", FIT]["difference_low"] > 0
    assert reached[FIT] > reached["other"] + 0.03
    assert reached[FIT] == pytest.approx(roc_auc_score(bad, odds), abs=0.005)
    by_chromosome = rows["auroc_by_chromosome", FIT]["value"]
    assert by_chromosome > rows["auroc_by_chromosome", "other"]["value"]
    ranked = compared_scores(["gpn"], {"other": "higher"}, [["gpn", "other"]])
    assert reached[FIT] > measured(table, bad, ranked, 0)["auroc", "gpn+other"]["value"]


def test_noise_adds_nothing_and_noise_alone_is_chance():
    better = []
    for seed in range(6):
        table = alleles(seed=seed)
        rng = np.random.default_rng(seed + 100)
        bad = rng.random(table.height) < 1 / (1 + np.exp(table["gpn_llr"].to_numpy()))
        rows = measured(table, bad, bootstrap=0)
        better.append(rows["auroc", FIT]["difference"])
    assert max(better) < 0.005
    assert np.mean(better) < 0.001
    # Classes that know nothing of the scores, and chromosomes of very different rates.
    table = alleles(6000)
    rate = np.linspace(0.1, 0.9, 8)[mutation_context.folds(table)]
    bad = np.random.default_rng(3).random(6000) < rate
    assert 0.47 < measured(table, bad, bootstrap=0)["auroc", FIT]["value"] < 0.53


def test_what_is_the_class_on_one_chromosome_alone_gains_nothing_there():
    gains, of_its_own = [], []
    for seed in range(8):
        table = alleles(seed=seed)
        rng = np.random.default_rng(seed + 4)
        alone = -table["gpn_llr"].to_numpy()
        bad = rng.random(table.height) < 1 / (1 + np.exp(-alone))
        here = (table["chrom"] == "c3").to_numpy()
        other = np.where(here, 2.0 * bad - 1, table["other"].to_numpy())
        fitted = values_of(table.with_columns(other=other), (bad, ~bad))
        before = roc_auc_score(bad[here], alone[here])
        gains.append(roc_auc_score(bad[here], fitted[here]) - before)
        weights = logistic(np.stack([alone, other]), bad)
        seen = weights @ np.stack([alone, other])
        of_its_own.append(roc_auc_score(bad[here], seen[here]) - before)
    assert abs(np.mean(gains)) < 0.02
    assert np.mean(of_its_own) > 0.06  # what the weights would have learned of it there


def test_one_chromosome_is_fitted_in_blocks():
    table = alleles(500, 1)
    first = -table["gpn_llr"].to_numpy()
    bad = np.random.default_rng(5).random(500) < 1 / (1 + np.exp(-2 * first))
    fitted = values_of(table, (bad, ~bad))
    block = mutation_context.folds(table)
    for number in range(mutation_context.BLOCKS):
        here = block == number
        design = np.stack([first[here], table["other"].to_numpy()[here], np.ones(here.sum())])
        assert np.linalg.lstsq(design.T, fitted[here])[1] < 1e-20  # one plane in each block
    # The block's own classes take no part in it.
    other = bad ^ (block == 4)
    again = values_of(table, (other, ~other))
    assert again[block == 4] == pytest.approx(fitted[block == 4])
    assert np.abs(again[block == 5] - fitted[block == 5]).max() > 0.01


def test_too_few_of_a_class_is_a_row_that_says_so():
    bad = np.arange(200) < 30
    table = alleles(200, 4).with_columns(
        chrom=pl.Series(np.where(np.arange(200) < 25, "c0", "c1"))  # five of 30 are elsewhere
    )
    rows = measure([labelled(bad)], table, SCORES, Settings(0))
    (said,) = rows.filter(score=FIT).iter_rows(named=True)
    assert said["value"] is None
    assert said["note"].startswith("not fitted: without chromosome c0, too few: ")
    assert rows.filter(score="other", metric="auroc", group="all")["value"].is_not_null().all()
    nothing = table.with_columns(other=pl.lit(None, pl.Float64))
    rows = measure([labelled(bad)], nothing, SCORES, Settings(0))
    notes = dict(rows.filter(pl.col("metric").is_null()).select("score", "note").iter_rows())
    assert notes[FIT] == "not fitted: other has no value on any allele of the task"
    assert "not compared" in notes["other"]
    none = contrast_task(("stop_gained", "intergenic"), table["consequence"])
    notes = measure([none], table, SCORES, Settings(0))["note"].to_list()
    assert notes[0] == "not fitted: no allele of the task has a value of every score"
    assert notes[1].startswith("too few: 0 positive")


def test_all_scores_are_on_the_alleles_that_all_have():
    table = alleles(400)
    table = table.with_columns(
        other=pl.when(pl.int_range(400) % 4 == 0).then(None).otherwise("other"),
        third=pl.when(pl.int_range(400) % 5 == 0).then(None).otherwise(pl.col("other") * 2),
    )
    bad = np.random.default_rng(6).random(400) < 0.5
    scores = compared_scores(
        ["gpn"], {"other": "higher", "third": "higher"}, [["gpn", "other"]], fit=[["gpn", "other"]]
    )
    rows = measured(table, bad, scores, 0)
    of_auroc = {score: row for (metric, score), row in rows.items() if metric == "auroc"}
    assert list(of_auroc) == ["gpn", "other", "third", "gpn+other", FIT]
    assert {row["alleles"] for row in of_auroc.values()} == {240}
    assert [of_auroc[score]["missing"] for score in ("gpn", "other", FIT)] == [0, 100, 100]


def conditional(parts, bad, sets, training):
    """Scikit-learn's weights on scores less their set's mean, of sets with both classes."""
    frame = pl.DataFrame({"set": sets, "bad": bad, **{str(i): p for i, p in enumerate(parts)}})
    frame = frame.filter(training).filter(pl.col("bad").n_unique().over("set") == 2)
    centred = frame.select((pl.col(str(i)) - pl.col(str(i)).mean().over("set")) for i in (0, 1))
    model = LogisticRegression(C=1 / (RIDGE * len(frame)), solver="newton-cholesky", tol=1e-12)
    pipe = make_pipeline(StandardScaler(), model).fit(centred.to_numpy(), frame["bad"])
    return model.coef_[0] / pipe[0].scale_


def pairs_across_chromosomes(size=600):
    """Pairs of alleles on any chromosomes, some of one class; an effect, and one of the pair."""
    rng = np.random.default_rng(11)
    sets = np.arange(size) // 2
    of_pair = rng.normal(size=size // 2)[sets]
    table = alleles(size, 5).with_columns(
        gpn_llr=pl.col("gpn_llr") + of_pair, other=pl.col("other") - of_pair
    )
    odds = -table["gpn_llr"].to_numpy() + 2 * table["other"].to_numpy()
    return table, rng.random(size) < 1 / (1 + np.exp(-odds)), sets


def test_within_sets_each_chromosome_has_the_conditional_fit_of_the_others():
    table, bad, sets = pairs_across_chromosomes()
    everything = np.ones(bad.size, bool)
    fits = with_fits(table, SCORES, everything, (bad, ~bad), sets=sets)
    weights = fits.table.select(SCORES[-1].weights).to_numpy().T
    parts = np.stack([-table["gpn_llr"].to_numpy(), table["other"].to_numpy()])
    chromosomes = table["chrom"].to_numpy()
    for chromosome in np.unique(chromosomes):
        here = chromosomes == chromosome
        expected = conditional(parts, bad, sets, ~here)
        assert weights[1:, here] == pytest.approx(np.repeat(expected[:, None], here.sum(), 1), 1e-4)
    # Of pairs these are twice the weights that make the conditional likelihood greatest.
    held_out = chromosomes == "c0"
    whole = [
        pair
        for pair in np.arange(bad.size).reshape(-1, 2)
        if bad[pair].sum() == 1 and not held_out[pair].any()
    ]
    apart = np.array([parts[:, p[bad[p]]] - parts[:, p[~bad[p]]] for p in whole])[..., 0]
    least = minimize(lambda w: np.logaddexp(0, -apart @ w).sum(), np.zeros(2), method="BFGS")
    assert weights[1:, held_out][:, 0] == pytest.approx(2 * least.x, abs=1e-3)


def test_a_score_that_is_the_same_within_sets_has_no_weight():
    table, bad, sets = pairs_across_chromosomes()
    same = (np.arange(bad.size // 2) * 0.1 + 0.3)[sets]
    table = table.with_columns(other=pl.Series(same + 3 * bad.reshape(-1, 2).mean(1)[sets]))
    fits = with_fits(table, SCORES, np.ones(bad.size, bool), (bad, ~bad), sets=sets)
    assert (fits.table[SCORES[-1].weights[2]] == 0).all()
    assert (fits.table[SCORES[-1].weights[1]] > 0.3).all()


def confounded(seed, size=5000):
    """Five classes of alleles; a score with an effect that is lower where more are positive."""
    rng = np.random.default_rng(seed)
    term = rng.integers(0, 5, size)
    bad = rng.random(size) < np.array([0.02, 0.05, 0.1, 0.2, 0.4])[term]
    table = alleles(size, 16, seed).with_columns(
        consequence=pl.Series([f"term{i}" for i in term]),
        gpn_llr=pl.Series(-(rng.normal(size=size) + 0.4 * bad - 0.8 * term)),
    )
    return table, bad, term


def test_of_match_groups_the_weights_do_not_learn_what_is_matched():
    """All alleles together say that low is bad, since the terms differ; pairs say that high is."""
    reached = {"gpn": [], FIT: []}
    by_task = []
    for seed in range(3):
        table, bad, term = confounded(seed)
        codes = np.full(bad.size, -1)
        for of_term in range(5):
            positives = np.flatnonzero(bad & (term == of_term))
            negatives = np.flatnonzero(~bad & (term == of_term))[: positives.size]
            codes[negatives] = positives[: negatives.size]
            codes[positives[: negatives.size]] = positives[: negatives.size]
        codes = np.where(codes >= 0, np.unique(codes, return_inverse=True)[1] - 1, -1)
        groups = Groups(codes, [str(i) for i in range(codes.max() + 1)], "matched 1:1", True)
        task = Task("lab", "labels", "", bad, ~bad, groups=groups)
        rows = measure([task], table, SCORES, Settings(0)).filter(metric="pairwise_accuracy")
        for name, values in reached.items():
            values.append(rows.filter(score=name)["value"].item())
        of_task = values_of(table, (bad, ~bad))
        positive, negative = (
            of_task[of][np.argsort(codes[of])] for of in (bad & (codes >= 0), ~bad & (codes >= 0))
        )
        by_task.append((positive > negative).mean())
    assert np.mean(by_task) < 0.45  # what the task's weights would say
    assert np.mean(reached["gpn"]) > 0.57
    assert np.mean(reached[FIT]) == pytest.approx(np.mean(reached["gpn"]), abs=0.02)


@pytest.mark.parametrize("by_frequency", [False, True])
def test_within_strata_the_weights_do_not_learn_the_strata(by_frequency):
    table, bad, term = confounded(0)
    known = features_of(term % 2).with_columns(
        consequence=table["consequence"], tss_distance=pl.lit(None, pl.Int32)
    )
    table = table.with_columns(af=pl.Series(np.where(bad, 0.01, 0.3)))
    task = frequency_task(table) if by_frequency else labelled(bad)
    settings = Settings(0, strata=Strata(("consequence",), ()))
    rows = measure([task], table, SCORES, settings, known).filter(group="all")
    within = dict(rows.filter(metric="auroc_within_strata").select("score", "value").iter_rows())
    assert within["gpn"] > 0.57
    assert within[FIT] == pytest.approx(within["gpn"], abs=0.01)
    of_task = values_of(table, (bad, ~bad))
    chromosome = mutation_context.folds(table)
    alone = within_strata(of_task[None], bad, term, chromosome).within.values[0]
    assert alone < 0.45  # what the task's weights would say
    raw = dict(rows.filter(metric="auroc").select("score", "value").iter_rows())
    assert raw[FIT] > 0.6  # all alleles keep the task's


def test_within_strata_calibrated_scores_that_are_apart_are_fitted_anew_too():
    table, bad, term = confounded(2)
    known = features_of(term % 2).with_columns(
        consequence=table["consequence"], tss_distance=pl.lit(None, pl.Int32)
    )
    turned = np.arange(bad.size) % 8 == 0  # their score is another's sign
    frequency = np.where(bad, 0.01, 0.3)
    table = table.with_columns(
        af=pl.Series(np.where(turned, 1 - frequency, frequency)), info_AA=pl.lit("A")
    ).with_columns(info_AA=pl.when(pl.Series(turned)).then(pl.lit("C")).otherwise("info_AA"))
    scores = [replace(s, calibrated=True) if s.name == "gpn" else s for s in SCORES]
    settings = Settings(0, strata=Strata(("consequence",), ()))
    rows = measure([frequency_task(table)], table, scores, settings, known)
    rows = rows.filter(group="not turned", metric="auroc_within_strata")
    within = dict(rows.select("score", "value").iter_rows())
    assert within["gpn"] > 0.57
    assert within[FIT] == pytest.approx(within["gpn"], abs=0.015)


def test_too_few_to_fit_to_within_sets_is_a_row_that_says_so():
    table, bad, term = confounded(1, 400)
    table = table.with_columns(chrom=pl.Series([f"c{i % 2}" for i in range(400)]))
    # Strata of both classes on one chromosome alone.
    term = np.where(table["chrom"] == "c0", 0, 1 + bad)
    known = features_of(term).with_columns(
        consequence=pl.Series([str(i) for i in term]), tss_distance=pl.lit(None, pl.Int32)
    )
    settings = Settings(0, strata=Strata(("consequence",), ()))
    rows = measure([labelled(bad)], table, SCORES, settings, known).filter(group="all")
    said = rows.filter(pl.col("metric").is_null(), score=FIT)["note"].to_list()
    assert said == [
        "within strata not fitted: without chromosome c0, too few: 0 positive and 0 negative "
        "alleles; at least 10 of each are needed"
    ]
    assert set(rows.filter(metric="auroc_within_strata")["score"]) == {"gpn", "other"}
    assert set(rows.filter(metric="auroc")["score"]) == {"gpn", "other", FIT}
    codes = np.where(table["chrom"] == "c0", np.arange(400) // 40, -1)
    groups = Groups(codes, [str(i) for i in range(10)], "of forty")
    task = Task("lab", "labels", "", bad, ~bad, groups=groups)
    rows = measure([task], table, SCORES, Settings(0)).filter(group="of forty")
    assert rows["note"][0].startswith("not fitted: block 1") or "too few" in rows["note"][0]
    assert FIT not in set(rows.filter(metric="auroc")["score"])


def test_of_match_groups_the_weights_are_those_of_their_alleles():
    table = alleles(400)
    bad = np.random.default_rng(7).random(400) < 1 / (1 + np.exp(table["gpn_llr"].to_numpy()))
    task = labelled(bad)
    order = np.argsort(~bad, kind="stable")
    number = min(bad.sum(), (~bad).sum(), 50)
    codes = np.full(400, -1)
    codes[order[:number]] = codes[order[-number:]] = np.arange(number)
    groups = Groups(codes, [str(i) for i in range(number)], word="of twins", pairs=True)
    # A score without any value there narrows the task, not the groups beyond what is fitted.
    table = table.with_columns(third=pl.Series(np.where(codes < 0, 1.0, np.nan)))
    everything = np.ones(400, bool)
    fits = with_fits(table, SCORES, everything, (bad, ~bad), sets=codes)
    fitted = comparison(fits.table, fits.scores, codes >= 0).values[-1]
    fitted = dict(zip(np.flatnonzero(codes >= 0).tolist(), fitted, strict=True))
    fitted = np.array([fitted.get(i, np.nan) for i in range(400)])
    pairs = Task(task.name, task.kind, "", task.positive, task.negative, groups=groups)
    rows = measure([pairs], table, SCORES, Settings(0)).filter(group="of twins", score=FIT)
    better = fitted[order[:number]] > fitted[order[-number:]]
    assert rows["value"].to_list() == pytest.approx([better.mean()])
    scores = compared_scores(
        ["gpn"], {"other": "higher", "third": "higher"}, [], fit=[["gpn", "other"]]
    )
    rows = measure([pairs], table, scores, Settings(0)).filter(group="of twins")
    assert rows.filter(score="gpn")["value"].is_not_null().all()
    assert rows.filter(score=FIT)["value"].to_list() == pytest.approx([better.mean()])


def test_turned_alleles_are_fitted_as_they_are_looked_at():
    """A log-ratio that is low of the derived allele, whichever of the two that is."""
    size = 1200
    rng = np.random.default_rng(8)
    table = alleles(size)
    turned = np.arange(size) % 3 == 0
    rare = rng.random(size) < 0.5
    frequency = np.where(rare, 0.01, 0.3)
    signal = rng.normal(size=size) + 1.5 * rare
    table = table.with_columns(
        af=pl.Series(np.where(turned, 1 - frequency, frequency)),
        info_AA=pl.Series(np.where(turned, "C", "A")),
        gpn_llr=pl.Series(np.where(turned, signal, -signal)),
    )
    rows = measure([frequency_task(table)], table, SCORES, Settings(0, 0, (0.2,)))
    auroc = rows.filter(metric="auroc", group="all")
    reached = dict(auroc.select("score", "value").iter_rows())
    assert reached["gpn"] > 0.8
    assert reached[FIT] == pytest.approx(reached["gpn"], abs=0.01)
    notes = dict(auroc.select("score", "note").iter_rows())
    assert "by chance, the scores shuffled" in notes[FIT]
    assert "by chance, the scores shuffled" not in notes["other"]
    assert set(rows.filter(score=FIT)["metric"]) == {"auroc", "odds_ratio", "spearman"}
    assert rows.filter(score=FIT, metric="spearman")["value"][0] < -0.3
    without = table.with_columns(af=pl.lit(None, pl.Float64))
    rows = measure([frequency_task(without)], without, SCORES, Settings(0))
    assert rows.height == 1


def test_the_baseline_of_mutation_context_is_a_part_that_finds_nothing_in_noise():
    """Made of all other chromosomes, it would tell the weights what it is worth on one's own."""
    scores = mutation_context.with_baseline(
        compared_scores(["gpn"], {}, [], fit=[["gpn", "mutation_context"]])
    )
    assert [score.name for score in scores][1:] == [
        "mutation_context",
        "gpn+mutation_context fitted",
    ]
    reached = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        table = alleles(500, 4, seed).with_columns(gpn_llr=pl.lit(0.0))
        cell = rng.integers(0, 6, 500)
        known = features_of(cell)
        bad = rng.random(500) < 0.5
        everything = np.ones(500, bool)
        table = mutation_context.with_column(table, known, everything, (bad, ~bad))
        reached.append(roc_auc_score(bad, values_of(table, (bad, ~bad), scores, known)))
    error = np.std(reached) / np.sqrt(len(reached))
    assert np.mean(reached) < 0.5 + 2 * error
    cell = np.random.default_rng(9).integers(0, 6, 500)
    bad = np.random.default_rng(10).random(500) < np.linspace(0.1, 0.9, 6)[cell]
    rows = measure([labelled(bad)], alleles(500, 4), scores, Settings(0), features_of(cell)).filter(
        group="all", metric="auroc"
    )
    reached = dict(rows.select("score", "value").iter_rows())
    assert reached["mutation_context"] > 0.75
    assert reached["gpn+mutation_context fitted"] == pytest.approx(
        reached["mutation_context"], abs=0.02
    )


@pytest.mark.parametrize("chromosomes", [1, 2, 3])
def test_the_baseline_as_a_part_is_that_of_the_other_folds(chromosomes):
    table, cell = alleles(300, chromosomes), np.random.default_rng(12).integers(0, 5, 300)
    bad = np.random.default_rng(13).random(300) < 0.1 + 0.2 * cell
    known, everything = features_of(cell), np.arange(300)
    fit_alleles = FitAlleles.of(everything[::2], everything, table, (bad, ~bad), known, None)
    fold = mutation_context.folds(table)
    for held_out in range(fold.max() + 1):
        rest = fold != held_out
        truth = (bad[rest], ~bad[rest])
        again = mutation_context.with_column(
            table.filter(rest), known.filter(rest), np.ones(rest.sum(), bool), truth
        )
        expected = np.full(300, np.nan)
        expected[rest] = again[mutation_context.SCORE.column].to_numpy()
        assert fit_alleles.baseline(held_out) == pytest.approx(expected[::2], nan_ok=True)


def features_of(cell):
    return pl.DataFrame(
        {
            "trinucleotide": pl.Series(
                np.array(TRINUCLEOTIDES.categories)[cell], dtype=TRINUCLEOTIDES
            ),
            "pentamer": pl.Series([None] * cell.size, dtype=pl.String),
            "cpg": [False] * cell.size,
            "kind": ["snv"] * cell.size,
        }
    )


def test_its_name_and_words():
    fit = SCORES[-1]
    assert fit.name == FIT
    assert fit.about == (
        "regression of each task’s classes (logistic) or number (linear) on gpn and other, "
        "fitted on the other chromosomes"
    )
    assert not Score("a+b", parts=("a", "b")).weights
    of_columns = compared_scores(["gpn"], {}, [], fit=[["gpn_llr", "x", "y"]])[-1]
    assert of_columns.name == "gpn+x+y fitted"
    assert len(of_columns.weights) == 4

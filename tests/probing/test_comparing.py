import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr
from sklearn.linear_model import Ridge
from sklearn.metrics import average_precision_score, roc_auc_score

from varlm.evaluation.correlation import pearson
from varlm.evaluation.metrics import spearman
from varlm.evaluation.resampling import percentile_interval
from varlm.probing.comparing import compare, widening
from varlm.probing.folds import Folds
from varlm.probing.linear import predict_linear


def sample(rows=300, seed=0):
    rng = np.random.default_rng(seed)
    folds = np.sort(rng.integers(0, 4, rows))
    label = rng.normal(size=rows)
    predictions = np.stack([label + rng.normal(size=rows), rng.normal(size=rows)])
    return predictions, label, folds


def by_fold(metric, predictions, label, folds):
    """The metric within folds, weighted by their rows, one fold after the other."""
    counts = np.bincount(folds)
    values = [metric(label[folds == f], predictions[folds == f]) for f in range(len(counts))]
    return np.average(values, weights=counts)


def test_correlations_are_scipys_within_folds():
    predictions, label, folds = sample()
    compared = compare(predictions, label, folds, classes=False, count=0)
    for name, peer in (("pearson", pearsonr), ("spearman", spearmanr)):
        values = compared.within[name].values
        pooled = compared.pooled[f"{name}_pooled"].values
        for i in (0, 1):
            within = by_fold(lambda a, b: peer(a, b)[0], predictions[i], label, folds)  # noqa: B023
            assert values[i] == pytest.approx(within, abs=1e-12)
            assert pooled[i] == pytest.approx(peer(predictions[i], label)[0], abs=1e-12)
    assert (compared.folds, compared.rows, compared.left_out) == (4, 300, ())


def test_areas_are_scikit_learns_within_folds():
    predictions, label, folds = sample()
    label = (label > 0.5).astype(float)
    compared = compare(predictions, label, folds, classes=True, count=0)
    for name, peer in (("auroc", roc_auc_score), ("auprc", average_precision_score)):
        for i in (0, 1):
            within = by_fold(peer, predictions[i], label, folds)
            assert compared.within[name].values[i] == pytest.approx(within, abs=1e-12)
            pooled = compared.pooled[f"{name}_pooled"].values[i]
            assert pooled == pytest.approx(peer(label, predictions[i]), abs=1e-12)


@pytest.mark.parametrize("classes", [False, True])
def test_a_feature_of_the_chromosome_earns_nothing_within_folds(classes):
    """Each chromosome has its own level; a feature that tells it helps over all rows alone."""
    rng = np.random.default_rng(4)
    chromosomes = np.arange(600) % 6
    level = np.linspace(-3, 3, 6)[chromosomes]
    label = level + rng.normal(size=600)
    label = (label / 3 + rng.normal(size=600) > 0).astype(float) if classes else label
    folds = Folds.of([f"chr{c}" for c in chromosomes], 6)
    fitted = predict_linear(level[:, None], label, folds, classes=classes)
    compared = compare(fitted.predictions[None], label, folds.codes, classes=classes, count=200)
    metric, chance = ("auroc", 0.5) if classes else ("pearson", 0)
    assert compared.pooled[f"{metric}_pooled"].values[0] > chance + 0.2
    assert compared.within[metric].values[0] == pytest.approx(chance, abs=1e-9)


@pytest.mark.parametrize("classes", [False, True])
def test_nothing_is_found_in_a_random_label(classes):
    rng = np.random.default_rng(7)
    features = rng.normal(size=(400, 10))
    label = rng.integers(0, 2, 400).astype(float) if classes else rng.normal(size=400)
    folds = Folds.of([f"chr{c}" for c in np.arange(400) % 4], 4)
    fitted = predict_linear(features, label, folds, classes=classes)
    compared = compare(fitted.predictions[None], label, folds.codes, classes=classes, count=300)
    chance = {"pearson": 0, "spearman": 0, "auroc": 0.5}
    for name in compared.within.keys() & chance.keys():
        low, high = compared.within[name].interval(0)
        assert low <= chance[name] <= high


def holds(resampled, value):
    low, high = percentile_interval(resampled)
    return low <= value <= high


def test_intervals_of_cross_validated_values_hold_chance():
    """Of 40 tables of random labels; not before resamples are widened."""
    widened, plain = [], []
    factor = (1 + 4 / 3) ** 0.5
    folds = np.arange(60) % 4
    for table in range(40):
        rng = np.random.default_rng([3, table])
        features, label = rng.normal(size=(60, 10)), rng.normal(size=60)
        predictions = np.empty(60)
        for fold in range(4):
            held = folds == fold
            fitted = Ridge(10).fit(features[~held], label[~held])
            predictions[held] = fitted.predict(features[held])
        compared = compare(predictions[None], label, folds, classes=False, count=60)
        measured = compared.within["pearson"]
        (value,), (resampled,) = measured.values, measured.resampled
        widened.append(holds(resampled, 0))
        plain.append(holds(value + (resampled - value) / factor, 0))
    assert np.mean(widened) >= 0.9
    assert np.mean(plain) < 0.9


@pytest.mark.parametrize("count", [3, 4, 8])
def test_resamples_are_widened_by_the_number_of_folds(count):
    """Of each fold and of differences; within what the metric can be."""
    rng = np.random.default_rng(2)
    label, folds = rng.normal(size=240), np.arange(240) % count
    predictions = label + rng.normal(size=(2, 240))
    assert widening(count) ** 2 == pytest.approx(1 + count * (1 / count) / (1 - 1 / count))
    compared = compare(predictions, label, folds, classes=False, count=50, seed=5)
    for metric, measure in (("pearson", pearson), ("spearman", spearman)):
        plain = measure(predictions, label, 50, 5)
        expected = plain.values[:, None] + widening(count) * (
            plain.resampled - plain.values[:, None]
        )
        pooled = compared.pooled[f"{metric}_pooled"]
        np.testing.assert_allclose(pooled.resampled, expected)
        np.testing.assert_allclose(
            pooled.difference_interval(1, 0), percentile_interval(expected[1] - expected[0])
        )
    classes = (label > 0).astype(float)
    sure = compare(label[None] + predictions[:1] / 8, classes, folds, classes=True, count=50)
    assert sure.within["auroc"].resampled.max() == sure.within["auprc"].resampled.max() == 1


@pytest.mark.parametrize("classes", [False, True])
def test_rows_that_are_drawn_together_count_once(classes):
    """Each row four times says no more than once; drawn one by one it would seem to."""
    predictions, label, folds = sample(rows=160)
    label = (label > 0).astype(float) if classes else label
    once = compare(predictions, label, folds, classes=classes, count=60)
    units = np.tile(np.arange(160), 4)
    copies = (np.tile(predictions, (1, 4)), np.tile(label, 4), np.tile(folds, 4))
    together = compare(*copies, classes=classes, units=units, count=60)
    alone = compare(*copies, classes=classes, count=60)
    for of in ("within", "pooled"):
        for metric, expected in getattr(once, of).items():
            measured = getattr(together, of)[metric]
            np.testing.assert_allclose(measured.resampled, expected.resampled, atol=1e-12)
            width = np.ptp(getattr(alone, of)[metric].interval(1))
            assert width < 0.75 * np.ptp(measured.interval(1))


def test_units_of_one_class_or_of_both_leave_no_resample_without_a_class():
    rng = np.random.default_rng(5)
    units = np.repeat(np.arange(40), 5)
    label = np.where(units % 3 == 0, units % 2, rng.integers(0, 2, 200)).astype(float)
    predictions = rng.normal(size=(1, 200))
    compared = compare(predictions, label, units // 10, classes=True, units=units, count=200)
    assert np.isfinite(compared.within["auroc"].resampled).all()
    assert compared.joined == ()


@pytest.mark.parametrize("classes", [False, True])
def test_a_fold_of_few_units_has_no_interval(classes):
    """All of one unit, drawn again and again, would always say the same."""
    predictions, label, folds = sample()
    label = (label > 0).astype(float) if classes else label
    units = np.arange(300)
    few = (folds == 2) & (label > 0) if classes else folds == 2
    units[few] = 300 + np.arange(few.sum()) % 4
    compared = compare(predictions, label, folds, classes=classes, units=units, count=20)
    assert compared.joined == (2,)
    metric = "auroc" if classes else "pearson"
    assert compared.within[metric].interval(0) == (None, None)
    assert compared.pooled[f"{metric}_pooled"].interval(0) == (None, None)
    values = compare(predictions, label, folds, classes=classes, count=0).within[metric].values
    np.testing.assert_array_equal(compared.within[metric].values, values)


def test_small_folds_are_left_out_and_named():
    predictions, label, folds = sample()
    label = (label > 0).astype(float)
    label[folds == 2] = 0
    label[np.flatnonzero(folds == 2)[:9]] = 1
    compared = compare(predictions, label, folds, classes=True, count=5)
    assert compared.left_out == (2,)
    assert compared.rows == (folds != 2).sum()


def test_without_a_fold_that_is_large_enough_nothing_is_measured():
    compared = compare(
        np.zeros((1, 12)), np.arange(12.0), np.arange(12) % 3, classes=False, count=5
    )
    assert (compared.within, compared.pooled, compared.folds) == ({}, {}, 0)


def test_a_constant_prediction_orders_nothing():
    _, label, folds = sample()
    for predictions in (np.full((1, 300), 1 / 3), np.full((1, 300), 1e9 / 3), np.zeros((1, 300))):
        compared = compare(predictions, label, folds, classes=False, count=5)
        assert compared.within["pearson"].values.tolist() == [0]
        assert compared.within["spearman"].values.tolist() == [0]
        assert compared.within["pearson"].interval(0) == (0, 0)


def test_differences_are_paired():
    predictions, label, folds = sample()
    twice = np.stack([predictions[0], predictions[0] * 3 + 1])
    measured = compare(twice, label, folds, classes=False, count=50).within["pearson"]
    assert np.allclose(measured.difference_interval(1, 0), 0, atol=1e-12)
    low, high = measured.interval(0)
    assert high - low > 0.05

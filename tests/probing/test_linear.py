import numpy as np
import pytest
import sklearn
from sklearn.model_selection import GridSearchCV, GroupKFold, LeaveOneGroupOut, cross_val_predict

from varlm.probing.folds import Folds
from varlm.probing.linear import estimator, predict_linear


def table(rows=120, features=5, chromosomes=4, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, features)), np.arange(rows) % chromosomes, rng


def folds_of(chromosomes):
    return Folds.of([f"chr{c}" for c in chromosomes], 8)


@pytest.mark.parametrize("classes", [False, True])
def test_equal_to_cross_val_predict(classes):
    features, chromosomes, rng = table()
    label = features[:, 0] - features[:, 3] + rng.normal(size=len(features))
    label = (label > 0).astype(float) if classes else label
    folds = folds_of(chromosomes)
    fitted = predict_linear(features, label, folds, classes=classes)
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline, penalties, scoring = estimator(classes)
        peer = cross_val_predict(
            GridSearchCV(pipeline, penalties, scoring=scoring, cv=GroupKFold(3)),
            features,
            label,
            cv=LeaveOneGroupOut(),
            method="predict_proba" if classes else "predict",
            params={"groups": folds.codes},
        )
    np.testing.assert_allclose(fitted.predictions, peer[:, 1] if classes else peer, rtol=1e-9)


def test_a_linear_label_is_found():
    features, chromosomes, rng = table(rows=400, features=20)
    label = features @ rng.normal(size=20)
    fitted = predict_linear(features * 100 + 7, label, folds_of(chromosomes), classes=False)
    assert np.corrcoef(fitted.predictions, label)[0, 1] > 0.99


def test_the_held_fold_changes_nothing_of_its_own_predictions_but_by_its_features():
    features, chromosomes, _ = table()
    label = features[:, 0] ** 2
    folds = folds_of(chromosomes)
    before = predict_linear(features, label, folds, classes=False)
    held = folds.held(2)
    other = label.copy()
    other[held] = 1000
    after = predict_linear(features, other, folds, classes=False)
    assert (before.predictions[held] == after.predictions[held]).all()
    assert (before.predictions != after.predictions).any()


def test_noise_gets_the_heaviest_penalty():
    features, chromosomes, rng = table(rows=300, features=50)
    fitted = predict_linear(features, rng.normal(size=300), folds_of(chromosomes), classes=False)
    assert min(fitted.penalties) >= 1e3

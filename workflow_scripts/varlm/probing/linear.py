"""Ridge and logistic regression by scikit-learn, nested over folds of chromosomes.

Each fold of chromosomes is predicted by a model of all the others. The penalty is chosen on the
others alone: whole folds of them are left out in turn. Features are standardised on the rows that
fit, inside that choice as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from varlm.probing.folds import Folds

Floats = NDArray[np.float64]

RIDGE, LOGISTIC = "ridge", "logistic"
# Σ (y − Xw)² + α Σ w², of standardised features: α is about the rows that would say as much.
RIDGE_PENALTIES = tuple(10.0**power for power in range(0, 8))
# C of C Σ loss + Σ w² / 2, of standardised features.
LOGISTIC_STRENGTHS = tuple(10.0**power for power in range(-6, 1))
_ITERATIONS = 2000


@dataclass(frozen=True)
class LinearFit:
    """What a linear probe says of each row, by a model that never saw its fold.

    Attributes
    ----------
    predictions : numpy.ndarray
        Number, or probability of the class 1; shape (rows,).
    penalties : tuple of float
        What was chosen for each fold: α of ridge, C of logistic regression.
    """

    predictions: Floats
    penalties: tuple[float, ...]


def method(classes: bool) -> str:
    """Return which regression is made."""
    return LOGISTIC if classes else RIDGE


def predict_linear(features: Floats, label: Floats, folds: Folds, *, classes: bool) -> LinearFit:
    """Predict each fold by a regression on the others.

    Parameters
    ----------
    features : numpy.ndarray
        Shape (rows, features).
    label : numpy.ndarray
        Numbers, or 0 and 1 of `classes`; shape (rows,).
    folds : Folds
    classes : bool
        Logistic regression, else ridge.

    Notes
    -----
    Equal to `cross_val_predict` of a `GridSearchCV`, each over groups of chromosomes.
    """
    predictions = np.empty(label.size)
    penalties = []
    for fold in range(folds.count):
        fitted, held = folds.others(fold), folds.held(fold)
        search = _search(folds.choosing(fold), label[fitted], classes)
        search.fit(features[fitted], label[fitted])
        if classes:
            predictions[held] = search.predict_proba(features[held])[:, 1]
        else:
            predictions[held] = search.predict(features[held])
        penalties.append(float(*search.best_params_.values()))
    return LinearFit(predictions, tuple(penalties))


def _search(splits: list[Any], label: Floats, classes: bool) -> Any:
    """Return what chooses the penalty; splits whose fitted part lacks a class are passed over."""
    from sklearn.model_selection import GridSearchCV  # type: ignore[import-untyped]

    pipeline, penalties, scoring = estimator(classes)
    if classes:
        splits = [(fitted, held) for fitted, held in splits if np.unique(label[fitted]).size == 2]
    return GridSearchCV(pipeline, penalties, scoring=scoring, cv=splits)


def estimator(classes: bool) -> tuple[Any, dict[str, list[float]], Any]:
    """Return the pipeline, the penalties to choose from, and what they are chosen by."""
    from sklearn.linear_model import LogisticRegression, Ridge  # type: ignore[import-untyped]
    from sklearn.metrics import log_loss, make_scorer  # type: ignore[import-untyped]
    from sklearn.pipeline import make_pipeline  # type: ignore[import-untyped]
    from sklearn.preprocessing import StandardScaler  # type: ignore[import-untyped]

    if not classes:
        pipeline = make_pipeline(StandardScaler(), Ridge())
        return pipeline, {"ridge__alpha": [*RIDGE_PENALTIES]}, "neg_mean_squared_error"
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=_ITERATIONS))
    loss = make_scorer(
        log_loss, greater_is_better=False, response_method="predict_proba", labels=[0, 1]
    )
    return pipeline, {"logisticregression__C": [*LOGISTIC_STRENGTHS]}, loss

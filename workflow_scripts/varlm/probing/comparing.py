"""How good probes are, on the same rows and folds, and by how much they differ.

A prediction outside its fold is of a model of its own, which may be right on the whole and wrong
within, or off by a constant. So a metric is computed within each fold and averaged, a fold's weight
being its rows: what differs between chromosomes alone earns nothing. (The mean of the other folds
as a prediction has a negative correlation with the label over all rows, and none within folds.)

Resampling the rows of given predictions says nothing of fitting anew, and the folds' models share
most of the rows that they are fitted to: intervals of cross-validated values come out too narrow.
So what resamples deviate by is widened as Nadeau and Bengio widen the variance of such values
(Inference for the generalization error, Machine Learning 52, 239-281, 2003,
10.1023/A:1024068626366): of K folds it is 1 + K · n_test / n_train times as large, where
n_test / n_train = 1 / (K − 1).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from varlm.evaluation import metrics
from varlm.evaluation.correlation import pearson
from varlm.evaluation.resampling import Measured
from varlm.evaluation.rows import AUPRC, AUROC, PEARSON, SPEARMAN

Floats = NDArray[np.float64]

POOLED = "_pooled"  # after a metric's name: over all rows, not within folds
_LEAST = {PEARSON: -1, SPEARMAN: -1, AUROC: 0, AUPRC: 0}  # that a metric can be; the most is 1
FEWEST = 10  # rows of a fold, or of each class of it, for a metric within it
FEWEST_UNITS = 5  # likewise, of those that are resampled as one, for an interval


@dataclass(frozen=True)
class Comparison:
    """Metrics of several probes on the same rows.

    Attributes
    ----------
    within : dict
        Metric → its mean over the folds, weighted by their rows.
    pooled : dict
        Metric → the same over all rows at once.
    folds, rows : int
        Folds that are large enough, and rows in them.
    left_out : tuple of int
        Folds that are not.
    joined : tuple of int
        Of the others, those with fewer than `FEWEST_UNITS` units (of a class): nothing is resampled
        then, since what is drawn would be nearly the same each time.
    """

    within: dict[str, Measured]
    pooled: dict[str, Measured]
    folds: int
    rows: int
    left_out: tuple[int, ...]
    joined: tuple[int, ...] = ()


def headline(classes: bool) -> str:
    """Return the metric that decides which probe is the best."""
    return AUROC if classes else PEARSON


def compare(
    predictions: Floats,
    label: Floats,
    folds: NDArray[np.int64],
    *,
    classes: bool,
    units: NDArray[np.int64] | None = None,
    count: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Return the metrics of several probes.

    Parameters
    ----------
    predictions : numpy.ndarray
        Higher: a higher label is expected. Shape (probes, rows).
    label : numpy.ndarray
        Numbers, or 0 and 1 of `classes`; shape (rows,).
    folds : numpy.ndarray
        Which model made a prediction, shape (rows,).
    classes : bool
        AUROC and average precision, else Pearson's and Spearman's correlation.
    units : numpy.ndarray, optional
        Rows with the same number are drawn together, shape (rows,); without it each by itself.
    count, seed : int
        Number of resamples, and what they are drawn from. Units are drawn within folds (and
        classes), for all probes alike, so that a difference has an interval of its own.

    Notes
    -----
    A constant prediction orders nothing: its AUROC is 0.5, and its correlation counts as 0.
    Resamples deviate by as much more as the module says, within what a metric can be.
    """
    factor = widening(np.unique(folds).size)
    units = np.arange(label.size) if units is None else units
    of_folds = dict(_members(folds))
    kept = {fold: rows for fold, rows in of_folds.items() if _enough(label[rows], classes)}
    joined = [fold for fold, rows in kept.items() if _few(units[rows], label[rows], classes)]
    count = 0 if joined else count
    values = []
    for fold, members in kept.items():
        own = int(np.random.SeedSequence([seed, fold]).generate_state(1)[0])
        seen = predictions[:, members], label[members], units[members]
        values.append(_measured(*seen, classes, count, own))
    weights = [members.size for members in kept.values()]
    within = _averaged(values, np.array(weights, np.float64))
    pooled = _measured(predictions, label, units, classes, count, seed) if values else {}
    return Comparison(
        {name: _widened(measured, factor, name) for name, measured in within.items()},
        {f"{name}{POOLED}": _widened(measured, factor, name) for name, measured in pooled.items()},
        len(values),
        sum(weights),
        tuple(fold for fold in of_folds if fold not in kept),
        tuple(joined),
    )


def widening(folds: int) -> float:
    """Return by how much resamples of values of so many folds deviate more, 2 at least."""
    return float(np.sqrt(1 + folds / (folds - 1)))


def _widened(measured: Measured, factor: float, metric: str) -> Measured:
    """Return a metric whose resamples deviate so many times as far from its value."""
    values = measured.values[:, None]
    resampled = values + factor * (measured.resampled - values)
    return Measured(measured.values, np.clip(resampled, _LEAST[metric], 1))


def _members(folds: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    for fold in np.unique(folds).tolist():
        yield fold, np.flatnonzero(folds == fold)


def _enough(label: Floats, classes: bool) -> bool:
    if classes:
        return int(min((label == 1).sum(), (label == 0).sum())) >= FEWEST
    return label.size >= FEWEST and np.unique(label).size > 1


def _few(units: NDArray[np.int64], label: Floats, classes: bool) -> bool:
    """Return whether a fold, or a class in it, is of too few units to be resampled."""
    parts = [units[label == value] for value in (0, 1)] if classes else [units]
    return any(np.unique(part).size < FEWEST_UNITS for part in parts)


def _measured(
    predictions: Floats,
    label: Floats,
    units: NDArray[np.int64],
    classes: bool,
    count: int,
    seed: int,
) -> Mapping[str, Measured]:
    groups = np.unique(units, return_inverse=True)[1]
    if classes:
        auroc, auprc = metrics.areas(predictions, label == 1, count, seed, groups)
        return {AUROC: auroc, AUPRC: auprc}
    correlations = {PEARSON: pearson, SPEARMAN: metrics.spearman}
    return {
        name: _defined(of(predictions, label, count, seed, groups))
        for name, of in correlations.items()
    }


def _defined(measured: Measured) -> Measured:
    """Return correlations, 0 where one side is constant."""
    return Measured(np.nan_to_num(measured.values, nan=0), np.nan_to_num(measured.resampled, nan=0))


def _averaged(values: list[Mapping[str, Measured]], weights: Floats) -> dict[str, Measured]:
    """Return the mean of each metric over folds."""
    if not values:
        return {}
    shares = weights / weights.sum()

    def mean(arrays: list[Floats]) -> Floats:
        averaged: Floats = np.tensordot(shares, np.array(arrays), (0, 0))
        return averaged

    return {
        name: Measured(
            mean([of_fold[name].values for of_fold in values]),
            mean([of_fold[name].resampled for of_fold in values]),
        )
        for name in values[0]
    }

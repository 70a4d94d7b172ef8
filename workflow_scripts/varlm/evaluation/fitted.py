"""Scores fitted to a task: a regression of its truth on several scores, one chromosome left out.

What two scores know together is more than what their mean rank shows where one of them is much
better. So the weights are fitted: logistic regression of the classes, linear regression of a
number, on standardised scores. An allele's value comes of weights that its own chromosome took no
part in (leave one chromosome out, as the linear probes and ensembles of TraitGym have it: Benegas,
Eraslan and Song, bioRxiv 2025, 10.1101/2025.02.11.637758), since neighbours share their truth.

The regression's intercept is left out of the value. It is the log-odds of the other chromosomes,
which are low where an allele's own chromosome has many positives: with it, a score of noise alone
would tell positives from negatives the wrong way round.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.evaluation import mutation_context
from varlm.evaluation.compared import Comparison, Score, comparison
from varlm.evaluation.rows import EVERYTHING, FEWEST, Row, class_counts, too_few

log = logging.getLogger(__name__)

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Codes = NDArray[np.int64]
Classes = tuple[Flags, Flags]  # positives and negatives

RIDGE = 1e-6  # of the squared weights, for each allele: keeps separable classes finite, no more
_STEPS = 10_000  # at most
_CLOSE = 1e-8  # a gradient that ends the search


@dataclass(frozen=True)
class Fits:
    """A task's scores with those that are fitted to it.

    Attributes
    ----------
    table : polars.DataFrame
        With the weights' columns (`Score.weights`).
    scores : list of Score
        Without those that could not be fitted.
    rows : list of dict
        One that says why for each of those.
    """

    table: pl.DataFrame
    scores: list[Score]
    rows: list[Row]


def with_fits(
    table: pl.DataFrame,
    scores: Sequence[Score],
    members: Flags,
    truth: Classes | Floats,
    turned: Flags | None = None,
    known: pl.DataFrame | None = None,
) -> Fits:
    """Fit the scores that are fitted to a task, on the alleles for which all scores have a value.

    Parameters
    ----------
    table : polars.DataFrame
        `chrom`, `pos` and the scores' columns.
    scores : sequence of Score
    members : numpy.ndarray
        bool: the task's alleles, shape (alleles of the table,).
    truth : tuple of numpy.ndarray, or numpy.ndarray
        The two classes, or the number, of the same shape. What is of neither class has a value and
        takes no part in the fit.
    turned : numpy.ndarray, optional
        As `compared.comparison` takes it.
    known : polars.DataFrame, optional
        From `features.features`, of the same rows: where the baseline of mutation context is a
        part.
    """
    wanted = [score for score in scores if score.fitted]
    if not wanted:
        return Fits(table, list(scores), [])
    compared = comparison(table, [score for score in scores if not score.parts], members, turned)
    alleles = _Alleles.of(compared, table, truth, known)
    reasons = {score.name: why for score in wanted if (why := _unfit(score, compared, alleles))}
    columns = [
        column
        for score in wanted
        if score.name not in reasons
        for column in _weight_columns(score, compared, alleles, table.height)
    ]
    return Fits(
        table.with_columns(columns),
        [score for score in scores if score.name not in reasons],
        [{"group": EVERYTHING, "score": name, "note": why} for name, why in reasons.items()],
    )


@dataclass(frozen=True)
class _Alleles:
    """The alleles of a comparison, in its order.

    Attributes
    ----------
    places : polars.DataFrame
        `chrom` and `pos`.
    fold : numpy.ndarray
        From `mutation_context.folds`.
    truth : tuple of numpy.ndarray, or numpy.ndarray
    known : polars.DataFrame or None
    """

    places: pl.DataFrame
    fold: Codes
    truth: Classes | Floats
    known: pl.DataFrame | None

    @classmethod
    def of(
        cls,
        compared: Comparison,
        table: pl.DataFrame,
        truth: Classes | Floats,
        known: pl.DataFrame | None,
    ) -> _Alleles:
        rows = compared.rows
        places = table.select("chrom", "pos")[rows]
        return cls(
            places,
            mutation_context.folds(places),
            _at(truth, rows),
            known[rows] if known is not None else None,
        )

    def folds(self) -> Iterator[tuple[int, Flags]]:
        """Yield the number of each fold, and the alleles of the others."""
        for held_out in np.unique(self.fold).tolist():
            yield held_out, self.fold != held_out

    def name(self, fold: int) -> str:
        """Return a fold in words."""
        if self.places["chrom"].n_unique() > 1:
            return f"chromosome {self.places['chrom'][int(np.argmax(self.fold == fold))]}"
        return f"block {fold + 1} of {mutation_context.BLOCKS}"

    def baseline(self, training: Flags) -> Floats:
        """Return the baseline of mutation context made of some alleles alone, in their order.

        What it is for an allele is made of the truth on all other chromosomes, so also on the one
        that is held out: a weight fitted to that would know the sign of the baseline there.
        """
        assert self.known is not None
        alone = self.places.filter(training)
        everything = np.ones(alone.height, bool)
        truth = _at(self.truth, np.flatnonzero(training))
        table = mutation_context.with_column(alone, self.known.filter(training), everything, truth)
        return table[mutation_context.SCORE.column].to_numpy()


def _at(truth: Classes | Floats, rows: Codes | NDArray[np.intp]) -> Classes | Floats:
    """Return the classes, or the number, of some alleles."""
    return (truth[0][rows], truth[1][rows]) if isinstance(truth, tuple) else truth[rows]


def _unfit(score: Score, compared: Comparison, alleles: _Alleles) -> str:
    """Return why a score cannot be fitted, "" where it can."""
    there = {other.name for other in compared.scores}
    if lacking := [part for part in score.parts if part not in there]:
        return f"not fitted: {' and '.join(lacking)} has no value on any allele of the task"
    if not alleles.fold.size:
        return "not fitted: no allele of the task has a value of every score"
    for fold, training in alleles.folds():
        if few := _few(alleles.truth, training):
            return f"not fitted: without {alleles.name(fold)}, {few}"
    return ""


def _few(truth: Classes | Floats, training: Flags) -> str:
    """Return in words that there are too few alleles to fit to, "" where there are enough."""
    if isinstance(truth, tuple):
        positive, negative = (of_class & training for of_class in truth)
        return too_few(class_counts(positive[positive | negative]))
    total = int(training.sum())
    return f"too few: {total} alleles; at least {FEWEST} are needed" if total < FEWEST else ""


def _weight_columns(
    score: Score, compared: Comparison, alleles: _Alleles, height: int
) -> list[pl.Series]:
    """Return the columns `score.weights`: NaN for alleles that are not compared."""
    names = [other.name for other in compared.scores]
    values = compared.values[[names.index(part) for part in score.parts]]
    weights = np.full((len(score.weights), height), np.nan)
    weights[:, compared.rows] = _weights(score, values, alleles)
    return [pl.Series(name, column) for name, column in zip(score.weights, weights, strict=True)]


def _weights(score: Score, values: Floats, alleles: _Alleles) -> Floats:
    """Return constant and weights of each allele, of the fit without its chromosome.

    The constant makes 0 the value of the task's mean allele, the same one in every fold.

    Returns
    -------
    numpy.ndarray
        Shape (1 + parts, alleles).
    """
    center = values.mean(axis=1)
    weights = np.empty((len(values) + 1, values.shape[1]))
    per_deviation = []
    for fold, training in alleles.folds():
        features = values[:, training]
        if mutation_context.SCORE.name in score.parts:
            features[score.parts.index(mutation_context.SCORE.name)] = alleles.baseline(training)
        slopes, spread = _slopes(features, _at(alleles.truth, np.flatnonzero(training)))
        weights[:, alleles.fold == fold] = np.array([-slopes @ center, *slopes])[:, None]
        per_deviation.append(slopes * spread)
    shown = ", ".join(
        f"{part} {of_folds.mean():.3g} ({of_folds.min():.3g} to {of_folds.max():.3g})"
        for part, of_folds in zip(score.parts, np.array(per_deviation).T, strict=True)
    )
    log.info(
        "evaluate.fit: %s: weights per standard deviation, mean and range of the folds: %s",
        score.name,
        shown,
    )
    return weights


def _slopes(features: Floats, truth: Classes | Floats) -> tuple[Floats, Floats]:
    """Return the weights of scores as they are, and the scores' standard deviations.

    Parameters
    ----------
    features : numpy.ndarray
        Shape (parts, alleles).
    truth : tuple of numpy.ndarray, or numpy.ndarray
        Shape (alleles,).
    """
    if isinstance(truth, tuple):
        either = truth[0] | truth[1]
        features = features[:, either]
    mean, spread = features.mean(axis=1), features.std(axis=1)
    spread = np.where(spread > 0, spread, 1)  # what does not differ has the weight 0
    standardised = (features - mean[:, None]) / spread[:, None]
    if isinstance(truth, tuple):
        fit = logistic(standardised, truth[0][either])
    else:
        fit = linear(standardised, truth)
    return fit / spread, spread


def logistic(features: Floats, positive: Flags) -> Floats:
    """Return the weights of scikit-learn's logistic regression with the ridge `RIDGE` n.

    Parameters
    ----------
    features : numpy.ndarray
        Standardised, shape (parts, alleles).
    positive : numpy.ndarray
        bool, both values there, shape (alleles,).

    Returns
    -------
    numpy.ndarray
        Shape (parts,).
    """
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

    model = LogisticRegression(C=1 / (RIDGE * positive.size), tol=_CLOSE, max_iter=_STEPS)
    weights: Floats = model.fit(features.T, positive).coef_[0]
    return weights


def linear(features: Floats, numbers: Floats) -> Floats:
    """Return the weights of scikit-learn's ridge regression, with the ridge `RIDGE` n.

    Parameters
    ----------
    features : numpy.ndarray
        Standardised, shape (parts, alleles).
    numbers : numpy.ndarray
        Finite, shape (alleles,).

    Returns
    -------
    numpy.ndarray
        Shape (parts,).
    """
    from sklearn.linear_model import Ridge

    weights: Floats = Ridge(alpha=RIDGE * numbers.size).fit(features.T, numbers).coef_
    return weights

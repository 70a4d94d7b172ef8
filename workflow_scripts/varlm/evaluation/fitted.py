"""Scores fitted to a task: a regression of its truth on several scores, one chromosome left out.

What two scores know together is more than what their mean rank shows where one of them is much
better. So the weights are fitted: logistic regression of the classes, linear regression of a
number, on standardised scores. An allele's value comes of weights that its own chromosome took no
part in (leave one chromosome out, as the linear probes and ensembles of TraitGym have it: Benegas,
Eraslan and Song, bioRxiv 2025, 10.1101/2025.02.11.637758), since neighbours share their truth.

The regression's intercept is left out of the value. It is the log-odds of the other chromosomes,
which are low where an allele's own chromosome has many positives: with it, a score of noise alone
would tell positives from negatives the wrong way round.

Of match groups and strata it is fitted anew, to what differs within them (`with_fits`).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from varlm.evaluation import mutation_context
from varlm.evaluation.compared import Comparison, Score, comparison
from varlm.evaluation.fit_alleles import Codes, FitAlleles, Flags, Floats
from varlm.evaluation.mutation_context import Classes, at
from varlm.evaluation.rows import EVERYTHING, Row
from varlm.evaluation.strata import TaskStrata

log = logging.getLogger(__name__)

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
    sets: Codes | None = None,
) -> Fits:
    """Fit the scores that are fitted to a task, on the alleles for which all scores have a value.

    With sets, whose alleles are compared with each other alone, on scores less their mean in the
    set: what differs between sets says nothing there, and a weight that learned it may have the
    wrong sign within them. Of pairs this is conditional logistic regression (twice its weights),
    of larger sets an approximation of it.

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
    sets : numpy.ndarray, optional
        Number of each allele's set, −1: of none, int64, of the same shape; of two classes only.
        Alleles of no set have no weights, those of a set of one class take no part in the fit.
    """
    wanted = [score for score in scores if score.fitted]
    if not wanted:
        return Fits(table, list(scores), [])
    in_sets = members if sets is None else members & (sets >= 0)
    compared = comparison(table, [score for score in scores if not score.parts], in_sets, turned)
    of_task = compared.rows if sets is None else np.flatnonzero(members)
    alleles = FitAlleles.of(compared.rows, of_task, table, truth, known, sets)
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


def strata_with_fits(
    strata: TaskStrata | None,
    table: pl.DataFrame,
    scores: Sequence[Score],
    members: Flags,
    truth: Classes | Floats,
    turned: Flags | None = None,
    known: pl.DataFrame | None = None,
) -> TaskStrata | None:
    """Return a task's strata with what is fitted within them; the others are as in `with_fits`."""
    if strata is None or not strata.words or not any(score.fitted for score in scores):
        return strata
    codes = strata.within_chromosomes(table["chrom"])
    within = with_fits(table, scores, members, truth, turned, known, codes)
    columns = [name for score in within.scores for name in score.weights]
    unfit = {row["score"]: row["note"] for row in within.rows}
    return replace(strata, weights=within.table.select(columns) if columns else None, unfit=unfit)


def _unfit(score: Score, compared: Comparison, alleles: FitAlleles) -> str:
    """Return why a score cannot be fitted, "" where it can."""
    there = {other.name for other in compared.scores}
    if lacking := [part for part in score.parts if part not in there]:
        return f"not fitted: {' and '.join(lacking)} has no value on any allele of the task"
    if not alleles.at.size:
        return "not fitted: no allele of the task has a value of every score"
    few = alleles.too_few()
    return f"not fitted: {few}" if few else ""


def _weight_columns(
    score: Score, compared: Comparison, alleles: FitAlleles, height: int
) -> list[pl.Series]:
    """Return the columns `score.weights`: NaN for alleles that are not compared."""
    names = [other.name for other in compared.scores]
    values = compared.values[[names.index(part) for part in score.parts]]
    weights = np.full((len(score.weights), height), np.nan)
    weights[:, compared.rows] = _weights(score, values, alleles)
    return [pl.Series(name, column) for name, column in zip(score.weights, weights, strict=True)]


def _weights(score: Score, values: Floats, alleles: FitAlleles) -> Floats:
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
    fold_of_each, truth = alleles.fold, alleles.truth
    for fold, training in alleles.folds():
        features = values[:, training]
        if mutation_context.SCORE.name in score.parts:
            own = score.parts.index(mutation_context.SCORE.name)
            features[own] = alleles.baseline(fold)[training]
        features = alleles.centred(features, training)
        slopes, spread = _slopes(features, at(truth, np.flatnonzero(training)))
        weights[:, fold_of_each == fold] = np.array([-slopes @ center, *slopes])[:, None]
        per_deviation.append(slopes * spread)
    shown = ", ".join(
        f"{part} {of_folds.mean():.3g} ({of_folds.min():.3g} to {of_folds.max():.3g})"
        for part, of_folds in zip(score.parts, np.array(per_deviation).T, strict=True)
    )
    log.info(
        "evaluate.fit: %s%s: weights per standard deviation, mean and range of the folds: %s",
        score.name,
        "" if alleles.sets is None else ", within match groups or strata",
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

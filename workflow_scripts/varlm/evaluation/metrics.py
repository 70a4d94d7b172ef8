"""AUROC, average precision, Spearman's correlation and odds ratios, with 95 % intervals.

Several scores of the same alleles are measured together: a resample draws alleles, and all scores
see the same draw (`varlm.evaluation.resampling`). A resample is a vector of counts, one for each
allele, so that each score is sorted once, however many resamples there are: 1,000 resamples of
100,000 alleles (a tenth of them positive) take 1.4 s, and 0.4 s more for each further score; of a
correlation 4 s for each score.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from varlm.evaluation.resampling import (
    NORMAL_QUANTILE,
    Counts,
    Floats,
    Interval,
    Measured,
    group_resamples,
    item_resamples,
    resamples,
)

Flags = NDArray[np.bool_]

FEWEST_CHROMOSOMES = 5  # of which resamples make an interval


def _dot(a: NDArray[np.int64] | Floats, b: Floats) -> float:
    """Return Σ a b. Not `np.dot`: its BLAS starts threads, which wait for each other (15 times)."""
    return float(np.sum(a * b))


class _Curve:
    """A score sorted once, from the highest, its ties together.

    Only what happens at the values of positives is needed: how many negatives are above each, and
    how many are not below it.
    """

    def __init__(self, positives: Floats, negatives: Floats):
        self.order_positive = np.argsort(-positives, kind="stable")
        self.order_negative = np.argsort(-negatives, kind="stable")
        ranked = -positives[self.order_positive]
        self.ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
        below = -negatives[self.order_negative]
        self.above = np.searchsorted(below, ranked[self.ends], "left")
        self.not_below = np.searchsorted(below, ranked[self.ends], "right")

    def areas(self, positive: Counts, negative: Counts) -> tuple[float, float]:
        """Return AUROC and average precision, each item as often as it was drawn."""
        false = np.zeros(negative.size + 1, np.int64)
        np.cumsum(negative[self.order_negative], out=false[1:])
        true = np.cumsum(positive[self.order_positive])[self.ends]
        new = np.diff(true, prepend=0)  # items of one value are beyond a threshold together
        above, not_below = false[self.above], false[self.not_below]
        lost = _dot(new, (above + not_below) / 2) / (float(true[-1]) * float(false[-1]))
        precision = true / np.maximum(true + not_below, 1)
        return 1 - lost, _dot(new, precision) / float(true[-1])


def areas(
    scores: Floats,
    positive: Flags,
    count: int = 0,
    seed: int = 0,
    groups: NDArray[np.int64] | None = None,
) -> tuple[Measured, Measured]:
    """Return AUROC and average precision of several scores of the same alleles.

    AUROC is the share of pairs of a positive and a negative in which the positive has the higher
    score, ties half. Average precision (the AUPRC of TraitGym and scikit-learn) is Σ (Rᵢ − Rᵢ₋₁) Pᵢ
    over the thresholds from the highest, without interpolation; alleles of one value share a
    threshold. Resamples draw positives and negatives apart, so that both numbers stay.

    Parameters
    ----------
    scores : numpy.ndarray
        Higher is more like the positives; finite, shape (scores, alleles).
    positive : numpy.ndarray
        bool, shape (alleles,); there must be one of each class.
    count, seed : int
        Number of resamples, and what they are drawn from.
    groups : numpy.ndarray, optional
        Number of each allele's group, from 0, shape (alleles,): whole groups are drawn. Those of
        positives alone, of negatives alone, and of both are drawn apart.
    """
    positives = int(positive.sum())
    if not 0 < positives < positive.size:
        raise ValueError(f"{positives} of {positive.size} are positive: one class is missing")
    curves = [_Curve(score[positive], score[~positive]) for score in scores]
    strata = (positives, positive.size - positives)
    once = [np.ones(size, np.int64) for size in strata]
    draws = (
        resamples(strata, count, seed)
        if groups is None
        else _of_groups(groups, positive, count, seed)
    )
    points = np.array([curve.areas(*once) for curve in curves])
    resampled = np.empty((2, len(curves), count))
    for i, drawn in enumerate(draws):
        for k, curve in enumerate(curves):
            resampled[:, k, i] = curve.areas(*drawn)
    return Measured(points[:, 0], resampled[0]), Measured(points[:, 1], resampled[1])


def _of_groups(
    groups: NDArray[np.int64], positive: Flags, count: int, seed: int
) -> Iterator[list[Counts]]:
    """Yield how often each positive and each negative is drawn, with its group."""
    counted = [
        np.bincount(groups[some], minlength=int(groups.max()) + 1) for some in (~positive, positive)
    ]
    strata = np.where(counted[1] == 0, 1, np.where(counted[0] == 0, 0, 2))
    for drawn in group_resamples(groups, strata, count, seed):
        yield [drawn[positive], drawn[~positive]]


@dataclass(frozen=True)
class ByChromosome:
    """AUROC and average precision within chromosomes, averaged.

    Attributes
    ----------
    auroc, auprc : Measured
    chromosomes : int
        Those that have both classes.
    alleles : int
        On them.
    """

    auroc: Measured
    auprc: Measured
    chromosomes: int
    alleles: int


def areas_by_chromosome(
    scores: Floats, positive: Flags, chromosome: NDArray[np.int64], count: int = 0, seed: int = 0
) -> ByChromosome | None:
    """Return the metrics within each chromosome, averaged by its alleles; None: none has both.

    The protocol of TraitGym (Benegas, Eraslan and Song, bioRxiv 2025, 10.1101/2025.02.11.637758;
    `AUPRC_by_chrom_weighted_average` in songlab-cal/TraitGym): the weight of a chromosome is the
    number of its alleles, and chromosomes without a positive or a negative are left out. Resamples
    draw whole chromosomes, since alleles near each other are not independent; of fewer than
    `FEWEST_CHROMOSOMES` there are none.

    Parameters
    ----------
    scores, positive, count, seed
        As in `areas`.
    chromosome : numpy.ndarray
        A number for each chromosome, shape (alleles,).
    """
    weights, values = [], []
    for code in np.unique(chromosome):
        members = chromosome == code
        if not 0 < positive[members].sum() < members.sum():
            continue
        both = areas(scores[:, members], positive[members])
        weights.append(int(members.sum()))
        values.append([measured.values for measured in both])
    if not weights:
        return None
    weight = np.array(weights, np.float64)
    count = count if weight.size >= FEWEST_CHROMOSOMES else 0
    by_chromosome = np.array(values)  # (chromosomes, 2, scores)
    points = np.tensordot(weight, by_chromosome, (0, 0)) / weight.sum()
    drawn = np.array([of_one for (of_one,) in resamples([weight.size], count, seed)])
    drawn = drawn.reshape(count, weight.size) * weight
    resampled = np.tensordot(drawn, by_chromosome, (1, 0)) / drawn.sum(axis=1)[:, None, None]
    auroc, auprc = (Measured(points[i], resampled[:, i].T) for i in (0, 1))
    return ByChromosome(auroc, auprc, weight.size, int(weight.sum()))


class _Ranks:
    """Values sorted once, whose ranks are asked for with each item some number of times."""

    def __init__(self, values: Floats):
        self.order = np.argsort(values, kind="stable")
        ranked = values[self.order]
        new = np.append(True, ranked[1:] != ranked[:-1])
        self.ends = np.append(np.flatnonzero(new)[1:], values.size) - 1
        self.group = np.empty(values.size, np.int64)
        self.group[self.order] = np.cumsum(new) - 1

    def of(self, counts: Counts) -> Floats:
        """Return each item's rank, from 1, ties their mean, shape (items,)."""
        after = np.cumsum(counts[self.order])[self.ends]
        before = np.append(0, after[:-1])
        middle: Floats = (before + after + 1) / 2
        return middle[self.group]


def spearman(
    scores: Floats,
    numbers: Floats,
    count: int = 0,
    seed: int = 0,
    groups: NDArray[np.int64] | None = None,
) -> Measured:
    """Return Spearman's rank correlation of several scores with a number of the same alleles.

    NaN where a score or the number is the same for all alleles (of a resample).

    Parameters
    ----------
    scores : numpy.ndarray
        Finite, shape (scores, alleles).
    numbers : numpy.ndarray
        Finite, shape (alleles,).
    count, seed : int
        Number of resamples of the alleles, and what they are drawn from.
    groups : numpy.ndarray, optional
        Number of each allele's group, from 0, shape (alleles,): whole groups are drawn.
    """
    of_scores, of_numbers = [_Ranks(score) for score in scores], _Ranks(numbers)

    def correlations(counts: Counts) -> list[float]:
        middle = (int(counts.sum()) + 1) / 2  # the mean of the ranks
        y = of_numbers.of(counts) - middle
        weighted = counts * y
        spread = _dot(weighted, y)
        by_score = []
        for ranks in of_scores:
            x = ranks.of(counts) - middle
            both = float(np.sqrt(_dot(counts * x, x) * spread))
            by_score.append(_dot(weighted, x) / both if both > 0 else np.nan)
        return by_score

    points = np.array(correlations(np.ones(numbers.size, np.int64)))
    resampled = np.empty((len(of_scores), count))
    for i, drawn in enumerate(item_resamples(numbers.size, groups, count, seed)):
        resampled[:, i] = correlations(drawn)
    return Measured(points, resampled)


@dataclass(frozen=True)
class OddsRatio:
    """An odds ratio of a 2 × 2 table, its 95 % interval and the p-value of Fisher's exact test.

    `corrected`: a cell was empty, and 0.5 was added to each (for the ratio and the interval).
    """

    value: float
    interval: Interval
    p_value: float
    corrected: bool


def odds_ratio(rare_in: int, common_in: int, rare_out: int, common_out: int) -> OddsRatio:
    """Return the odds of being rare inside a set, over those outside it.

    The ratio is the sample's, its interval Woolf's (log ratio ± 1.96 √Σ 1/cell), as
    `scipy.stats.contingency.odds_ratio(kind="sample")` has them; with an empty cell, 0.5 is added
    to each (Haldane and Anscombe), so that both are finite. The p-value is two-sided.
    """
    from scipy.stats import fisher_exact  # type: ignore[import-untyped]

    table = [[rare_in, common_in], [rare_out, common_out]]
    cells = _cells(rare_in, common_in, rare_out, common_out)
    log_ratio = log_odds_ratio(rare_in, common_in, rare_out, common_out)
    half = NORMAL_QUANTILE * float(np.sqrt((1 / cells).sum()))
    low, high = np.exp([log_ratio - half, log_ratio + half])
    return OddsRatio(
        float(np.exp(log_ratio)),
        Interval(float(low), float(high)),
        float(fisher_exact(table).pvalue),
        0 in (rare_in, common_in, rare_out, common_out),
    )


def log_odds_ratio(rare_in: int, common_in: int, rare_out: int, common_out: int) -> float:
    """Return the natural logarithm of what `odds_ratio` returns."""
    a, b, c, d = np.log(_cells(rare_in, common_in, rare_out, common_out))
    return float(a - b - c + d)


def _cells(*counts: int) -> Floats:
    """Return the cells of a 2 × 2 table, 0.5 added to each where one is empty."""
    return np.array(counts, np.float64) + 0.5 * (0 in counts)


def highest(score: Floats, share: float) -> Flags:
    """Return which alleles are among the highest `share` of a score, shape (alleles,).

    Alleles whose value equals that of the last one within are in as well: with many ties it may be
    far more than `share`.
    """
    count = int(np.ceil(share * score.size))
    if not count:
        return np.zeros(score.size, bool)
    threshold = np.partition(score, score.size - count)[score.size - count]
    return np.asarray(score >= threshold)


def mean_rank(scores: Floats) -> Floats:
    """Return the mean of the ranks of several scores, ties their mean, shape (alleles,).

    A combination without anything to fit: each score counts as much as the other, whatever its
    scale.
    """
    ones = np.ones(scores.shape[1], np.int64)
    mean: Floats = np.mean([_Ranks(score).of(ones) for score in scores], axis=0)
    return mean

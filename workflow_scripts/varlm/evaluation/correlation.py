"""Pearson's correlation, and correlations within groups, averaged.

Numbers of several studies, genes or elements are on scales of their own: pooled, a correlation is
mostly of their means. So it is computed within each group and averaged, each as much as the other
(as ProteinGym averages Spearman's ρ over its assays: Notin et al., NeurIPS 2023,
10.1101/2023.12.07.570727).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from varlm.evaluation.metrics import FEWEST_CHROMOSOMES, spearman
from varlm.evaluation.resampling import Counts, Floats, Measured, item_resamples, resamples

FEWEST_OF_A_GROUP = 10  # alleles
FEWEST_GROUPS = FEWEST_CHROMOSOMES  # of which resamples make an interval
_FLAT = 1e-13  # variance over mean square: what is left of values that are all the same


def pearson(
    scores: Floats,
    numbers: Floats,
    count: int = 0,
    seed: int = 0,
    groups: NDArray[np.int64] | None = None,
) -> Measured:
    """Return Pearson's correlation of several scores with a number of the same alleles.

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
    moments = [_Moments(score, numbers) for score in scores]
    points = np.array([of.correlation(np.ones(numbers.size, np.int64)) for of in moments])
    resampled = np.empty((len(moments), count))
    for i, drawn in enumerate(item_resamples(numbers.size, groups, count, seed)):
        resampled[:, i] = [of.correlation(drawn) for of in moments]
    return Measured(points, resampled)


class _Moments:
    """A score and a number about their means, so that differences of sums lose no digits."""

    def __init__(self, score: Floats, numbers: Floats):
        x, y = score - score.mean(), numbers - numbers.mean()
        self.powers = np.stack([x, y, x * x, y * y, x * y])

    def correlation(self, counts: Counts) -> float:
        """Return it, each allele as often as it was drawn."""
        x, y, xx, yy, xy = (self.powers * counts).sum(axis=1) / counts.sum()
        spread_x, spread_y = xx - x * x, yy - y * y
        if spread_x <= _FLAT * xx or spread_y <= _FLAT * yy:
            return np.nan
        return float(np.clip((xy - x * y) / np.sqrt(spread_x * spread_y), -1, 1))


@dataclass(frozen=True)
class ByGroup:
    """Correlations within groups, averaged.

    Attributes
    ----------
    spearman, pearson : Measured
    groups, alleles : int
        How many there are in it.
    small, flat : int
        Groups left out since they are of fewer than `FEWEST_OF_A_GROUP` alleles, or since the
        number is the same for all of them.
    """

    spearman: Measured
    pearson: Measured
    groups: int
    alleles: int
    small: int
    flat: int


def by_group(
    scores: Floats, numbers: Floats, group: NDArray[np.int64], count: int = 0, seed: int = 0
) -> ByGroup:
    """Return the mean over groups of the correlations within them, each weighing the same.

    A score that is the same for all alleles of a group counts as 0 there: it puts nothing in order,
    and left out it would be compared on other groups than the other scores. Resamples draw whole
    groups; of fewer than `FEWEST_GROUPS` there are none. NaN where there is no group.

    Parameters
    ----------
    scores, numbers, count, seed
        As in `pearson`.
    group : numpy.ndarray
        A number for each group, −1: of none; shape (alleles,).
    """
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    all_groups = np.split(order, starts)[1:]
    large = [rows for rows in all_groups if rows.size >= FEWEST_OF_A_GROUP]
    kept = [rows for rows in large if np.ptp(numbers[rows]) > 0]
    within = np.array(
        [[of(scores[:, rows], numbers[rows]).values for of in (spearman, pearson)] for rows in kept]
    ).reshape(len(kept), 2, len(scores))
    of_spearman, of_pearson = (_mean(np.nan_to_num(within[:, i]), count, seed) for i in (0, 1))
    return ByGroup(
        of_spearman,
        of_pearson,
        len(kept),
        _total(kept),
        len(all_groups) - len(large),
        len(large) - len(kept),
    )


def _total(groups: Sequence[NDArray[np.int64]]) -> int:
    return sum(rows.size for rows in groups)


def _mean(within: Floats, count: int, seed: int) -> Measured:
    """Return the mean over groups of values of shape (groups, scores)."""
    groups, scores = within.shape
    if not groups:
        return Measured(np.full(scores, np.nan), np.empty((scores, 0)))
    count = count if groups >= FEWEST_GROUPS else 0
    resampled = np.empty((scores, count))
    for i, (drawn,) in enumerate(resamples([groups], count, seed)):
        resampled[:, i] = drawn @ within / groups
    return Measured(within.mean(axis=0), resampled)

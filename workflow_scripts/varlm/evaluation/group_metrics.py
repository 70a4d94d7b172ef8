"""Scores within match groups: pairs in the right order, their share, and its mean over classes.

The share of pairs within groups that are in the right order is Σ of Mann-Whitney counts (Mann and
Whitney, Annals of Mathematical Statistics 1947, 10.1214/aoms/1177730491) over Σ of pairs. Of
groups with one positive and one negative it is pairwise accuracy, whose standard error is that of
a binomial share: √(p(1 − p)/n). Where that is 0, for all pairs are in one order, the interval is
Wilson's (Journal of the American Statistical Association 1927, 10.1080/01621459.1927.10502953).
Resamples draw whole groups, since the alleles of one are not
independent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from varlm.evaluation.resampling import NORMAL_QUANTILE, Floats, Interval, Measured, resamples

Flags = NDArray[np.bool_]
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Sets:
    """Match groups of some alleles: each has both classes; arrays of shape (alleles,).

    Attributes
    ----------
    positive : numpy.ndarray
        bool.
    group : numpy.ndarray
        Number of the allele's group, from 0, int64.
    """

    positive: Flags
    group: Codes

    @property
    def pairs(self) -> Floats:
        """Pairs of a positive and a negative in each group, shape (groups,)."""
        counts = (np.bincount(self.group[flags]) for flags in (self.positive, ~self.positive))
        return np.multiply(*counts).astype(np.float64)


def ordered_pairs(scores: Floats, sets: Sets) -> Floats:
    """Return how many pairs within each group each score puts in the right order, ties half.

    Parameters
    ----------
    scores : numpy.ndarray
        Higher is more like the positives; finite, shape (scores, alleles).
    sets : Sets

    Returns
    -------
    numpy.ndarray
        Mann-Whitney's count of each group, shape (scores, groups).
    """
    return np.array([_ordered_pairs(score, sets) for score in scores])


def _ordered_pairs(score: Floats, sets: Sets) -> Floats:
    order = np.lexsort((score, sets.group))
    group, values, positive = sets.group[order], score[order], sets.positive[order]
    new_group = np.append(True, group[1:] != group[:-1])
    new = new_group | np.append(True, values[1:] != values[:-1])  # of one group and value
    starts = np.flatnonzero(new)
    positives, negatives = (
        np.add.reduceat(flags.astype(np.float64), starts) for flags in (positive, ~positive)
    )
    below = np.cumsum(negatives) - negatives  # negatives before, in all groups before too
    first = np.flatnonzero(new_group[starts])
    of_group = np.cumsum(new_group[starts]) - 1
    below -= below[first][of_group]
    counts: Floats = np.bincount(of_group, positives * (below + negatives / 2)).astype(np.float64)
    return counts


def within_groups(ordered: Floats, pairs: Floats, count: int = 0, seed: int = 0) -> Measured:
    """Return the share of pairs within groups that are in the right order.

    Of groups with one positive and one negative it is pairwise accuracy.

    Parameters
    ----------
    ordered : numpy.ndarray
        From `ordered_pairs`, shape (scores, groups).
    pairs : numpy.ndarray
        `Sets.pairs`, shape (groups,).
    count, seed : int
        Number of resamples of the groups, and what they are drawn from.
    """
    resampled = np.empty((len(ordered), count))
    for i, (drawn,) in enumerate(resamples([pairs.size], count, seed)):
        resampled[:, i] = (ordered * drawn).sum(axis=1) / (pairs * drawn).sum()
    return Measured(ordered.sum(axis=1) / pairs.sum(), resampled)


def by_class(
    ordered: Floats, pairs: Floats, classes: Codes, count: int = 0, seed: int = 0
) -> Measured:
    """Return the share of pairs within groups, averaged over classes of groups, each as much.

    Parameters
    ----------
    ordered, pairs, count, seed
        As in `within_groups`; resamples draw the groups of each class apart.
    classes : numpy.ndarray
        Number of each group's class, from 0; −1: of none. Shape (groups,).
    """
    members = [np.flatnonzero(classes == number) for number in range(classes.max() + 1)]
    parts = [(ordered[:, rows], pairs[rows]) for rows in members]
    points = np.mean([part.sum(axis=1) / of_pairs.sum() for part, of_pairs in parts], axis=0)
    resampled = np.empty((len(ordered), count))
    for i, drawn in enumerate(resamples([rows.size for rows in members], count, seed)):
        resampled[:, i] = np.mean(
            [
                (part * times).sum(axis=1) / (of_pairs * times).sum()
                for (part, of_pairs), times in zip(parts, drawn, strict=True)
            ],
            axis=0,
        )
    return Measured(points, resampled)


def standard_error(share: float, pairs: int) -> float:
    """Return that of a share of independent pairs, √(p(1 − p)/n)."""
    return float(np.sqrt(share * (1 - share) / pairs))


def share_interval(share: float, pairs: int) -> Interval:
    """Return the 95 % interval of a share of independent pairs.

    Of its standard error, cut at 0 and 1; of a share of 0 or 1, which has none, Wilson's.
    """
    if share in (0, 1):
        other_end = float(NORMAL_QUANTILE**2 / (pairs + NORMAL_QUANTILE**2))
        return Interval(0.0, other_end) if share == 0 else Interval(1 - other_end, 1.0)
    half = NORMAL_QUANTILE * standard_error(share, pairs)
    return Interval(float(max(share - half, 0)), float(min(share + half, 1)))

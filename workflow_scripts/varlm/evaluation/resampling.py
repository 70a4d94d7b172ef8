"""Bootstrap: items drawn again with replacement, and what a figure does meanwhile.

Several scores of the same items are measured on the same draws, so that the difference of two has
an interval of its own (paired bootstrap). Intervals are percentiles of the resamples (Efron and
Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

CONFIDENCE = 0.95
NORMAL_QUANTILE = 1.959963984540054  # of (1 + CONFIDENCE) / 2


class Interval(NamedTuple):
    """Lower and upper end; both None where nothing was resampled."""

    low: float | None
    high: float | None


NO_INTERVAL = Interval(None, None)


@dataclass(frozen=True)
class Measured:
    """One metric of several scores on the same alleles.

    Attributes
    ----------
    values : numpy.ndarray
        Shape (scores,).
    resampled : numpy.ndarray
        The same of each resample, shape (scores, resamples); resamples may be 0.
    """

    values: Floats
    resampled: Floats

    def interval(self, score: int) -> Interval:
        """Return the interval of a score's value."""
        return percentile_interval(self.resampled[score])

    def difference(self, score: int, other: int = 0) -> float:
        """Return by how much a score's value is above another's."""
        return float(self.values[score] - self.values[other])

    def difference_interval(self, score: int, other: int = 0) -> Interval:
        """Return the interval of that difference, both scores on the same resamples."""
        return percentile_interval(self.resampled[score] - self.resampled[other])


def percentile_interval(resampled: Floats) -> Interval:
    """Return the central `CONFIDENCE` of resampled values, shape (resamples,); NaN is left out."""
    resampled = resampled[~np.isnan(resampled)]
    if not resampled.size:
        return NO_INTERVAL
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return Interval(float(low), float(high))


def resamples(sizes: Sequence[int], count: int, seed: int) -> Iterator[list[Counts]]:
    """Yield how often each item of each stratum is drawn: as many as it has, with replacement.

    Parameters
    ----------
    sizes : sequence of int
        Items of each stratum.
    count : int
        Number of resamples.
    seed : int
        The same seed yields the same resamples.
    """
    rng = np.random.default_rng(seed)
    for _ in range(count):
        yield [np.bincount(rng.integers(0, size, size), minlength=size) for size in sizes]


def group_resamples(
    groups: NDArray[np.int64], strata: NDArray[np.int64], count: int, seed: int
) -> Iterator[Counts]:
    """Yield how often each item is drawn, with all of its group: shape (items,).

    Parameters
    ----------
    groups : numpy.ndarray
        Number of each item's group, from 0, each there; shape (items,).
    strata : numpy.ndarray
        Of each group, from 0: as many groups of a stratum are drawn as it has; shape (groups,).
    count, seed : int
        As of `resamples`.
    """
    members = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    drawn = np.empty(strata.size, np.int64)
    for counts in resamples([of_one.size for of_one in members], count, seed):
        for of_one, times in zip(members, counts, strict=True):
            drawn[of_one] = times
        yield drawn[groups]


def item_resamples(
    items: int, groups: NDArray[np.int64] | None, count: int, seed: int
) -> Iterator[Counts]:
    """Yield how often each item is drawn: by itself or, with `groups`, with all of its group."""
    if groups is None:
        return (drawn for (drawn,) in resamples([items], count, seed))
    return group_resamples(groups, np.zeros(int(groups.max()) + 1, np.int64), count, seed)

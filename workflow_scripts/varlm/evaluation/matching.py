"""Controls for positives: of the same categories, nearest in what else may tell them apart.

The rule is TraitGym's (Benegas, Eraslan and Song, bioRxiv 2025, 10.1101/2025.02.11.637758;
`match_features` in songlab-cal/TraitGym): features are scaled by the quartiles of positives and
negatives together; within each combination of categories one positive after the other takes the k
nearest negatives that are left, by Euclidean distance; where there are too few of them for all
positives, some positives are drawn at random. Here positives always come in random order; there
those of a category with enough negatives come as in the table.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Codes = NDArray[np.int64]

_BLOCK = 128  # points of a block, at least
_NEAR_BLOCKS = 4  # that are looked into first
_LEAST_SPREAD = 10 * np.finfo(np.float64).eps  # of which a feature is constant, as in scikit-learn


def scaled(features: Floats) -> Floats:
    """Return features over their interquartile range, as scikit-learn's `RobustScaler`.

    Parameters
    ----------
    features : numpy.ndarray
        Finite, shape (features, alleles). Their medians stay: only distances count.
    """
    if not features.size:
        return features
    low, high = np.quantile(features, [0.25, 0.75], axis=1)
    spread = np.where(high - low < _LEAST_SPREAD, 1, high - low)
    return np.asarray(features / spread[:, None])


def match_controls(
    positive: Flags, negative: Flags, category: Codes, features: Floats, controls: int, seed: int
) -> Codes:
    """Return the number of each allele's match group: one positive and its controls.

    Parameters
    ----------
    positive, negative : numpy.ndarray
        Which alleles may be matched, bool, shape (alleles,).
    category : numpy.ndarray
        Number of each allele's category, int64, shape (alleles,).
    features : numpy.ndarray
        What controls are near in: finite for those that may be matched, shape (features, alleles).
    controls : int
        Negatives for each positive.
    seed : int
        Of the order of the positives.

    Returns
    -------
    numpy.ndarray
        From 0; −1 of alleles that are in no group. int64, shape (alleles,).
    """
    rng = np.random.default_rng(seed)
    either = positive | negative
    points = np.full(features.shape, np.nan)
    points[:, either] = scaled(features[:, either])
    points = np.ascontiguousarray(points.T)
    codes = np.full(category.size, -1, np.int64)
    groups = 0
    for positives, negatives in _of_categories(positive, negative, category):
        taken, theirs = nearest_left(points[positives], points[negatives], controls, rng)
        numbers = np.arange(groups, groups + taken.size)
        codes[positives[taken]] = numbers
        codes[negatives[theirs]] = numbers[:, None]
        groups += taken.size
    return codes


def _of_categories(
    positive: Flags, negative: Flags, category: Codes
) -> Iterator[tuple[Codes, Codes]]:
    """Yield positives and negatives of each category, as rows."""
    rows = np.flatnonzero(positive | negative)
    rows = rows[np.argsort(category[rows], kind="stable")]
    new = np.flatnonzero(np.diff(category[rows])) + 1
    for members in np.split(rows, new):
        yield members[positive[members]], members[negative[members]]


def nearest_left(
    positives: Floats, negatives: Floats, controls: int, rng: np.random.Generator
) -> tuple[Codes, Codes]:
    """Return positives in random order, and which negatives each takes: the nearest that are left.

    Parameters
    ----------
    positives, negatives : numpy.ndarray
        Shape (positives, features), (negatives, features).
    controls : int
        Negatives that each takes.
    rng : numpy.random.Generator

    Returns
    -------
    tuple of numpy.ndarray
        Rows of `positives`, as many as there are negatives for, shape (groups,); rows of
        `negatives`, shape (groups, controls).
    """
    number = min(len(positives), len(negatives) // controls)
    order = rng.permutation(len(positives))[:number]
    shuffled = rng.permutation(len(negatives))  # whom nothing tells apart are taken at random
    if not positives.shape[1] or not number:
        return order, shuffled[: number * controls].reshape(number, controls)
    left = _Left(negatives[shuffled])
    taken = np.array([left.take(positives[row], controls) for row in order])
    return order, shuffled[taken]


class _Left:
    """Points that are taken one after the other, in blocks of neighbours.

    A search looks into blocks by how near their bounding boxes are, and those of which nothing is
    left cost nothing: 10,000 positives take 9 of 90,000 points each in 1 to 2 s, also where all of
    them are at one spot, at which a k-d tree would go over what is taken again and again.
    """

    def __init__(self, points: Floats):
        self.points = points
        self.members = list(_blocks(points, max(_BLOCK, int(np.sqrt(len(points)) / 2))))
        self.low = np.array([points[rows].min(axis=0) for rows in self.members])
        self.high = np.array([points[rows].max(axis=0) for rows in self.members])
        self.sizes = np.array([rows.size for rows in self.members])
        self.block = np.empty(len(points), np.int64)
        for number, rows in enumerate(self.members):
            self.block[rows] = number
        self.free = np.ones(len(points), bool)

    def take(self, point: Floats, number: int) -> Codes:
        """Return the rows of the nearest points that are left; there must be so many."""
        away = _squared(np.maximum(np.maximum(self.low - point, point - self.high), 0))
        first = self._nearest_blocks(away, number)
        rows, distances = self._inside(first, point)
        furthest = np.partition(distances, number - 1)[number - 1]
        also = np.setdiff1d(np.flatnonzero(away < furthest), first)
        if also.size:
            others, more = self._inside(also, point)
            rows, distances = np.append(rows, others), np.append(distances, more)
        taken = rows[np.argpartition(distances, number - 1)[:number]]
        self._remove(taken)
        return np.asarray(taken)

    def _nearest_blocks(self, away: Floats, number: int) -> Codes:
        """Return the nearest blocks that have as many points together."""
        most = _NEAR_BLOCKS
        while most < away.size:
            blocks = np.argpartition(away, most)[:most]
            if self.sizes[blocks].sum() >= number:
                return np.asarray(blocks)
            most *= 2
        return np.flatnonzero(self.sizes)

    def _inside(self, blocks: Codes, point: Floats) -> tuple[Codes, Floats]:
        rows = np.concatenate([self.members[block] for block in blocks])
        return rows, _squared(self.points[rows] - point)

    def _remove(self, taken: Codes) -> None:
        self.free[taken] = False
        for block in set(self.block[taken].tolist()):
            rows = self.members[block]
            self.members[block] = rows[self.free[rows]]
            self.sizes[block] = self.members[block].size
            if not self.sizes[block]:
                self.low[block] = np.inf


def _squared(differences: Floats) -> Floats:
    """Return the squared length of each row."""
    return np.asarray(np.einsum("ij,ij->i", differences, differences))


def _blocks(points: Floats, most: int) -> Iterator[Codes]:
    """Yield rows of points that are near each other, at most so many: halves of halves."""
    waiting = [np.arange(len(points))]
    while waiting:
        rows = waiting.pop()
        if rows.size <= most:
            yield rows
            continue
        inside = points[rows]
        widest = int(np.argmax(inside.max(axis=0) - inside.min(axis=0)))
        middle = rows.size // 2
        halves = np.argpartition(inside[:, widest], middle)
        waiting += [rows[halves[middle:]], rows[halves[:middle]]]

"""Are differences above zero? A signed-rank test, and many of them at once. No scipy here.

The steps that load a model run where there is none; the tests compare with it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_EXACT = 50  # differences, at most, whose signs are all gone through


def wilcoxon_greater(differences: Floats) -> float:
    """Return the p-value of Wilcoxon's signed-rank test that differences are above zero.

    One-sided; zeros are left out. Exact for 50 differences or fewer without ties among their sizes,
    else by the normal approximation, corrected for ties. As `scipy.stats.wilcoxon(differences,
    alternative="greater")` has it; 1 where all are zero, of which nothing can be said.

    Parameters
    ----------
    differences : float64, shape (n,)
    """
    differences = differences[differences != 0]
    n = differences.size
    if not n:
        return 1.0
    _, which, tied = np.unique(np.abs(differences), return_inverse=True, return_counts=True)
    rank = (np.cumsum(tied) - (tied - 1) / 2)[which]  # from 1, ties their mean
    above = float(rank[differences > 0].sum())
    if n <= _EXACT and tied.max() == 1:
        return _exact(n, round(above))
    middle = n * (n + 1) / 4
    variance = n * (n + 1) * (2 * n + 1) / 24 - float((tied**3 - tied).sum()) / 48
    return math.erfc((above - middle) / math.sqrt(2 * variance)) / 2


def _exact(n: int, above: int) -> float:
    """Return in which share of all signs of the ranks 1 to n the positive ones add up to it."""
    ways = np.zeros(n * (n + 1) // 2 + 1)
    ways[0] = 1
    for rank in range(1, n + 1):
        ways[rank:] += ways[:-rank].copy()
    return float(ways[above:].sum() / ways.sum())


def benjamini_hochberg(p: Floats) -> Floats:
    """Return q-values: the false discovery rate if all with as low a p-value are called.

    Benjamini & Hochberg 1995 (doi:10.1111/j.2517-6161.1995.tb02031.x).

    Parameters
    ----------
    p : float64, shape (n,)
    """
    order = np.argsort(p)
    scaled = p[order] * p.size / np.arange(1, p.size + 1)
    q = np.empty_like(p)
    q[order] = np.minimum.accumulate(scaled[::-1])[::-1]
    return q

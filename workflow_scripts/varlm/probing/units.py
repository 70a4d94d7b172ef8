"""Rows that overlap on the genome: resampled together, since they say nearly the same.

The windows of two variants 10 bp apart share most of their sequence, and a tiled region is one
place. Drawn apart they would count as so many observations, and intervals would be too narrow.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

Codes = NDArray[np.int64]


def overlap_units(rows: pl.DataFrame, folds: Codes) -> Codes:
    """Return which rows are resampled together, numbered from 0, shape (rows,).

    Those of a fold that overlap on one contig, on either strand, and those that others join
    (chains). A sequence of its own overlaps none.

    Parameters
    ----------
    rows : polars.DataFrame
        `parts.ROWS`: `chrom`, `start`, `end` (0-based, half-open), null of a sequence of its own.
    folds : numpy.ndarray
        Fold of each row, shape (rows,).
    """
    placed = (rows["chrom"].is_not_null() & rows["start"].is_not_null()).to_numpy()
    units = np.empty(rows.height, np.int64)
    units[placed] = _chains(rows.filter(placed), folds[placed])
    first = int(units[placed].max(initial=-1)) + 1
    units[~placed] = first + np.arange((~placed).sum())
    return units


def _chains(rows: pl.DataFrame, folds: Codes) -> Codes:
    """Return chains of overlapping intervals, numbered from 0."""
    if rows.is_empty():
        return np.empty(0, np.int64)
    start, end = (rows[side].to_numpy().astype(np.int64) for side in ("start", "end"))
    contigs = rows["chrom"].rank("dense").to_numpy().astype(np.int64)
    place = folds * (int(contigs.max()) + 1) + contigs
    order = np.lexsort((start, place))
    # Each fold's part of a contig is laid behind the one before, so that none reaches another.
    number = np.unique(place[order], return_inverse=True)[1]
    shift = number * int(end.max() - start.min())
    reach = np.maximum.accumulate(end[order] + shift)
    new = np.append(True, (start[order] + shift)[1:] >= reach[:-1])
    chains = np.empty(rows.height, np.int64)
    chains[order] = np.cumsum(new) - 1
    return chains

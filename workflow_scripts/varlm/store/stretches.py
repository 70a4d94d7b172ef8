"""Cut the rows of a contig into stretches of positions that memory holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import polars as pl

from varlm.store.layout import LAST, Part
from varlm.store.store import Store

_BINS = 1 << 20  # counters at most (8 MB): a bin is 240 bp of the longest human chromosome


def stretches(
    store: Store, key: str, parts: Sequence[Part], rows: int, *, everywhere: bool = False
) -> Iterator[tuple[int, int]]:
    """Yield ranges of positions that together cover the parts' rows, in order.

    Parameters
    ----------
    store : Store
    key : str
        Model key.
    parts : sequence of Part
        Verified parts of one contig and kind.
    rows : int
        How many rows of all parts a range holds at most; a single bin of positions (a few
        hundred bp on a long contig) is not divided.
    everywhere : bool
        Whether they are to cover all positions: packed parts may have a few rows besides.

    Yields
    ------
    start, end : int
        First and last position, 1-based, both included.
    """
    if everywhere:
        ranges = list(stretches(store, key, parts, rows))
        edges = [1, *(start for start, _ in ranges[1:]), LAST + 1]
        yield from ((start, end - 1) for start, end in pairwise(edges))
        return
    first, last = min(part.first for part in parts), max(part.last for part in parts)
    if parts[0].kind == "background":  # its rows are in no order of position alone
        yield 0, LAST
        return
    if sum(part.rows for part in parts) <= rows:
        yield first, last
        return
    width = (last - first) // _BINS + 1
    counts = np.zeros((last - first) // width + 1, dtype=np.int64)
    for part in parts:
        path = part.path(store.root / key)
        positions = pl.read_parquet(path, columns=["pos"])["pos"].to_numpy()
        counts += np.bincount((positions - first) // width, minlength=len(counts))
    total = np.cumsum(counts)
    low = before = 0
    while low < len(counts):
        high = max(int(np.searchsorted(total, before + rows, side="right")), low + 1)
        yield first + low * width, min(first + high * width - 1, last)
        low, before = high, int(total[high - 1])

"""What a table must be asked for, so that no spelling of some alleles is missed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.variants.normalisation import trim

# Where an index knows a row by its position alone: bases that REF and ALT of a row may share on
# their left, beyond the one that VCF wants. Of a VCF, all that REF covers is found.
PADDING = 50
_DENSE = 16  # bp a row up to which a mark for each base is faster than a search
_FAR = 1 << 62

_Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Wanted:
    """Alleles on a contig, and where rows of a table may be that spell them.

    Attributes
    ----------
    contig : str
        The reference's.
    sequence : numpy.ndarray
        uint8 ASCII, shape (length,), upper case.
    alleles : polars.DataFrame
        `row` (of the piece), `pos` (1-based, Int64), `ref`, `alt`, normalised.
    places : numpy.ndarray
        1-based positions of the alleles of one base, sorted, each once.
    first, last : numpy.ndarray
        1-based, both included: where rows of more bases may begin or reach into. Sorted, and none
        touches another.
    """

    contig: str
    sequence: NDArray[np.uint8]
    alleles: pl.DataFrame
    places: _Ints
    first: _Ints
    last: _Ints

    def stretches(self, gap: int) -> list[tuple[int, int]]:
        """Return where to read, 1-based, both included: over gaps of up to so many bases."""
        if not len(self.first):
            return []
        new = np.flatnonzero(self.first[1:] > self.last[:-1] + gap) + 1
        low = self.first[np.concatenate(([0], new))]
        high = self.last[np.concatenate((new - 1, [len(self.last) - 1]))]
        return list(zip(low.tolist(), high.tolist(), strict=True))

    def kept(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the rows that may spell an allele: `pos` (1-based), `ref` and more columns."""
        pos = rows["pos"].fill_null(-1).to_numpy()
        length = rows["ref"].str.len_bytes().fill_null(0).to_numpy()
        single = (length == 1) & (rows["alt"].str.len_bytes().fill_null(0).to_numpy() == 1)
        if single.all():
            return rows.filter(self._is_place(pos))
        kept = np.empty(len(pos), dtype=bool)
        kept[single] = self._is_place(pos[single])
        kept[~single] = self._overlaps(pos[~single], length[~single].astype(np.int64))
        return rows.filter(kept)

    def _is_place(self, pos: _Ints) -> NDArray[np.bool_]:
        low, high = int(pos.min(initial=_FAR)), int(pos.max(initial=0))
        if high - low > _DENSE * len(pos):
            at = np.searchsorted(self.places, pos)
            is_place: NDArray[np.bool_] = np.append(self.places, 0)[at] == pos
            return is_place & (at < len(self.places))
        start, end = np.searchsorted(self.places, (low, high + 1))
        marked = np.zeros(max(0, high - low + 1), dtype=bool)
        marked[self.places[start:end] - low] = True
        return marked[pos - low]

    def _overlaps(self, pos: _Ints, length: _Ints) -> NDArray[np.bool_]:
        at = np.searchsorted(self.last, pos)  # the first that ends there or behind
        inside: NDArray[np.bool_] = at < len(self.first)
        return inside & (np.append(self.first, 0)[at] <= pos + np.maximum(length, 1) - 1)


def wanted_on(contig: str, sequence: NDArray[np.uint8], alleles: pl.DataFrame) -> Wanted:
    """Return what to ask a table for.

    Parameters
    ----------
    contig : str
    sequence : numpy.ndarray
        Of the contig: uint8 ASCII, upper case.
    alleles : polars.DataFrame
        `row`, `pos` (1-based), `ref`, `alt`, normalised; sorted by `pos`.
    """
    alleles = alleles.with_columns(pl.col("pos").cast(pl.Int64))
    pos = alleles["pos"].to_numpy()
    last = pos + alleles["ref"].str.len_bytes().to_numpy().astype(np.int64) - 1
    is_single = (last == pos) & (alleles["alt"].str.len_bytes() == 1).to_numpy()
    others = np.flatnonzero(~is_single)
    refs, alts = (alleles[name].gather(others).to_list() for name in ("ref", "alt"))
    for row, ref, alt in zip(others.tolist(), refs, alts, strict=True):
        reach = _last_spelling(sequence, int(pos[row]), ref.encode(), alt.encode())
        last[row] = max(last[row], reach)
    first, last = _merged(np.maximum(pos - PADDING, 1), last)
    return Wanted(contig, sequence, alleles, np.unique(pos[is_single]), first, last)


def _last_spelling(sequence: NDArray[np.uint8], pos: int, ref: bytes, alt: bytes) -> int:
    """Return the last 1-based position at which a row may begin that spells a normalised allele.

    An insertion or deletion moves right as long as the base that it leaves on its left equals
    the one that it meets on its right.
    """
    start, ref, alt = trim(pos - 1, ref, alt)
    if ref and alt:
        return start + 1
    moved = ref or alt
    end = start + len(ref)
    # One more than its first moved base, where a row has the base behind as anchor.
    return start + _shift_right(sequence, end, moved) + 1


def _shift_right(sequence: NDArray[np.uint8], end: int, moved: bytes) -> int:
    """Return by how many bases `moved` can move right, which the base at `end`, 0-based, follows.

    A base `n` further on equals the moved one `n` on, counted round.
    """
    shift, block = 0, 64
    while end + shift < len(sequence):
        ahead = sequence[end + shift : end + shift + block].tobytes()
        for base in ahead:
            if base != moved[shift % len(moved)]:
                return shift
            shift += 1
        block *= 2
    return shift


def _merged(first: _Ints, last: _Ints) -> tuple[_Ints, _Ints]:
    """Join spans, sorted by `first`, that touch or overlap."""
    if not len(first):
        return first, last
    reach = np.maximum.accumulate(last)
    new = np.concatenate(([True], first[1:] > reach[:-1] + 1))
    starts = np.flatnonzero(new)
    return first[starts], reach[np.append(starts[1:] - 1, len(first) - 1)]

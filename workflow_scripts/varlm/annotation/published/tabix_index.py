"""The index of a bgzip table of text (.tbi or .csi): where the rows of a place begin.

pysam hands out lines one by one, and no offsets. A dense cohort wants most lines of a contig: they
are read in blocks from the offset that the index names, which takes a fifth of the time; pysam is
the tests' oracle. Formats: SAM specification, sections 5.2 and "CSI", and tabix.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from varlm.errors import UserError

_TBI, _CSI = b"TBI\1", b"CSI\1"
_TBI_SHIFT, _TBI_DEPTH = 14, 5
_UNREADABLE = (OSError, EOFError, ValueError, struct.error, zlib.error)


@dataclass(frozen=True)
class Layout:
    """How the lines of an indexed table are made.

    Attributes
    ----------
    contig, pos : int
        Columns, from 0.
    comment : bytes
        What lines begin with that are no rows.
    skip : int
        Lines at the beginning that are none.
    """

    contig: int
    pos: int
    comment: bytes
    skip: int


class TextIndex:
    """An index, in memory.

    Attributes
    ----------
    layout : Layout
    contigs : list of str
        As the table names them, in its order.
    """

    def __init__(self, path: Path):
        """Read an index.

        Raises
        ------
        UserError
            If it cannot be read, or is none of text.
        """
        try:
            data = gzip.decompress(path.read_bytes())
            self.layout, self.contigs, places = _parsed(data)
        except _UNREADABLE as error:
            raise UserError(
                f"{path}: not readable as the index of a table ({error}); make it again: "
                "'tabix -f -s 1 -b 2 -e 2 TABLE' with the table's columns of contig and position"
            ) from error
        self._places = dict(zip(self.contigs, places, strict=True))

    def offset(self, contig: str, start: int) -> int:
        """Return the virtual offset of a row of the contig at or before a position, 0-based."""
        return self._places[contig].offset(start)


def contigs_with_records(index: Path) -> list[bool]:
    """Return which contigs of a BCF have records, by its index, in the order of its header.

    Raises
    ------
    UserError
        If the index cannot be read.
    """
    try:
        data = gzip.decompress(index.read_bytes())
        if data[:4] != _CSI:
            raise ValueError("it is no .csi")
        (length,) = struct.unpack_from("<i", data, 12)
        (count,) = struct.unpack_from("<i", data, 16 + length)
        present, at = [], 20 + length
        for _ in range(count):
            bins, at = _bins(data, at, "<IQi")
            present.append(bool(bins))
    except _UNREADABLE as error:
        raise UserError(
            f"{index}: not readable as the index of a BCF ({error}); make it again with 'bcftools "
            "index -f'"
        ) from error
    return present


@dataclass(frozen=True)
class _Place:
    """The offsets of a contig: of its first row, and from which on rows reach windows of it.

    `windows` are their numbers, of 2**`shift` bp each, sorted; `offsets` never fall.
    """

    first: int
    shift: int
    windows: NDArray[np.int64]
    offsets: NDArray[np.uint64]

    def offset(self, start: int) -> int:
        at = int(np.searchsorted(self.windows, start >> self.shift, side="right")) - 1
        return self.first if at < 0 else max(self.first, int(self.offsets[at]))


def _parsed(data: bytes) -> tuple[Layout, list[str], list[_Place]]:
    if data[:4] == _TBI:
        (count,) = struct.unpack_from("<i", data, 4)
        layout, contigs, at = _head(data, 8)
        shift, depth = _TBI_SHIFT, _TBI_DEPTH
    elif data[:4] == _CSI:
        shift, depth, length = struct.unpack_from("<3i", data, 4)
        if length < 28:
            raise ValueError("it is the index of a BCF or BAM file")
        layout, contigs, _ = _head(data, 16)
        (count,) = struct.unpack_from("<i", data, 16 + length)
        at = 20 + length
    else:
        raise ValueError("it is neither .tbi nor .csi")
    if count != len(contigs):
        raise ValueError(f"{len(contigs)} names of {count} contigs")
    places = []
    for _ in contigs:
        if data[:4] == _TBI:
            place, at = _tbi_place(data, at)
        else:
            place, at = _csi_place(data, at, shift, depth)
        places.append(place)
    return layout, contigs, places


def _head(data: bytes, at: int) -> tuple[Layout, list[str], int]:
    """Return the layout, the contigs, and where what is behind them begins."""
    kind, contig, pos, _, comment, skip, length = struct.unpack_from("<7i", data, at)
    if kind & 0xFFFF not in (0, 2):
        raise ValueError("it is no index of a table of text")
    names = data[at + 28 : at + 28 + length].decode().split("\0")[:-1]
    layout = Layout(contig - 1, pos - 1, bytes([comment & 0xFF]), skip)
    return layout, names, at + 28 + length


def _tbi_place(data: bytes, at: int) -> tuple[_Place, int]:
    bins, at = _bins(data, at, "<Ii")
    (count,) = struct.unpack_from("<i", data, at)
    # Old versions of tabix write 0 for a window without rows: what is before it stands.
    offsets = np.maximum.accumulate(np.frombuffer(data, "<u8", count, at + 4))
    first = _first(bins, _pseudo_bin(_TBI_DEPTH))
    return _Place(first, _TBI_SHIFT, np.arange(count), offsets), at + 4 + 8 * count


def _csi_place(data: bytes, at: int, shift: int, depth: int) -> tuple[_Place, int]:
    bins, at = _bins(data, at, "<IQi")
    pseudo = _pseudo_bin(depth)
    known = sorted((_window(number, depth), o) for number, o, _ in bins if number != pseudo)
    windows = np.array([window for window, _ in known], np.int64)
    offsets = np.maximum.accumulate(np.array([offset for _, offset in known], np.uint64))
    return _Place(_first(bins, pseudo), shift, windows, offsets), at


def _bins(data: bytes, at: int, head: str) -> tuple[list[tuple[int, ...]], int]:
    """Return (bin, loffset or 0, first offset of its chunks) of each bin of a contig."""
    (count,) = struct.unpack_from("<i", data, at)
    at += 4
    size = struct.calcsize(head)
    bins: list[tuple[int, ...]] = []
    for _ in range(count):
        number, *loffset, chunks = struct.unpack_from(head, data, at)
        at += size
        (begin,) = struct.unpack_from("<Q", data, at)
        bins.append((number, loffset[0] if loffset else 0, begin))
        at += 16 * chunks
    return bins, at


def _first(bins: list[tuple[int, ...]], pseudo: int) -> int:
    return min((begin for number, _, begin in bins if number != pseudo), default=0)


def _window(number: int, depth: int) -> int:
    """Return the first of the smallest windows in a bin."""
    level = next(n for n in range(depth, -1, -1) if number >= _first_bin(n))
    return (number - _first_bin(level)) << 3 * (depth - level)


def _first_bin(level: int) -> int:
    return ((1 << 3 * level) - 1) // 7


def _pseudo_bin(depth: int) -> int:
    """Return the bin that holds counts, not rows."""
    return _first_bin(depth + 1) + 1

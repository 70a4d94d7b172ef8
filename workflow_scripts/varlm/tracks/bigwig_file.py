"""bigWig files of many contigs, written and read here: pybigtools 0.3.0 cannot.

pybigtools puts all contigs into one node of the tree of names, whose count has 16 bits: a file of
70,000 contigs has 4,464. It keeps 25 kB of memory a contig while it writes, and its reader copies
the list of contigs for each of them: 20,000 contigs took it 50 s to read, 5,000 two.

The layout is pybigtools' (header, room for ten zoom levels, summary, values, names, index, zoom
levels), so that `zoom_levels` can mend either. The format is that of Kent et al. 2010
(Bioinformatics 26:2204, supplementary tables 5 to 17).
"""

from __future__ import annotations

import mmap
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from varlm.tracks.zoom_levels import FAN, HEADER, LEVELS, MAGIC, RECORD, SLOT, ZOOM, Leaf, tree

ENTRY = np.dtype([("start", "<u4"), ("end", "<u4"), ("value", "<f4")])
Ints = NDArray[np.int64]
Blocks = Iterable[tuple[Ints, NDArray[np.uint32], NDArray[np.float32]]]

# Contigs beyond which pybigtools is not asked to write; it takes 0.5 s to write and read so many.
MANY = 1000

_VERSION = 4
_NAMES_MAGIC, _INDEX_MAGIC = 0x78CA8C91, 0x2468ACE0
_SUMMARY, _NAMES = struct.Struct("<Qdddd"), struct.Struct("<IIIIQQ")
_COUNT, _SECTION = struct.Struct("<Q"), struct.Struct("<IIIIIBBH")
_NODE, _INDEX = struct.Struct("<BBH"), struct.Struct("<IIQIIIIQII")
_LEAF, _BRANCH = struct.Struct("<IIIIQQ"), struct.Struct("<IIIIQ")
_BEDGRAPH = 1  # the kind of section in which each value has a start and an end


# Writing -------------------------------------------------------------------------------------


def write(path: Path, contigs: Sequence[tuple[str, int]], blocks: Blocks) -> None:
    """Write a bigWig of values at single positions, without zoom levels.

    Parameters
    ----------
    contigs : sequence of (name, length in bp)
        Sorted by the bytes of their names.
    blocks : iterable of (numbers of contigs, positions, values), shape (n,) each
        Sorted by contig and position (1-based), each position once.
    """
    with path.open("wb") as file:
        data = HEADER.size + LEVELS * ZOOM.size + _SUMMARY.size
        file.write(bytes(data + _COUNT.size))
        leaves: list[Leaf] = []
        totals = _Totals()
        for numbers, positions, values in blocks:
            totals.add(values)
            leaves += _write_sections(file, numbers, _entries(positions, values))
        names = file.tell()
        file.write(_name_tree(contigs, names))
        index = file.tell()
        file.write(tree(leaves, index))
        file.write(struct.pack("<I", MAGIC))
        room = SLOT * ENTRY.itemsize + _SECTION.size  # bytes of the largest section
        summary = data - _SUMMARY.size
        file.seek(0)
        file.write(HEADER.pack(MAGIC, _VERSION, 0, names, data, index, 0, 0, 0, summary, room, 0))
        file.seek(summary)
        file.write(_SUMMARY.pack(*totals.numbers()) + _COUNT.pack(len(leaves)))


def _entries(positions: NDArray[np.uint32], values: NDArray[np.float32]) -> NDArray[Any]:
    entries = np.empty(len(positions), ENTRY)
    entries["start"], entries["end"], entries["value"] = positions - 1, positions, values
    return entries


@dataclass
class _Totals:
    count: int = 0
    low: float = np.inf
    high: float = -np.inf
    sum: float = 0
    squares: float = 0

    def add(self, values: NDArray[np.float32]) -> None:
        exact = values.astype(np.float64)
        self.count += len(values)
        self.low, self.high = min(self.low, exact.min()), max(self.high, exact.max())
        self.sum += exact.sum()
        self.squares += (exact * exact).sum()

    def numbers(self) -> tuple[int, float, float, float, float]:
        return self.count, self.low, self.high, self.sum, self.squares


def _write_sections(file: BinaryIO, numbers: Ints, entries: NDArray[Any]) -> Iterator[Leaf]:
    """Append values in sections, on one contig and of `SLOT` values at most each."""
    data = entries.tobytes()
    edges = np.flatnonzero(np.diff(numbers)) + 1
    bounds = zip([0, *edges.tolist()], [*edges.tolist(), len(numbers)], strict=True)
    first, last = entries["start"].tolist(), entries["end"].tolist()
    for low, high in bounds:
        contig = int(numbers[low])
        for start in range(low, high, SLOT):
            end = min(start + SLOT, high)
            span = first[start], last[end - 1]
            header = _SECTION.pack(contig, *span, 0, 0, _BEDGRAPH, 0, end - start)
            packed = zlib.compress(header + data[start * ENTRY.itemsize : end * ENTRY.itemsize])
            yield contig, span[0], contig, span[1], file.tell(), len(packed)
            file.write(packed)


def _name_tree(contigs: Sequence[tuple[str, int]], offset: int) -> bytes:
    """Return the B+ tree, to be written at `offset`, that finds a contig's number and length."""
    names = [name.encode() for name, _ in contigs]
    width = max(map(len, names))
    node = _NODE.size + FAN * (width + 8)
    step = 1  # contigs below an entry of the level
    while step * FAN < len(names):
        step *= FAN
    text = [_NAMES.pack(_NAMES_MAGIC, FAN, width, 8, len(names), 0)]
    level = offset + _NAMES.size
    while step:
        nodes = -(-len(names) // (step * FAN))
        below = level + nodes * node
        for number in range(nodes):
            start = number * step * FAN
            keys = range(start, min(start + step * FAN, len(names)), step)
            entries = [_NODE.pack(step == 1, 0, len(keys))]
            for key in keys:
                value = (key, contigs[key][1]) if step == 1 else (below + key // step * node,)
                entries.append(names[key].ljust(width, b"\0"))
                entries.append(struct.pack("<II" if step == 1 else "<Q", *value))
            text.append(b"".join(entries).ljust(node, b"\0"))
        level, step = below, step // FAN
    return b"".join(text)


# Reading -------------------------------------------------------------------------------------


class UnreadableError(ValueError):
    """A file is no bigWig, or a damaged one."""


class BigWig:
    """A bigWig, read from its indexes on; a context manager.

    Raises
    ------
    UnreadableError, ValueError, struct.error, zlib.error
        From any method, where the file is not what the format wants.
    """

    def __init__(self, path: Path):
        with path.open("rb") as file:
            self.data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        if len(self.data) < HEADER.size or self._header[0] != MAGIC:
            raise UnreadableError("it has no header of a bigWig")

    def __enter__(self) -> BigWig:
        return self

    def __exit__(self, *_: object) -> None:
        self.data.close()

    @property
    def _header(self) -> tuple[int, ...]:
        return HEADER.unpack_from(self.data)

    @property
    def covered(self) -> int:
        """Return how many positions the summary counts."""
        return int(_SUMMARY.unpack_from(self.data, self._header[9])[0])

    def contigs(self) -> list[tuple[str, int]]:
        """Return the names and lengths of contigs in the order of the tree; they are numbered."""
        at = self._header[3]
        magic, _, width, _, _, _ = _NAMES.unpack_from(self.data, at)
        if magic != _NAMES_MAGIC:
            raise UnreadableError("it has no tree of contigs' names")
        found = list(self._names(at + _NAMES.size, width))
        if [number for _, number, _ in found] != list(range(len(found))):
            raise UnreadableError("its contigs are not in the order of their numbers")
        return [(name, length) for name, _, length in found]

    def _names(self, at: int, width: int) -> Iterator[tuple[str, int, int]]:
        leaf, _, count = _NODE.unpack_from(self.data, at)
        at += _NODE.size
        for entry in range(at, at + count * (width + 8), width + 8):
            value = entry + width
            name = self.data[entry:value].rstrip(b"\0").decode()
            if leaf:
                yield name, *struct.unpack_from("<II", self.data, value)
            else:
                (child,) = struct.unpack_from("<Q", self.data, value)
                below = list(self._names(child, width))
                if not below or below[0][0] != name:
                    raise UnreadableError("a node of the contigs' names is not what lies below it")
                yield from below

    def values(self) -> Iterator[tuple[int, NDArray[Any]]]:
        """Yield sections as the index has them: number of the contig, values of type `ENTRY`."""
        for extent, text in self._packed(self._header[5]):
            contig, start, end, _, _, kind, _, count = _SECTION.unpack_from(text)
            if kind != _BEDGRAPH or extent != (contig, start, contig, end):
                raise UnreadableError(
                    f"a section of contig number {contig} is not as the index says"
                )
            yield contig, np.frombuffer(text, ENTRY, count, _SECTION.size)

    def zooms(self) -> Iterator[tuple[int, int]]:
        """Yield zoom levels: bp in a bin, and how many positions it covers."""
        for level in range(self._header[2]):
            size, _, _, index = ZOOM.unpack_from(self.data, HEADER.size + level * ZOOM.size)
            sections = (np.frombuffer(text, RECORD) for _, text in self._packed(index))
            yield size, sum(int(records["count"].sum()) for records in sections)

    def _packed(self, at: int) -> Iterator[tuple[tuple[int, ...], bytes]]:
        """Yield the sections that an index leads to: contig and start, contig and end; bytes."""
        if _INDEX.unpack_from(self.data, at)[0] != _INDEX_MAGIC:
            raise UnreadableError("an index is missing")
        last = (0, 0)
        for *extent, start, size in self._leaves(at + _INDEX.size):
            if tuple(extent[:2]) < last:
                raise UnreadableError("an index is not sorted")
            last = (extent[2], extent[3])
            yield tuple(extent), zlib.decompress(self.data[start : start + size])

    def _leaves(self, at: int) -> Iterator[tuple[int, ...]]:
        leaf, _, count = _NODE.unpack_from(self.data, at)
        entry = _LEAF if leaf else _BRANCH
        for number in range(count):
            fields = entry.unpack_from(self.data, at + _NODE.size + number * entry.size)
            if leaf:
                yield fields
            else:
                below = list(self._leaves(fields[4]))
                if not below or (*below[0][:2], *below[-1][2:4]) != fields[:4]:
                    raise UnreadableError("a node of an index is not what lies below it")
                yield from below

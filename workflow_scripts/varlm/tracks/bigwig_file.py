"""bigWig files of many contigs, written here: pybigtools 0.3.0 cannot.

pybigtools puts all contigs into one node of the tree of names, whose count has 16 bits: a file of
70,000 contigs has 4,464. It keeps 25 kB of memory a contig while it writes.

The layout is pybigtools' (header, room for ten zoom levels, summary, values, names, index, zoom
levels), so that `zoom_levels` can mend either. The format is that of Kent et al. 2010
(Bioinformatics 26:2204, supplementary tables 5 to 17).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from varlm.files.bigwig import (
    BEDGRAPH,
    ENTRY,
    HEADER,
    MAGIC,
    NAMES,
    NAMES_MAGIC,
    NODE,
    SECTION,
    SUMMARY,
    ZOOM,
)
from varlm.tracks.zoom_levels import FAN, LEVELS, SLOT, Leaf, tree

Ints = NDArray[np.int64]
Blocks = Iterable[tuple[Ints, NDArray[np.uint32], NDArray[np.float32]]]

# Contigs beyond which pybigtools is not asked to write; it takes 0.5 s to write and read so many.
MANY = 1000

_VERSION = 4
_COUNT = struct.Struct("<Q")


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
        data = HEADER.size + LEVELS * ZOOM.size + SUMMARY.size
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
        room = SLOT * ENTRY.itemsize + SECTION.size  # bytes of the largest section
        summary = data - SUMMARY.size
        file.seek(0)
        file.write(HEADER.pack(MAGIC, _VERSION, 0, names, data, index, 0, 0, 0, summary, room, 0))
        file.seek(summary)
        file.write(SUMMARY.pack(*totals.numbers()) + _COUNT.pack(len(leaves)))


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
            header = SECTION.pack(contig, *span, 0, 0, BEDGRAPH, 0, end - start)
            packed = zlib.compress(header + data[start * ENTRY.itemsize : end * ENTRY.itemsize])
            yield contig, span[0], contig, span[1], file.tell(), len(packed)
            file.write(packed)


def _name_tree(contigs: Sequence[tuple[str, int]], offset: int) -> bytes:
    """Return the B+ tree, to be written at `offset`, that finds a contig's number and length."""
    names = [name.encode() for name, _ in contigs]
    width = max(map(len, names))
    node = NODE.size + FAN * (width + 8)
    step = 1  # contigs below an entry of the level
    while step * FAN < len(names):
        step *= FAN
    text = [NAMES.pack(NAMES_MAGIC, FAN, width, 8, len(names), 0)]
    level = offset + NAMES.size
    while step:
        nodes = -(-len(names) // (step * FAN))
        below = level + nodes * node
        for number in range(nodes):
            start = number * step * FAN
            keys = range(start, min(start + step * FAN, len(names)), step)
            entries = [NODE.pack(step == 1, 0, len(keys))]
            for key in keys:
                value = (key, contigs[key][1]) if step == 1 else (below + key // step * node,)
                entries.append(names[key].ljust(width, b"\0"))
                entries.append(struct.pack("<II" if step == 1 else "<Q", *value))
            text.append(b"".join(entries).ljust(node, b"\0"))
        level, step = below, step // FAN
    return b"".join(text)

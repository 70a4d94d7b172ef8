"""The summaries of a bigWig, from which browsers draw what is wider than a few thousand bases.

pybigtools 0.3.0 summarises values with gaps between them wrongly: it fills each gap with the value
after it (10,000 sites in 1 Mb: 17 times the sum; jackh726/bigtools issue 85 shows it in IGV). So
its zoom levels are replaced by these. pyBigWig 0.3.29 loses the sum of the last record of a block.

The format is that of Kent et al. 2010 (Bioinformatics 26:2204, supplementary tables 5 to 17): a
zoom level is a number of records, zlib-compressed sections of them, each on one contig, and an
R-tree that finds the sections.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from varlm.files.bigwig import HEADER, INDEX_MAGIC, MAGIC, RECORD, ZOOM

# The same with sums that can be added up over a genome.
_EXACT = np.dtype(
    [(n, "<f8" if n in ("sum", "squares") else RECORD[n]) for n in RECORD.names or ()]
)

LEVELS = 10  # that many fit into a header
_SMALLEST = 16  # bp in a bin of the finest level; each further one has four times as many
_GAIN = 8  # the finest level has at most one record for so many values
MOST = 2_000_000  # records in memory, before the finest level is made coarser
_FEW = 100  # records that need no coarser level
SLOT = 512  # records in a section
FAN = 256  # entries in a node of an R-tree
_TREE = struct.Struct("<IIQIIIIQII")

Leaf = tuple[int, int, int, int, int, int]  # first contig and base, last ones, offset, bytes
Records = NDArray[Any]  # of the type RECORD, or of _EXACT
Values = Iterable[tuple[int | NDArray[np.int64], NDArray[np.uint32], NDArray[np.float32]]]


def summarise(values: Values) -> list[tuple[int, Records]]:
    """Return the zoom levels of some values: (bp in a bin, records), the finest first.

    A record tells of the values in one bin: how many, the first and the last position, minimum,
    maximum, sum and sum of squares. Each level has at most half the records of the one before.

    Parameters
    ----------
    values : iterable of (number of the contig or of each value's, positions, values)
        Positions are 1-based and sorted; all pieces of a contig follow each other, and contigs
        come by number.
    """
    size, count, held = _SMALLEST, 0, 0
    pieces: list[Records] = []
    for contig, positions, numbers in values:
        pieces.append(_merge(_single(contig, positions, numbers), size))
        count += len(positions)
        held += len(pieces[-1])
        if held > MOST:
            size *= 4
            pieces = [_merge(np.concatenate(pieces), size)]
            held = len(pieces[0])
    records = _merge(np.concatenate(pieces), size)
    levels: list[tuple[int, Records]] = []
    most = count / _GAIN
    while len(levels) < LEVELS:
        if len(records) <= most:
            levels.append((size, _rounded(records)))
            most = len(records) / 2
        size *= 4
        if size >= 2**32 or len(records) <= _FEW:
            break
        records = _merge(records, size)
    return levels


def replace_summaries(path: Path, levels: list[tuple[int, Records]]) -> None:
    """Put zoom levels in the place of those that pybigtools wrote into a bigWig.

    Raises
    ------
    ValueError
        If the file is not laid out as pybigtools 0.3.0 does it: header, room for ten levels,
        values, their index, zoom levels.
    """
    with path.open("r+b") as file:
        header = list(HEADER.unpack(file.read(HEADER.size)))
        old = [ZOOM.unpack(file.read(ZOOM.size)) for _ in range(header[2])]
        end = min([zoom[2] for zoom in old], default=path.stat().st_size - 4)
        room = HEADER.size + LEVELS * ZOOM.size
        if header[0] != MAGIC or not room <= min(header[3:6]) <= max(header[3:6]) < end:
            raise ValueError(f"{path}: not a bigWig as pybigtools lays it out")
        file.truncate(end)
        file.seek(end)
        zooms = b"".join(
            ZOOM.pack(size, 0, *_write_level(file, records)) for size, records in levels
        )
        file.write(struct.pack("<I", MAGIC))  # at both ends
        header[2] = len(levels)
        header[10] = max(header[10], SLOT * RECORD.itemsize)  # bytes of the largest section
        file.seek(0)
        file.write(HEADER.pack(*header) + zooms.ljust(LEVELS * ZOOM.size, b"\0"))


def _single(
    contig: int | NDArray[np.int64], positions: NDArray[np.uint32], values: NDArray[np.float32]
) -> Records:
    """Return a record of each value."""
    records = np.empty(len(positions), _EXACT)
    records["contig"], records["count"] = contig, 1
    records["start"], records["end"] = positions - 1, positions
    exact = values.astype(np.float64)
    records["min"] = records["max"] = values
    records["sum"], records["squares"] = exact, exact * exact
    return records


def _merge(records: Records, size: int) -> Records:
    """Return the records with those of one bin made one; sorted, as they came."""
    if not len(records):
        return records
    bins = records["start"] // np.uint32(size)
    new = np.flatnonzero((np.diff(bins) != 0) | (np.diff(records["contig"]) != 0)) + 1
    first = np.concatenate([[0], new])
    merged = records[first]
    merged["end"] = np.maximum.reduceat(records["end"], first)
    merged["min"] = np.minimum.reduceat(records["min"], first)
    merged["max"] = np.maximum.reduceat(records["max"], first)
    for name in ("count", "sum", "squares"):
        merged[name] = np.add.reduceat(records[name], first)
    return np.asarray(merged)


def _rounded(records: Records) -> Records:
    rounded = np.empty(len(records), RECORD)
    for name in RECORD.names or ():
        rounded[name] = records[name]
    return rounded


def _write_level(file: BinaryIO, records: Records) -> tuple[int, int]:
    """Append a zoom level; return the offsets of its data and of its index."""
    data = file.tell()
    file.write(struct.pack("<I", len(records)))
    leaves = []
    for section in _sections(records):
        packed = zlib.compress(section.tobytes())
        leaves.append((*_extent(section), file.tell(), len(packed)))
        file.write(packed)
    index = file.tell()
    file.write(tree(leaves, index))
    return data, index


def _sections(records: Records) -> Iterator[Records]:
    """Cut records into sections: on one contig each, of bounded length."""
    edges = np.flatnonzero(np.diff(records["contig"])) + 1
    for contig in np.split(records, edges):
        for start in range(0, len(contig), SLOT):
            yield contig[start : start + SLOT]


def _extent(section: Records) -> tuple[int, int, int, int]:
    """Return first contig and base, last contig and base."""
    first, last = section[0], section[-1]
    return int(first["contig"]), int(first["start"]), int(last["contig"]), int(last["end"])


def tree(leaves: list[Leaf], offset: int) -> bytes:
    """Return the R-tree, to be written at `offset`, that finds sections."""
    # Levels of nodes from the leaves up; each node is a slice of the level below.
    extents = [[leaf[:4] for leaf in leaves]]
    while len(extents[-1]) > FAN or len(extents) == 1:
        below = extents[-1]
        groups = [below[start : start + FAN] for start in range(0, len(below), FAN)]
        extents.append([(*group[0][:2], *group[-1][2:]) for group in groups])
    entry = struct.Struct("<IIIIQ")
    leaf_entry = struct.Struct("<IIIIQQ")
    end = leaves[-1][4] + leaves[-1][5]
    whole = (*leaves[0][:2], *leaves[-1][2:4])
    text = [_TREE.pack(INDEX_MAGIC, FAN, len(leaves), *whole, end, SLOT, 0)]
    at = offset + _TREE.size
    for number in range(len(extents) - 1, -1, -1):
        level = extents[number]
        # The top has one node; below, the nodes are the entries of the level above.
        nodes = [level[start : start + FAN] for start in range(0, len(level), FAN)]
        width = leaf_entry.size if number == 0 else entry.size
        at += sum(4 + len(node) * width for node in nodes)
        child = at  # where the next level begins
        child_width = leaf_entry.size if number == 1 else entry.size
        done = 0
        for node in nodes:
            text.append(struct.pack("<BBH", number == 0, 0, len(node)))
            for extent in node:
                if number == 0:
                    text.append(leaf_entry.pack(*leaves[done]))
                else:
                    text.append(entry.pack(*extent, child))
                    child += 4 + FAN * child_width  # all nodes of a level but its last are full
                done += 1
    return b"".join(text)

"""Packed parts: the rows of many small contigs in one file, found by the contig's digest.

A contig's rows are one run of neighbouring rows in each packed part that has any. The contigs lie
in the order in which they were committed, which is the genome's: who reads contig by contig reads
each block of a part once. Which run is whose is read from the part's column `contig`, once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.store.layout import PACKED, Part
from varlm.store.manifest import LOST, Manifest
from varlm.tables.parquet import ROW_GROUP

_CACHED = 20  # blocks of `ROW_GROUP` rows in memory (4 MB of sites each)


class FaultyPartError(Exception):
    """A part that cannot be read: it is damaged, or not there (any more)."""

    def __init__(self, part: Part, fault: str):
        super().__init__(fault)
        self.part, self.fault = part, fault


@dataclass(frozen=True, slots=True)
class Run:
    """A contig's rows in a packed part: from the row `start` (0-based), `count` of them."""

    part: Part
    start: int
    count: int


@dataclass
class _Index:
    """The runs of each contig in the parts of one model and kind."""

    listed: list[Part] = field(default_factory=list)  # the manifest's own list
    parts: set[str] = field(default_factory=set)
    runs: dict[str, list[Run]] = field(default_factory=dict)


class PackedParts:
    """Reads the packed parts that a manifest lists.

    Its methods raise `FaultyPartError` for a part that is damaged or lost.

    Parameters
    ----------
    manifest : Manifest
    """

    def __init__(self, manifest: Manifest):
        self._manifest = manifest
        self._indices: dict[tuple[str, str], _Index] = {}
        self._blocks: OrderedDict[tuple[str, int, tuple[str, ...]], pl.DataFrame] = OrderedDict()

    def runs(self, key: str, kind: str, contig: str) -> list[Run]:
        """Return where a contig's rows of a kind are."""
        if not self._manifest.parts_of(key, PACKED, kind):
            return []
        return self._index(key, kind).get(contig, [])

    def all_runs(self, key: str, kind: str) -> Mapping[str, list[Run]]:
        """Return where the rows of all contigs are: digest → runs."""
        return self._index(key, kind)

    def rows(self, key: str, run: Run, columns: Sequence[str]) -> pl.DataFrame:
        """Return columns of a run's rows."""
        first, end = run.start, run.start + run.count
        pieces = [
            self._block(key, run.part, number, columns)[
                max(first - number * ROW_GROUP, 0) : end - number * ROW_GROUP
            ]
            for number in range(first // ROW_GROUP, (end - 1) // ROW_GROUP + 1)
        ]
        return pieces[0] if len(pieces) == 1 else pl.concat(pieces)

    def gather(
        self, key: str, kind: str, contigs: Iterable[str], columns: Sequence[str]
    ) -> Iterator[tuple[Part, pl.DataFrame]]:
        """Yield, for each part that has some, the rows of many contigs: `contig`, and `columns`."""
        index = self._index(key, kind)
        wanted: dict[Part, list[tuple[int, int, str]]] = {}
        for contig in contigs:
            for run in index.get(contig, ()):
                wanted.setdefault(run.part, []).append((run.start, run.count, contig))
        for part, runs in wanted.items():
            runs.sort()
            starts, counts = np.array([run[:2] for run in runs]).T
            rows = np.arange(counts.sum()) + np.repeat(starts - np.cumsum(counts) + counts, counts)
            names = pl.Series("contig", [run[2] for run in runs], dtype=pl.String())
            frame = pl.concat(
                self._block(key, part, number, columns)[rows[low:high] - number * ROW_GROUP]
                for number, low, high in _by_block(rows)
            )
            of_row = names.gather(np.repeat(np.arange(len(runs)), counts))
            yield part, frame.select(of_row, pl.all())

    def _index(self, key: str, kind: str) -> dict[str, list[Run]]:
        listed = self._manifest.parts_of(key, PACKED, kind)
        index = self._indices.get((key, kind))
        if index is not None and index.listed is listed and len(index.parts) == len(listed):
            return index.runs
        if index is None or not index.parts <= {part.sha256 for part in listed}:
            index = _Index()
        new = [part for part in listed if part.sha256 not in index.parts]
        for part, fault in zip(new, self._manifest.faults(key, new), strict=True):
            if fault is not None:
                raise FaultyPartError(part, fault)
        for part in new:
            for contig, start, count in self._runs_in(key, part):
                index.runs.setdefault(contig, []).append(Run(part, start, count))
            index.parts.add(part.sha256)
        index.listed = listed
        self._indices[key, kind] = index
        return index.runs

    def _runs_in(self, key: str, part: Part) -> list[tuple[str, int, int]]:
        """Return the runs of a part, in its order: contig, first row, number of rows."""
        runs = self._read(key, part, 0, None, ["contig"])["contig"].rle().struct.unnest()
        ends = runs["len"].cum_sum()
        return list(zip(runs["value"], ends - runs["len"], runs["len"], strict=True))

    def _block(self, key: str, part: Part, number: int, columns: Sequence[str]) -> pl.DataFrame:
        """Return columns of the rows from `number` × `ROW_GROUP` on: those of one row group."""
        name = (part.sha256, number, tuple(columns))
        block = self._blocks.pop(name, None)
        if block is None:
            block = self._read(key, part, number * ROW_GROUP, ROW_GROUP, columns)
        self._blocks[name] = block
        if len(self._blocks) > _CACHED:
            self._blocks.popitem(last=False)
        return block

    def _read(
        self, key: str, part: Part, start: int, count: int | None, columns: Sequence[str]
    ) -> pl.DataFrame:
        rows = pl.scan_parquet(part.path(self._manifest.root / key)).select(columns)
        try:
            return rows.slice(start, count).collect(engine="in-memory")
        except FileNotFoundError:
            raise FaultyPartError(part, LOST) from None


def batches(contigs: Mapping[str, int], rows: int) -> Iterator[list[str]]:
    """Cut contigs (digest → rows), in order, into batches of so many rows, or one contig."""
    batch: list[str] = []
    held = 0
    for contig, count in contigs.items():
        if batch and held + count > rows:
            yield batch
            batch, held = [], 0
        batch.append(contig)
        held += count
    if batch:
        yield batch


def _by_block(rows: NDArray[np.int64]) -> Iterator[tuple[int, int, int]]:
    """Cut sorted row numbers by the block in which they are: block, from, to."""
    block = rows // ROW_GROUP
    edges = [0, *(np.flatnonzero(np.diff(block)) + 1).tolist(), len(rows)]
    for low, high in pairwise(edges):
        yield int(block[low]), low, high

"""Reading rows of the score store: verified parts, sorted rows, each row once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.errors import UserError
from varlm.store.agreement import ConflictError, conflict, in_pieces, without
from varlm.store.layout import ALLELE_KEY, KINDS, LAST, Kind, Part
from varlm.store.manifest import LOST, Manifest
from varlm.store.packed import FaultyPartError, PackedParts, Run

# Gap (bp) between wanted rows from which two reads are cheaper than one, and the widest read.
_GAP, _SPAN = 200_000, 2_000_000

_T = TypeVar("_T")


class Reader:
    """Reads the parts that a manifest lists, each verified before."""

    def __init__(self, manifest: Manifest):
        self.manifest = manifest
        self.packed = PackedParts(manifest)

    def read(
        self, key: str, kind: Kind, contig: str, start: int = 1, end: int = LAST
    ) -> pl.DataFrame:
        """Return the rows of a contig, sorted by the kind's key, each once.

        Parameters
        ----------
        key : str
            Model key.
        kind : Kind
        contig : str
            Contig digest; of the background's definition, where `kind` is one.
        start, end : int
            First and last position to return, 1-based, both included.

        Raises
        ------
        UserError
            If a part is damaged or lost (`repair` sets such parts aside).
        ConflictError
            If two parts hold different values for one row.
        """
        columns = list(kind.schema)
        pieces = list(
            self._each_part(
                key,
                kind,
                contig,
                start,
                end,
                lambda part: (part, self._part_rows(key, part, contig, start, end, columns)),
            )
        )
        if not pieces:
            return pl.DataFrame(schema=kind.schema)
        if len(pieces) == 1:
            return pieces[0][1]
        return self._each_once(key, kind, pieces)

    def _each_once(
        self, key: str, kind: Kind, pieces: Sequence[tuple[Part, pl.DataFrame]]
    ) -> pl.DataFrame:
        """Join rows of several parts: without locks, two runs may have stored the same ones."""
        rows, again = in_pieces((rows for _, rows in pieces), kind)
        if len(again):
            where = conflict(rows[again - 1], rows[again], kind, self.manifest.tolerance(key))
            if where is not None:
                row, text = where
                numbers = (rows["piece"][int(again[row]) - 1], rows["piece"][int(again[row])])
                one, other = (pieces[n][0].path(self.manifest.root / key) for n in numbers)
                raise ConflictError(one, other, text)
        return without(rows, again)  # both are right, one is kept

    def read_packed(
        self, key: str, kind: Kind, contigs: Iterable[str], columns: Sequence[str] | None = None
    ) -> pl.DataFrame:
        """Return the rows that packed parts have of many contigs, each once.

        Parameters
        ----------
        key : str
            Model key.
        kind : Kind
        contigs : iterable of str
            Contig digests.
        columns : sequence of str, optional
            Those of the kind to return; all by default. A row is there as often as parts have it
            where these are not all.

        Returns
        -------
        polars.DataFrame
            `contig` and the columns; the rows of one contig are neighbours where one part has all.
        """
        every = columns is None
        columns = list(kind.schema) if columns is None else columns
        contigs = list(contigs)
        while True:
            try:
                pieces = list(self.packed.gather(key, kind.name, contigs, columns))
                break
            except FaultyPartError as error:
                self._refuse(key, error.part, error.fault)
        if not pieces:
            return pl.DataFrame(
                schema={"contig": pl.String(), **{n: kind.schema[n] for n in columns}}
            )
        if len(pieces) == 1:
            return pieces[0][1]
        if every:
            return self._each_once(key, kind.packed, pieces)
        return pl.concat(rows for _, rows in pieces)

    def packed_runs(self, key: str, kind: Kind) -> Mapping[str, list[Run]]:
        """Return where packed parts have rows of a kind: contig digest → runs."""
        while True:
            try:
                return self.packed.all_runs(key, kind.name)
            except FaultyPartError as error:
                self._refuse(key, error.part, error.fault)

    def rows_of(self, key: str, kind: Kind, keys: pl.DataFrame) -> pl.DataFrame:
        """Return the rows of many contigs that `keys` names, those that are known.

        Parameters
        ----------
        key : str
            Model key.
        kind : Kind
        keys : polars.DataFrame
            `contig` (digest) and the kind's key, in any order.

        Returns
        -------
        polars.DataFrame
            `contig` and the kind's columns, in any order.
        """
        packed, others = self._split(key, kind, keys)
        frames = [self.read_packed(key, kind, packed["contig"].unique())]
        frames[0] = frames[0].join(packed, on=kind.packed.key, how="semi")
        for contig, asked in others:
            rows = self.rows_at(key, kind, contig, asked.select(kind.key))
            frames.append(rows.select(pl.lit(contig).alias("contig"), pl.all()))
        return pl.concat(frames)

    def has(self, key: str, kind: Kind, keys: pl.DataFrame) -> NDArray[np.bool_]:
        """Return which rows of many contigs are known; `keys` as in `rows_of`, in any order."""
        known = np.zeros(keys.height, dtype=bool)
        packed, others = self._split(key, kind, keys.with_row_index("row"))
        stored = self.read_packed(key, kind, packed["contig"].unique(), kind.key)
        known[packed.join(stored, on=kind.packed.key, how="semi")["row"].to_numpy()] = True
        for contig, asked in others:
            if kind.name == "sites":
                there = self.has_sites(key, contig, asked["pos"].to_numpy())
            else:
                there = self.has_alleles(key, contig, asked.select(kind.key))
            known[asked["row"].to_numpy()[there]] = True
        return known

    def _split(
        self, key: str, kind: Kind, keys: pl.DataFrame
    ) -> tuple[pl.DataFrame, list[tuple[str, pl.DataFrame]]]:
        """Divide keys into those of contigs without parts of their own, and the others by contig.

        The latter are sorted by the kind's key.
        """
        contigs = keys["contig"].unique().to_list()
        with_parts = [c for c in contigs if self.manifest.parts_of(key, c, kind.name)]
        if not with_parts:
            return keys, []
        apart = pl.col("contig").is_in(with_parts)
        others = (
            keys.filter(apart).sort(kind.packed.key).partition_by("contig", maintain_order=True)
        )
        return keys.filter(~apart), [(rows["contig"][0], rows) for rows in others]

    def rows_at(self, key: str, kind: Kind, contig: str, keys: pl.DataFrame) -> pl.DataFrame:
        """Return the rows whose keys `keys` has (sorted by pos), read in narrow ranges."""
        present = []
        positions = keys["pos"].to_numpy().astype(np.int64)
        for low, high in _clusters(positions):
            rows = self.read(key, kind, contig, int(positions[low]), int(positions[high - 1]))
            # Often all that is there was asked for: a join takes 200 µs, on each of many contigs.
            if not rows.select(kind.key).equals(keys[low:high]):
                rows = rows.join(keys[low:high], on=kind.key, how="semi")
            present.append(rows)
        if len(present) == 1:
            return present[0].sort(kind.key)
        return pl.concat([pl.DataFrame(schema=kind.schema), *present]).sort(kind.key)

    def has_sites(self, key: str, contig: str, positions: NDArray[np.uint32]) -> NDArray[np.bool_]:
        """Return which positions (1-based, sorted) have a row, in memory bounded by one part."""
        known = np.zeros(len(positions), dtype=bool)
        for low, high, rows in self._overlaps(key, KINDS["sites"], contig, positions):
            present = rows["pos"].to_numpy()
            asked = positions[low:high]
            at = np.searchsorted(present, asked)
            at[at == len(present)] = 0
            known[low:high] |= present[at] == asked
        return known

    def has_alleles(self, key: str, contig: str, alleles: pl.DataFrame) -> NDArray[np.bool_]:
        """Return which alleles (`pos`, `ref`, `alt`, sorted by pos) have a row; memory likewise."""
        known = np.zeros(alleles.height, dtype=bool)
        positions = alleles["pos"].to_numpy()
        for low, high, rows in self._overlaps(key, KINDS["alleles"], contig, positions):
            asked = alleles[low:high].with_row_index("row")
            known[low + asked.join(rows, on=ALLELE_KEY, how="semi")["row"].to_numpy()] = True
        return known

    def _overlaps(
        self, key: str, kind: Kind, contig: str, positions: NDArray[np.uint32]
    ) -> Iterator[tuple[int, int, pl.DataFrame]]:
        """For each part: which of `positions` it may hold (from, to) and its keys among them."""
        if not len(positions):
            return

        def keys(part: Part) -> tuple[int, int, pl.DataFrame] | None:
            low = int(np.searchsorted(positions, part.first))
            high = int(np.searchsorted(positions, part.last, side="right"))
            if low == high:
                return None
            start, end = int(positions[low]), int(positions[high - 1])
            rows = self._part_rows(key, part, contig, start, end, kind.key)
            return (low, high, rows) if rows.height else None

        yield from self._each_part(key, kind, contig, int(positions[0]), int(positions[-1]), keys)

    def _part_rows(
        self, key: str, part: Part, contig: str, start: int, end: int, columns: list[str]
    ) -> pl.DataFrame:
        if part.packed:
            return self._packed_rows(key, part, contig, start, end, columns)
        lazy = pl.scan_parquet(part.path(self.manifest.root / key)).select(columns)
        if start > part.first or end < part.last:  # row groups outside are not read
            lazy = lazy.filter(pl.col("pos").is_between(start, end))
        return lazy.collect(engine="in-memory")

    def _packed_rows(
        self, key: str, part: Part, contig: str, start: int, end: int, columns: list[str]
    ) -> pl.DataFrame:
        kind = KINDS[part.kind]
        rows = pl.concat(
            self.packed.rows(key, run, list(kind.schema))
            for run in self.packed.runs(key, kind.name, contig)
            if run.part.sha256 == part.sha256
        )
        positions = rows["pos"].to_numpy()
        low = np.searchsorted(positions, np.uint32(start))
        high = np.searchsorted(positions, np.uint32(end), side="right")
        return rows[low:high].select(columns)

    def _each_part(
        self,
        key: str,
        kind: Kind,
        contig: str,
        start: int,
        end: int,
        read: Callable[[Part], _T | None],
    ) -> Iterator[_T]:
        """Yield what `read` makes of each part with rows in the range, verified before.

        A part that a compaction has replaced since it was listed is looked for in a new listing.
        """
        manifest = self.manifest
        done: set[str] = set()
        while True:
            try:
                parts = [
                    part
                    for part in self._parts(key, kind, contig)
                    if part.first <= end and part.last >= start and part.sha256 not in done
                ]
                for part, fault in zip(parts, manifest.faults(key, parts), strict=True):
                    if fault is not None:
                        raise FaultyPartError(part, fault)
                    try:
                        result = read(part)
                    except FileNotFoundError:
                        raise FaultyPartError(part, LOST) from None
                    done.add(part.sha256)
                    if result is not None:
                        yield result
                return
            except FaultyPartError as error:
                self._refuse(key, error.part, error.fault)

    def _parts(self, key: str, kind: Kind, contig: str) -> list[Part]:
        """Return the parts that have rows of a contig, its own and packed ones."""
        own = self.manifest.parts_of(key, contig, kind.name)
        runs = self.packed.runs(key, kind.name, contig)
        return [*own, *dict.fromkeys(run.part for run in runs)] if runs else own

    def _refuse(self, key: str, part: Part, fault: str) -> None:
        """Raise a `UserError`, unless a compaction has replaced the part since it was listed."""
        manifest = self.manifest
        manifest.forget(key)
        if fault != LOST or part.sha256 in {listed.sha256 for listed in manifest.parts(key)}:
            raise UserError(
                f"{part.path(manifest.root / key)}: {fault}; run the workflow again with "
                "--forcerun plan: it sets the file aside and computes its rows again"
            )


def _clusters(positions: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Cut sorted positions into stretches (from, to) without gaps and of bounded width."""
    start = 0
    edges = np.flatnonzero(np.diff(positions) > _GAP) + 1
    for end in [*edges.tolist(), len(positions)]:
        while start < end:
            stop = int(np.searchsorted(positions[start:end], positions[start] + _SPAN)) + start
            yield start, stop
            start = stop

"""Reading rows of the score store: verified parts, sorted rows, each row once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.errors import UserError
from varlm.store.layout import ALLELE_KEY, KINDS, LAST, Kind, Part
from varlm.store.manifest import LOST, Manifest

# Gap (bp) between wanted rows from which two reads are cheaper than one, and the widest read.
_GAP, _SPAN = 200_000, 2_000_000

_T = TypeVar("_T")


class ConflictError(UserError):
    """Two parts with different scores of one row; `rows` names it and both values."""

    def __init__(self, one: Path, other: Path, rows: str):
        self.one, self.other = one, other
        self.found = f"this and {other} hold different scores of {rows}"
        self.remedy = (
            "one of them is wrong: delete one file and run the workflow again with --forcerun plan"
        )
        super().__init__(f"{one}: {self.found}; {self.remedy}")


class Reader:
    """Reads the parts that a manifest lists, each verified before."""

    def __init__(self, manifest: Manifest):
        self.manifest = manifest

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
                lambda part: (part, self._part_rows(key, part, start, end, columns)),
            )
        )
        if not pieces:
            return pl.DataFrame(schema=kind.schema)
        if len(pieces) == 1:
            return pieces[0][1]
        # Without locks, two runs may have stored the same rows: both are right, one is kept.
        rows, again = in_pieces((rows for _, rows in pieces), kind)
        if len(again):
            where = conflict(rows[again - 1], rows[again], kind, self.manifest.tolerance(key))
            if where is not None:
                row, text = where
                numbers = (rows["piece"][int(again[row]) - 1], rows["piece"][int(again[row])])
                one, other = (pieces[n][0].path(self.manifest.root / key) for n in numbers)
                raise ConflictError(one, other, text)
        return without(rows, again)

    def rows_at(self, key: str, kind: Kind, contig: str, keys: pl.DataFrame) -> pl.DataFrame:
        """Return the rows whose keys `keys` has (sorted by pos), read in narrow ranges."""
        present = [pl.DataFrame(schema=kind.schema)]
        positions = keys["pos"].to_numpy().astype(np.int64)
        for low, high in _clusters(positions):
            rows = self.read(key, kind, contig, int(positions[low]), int(positions[high - 1]))
            present.append(rows.join(keys[low:high], on=kind.key, how="semi"))
        return pl.concat(present).sort(kind.key)

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
            rows = self._part_rows(key, part, start, end, kind.key)
            return (low, high, rows) if rows.height else None

        yield from self._each_part(key, kind, contig, int(positions[0]), int(positions[-1]), keys)

    def _part_rows(
        self, key: str, part: Part, start: int, end: int, columns: list[str]
    ) -> pl.DataFrame:
        lazy = pl.scan_parquet(part.path(self.manifest.root / key)).select(columns)
        if start > part.first or end < part.last:  # row groups outside are not read
            lazy = lazy.filter(pl.col("pos").is_between(start, end))
        return lazy.collect(engine="in-memory")

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
            parts = [
                part
                for part in manifest.parts_of(key, contig, kind.name)
                if part.first <= end and part.last >= start and part.sha256 not in done
            ]
            gone = False
            for part, fault in zip(parts, manifest.faults(key, parts), strict=True):
                if fault is None:
                    try:
                        result = read(part)
                    except FileNotFoundError:
                        fault = LOST
                if fault is not None:
                    manifest.forget(key)
                    if fault == LOST and part.sha256 not in {p.sha256 for p in manifest.parts(key)}:
                        gone = True
                        break
                    raise UserError(
                        f"{part.path(manifest.root / key)}: {fault}; run the workflow again with "
                        "--forcerun plan: it sets the file aside and computes its rows again"
                    )
                done.add(part.sha256)
                if result is not None:
                    yield result
            if not gone:
                return


def in_pieces(frames: Iterable[pl.DataFrame], kind: Kind) -> tuple[pl.DataFrame, NDArray[np.intp]]:
    """Join frames of a kind that may hold the same rows.

    Returns
    -------
    rows : polars.DataFrame
        All rows, sorted by the kind's key, then by the number of their frame, the column `piece`.
    again : int, shape (n,)
        The rows whose keys are those of the row before.
    """
    rows = pl.concat(
        frame.with_columns(piece=pl.lit(number, pl.UInt32)) for number, frame in enumerate(frames)
    ).sort(*kind.key, "piece")
    same = pl.all_horizontal(pl.col(n) == pl.col(n).shift(1) for n in kind.key)
    return rows, np.flatnonzero(rows.select(same.fill_null(value=False)).to_series().to_numpy())


def without(rows: pl.DataFrame, again: NDArray[np.intp]) -> pl.DataFrame:
    """Return what `in_pieces` joined without the rows that come again."""
    if len(again):
        kept = np.ones(rows.height, dtype=bool)
        kept[again] = False
        rows = rows.filter(kept)
    return rows.drop("piece")


def conflict(
    one: pl.DataFrame, other: pl.DataFrame, kind: Kind, tolerance: float
) -> tuple[int, str] | None:
    """Return the first row where two frames of the same keys differ beyond `tolerance` (nats).

    As its number and a text that names it and both values; None where there is none.
    """
    a, b = (rows.select(kind.values).to_numpy() for rows in (one, other))
    both_absent = np.isnan(a) & np.isnan(b)
    with np.errstate(invalid="ignore"):
        wrong = ~((np.abs(a - b) <= tolerance) | both_absent)
    if not wrong.any():
        return None
    row = int(wrong.any(axis=1).argmax())
    column = int(wrong[row].argmax())
    name = " ".join(str(one[row, key]) for key in kind.key)
    return row, f"{name} ({kind.values[column]} {a[row, column]:g} and {b[row, column]:g})"


def _clusters(positions: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Cut sorted positions into stretches (from, to) without gaps and of bounded width."""
    start = 0
    edges = np.flatnonzero(np.diff(positions) > _GAP) + 1
    for end in [*edges.tolist(), len(positions)]:
        while start < end:
            stop = int(np.searchsorted(positions[start:end], positions[start] + _SPAN)) + start
            yield start, stop
            start = stop

"""Embeddings on the disk: a table of rows, arrays in parts of bounded size, and a record of both.

A folder holds `rows.parquet` (`ROWS`), `part-00000.npy`, `part-00001.npy`, … (float32, the rows in
their order) and, when all of it is there, `embeddings.json`. Each part is written whole, so that a
step that was stopped goes on with the first one that is missing; `identity.json` says of what the
parts are, and parts of anything else are removed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.errors import UserError
from varlm.files.json_record import JsonRecord, absent_if_none
from varlm.files.whole import sha256
from varlm.tables.parquet import Column, Table, read_table

Floats = NDArray[np.float32]
Kind = Literal["sequences", "intervals", "variants"]
Positions = Literal["all", "mean", "centre"]

RECORD, TABLE = "embeddings.json", "rows.parquet"

ROWS = Table(
    "rows",
    (
        Column("row", pl.UInt32(), "0-based number of the row in the user's table, header aside"),
        Column(
            "chrom", pl.String(), "contig as the reference names it; null: a sequence of its own"
        ),
        Column(
            "start",
            pl.Int64(),
            "first base embedded, 0-based (on a circle maybe below 0); null likewise",
        ),
        Column("end", pl.Int64(), "end of it, half-open; null likewise"),
        Column("strand", pl.String(), "+ or -, on which the sequence is read; null likewise"),
        Column("label", pl.Float64(), "the number; of classes 1, positive, or 0, negative"),
        Column("fold", pl.String(), "rows that are held out together have the same"),
        Column("sequence", pl.String(), "what is embedded, as read: upper case, its own strand"),
        Column("alternate", pl.String(), "of a variant, the same with ALT, as long; else null"),
    ),
    signed=True,
)


@dataclass(frozen=True, kw_only=True)
class PartRecord:
    """A part: its rows, and the SHA-256 of its file (hexadecimal)."""

    rows: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class EmbeddingsRecord(JsonRecord):
    """What embeddings.json says.

    Attributes
    ----------
    model : str
        Its name in the config.
    kind : str
        What the table's rows are.
    positions : str
        all: every base; mean: one vector, the mean over them; centre: that of the base at
        length // 2.
    channels : int
        Values of a vector.
    length : int or None
        bp of each row's sequence; None: sequences of different lengths (mean and centre only).
    window : int
        bp that the model read around the middle of each row.
    rows : int
        Rows with embeddings: those of rows.parquet.
    left_out : dict
        Why rows of the user's table have none → how many.
    parts : tuple of PartRecord
    table : str
        SHA-256 of the user's table.
    identity : str
        Digest of what decides the numbers: model, window, genome, sequences, positions.
    flanks : bool or None
        False: of intervals and variants the model read the row alone, nothing around it.
    """

    MADE_BY = "embed"

    model: str
    kind: Kind
    positions: Positions
    channels: int
    length: int | None
    window: int
    rows: int
    left_out: dict[str, int]
    parts: tuple[PartRecord, ...]
    table: str
    identity: str
    flanks: bool | None = absent_if_none()

    @property
    def variants(self) -> bool:
        """Whether there are two vectors for each position: of the reference and of ALT."""
        return self.kind == "variants"

    def shape(self, rows: int) -> tuple[int, ...]:
        """Return the shape of the array of so many rows: see `Part.values`."""
        return shape_of(self.kind, self.positions, self.length, self.channels, rows)


def shape_of(
    kind: Kind, positions: Positions, length: int | None, channels: int, rows: int
) -> tuple[int, ...]:
    """Return the shape of the array of so many rows: see `Part.values`."""
    places = 1 if positions != "all" else length
    if places is None:
        raise ValueError("all positions of sequences of different lengths are no array")
    return (*((2,) if kind == "variants" else ()), rows, places, channels)


@dataclass(frozen=True)
class Part:
    """Some of the rows.

    Attributes
    ----------
    rows : slice
        Of rows.parquet.
    values : float32, shape (rows, positions, channels)
        Mapped from the file, read-only. Of variants (2, rows, positions, channels): the reference,
        then ALT. One position, unless all are stored.
    """

    rows: slice
    values: Floats


@dataclass(frozen=True)
class Embeddings:
    """The embeddings of a folder; nothing but the table is in memory.

    Attributes
    ----------
    folder : Path
    record : EmbeddingsRecord
    rows : polars.DataFrame
        `ROWS`.
    """

    folder: Path
    record: EmbeddingsRecord
    rows: pl.DataFrame

    @cached_property
    def parts(self) -> list[Part]:
        """The parts in order, each checked against its digest, once.

        Raises
        ------
        UserError
            If a part is missing, changed, or of another shape.
        """
        return list(self._parts())

    def _parts(self) -> Iterator[Part]:
        start = 0
        for number, part in enumerate(self.record.parts):
            path = part_path(self.folder, number)
            values = mapped(path, self.record.shape(part.rows))
            if values is None or sha256(path) != part.sha256:
                raise UserError(
                    f"{path}: missing or changed since the step embed wrote it; delete "
                    f"{self.folder} and run the workflow again: it is made anew"
                )
            yield Part(slice(start, start + part.rows), values)
            start += part.rows

    def features(self, positions: Positions) -> Floats:
        """Return the vectors of all rows, in memory.

        Parameters
        ----------
        positions : str
            `mean` and `centre` can be had where they or all positions are stored, `all` where all
            are.

        Returns
        -------
        float32
            mean, centre: shape (rows, channels); all: (rows, length, channels). Of variants with a
            leading axis of 2: the reference, then ALT.

        Raises
        ------
        UserError
            As of `parts`, or if the stored positions do not tell.
        """
        stored = self.record.positions
        if stored not in ("all", positions):
            raise UserError(
                f"{self.folder}: holds the embeddings of positions: {stored}, asked for "
                f"{positions}; set probe.NAME.positions: all"
            )
        reduced = [_reduced(part.values, stored, positions) for part in self.parts]
        return np.concatenate(reduced, axis=self._axis)

    def take(self, rows: NDArray[np.integer]) -> Floats:
        """Return what is stored of some rows, read from the disk: shape as `Part.values`.

        Parameters
        ----------
        rows : integers, shape (n,)
            0-based in rows.parquet, in any order.
        """
        rows = np.asarray(rows)
        values = np.empty(self.record.shape(len(rows)), np.float32)
        for part in self.parts:
            inside = (part.rows.start <= rows) & (rows < part.rows.stop)
            if inside.any():
                chosen = np.take(part.values, rows[inside] - part.rows.start, axis=self._axis)
                values[(slice(None),) * self._axis + (inside,)] = chosen
        return values

    @property
    def _axis(self) -> int:
        """The axis of the rows."""
        return 1 if self.record.variants else 0


def _reduced(values: Floats, stored: Positions, wanted: Positions) -> Floats:
    """Return what is wanted of a part's positions, the second last axis."""
    if wanted == "all":
        return values
    if stored != "all":
        return values[..., 0, :]
    if wanted == "centre":
        return values[..., values.shape[-2] // 2, :]
    mean: Floats = values.mean(axis=-2, dtype=np.float64).astype(np.float32)
    return mean


def open_embeddings(folder: Path) -> Embeddings:
    """Open the embeddings that the step `embed` wrote into a folder.

    Raises
    ------
    UserError
        If a file is missing or of another shape, or the table has other rows than the record says.
    """
    record = EmbeddingsRecord.read(folder / RECORD)
    rows = read_table(folder / TABLE, ROWS)
    if not record.rows == rows.height == sum(part.rows for part in record.parts):
        raise UserError(
            f"{folder / RECORD}: {record.rows} rows in {len(record.parts)} parts, but "
            f"{folder / TABLE} has {rows.height}; delete {folder} and run the workflow again"
        )
    return Embeddings(folder, record, rows)


def part_path(folder: Path, number: int) -> Path:
    """Return the file of a part, 0 the first."""
    return folder / f"part-{number:05d}.npy"


def mapped(path: Path, shape: tuple[int, ...]) -> Floats | None:
    """Return a part mapped into memory; None if it is missing or no float32 array of the shape."""
    try:
        values: Floats = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):  # missing, no .npy, or cut
        return None
    is_it = values.dtype == np.float32 and values.shape == shape
    return values if is_it else None

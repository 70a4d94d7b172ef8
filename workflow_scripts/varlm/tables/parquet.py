"""Tables as Parquet files: written whole, read with their schema checked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from polars.io.plugins import register_io_source

from varlm.errors import UserError
from varlm.files.whole import atomic_path

_MEANING = "varlm.column."  # prefix of the Parquet metadata that says what a column means
ROW_GROUP = 100_000  # rows: 64k to 256k read equally fast, and a reader can skip by position


@dataclass(frozen=True)
class Column:
    """One column: its name, Polars type and meaning (units, coordinate base, null)."""

    name: str
    dtype: pl.DataType
    meaning: str


@dataclass(frozen=True)
class Table:
    """A table: its name and its columns, in file order."""

    name: str
    columns: tuple[Column, ...]

    @property
    def schema(self) -> dict[str, pl.DataType]:
        """Column name → Polars type, in file order."""
        return {column.name: column.dtype for column in self.columns}

    @property
    def names(self) -> list[str]:
        """Column names in file order."""
        return [column.name for column in self.columns]

    def empty(self) -> pl.DataFrame:
        """Return the table without rows."""
        return pl.DataFrame(schema=self.schema)

    def check(self, frame: pl.DataFrame, where: str | Path) -> pl.DataFrame:
        """Return `frame` unchanged, or raise `UserError` if its columns or types differ."""
        self.check_schema(frame.schema, where)
        return frame

    def check_schema(self, actual: pl.Schema, where: str | Path) -> None:
        """Raise `UserError` unless `actual` has exactly this table's columns, in order."""
        if list(actual.items()) == list(self.schema.items()):
            return
        expected = ", ".join(f"{name}: {dtype}" for name, dtype in self.schema.items())
        got = ", ".join(f"{name}: {dtype}" for name, dtype in actual.items())
        raise UserError(
            f"{where}: not a {self.name!r} table of this version of varlm: found columns "
            f"({got}), expected ({expected}); delete the file and run the workflow again"
        )


def described_table(name: str, path: Path) -> Table:
    """Return the schema that a Parquet file has, with the meanings that its metadata gives.

    Raises
    ------
    UserError
        If the file is missing or no Parquet file.
    """
    try:
        schema = pl.scan_parquet(path).collect_schema()
        meanings = pl.read_parquet_metadata(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _unreadable(path, Table(name, ()), error) from error
    columns = (
        Column(column, dtype, meanings.get(f"{_MEANING}{column}", ""))
        for column, dtype in schema.items()
    )
    return Table(name, tuple(columns))


def meanings(table: Table) -> dict[str, str]:
    """Return the Parquet metadata that says what each column means, for `described_table`."""
    return {f"{_MEANING}{column.name}": column.meaning for column in table.columns}


def scan_table(path: Path, table: Table) -> pl.LazyFrame:
    """Return a lazy frame of a Parquet file, its columns checked against `table`.

    Raises
    ------
    UserError
        If the file is missing, is no Parquet file, or has other columns.
    """
    frame = pl.scan_parquet(path)
    try:
        schema = frame.collect_schema()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _unreadable(path, table, error) from error
    table.check_schema(schema, path)
    return frame


def read_table(path: Path, table: Table) -> pl.DataFrame:
    """Read a Parquet file and check its columns against `table`; errors as in `scan_table`."""
    try:
        return scan_table(path, table).collect(engine="in-memory")
    except pl.exceptions.PolarsError as error:
        raise _unreadable(path, table, error) from error


def _unreadable(path: Path, table: Table, error: Exception) -> UserError:
    reason = "not found" if isinstance(error, FileNotFoundError) else str(error).split("\n")[0]
    return UserError(
        f"{path}: cannot be read as the table {table.name!r} ({reason}); delete the file and run "
        "the workflow again"
    )


def write_table(frame: pl.DataFrame, path: Path, table: Table) -> None:
    """Check `frame` against `table` and write it as Parquet, atomically."""
    table.check(frame, path)
    with atomic_path(path) as temporary:
        frame.write_parquet(temporary, compression="zstd", compression_level=3)


def write_pieces(
    pieces: Iterable[pl.DataFrame],
    path: Path,
    table: Table,
    metadata: dict[str, str] | None = None,
) -> int:
    """Write a table that comes in pieces as one Parquet file, atomically; return its rows.

    Memory holds a few pieces at a time, however long the table is. `metadata` goes into the
    file's key-value metadata. An error that `pieces` raises comes out as it is.
    """
    failure: list[Exception] = []
    row_count = 0

    def source(*_: Any) -> Iterator[pl.DataFrame]:
        # Polars asks for all columns and rows here, for nothing is selected before the sink.
        nonlocal row_count
        try:
            for piece in pieces:
                row_count += piece.height
                yield table.check(piece, path)
        except Exception as error:
            failure.append(error)  # Polars wraps it in an error of its own
            raise

    with atomic_path(path) as temporary:
        try:
            register_io_source(source, schema=table.schema).sink_parquet(
                temporary,
                compression="zstd",
                compression_level=3,
                row_group_size=ROW_GROUP,
                maintain_order=True,
                metadata=metadata,
            )
        except pl.exceptions.PolarsError:
            if failure:
                raise failure[0] from None
            raise
        written = int(pl.scan_parquet(temporary).select(pl.len()).collect().item())
        if written != row_count:
            raise UserError(
                f"{path}: {written} rows on disk, {row_count} written; the disk may be failing: "
                "run again"
            )
    return written

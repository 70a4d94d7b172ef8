"""Tables as Parquet files: written whole, read with their schema checked.

In a file for users integers are signed: a difference of positions that are not is 4,294,967,291 in
pandas and polars, without a word. In memory they are of the types that the table says, half as
wide; reading takes files of either kind, and so those of older versions.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from polars.io.plugins import register_io_source

from varlm.errors import UserError
from varlm.files.whole import atomic_path

_MEANING = "varlm.column."  # prefix of the Parquet metadata that says what a column means
_SIGNED: dict[pl.DataType, pl.DataType] = {
    pl.UInt16(): pl.Int32(),
    pl.UInt32(): pl.Int64(),
    pl.UInt64(): pl.Int64(),
}
ROW_GROUP = 100_000  # rows: 64k to 256k read equally fast, and a reader can skip by position


@dataclass(frozen=True)
class Column:
    """One column: its name, Polars type and meaning (units, coordinate base, null)."""

    name: str
    dtype: pl.DataType
    meaning: str


@dataclass(frozen=True)
class Table:
    """A table: its name, its columns in file order, and whether integers are signed in its file."""

    name: str
    columns: tuple[Column, ...]
    signed: bool = False

    @property
    def schema(self) -> dict[str, pl.DataType]:
        """Column name → Polars type, in file order."""
        return {column.name: column.dtype for column in self.columns}

    @property
    def file_schema(self) -> dict[str, pl.DataType]:
        """Column name → Polars type in a file of this table, in file order."""
        if not self.signed:
            return self.schema
        return {name: signed(dtype) for name, dtype in self.schema.items()}

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
        """Raise `UserError` unless `actual` has this table's columns, in order, and their types.

        Those are the types in memory or in a file.
        """
        in_file = self.file_schema
        if list(actual) == self.names and all(
            actual[name] in (dtype, in_file[name]) for name, dtype in self.schema.items()
        ):
            return
        expected = ", ".join(f"{name}: {dtype}" for name, dtype in self.schema.items())
        got = ", ".join(f"{name}: {dtype}" for name, dtype in actual.items())
        raise UserError(
            f"{where}: not a {self.name!r} table of this version of varlm: found columns "
            f"({got}), expected ({expected}); delete the file and run the workflow again"
        )


def signed(dtype: pl.DataType) -> pl.DataType:
    """Return the type of a column of this type in a file for users."""
    return _SIGNED.get(dtype, dtype)


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
    """Return a lazy frame of a Parquet file, its columns checked and of the types of `table`.

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
    differing = {name: dtype for name, dtype in table.schema.items() if schema[name] != dtype}
    return frame.cast(differing) if differing else frame  # type: ignore[arg-type]


def read_table(path: Path, table: Table) -> pl.DataFrame:
    """Read a Parquet file and check its columns against `table`; errors as in `scan_table`."""
    try:
        return scan_table(path, table).collect(engine="in-memory")
    except pl.exceptions.PolarsError as error:
        raise _unreadable(path, table, error) from error


def on_its_own(rows: pl.DataFrame) -> pl.DataFrame:
    """Return a copy that keeps nothing in memory but its own rows.

    Rows that are picked of a table share its texts: a few of each piece keep all pieces in memory.
    """
    file = io.BytesIO()
    rows.write_ipc(file)
    return pl.read_ipc(file)


def _unreadable(path: Path, table: Table, error: Exception) -> UserError:
    reason = "not found" if isinstance(error, FileNotFoundError) else str(error).split("\n")[0]
    return UserError(
        f"{path}: cannot be read as the table {table.name!r} ({reason}); delete the file and run "
        "the workflow again"
    )


def write_table(frame: pl.DataFrame, path: Path, table: Table) -> None:
    """Check `frame` against `table` and write it as Parquet, atomically."""
    table.check(frame, path)
    if table.file_schema != table.schema:
        # In pieces: a second copy of all integers took 28 bytes a row of VARIANTS.
        write_pieces(frame.iter_slices(ROW_GROUP), path, table)
        return
    with atomic_path(path) as temporary:
        frame.write_parquet(temporary, compression="zstd", compression_level=3)


def _as_in_file(frame: pl.DataFrame, table: Table) -> pl.DataFrame:
    differing = {n: dtype for n, dtype in table.file_schema.items() if frame.schema[n] != dtype}
    return frame.cast(differing) if differing else frame  # type: ignore[arg-type]


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
                yield _as_in_file(table.check(piece, path), table)
        except Exception as error:
            failure.append(error)  # Polars wraps it in an error of its own
            raise

    with atomic_path(path) as temporary:
        try:
            register_io_source(source, schema=table.file_schema).sink_parquet(
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

"""The columns of a probe's table: TSV or Parquet, and what its rows are by their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from varlm.errors import UserError, first_few
from varlm.files.text import head, tabbed
from varlm.probing.parts import Kind

# What the rows are → the columns that say so; the first kind that a table has counts.
KIND_COLUMNS: dict[Kind, tuple[str, ...]] = {
    "sequences": ("sequence",),
    "variants": ("chrom", "pos", "ref", "alt"),
    "intervals": ("chrom", "start", "end"),
}
STRAND = "strand"  # of variants and intervals, optional
LABEL, FOLD, ROW = "label", "fold", "row"  # what the columns that a probe names are called here

_SHOWN = 12  # columns named in a message
_PARQUET = b"PAR1"


@dataclass(frozen=True)
class TableColumns:
    """What a probe needs of its table, as it is.

    Attributes
    ----------
    path : Path
    kind : str
        What the rows are.
    frame : polars.DataFrame
        `row` (0-based), `label`, `fold`, and those of `KIND_COLUMNS`; text, of a TSV.
    lines : sequence of int, optional
        The line of each row; None: Parquet has none.
    """

    path: Path
    kind: Kind
    frame: pl.DataFrame
    lines: Sequence[int] | None

    def place(self, row: int) -> str:
        """Return where a row is, for messages."""
        if self.lines is None:
            return f"{self.path}, row {row + 1}"
        return f"{self.path}, line {self.lines[row]}"


def read_columns(path: Path, where: str, label: str, folds: str) -> TableColumns:
    """Read what a probe needs of its table.

    Parameters
    ----------
    path : Path
        TSV with a header, plain or gzip, of which lines that start with ## are passed over; or
        Parquet.
    where : str
        The config key, for messages.
    label, folds : str
        Names of columns.

    Raises
    ------
    UserError
        If it cannot be read, lacks a column, or a line has another number of cells.
    """
    expected = f"{where}.table must name a TSV or Parquet file with the label's column"
    if head(path, expected).startswith(_PARQUET):
        return _parquet(path, where, label, folds)
    return _tsv(path, expected, where, label, folds)


def _tsv(path: Path, expected: str, where: str, label: str, folds: str) -> TableColumns:
    header, table_rows = tabbed(path, expected, where)
    kind, names = _needed(header, f"{where}: {path}", where, label, folds)
    places = [header.index(name) for name in names.values()]
    rows, numbers = [], []
    for number, cells in table_rows:
        rows.append([cells[place] for place in places])
        numbers.append(number)
    frame = pl.DataFrame(rows, dict.fromkeys(names, pl.String), orient="row")
    return TableColumns(path, kind, frame.with_row_index(ROW), numbers)


def _parquet(path: Path, where: str, label: str, folds: str) -> TableColumns:
    try:
        header = list(pl.read_parquet_schema(path))
        kind, names = _needed(header, f"{where}: {path}", where, label, folds)
        wanted = [pl.col(column).alias(name) for name, column in names.items()]
        frame = pl.scan_parquet(path).select(wanted).collect(engine="in-memory")
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{where}: {path}: cannot be read as Parquet ({reason}); copy or make it again"
        ) from error
    return TableColumns(path, kind, frame.with_row_index(ROW), None)


def _needed(
    header: Sequence[str], place: str, where: str, label: str, folds: str
) -> tuple[Kind, dict[str, str]]:
    """Return what the rows are, and our name → the table's, of the columns that are needed."""
    shown = f"its columns are {first_few(header, _SHOWN) or 'none'}"
    kind = next((kind for kind, own in KIND_COLUMNS.items() if set(own) <= set(header)), None)
    if kind is None:
        kinds = "; or ".join(", ".join(own) for own in KIND_COLUMNS.values())
        raise UserError(f"{place}: nothing says what its rows are: expected {kinds}; {shown}")
    for key, column in (("label", label), ("folds", folds)):
        if column not in header:
            raise UserError(
                f"{place} has no column {column}; {shown}: name one of them in {where}.{key}"
            )
    own = KIND_COLUMNS[kind]
    strand = (STRAND,) if kind != "sequences" and STRAND in header else ()
    return kind, {**{name: name for name in (*own, *strand)}, LABEL: label, FOLD: folds}

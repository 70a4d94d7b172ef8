"""Tab-separated files as five readers take them with their defaults, told only of the tabs."""

from __future__ import annotations

import csv
import gzip
import math
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl

from varlm.tables.spreadsheet import unescaped

Columns = dict[str, list[Any]]  # of each column its cells: text, a number, a boolean, None: missing

# Every column in hexadecimal, since R's own printing changes texts: its class, then its cells.
_R = """
path <- commandArgs(TRUE)[1]
table <- read.delim(path)
hexed <- function(text) paste(as.character(charToRaw(enc2native(text))), collapse = "")
names <- strsplit(readLines(path, 1), "\\t")[[1]]
stopifnot(length(names) == ncol(table))
for (i in seq_along(names)) {
  cells <- table[[i]]
  text <- if (is.numeric(cells)) format(cells, digits = 17, trim = TRUE) else as.character(cells)
  shown <- ifelse(is.na(cells), "NA", paste0("=", vapply(text, hexed, "")))
  cat(paste(c(names[i], class(cells), shown), collapse = "\\t"), "\\n", sep = "")
}
"""


def with_pandas(path: Path) -> Columns:
    """Read with pandas; a missing value of a column of numbers is NaN."""
    table = pd.read_csv(path, sep="\t")
    return {
        name: [None if pd.isna(cell) else cell for cell in table[name].tolist()] for name in table
    }


def with_polars(path: Path) -> Columns:
    """Read with polars."""
    return pl.read_csv(path, separator="\t").to_dict(as_series=False)


def with_duckdb(path: Path, **options: Any) -> Columns:
    """Read with DuckDB, which would otherwise guess which letter separates."""
    with duckdb.connect() as connection:
        table = connection.read_csv(str(path), **(options or {"sep": "\t"}))
        return dict(zip(table.columns, map(list, _turned(table.fetchall(), table)), strict=True))


def _turned(rows: list[Any], table: Any) -> list[Any]:
    return list(zip(*rows, strict=True)) or [()] * len(table.columns)


def with_csv(path: Path) -> Columns:
    """Read with Python's csv, to which all is text and a missing value is an empty one."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file, delimiter="\t")
    columns = zip(*rows, strict=True) if rows else [()] * len(header)
    return {
        name: [cell or None for cell in cells] for name, cells in zip(header, columns, strict=True)
    }


def with_r(path: Path) -> Columns:
    """Read with R's read.delim, to which a missing text is an empty one."""
    done = subprocess.run(
        ["Rscript", "--vanilla", "-e", _R, str(path)], capture_output=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    columns = (line.split("\t") for line in done.stdout.decode().splitlines())
    return {name: [_of_r(kind, cell) for cell in cells] for name, kind, *cells in columns}


def _of_r(kind: str, cell: str) -> Any:
    if cell in ("NA", "="):
        return None
    text = bytes.fromhex(cell[1:]).decode()
    if kind in ("integer", "numeric"):
        return float(text)
    return text == "TRUE" if kind == "logical" else text


READERS: dict[str, Callable[[Path], Columns]] = {
    "pandas": with_pandas,
    "polars": with_polars,
    "duckdb": with_duckdb,
    "csv": with_csv,
}
HAS_R = shutil.which("Rscript") is not None


def same(cell: Any, value: Any) -> bool:
    """Return whether what a reader has is the value that was written.

    Text may have become a number that is written just so. A number may have stayed text, where a
    reader's guess is of rows in which the column is empty.
    """
    if value is None or cell is None:
        return cell is value
    if isinstance(value, bool):
        return str(cell).lower() == str(value).lower()
    if isinstance(value, float | int):
        return math.isclose(float(cell), value, rel_tol=1e-5)
    if isinstance(cell, str):
        return unescaped(cell) == value
    return type(cell) in (int, float) and value in (f"{cell:.15g}", f"{cell:.1f}")


def check_columns(read: Columns, written: Columns, reader: str) -> None:
    """Check that a reader has all columns, rows and values that were written."""
    assert list(read) == list(written), reader
    for name, values in written.items():
        assert len(read[name]) == len(values), (reader, name)
        wrong = [
            (cell, value)
            for cell, value in zip(read[name], values, strict=True)
            if not same(cell, value)
        ]
        assert not wrong, (reader, name, wrong[:3])

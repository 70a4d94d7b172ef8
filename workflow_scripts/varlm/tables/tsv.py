"""Tables as tab-separated text that every reader takes as it is, and the way back.

A missing value is an empty cell, which no text is (`varlm.tables.spreadsheet`). No cell is quoted.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from pathlib import Path

import polars as pl

from varlm.tables.spreadsheet import Marking, column_marking, spreadsheet_safe, unescaped

SEPARATOR = "\t"


def tsv_rows(
    rows: pl.DataFrame, markings: Mapping[str, Marking], float_precision: int | None = None
) -> bytes:
    """Return rows as UTF-8, without a header; the columns of `markings` are escaped."""
    safe = [spreadsheet_safe(rows[name], marking) for name, marking in markings.items()]
    text = io.BytesIO()  # half the time of asking for a str, which has to be encoded again
    rows.with_columns(safe).write_csv(
        text,
        include_header=False,
        separator=SEPARATOR,
        quote_style="never",
        float_precision=float_precision,
    )
    return text.getvalue()


def write_tsv(frame: pl.DataFrame, path: Path, float_precision: int | None = None) -> None:
    """Write a small table with its header."""
    header = SEPARATOR.join(frame.columns) + "\n"
    texts = frame.select(pl.col(pl.String))
    markings = {column.name: column_marking([column]) for column in texts.iter_columns()}
    path.write_bytes(header.encode() + tsv_rows(frame, markings, float_precision))


def read_tsv(
    path: Path, columns: Iterable[str] | None = None, *, missing: str = ""
) -> pl.DataFrame:
    """Return a table that `write_tsv` wrote, all of it text, escapes undone.

    Parameters
    ----------
    columns : iterable of str, optional
        The columns that there are; otherwise as the header has them.
    missing : str
        What else than an empty cell is a missing value, in tables of before.
    """
    text = pl.read_csv(
        path,
        separator=SEPARATOR,
        quote_char=None,
        infer_schema=False,
        schema=None if columns is None else dict.fromkeys(columns, pl.String),
        null_values=missing or None,
    )
    return text.with_columns(map(_unescaped, text.iter_columns()))


def _unescaped(column: pl.Series) -> pl.Series:
    texts = column.filter(column.str.contains(r"\\x|^'")).unique()
    if texts.is_empty():
        return column
    return column.replace(texts, texts.map_elements(unescaped, return_dtype=pl.String))

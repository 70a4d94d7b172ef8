"""The INFO fields that tables of published scores give to the annotated VCF."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from varlm.annotation.joined_scores import JoinedColumn, joined_columns

# What an Integer of a VCF can be: beyond that, htslib takes it for missing.
_LEAST, _MOST = -(2**31) + 8, 2**31 - 1
_SHOWN = 200  # characters of a description


@dataclass(frozen=True)
class TableTag:
    """An INFO field of the name of its column: its type there, and its description."""

    type: str
    text: str


def table_tags(annotated: Path) -> dict[str, TableTag]:
    """Return INFO tag, which is the column, → what it is, for all tables of an annotated table."""
    columns = joined_columns(annotated)
    beyond = _beyond_integers(annotated, columns)
    tags = {}
    for column in columns:
        type_ = "String" if column.name in beyond else _type(column.dtype)
        tags[column.name] = TableTag(type_, f"{column.table.name}: {_plain(column.meaning)}")
        if column.percentile is not None:
            text = f"{column.table.name}: {_plain(column.percentile.meaning)}"
            tags[column.percentile.name] = TableTag("Float", text)
    return tags


def _type(dtype: pl.DataType) -> str:
    if dtype.is_float():
        return "Float"
    return "Integer" if dtype.is_integer() else "String"


def _beyond_integers(annotated: Path, columns: Sequence[JoinedColumn]) -> set[str]:
    """Return the columns with integers that a VCF's Integer cannot hold."""
    integers = [column.name for column in columns if column.dtype.is_integer()]
    if not integers:
        return set()
    outside = (~pl.col(name).is_between(_LEAST, _MOST) for name in integers)
    frame = pl.scan_parquet(annotated).select(column.any() for column in outside)
    return {name for name, is_beyond in frame.collect().row(0, named=True).items() if is_beyond}


def _plain(text: str) -> str:
    """Return a description as a header line can hold it."""
    text = "".join(c for c in text if c.isprintable() and c not in '"\\')
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."

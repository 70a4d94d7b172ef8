"""Rows of the annotated table as flat text: nested values joined by letters that none has."""

from __future__ import annotations

import polars as pl

from varlm.tables.columns import STRAND
from varlm.tables.parquet import Column, Table
from varlm.tables.schemas import TRANSCRIPT_CONSEQUENCE
from varlm.tables.spreadsheet import Marking, column_marking

FIELDS = tuple(column.name for column in TRANSCRIPT_CONSEQUENCE)
_NAMES = ("gene", "gene_id", "transcript", "biotype")  # as the annotation's author liked them
# What would break a list of consequences or its cell, as VCF 4.3 (section 1.2) spells it.
_BREAKING = "".join(map(chr, (*range(0x20), 0x7F))) + ' %;=,|&"\\'
_SPELLED = {letter: f"%{ord(letter):02X}" for letter in _BREAKING}
# Columns of varlm's own text, safe as it is. Of REF and ALT all of one table may be T, which R and
# DuckDB take for true; an apostrophe there would be worse for all others.
_CHECKED = ("kind", "ref", "alt", "input_ref", "input_alt", "strand")
_BARE = ("chrom",)  # integers stay, for tabix finds rows by this name


def flat(rows: pl.DataFrame, table: Table) -> pl.DataFrame:
    """Return rows of the annotated table with only flat columns.

    The nested column becomes one text an allele: transcripts joined by ',', the fields of each
    (`FIELDS`) by '|'; letters that would break it are percent-encoded. Other lists are joined by
    ','. Floats have six significant digits.
    """
    return rows.with_columns(
        consequence_text(rows["consequences"]),
        *(_joined(column.name) for column in table.columns if _is_list(column)),
        pl.col(pl.Float32, pl.Float64).round_sig_figs(6),
    )


def markings(frame: pl.LazyFrame, table: Table, rows: int) -> dict[str, Marking]:
    """Return how each text column of `flat` is to be escaped, judged by the whole table.

    Parameters
    ----------
    frame : polars.LazyFrame
        The annotated table.
    rows : int
        Rows to look at in one go.
    """
    texts = {
        column.name: _joined(column.name) if _is_list(column) else pl.col(column.name)
        for column in table.columns
        if _is_list(column) or (column.dtype == pl.String and not _is_checked(column))
    }
    total = int(frame.select(pl.len()).collect().item())
    return {
        name: column_marking(
            (
                frame.slice(start, rows).select(text).collect(engine="in-memory").to_series()
                for start in range(0, total, rows)
            ),
            keep_integers=name in _BARE,
        )
        for name, text in texts.items()
    }


def _is_checked(column: Column) -> bool:
    return column.name in _CHECKED or column.meaning == STRAND[2]


def _is_list(column: Column) -> bool:
    return isinstance(column.dtype, pl.List) and column.name != "consequences"


def _joined(name: str) -> pl.Expr:
    return pl.col(name).list.eval(pl.element().cast(pl.String).fill_null(".")).list.join(",")


def consequence_text(nested: pl.Series) -> pl.Series:
    """Return `schemas.CONSEQUENCES`' nested column as text, null where it is null."""
    field = {name: pl.element().struct.field(name).fill_null("") for name in FIELDS}
    entries = nested.drop_nulls().explode(empty_as_null=False)
    for name in _NAMES:
        # Names are few: looking at each once is far quicker than at every row.
        if entries.struct.field(name).unique().str.contains(r'[%;=,|&"\\\x00-\x20\x7f]').any():
            field[name] = field[name].str.replace_many(_SPELLED)
    text = pl.concat_str(field.values(), separator="|")
    joined = pl.col(nested.name).list.eval(text).list.join(",")
    return nested.to_frame().select(joined).to_series()

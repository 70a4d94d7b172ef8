"""Rows of the annotated table as flat text: nested values joined, breaking letters escaped."""

from __future__ import annotations

import polars as pl

from varlm.tables.parquet import Table
from varlm.tables.schemas import TRANSCRIPT_CONSEQUENCE
from varlm.tables.spreadsheet import spreadsheet_safe

FIELDS = tuple(column.name for column in TRANSCRIPT_CONSEQUENCE)
_NAMES = ("gene", "gene_id", "transcript", "biotype")  # as the annotation's author liked them
# What would break a list of consequences, as VCF 4.3 (section 1.2) spells it.
_SPELLED = {letter: f"%{ord(letter):02X}" for letter in "%;=,|&\t\n\r "}
_CHECKED = ("kind", "ref", "alt", "strand")  # columns whose text varlm made, safe as it is


def flat(rows: pl.DataFrame, table: Table) -> pl.DataFrame:
    """Return rows of the annotated table with only flat columns, safe to write as TSV.

    The nested column becomes one text an allele: transcripts joined by ',', the fields of each
    (`FIELDS`) by '|'; letters that would break it are percent-encoded. Other lists are joined by
    ','. Floats have six significant digits. Text is made safe for
    spreadsheets (`varlm.tables.spreadsheet`).
    """
    lists = [
        c.name for c in table.columns if isinstance(c.dtype, pl.List) and c.name != "consequences"
    ]
    rows = rows.with_columns(
        consequence_text(rows["consequences"]),
        *(
            pl.col(name).list.eval(pl.element().cast(pl.String).fill_null(".")).list.join(",")
            for name in lists
        ),
    )
    text = [
        column.name
        for column in table.columns
        if column.name in lists or (column.dtype == pl.String and column.name not in _CHECKED)
    ]
    filled = [name for name in text if rows[name].null_count() < rows.height]
    return rows.with_columns(
        spreadsheet_safe(pl.col(filled)), pl.col(pl.Float32, pl.Float64).round_sig_figs(6)
    )


def consequence_text(nested: pl.Series) -> pl.Series:
    """Return `schemas.CONSEQUENCES`' nested column as text, null where it is null."""
    field = {name: pl.element().struct.field(name).fill_null("") for name in FIELDS}
    entries = nested.drop_nulls().explode(empty_as_null=False)
    for name in _NAMES:
        # Names are few: looking at each once is far quicker than at every row.
        if entries.struct.field(name).unique().str.contains(r"[%;=,|&\s]").any():
            field[name] = field[name].str.replace_many(_SPELLED)
    text = pl.concat_str(field.values(), separator="|")
    joined = pl.col(nested.name).list.eval(text).list.join(",")
    return nested.to_frame().select(joined).to_series()

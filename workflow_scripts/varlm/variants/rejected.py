"""The table of rejected alleles as a file: gzipped TSV, safe to open in a spreadsheet."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl

from varlm.files.whole import atomic_path
from varlm.tables.schemas import REJECTED
from varlm.tables.spreadsheet import TEXT, column_marking
from varlm.tables.tsv import read_tsv, tsv_rows

_BATCH = 1 << 18  # rows formatted at a time
_BASES = ("ref", "alt")  # where all are T, it stays so, as in the annotated table


def write_rejected(rejected: pl.DataFrame, path: Path) -> None:
    """Write `schemas.REJECTED` as `.tsv.gz`, atomically; the same rows give the same bytes.

    Text is escaped (`varlm.tables.spreadsheet`); a detail that there is none of is a missing value.
    """
    REJECTED.check(rejected, path)
    rejected = rejected.with_columns(pl.col("detail").replace("", None))
    markings = {
        name: TEXT
        if name in _BASES
        else column_marking([rejected[name]], keep_integers=name == "chrom")
        for name, dtype in REJECTED.schema.items()
        if dtype == pl.String
    }
    with (
        atomic_path(path) as temporary,
        temporary.open("wb") as raw,
        gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=6, mtime=0, filename="") as out,
    ):
        out.write(("\t".join(REJECTED.names) + "\n").encode())
        for batch in rejected.iter_slices(_BATCH):
            out.write(tsv_rows(batch, markings))


def read_rejected(path: Path) -> pl.DataFrame:
    """Return the table that `write_rejected` wrote (`schemas.REJECTED`), escapes undone."""
    text = read_tsv(path, REJECTED.names).fill_null("")
    return text.cast(REJECTED.schema)  # type: ignore[arg-type]

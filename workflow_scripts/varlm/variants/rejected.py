"""The table of rejected alleles as a file: gzipped TSV, safe to open in a spreadsheet."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl

from varlm.files.whole import atomic_path
from varlm.tables.schemas import REJECTED
from varlm.tables.spreadsheet import spreadsheet_safe, unescaped

_BATCH = 1 << 18  # rows formatted at a time


def write_rejected(rejected: pl.DataFrame, path: Path) -> None:
    r"""Write `schemas.REJECTED` as `.tsv.gz`, atomically; the same rows give the same bytes.

    Text that a spreadsheet would run as a formula (starting with =, +, -, @) gets an apostrophe
    in front; control characters, backslashes and an apostrophe before one of =, +, -, @ are
    written as `\xHH` escapes.
    """
    REJECTED.check(rejected, path)
    with (
        atomic_path(path) as temporary,
        temporary.open("wb") as raw,
        gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=6, mtime=0, filename="") as out,
    ):
        out.write(("\t".join(REJECTED.names) + "\n").encode())
        for batch in rejected.iter_slices(_BATCH):
            batch = batch.with_columns(spreadsheet_safe(pl.col(pl.String)))
            text = batch.write_csv(include_header=False, separator="\t", quote_style="never")
            out.write(text.encode())


def read_rejected(path: Path) -> pl.DataFrame:
    """Return the table that `write_rejected` wrote (`schemas.REJECTED`), escapes undone."""
    text = pl.read_csv(
        path,
        separator="\t",
        quote_char=None,
        schema=dict.fromkeys(REJECTED.names, pl.String),
    ).fill_null("")
    written = pl.col(pl.String)
    return text.with_columns(
        pl.when(written.str.contains(r"\\x|^'"))
        .then(written.map_elements(unescaped, return_dtype=pl.String))
        .otherwise(written)
        .name.keep()
    ).cast(REJECTED.schema)  # type: ignore[arg-type]

"""A cohort's alleles in pieces, with the span of reference that each of them changes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from varlm.annotation.genes.overlaps import Ints
from varlm.tables.parquet import ROW_GROUP

ROWS = ROW_GROUP  # alleles in a piece: the bound on memory


@dataclass(frozen=True)
class Piece:
    """Alleles on one contig, each once, sorted.

    `row` is the number in variants.parquet of each allele's first row; `which`, of shape
    (rows of the piece,), says which allele a row has.
    """

    contig: str
    row: Ints
    pos: Ints
    ref: pl.Series
    alt: pl.Series
    which: Ints


def spans_of(variants: Path, total: int) -> Iterator[tuple[int, int]]:
    """Yield the row numbers [start, end) of pieces: one contig, at most `ROWS` rows."""
    for start in range(0, total, ROWS):
        contigs = pl.scan_parquet(variants).slice(start, ROWS).select("contig").collect()["contig"]
        at = start
        for run in contigs.rle():
            yield at, at + run["len"]
            at += run["len"]


def read_piece(variants: Path, start: int, end: int) -> Piece:
    """Read rows [start, end), one contig, and tell the distinct alleles among them."""
    rows = (
        pl.scan_parquet(variants)
        .slice(start, end - start)
        .select("contig", "pos", "ref", "alt")
        .collect()
    )
    fresh = np.ones(rows.height, dtype=bool)
    same = (
        (rows["pos"][1:] == rows["pos"][:-1])
        & (rows["ref"][1:] == rows["ref"][:-1])
        & (rows["alt"][1:] == rows["alt"][:-1])
    )
    fresh[1:] = ~same.to_numpy()
    which = fresh.cumsum() - 1
    kept = np.flatnonzero(fresh)
    if len(kept) < rows.height:
        contig, rows = rows["contig"][0], rows[kept]
    else:
        contig = rows["contig"][0]
    return Piece(
        contig,
        kept + start,
        rows["pos"].to_numpy().astype(np.int64),
        rows["ref"],
        rows["alt"],
        which,
    )


def changed_span(piece: Piece) -> tuple[Ints, Ints]:
    """Return the reference bases that alleles change, [start, end), 0-based, shape (alleles,).

    Normalised indels begin with the base before them, or end with the one after them where they
    are at the start of the contig; it does not change. `start` = `end` is an insertion before the
    base `start`.
    """
    start = piece.pos - 1
    length = piece.ref.str.len_bytes().to_numpy().astype(np.int64)
    other = piece.alt.str.len_bytes().to_numpy()
    anchored = (length != other) & (
        piece.ref.str.slice(0, 1) == piece.alt.str.slice(0, 1)
    ).to_numpy()
    behind = (
        (length != other)
        & ~anchored
        & (piece.pos == 1)
        & (piece.ref.str.slice(-1) == piece.alt.str.slice(-1)).to_numpy()
    )
    return start + anchored, start + length - behind

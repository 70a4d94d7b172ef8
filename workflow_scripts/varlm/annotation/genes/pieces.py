"""A cohort's alleles in pieces, with the span of reference that each of them changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from varlm.annotation.genes.overlaps import Ints
from varlm.genome.line import STRIDE
from varlm.tables.parquet import ROW_GROUP

ROWS = ROW_GROUP  # alleles in a piece: the bound on memory
# Exons of a piece's contigs, unless it is one contig: a bound on memory, and few pieces (each
# takes some 10 ms) where there are 100,000 contigs.
EXONS = 20_000


@dataclass(frozen=True)
class Piece:
    """Alleles on one contig, or on several that follow each other; each once, sorted.

    `contigs` says which, name → number in the genome, and `contig`, of shape (alleles,), the
    number of each allele's. `row` is the number in variants.parquet of each allele's first row;
    `which`, of shape (rows of the piece,), says which allele a row has.
    """

    contigs: dict[str, int]
    contig: Ints
    row: Ints
    pos: Ints
    ref: pl.Series
    alt: pl.Series
    which: Ints

    @property
    def start(self) -> Ints:
        """Return each allele's first base, its place on the line (`genome.line`), (alleles,)."""
        return self.contig * STRIDE + self.pos - 1


def spans_of(
    variants: pl.LazyFrame, total: int, exons: Mapping[str, int], rows: int = ROWS
) -> Iterator[tuple[int, int]]:
    """Yield the row numbers [start, end) of pieces, at most `ROWS` rows each.

    A piece is one contig, or several that have at most `EXONS` exons and `rows` rows in all.

    Parameters
    ----------
    variants : polars.LazyFrame
        `variants.parquet`: one scan for all pieces, which reads the file's footer once.
    exons : mapping
        Contig → its exons; one that is not there has none.
    """
    for start in range(0, total, ROWS):
        contigs = variants.slice(start, ROWS).select("contig").collect()["contig"]
        at = low = start
        held = 0
        for contig, length in _runs(contigs):
            held += exons.get(contig, 0)
            if at > low and (held > EXONS or at + length - low > rows):
                yield low, at
                low, held = at, exons.get(contig, 0)
            at += length
        yield low, at


def _runs(contigs: pl.Series) -> Iterator[tuple[str, int]]:
    runs = contigs.rle().struct
    return zip(runs.field("value").to_list(), runs.field("len").to_list(), strict=True)


def read_piece(variants: pl.LazyFrame, start: int, end: int, numbers: Mapping[str, int]) -> Piece:
    """Read rows [start, end) and tell the distinct alleles among them.

    Parameters
    ----------
    variants : polars.LazyFrame
        As of `spans_of`.
    numbers : mapping
        Contig → its number in the genome.
    """
    rows = variants.slice(start, end - start).select("contig", "pos", "ref", "alt").collect()
    runs = list(_runs(rows["contig"]))
    contigs = {contig: numbers[contig] for contig, _ in runs}
    contig = np.repeat(
        np.array([numbers[contig] for contig, _ in runs], np.int64), [length for _, length in runs]
    )
    rows = rows.drop("contig")
    fresh = np.ones(rows.height, dtype=bool)
    same = (
        (rows["pos"][1:] == rows["pos"][:-1])
        & (rows["ref"][1:] == rows["ref"][:-1])
        & (rows["alt"][1:] == rows["alt"][:-1])
    )
    fresh[1:] = ~same.to_numpy() | (contig[1:] != contig[:-1])
    which = fresh.cumsum() - 1
    kept = np.flatnonzero(fresh)
    if len(kept) < rows.height:
        contig, rows = contig[kept], rows[kept]
    return Piece(
        contigs,
        contig,
        kept + start,
        rows["pos"].to_numpy().astype(np.int64),
        rows["ref"],
        rows["alt"],
        which,
    )


def changed_span(piece: Piece) -> tuple[Ints, Ints]:
    """Return the reference bases that alleles change, [start, end) on the line, shape (alleles,).

    Normalised indels begin with the base before them, or end with the one after them where they
    are at the start of the contig; it does not change. `start` = `end` is an insertion before the
    base `start`.
    """
    start = piece.start
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

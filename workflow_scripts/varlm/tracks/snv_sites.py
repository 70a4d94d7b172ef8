"""The sites of all SNVs of some cohorts: those that tracks show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.errors import UserError
from varlm.genome.reference import Genome
from varlm.scoring.planning import BLOCK, CohortRows
from varlm.scoring.together import batches

MANY = 50  # contigs beyond which several are read at a time


@dataclass(frozen=True)
class Sites:
    """Sites of one contig, or of several that follow each other.

    Attributes
    ----------
    contigs : list of (contig, sites on it)
    positions : numpy.ndarray
        uint32, 1-based, sorted by contig and position, each once.
    """

    contigs: list[tuple[str, int]]
    positions: NDArray[np.uint32]

    def __getitem__(self, index: int) -> str:
        """Return a site as it is named in messages."""
        ends = np.cumsum([count for _, count in self.contigs])
        contig = self.contigs[int(np.searchsorted(ends, index, side="right"))][0]
        return f"{contig}:{self.positions[index]}"


def snv_sites(variants: Sequence[Path], genome: Genome) -> Iterator[Sites]:
    """Yield the sites of all SNVs of some `variants.parquet`, each once.

    In genome order. Memory holds a block of each file.

    Raises
    ------
    UserError
        If a file has rows on a contig that the reference lacks, or is not sorted.
    """
    files = [CohortRows(path) for path in variants]

    def count(contig: str) -> int:
        return sum(rows.count(contig) for rows in files)

    wanted = [contig for contig in genome.names if any(contig in rows for rows in files)]
    together = batches(wanted, count, BLOCK) if len(wanted) > MANY else ([c] for c in wanted)
    for contigs in together:
        if len(contigs) > 1:
            yield from _sites_of_many(contigs, files)
        else:
            yield from _sites_of_one(contigs[0], files)
    for path, rows in zip(variants, files, strict=True):
        height = pl.scan_parquet(path).select(pl.len()).collect().item()
        rows_read = sum(rows.count(contig) for contig in wanted)
        if rows_read != height:
            raise UserError(
                f"{path}: {height - rows_read} of {height} rows lie on contigs that are not in "
                f"{genome.fasta}; delete it and run the workflow again: it is made anew"
            )


def _sites_of_one(contig: str, files: Sequence[CohortRows]) -> Iterator[Sites]:
    asking = [rows for rows in files if contig in rows]
    for rows in asking:
        rows.open(contig)
    more = True
    while more:
        limits = [rows.limit() for rows in asking]
        below = min((limit for limit in limits if limit is not None), default=None)
        more = below is not None
        pieces = [
            rows.take(below).filter(pl.col("ref").is_null())["pos"].to_numpy() for rows in asking
        ]
        positions = np.sort(np.concatenate(pieces))  # np.unique takes ten times as long
        positions = positions[np.diff(positions, prepend=np.uint32(0)) > 0]
        if len(positions):
            yield Sites([(contig, len(positions))], positions)


def _sites_of_many(contigs: Sequence[str], files: Sequence[CohortRows]) -> Iterator[Sites]:
    asking = [rows for rows in files if any(contig in rows for contig in contigs)]
    rows = pl.concat(rows.all_of(contigs) for rows in asking)
    snvs = rows.filter(pl.col("ref").is_null()).select(
        pl.col("contig").cast(pl.String).cast(pl.Enum(contigs)), "pos"
    )
    sites = snvs.unique().sort("contig", "pos")
    if sites.height:
        runs = sites["contig"].rle().struct
        names = runs.field("value").cast(pl.String).to_list()
        counts = runs.field("len").to_list()
        yield Sites(list(zip(names, counts, strict=True)), sites["pos"].to_numpy())

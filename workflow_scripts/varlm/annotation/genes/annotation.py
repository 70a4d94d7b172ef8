"""An indexed annotation: its tables and where its GFF3 for `bcftools csq` lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from varlm.annotation.genes import csq
from varlm.annotation.genes.overlaps import Ints
from varlm.annotation.genes.tables import CDS, EXONS, TRANSCRIPTS
from varlm.genome.line import STRIDE
from varlm.genome.regions import Regions
from varlm.tables.parquet import read_table


@dataclass(frozen=True)
class Annotation:
    """A folder of `index_annotation`."""

    folder: Path
    transcripts: pl.DataFrame
    exons: pl.DataFrame
    cds: pl.DataFrame

    @classmethod
    def open(cls, folder: Path) -> Annotation:
        """Read the tables; `UserError` if one is missing or another version's."""
        return cls(
            folder,
            read_table(folder / "transcripts.parquet", TRANSCRIPTS),
            read_table(folder / "exons.parquet", EXONS),
            read_table(folder / "cds.parquet", CDS),
        )

    def gff3(self, code: int) -> Path:
        """Return where the transcripts of a genetic code are, as csq reads them."""
        return gff3_path(self.folder, code)

    @cached_property
    def labels(self) -> pl.DataFrame:
        """What an entry repeats of its transcript; the last row is nobody's."""
        columns = ["gene", "gene_id", "transcript", "biotype", "strand"]
        nobody = pl.DataFrame(
            {name: [None] for name in columns}, schema=dict.fromkeys(columns, pl.String)
        )
        return pl.concat([self.transcripts.select(columns), nobody])

    @cached_property
    def exons_by_contig(self) -> dict[str, int]:
        """How many exons each contig has that has any."""
        contigs = self.exons.join(self.transcripts.select("index", "contig"), on="index")
        return dict(contigs.group_by("contig").len().iter_rows())

    def placed(self, contigs: Mapping[str, int]) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return the transcripts and exons of some contigs, on the line (`genome.line`).

        Parameters
        ----------
        contigs : mapping
            Contig → its number.
        """
        origin = pl.col("contig").replace_strict(contigs, return_dtype=pl.Int64) * STRIDE
        transcripts = self.transcripts.filter(pl.col("contig").is_in(list(contigs))).with_columns(
            origin.alias("origin")
        )
        exons = self.exons.join(
            transcripts.select("index", "origin"), on="index", maintain_order="left"
        )
        places = pl.col("start", "end", "tss", "coding_start", "coding_end")
        return (
            transcripts.with_columns(places + pl.col("origin")),
            exons.with_columns(pl.col("start", "end") + pl.col("origin")),
        )

    def coding_reach(self, code: int, contigs: Mapping[str, int]) -> Ints:
        """Return the merged spans on the line in which csq has something to say: shape (n, 2)."""
        transcripts, exons = self.placed(contigs)
        of_code = transcripts.filter(pl.col("genetic_code") == code)
        spans = exons.join(of_code.select("index"), on="index", how="semi")
        if spans.is_empty():
            return np.empty((0, 2), np.int64)
        beside = np.array([-csq.REACH, csq.REACH])
        pairs = spans.select("start", "end").to_numpy() + beside
        return Regions({"": pairs}).merged("")


def gff3_path(folder: Path, code: int) -> Path:
    """Return the GFF3 of a genetic code in an annotation folder."""
    return folder / f"coding.{code}.gff3"

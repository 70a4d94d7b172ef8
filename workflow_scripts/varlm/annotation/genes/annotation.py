"""An indexed annotation: its tables and where its GFF3 for `bcftools csq` lies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from varlm.annotation.genes import csq
from varlm.annotation.genes.coding import Sequences
from varlm.annotation.genes.first_codons import FirstCodons
from varlm.annotation.genes.overlaps import Ints
from varlm.annotation.genes.tables import CDS, EXONS, RECODED, TRANSCRIPTS
from varlm.annotation.genes.view_calls import Views
from varlm.genome.line import STRIDE
from varlm.genome.reference import Genome
from varlm.genome.regions import Regions
from varlm.tables.parquet import read_table


@dataclass(frozen=True)
class Annotation:
    """A folder of `index_annotation`."""

    folder: Path
    transcripts: pl.DataFrame
    exons: pl.DataFrame
    cds: pl.DataFrame
    recoded: pl.DataFrame
    circular: tuple[str, ...]

    @classmethod
    def open(cls, folder: Path) -> Annotation:
        """Read the tables; `UserError` if one is missing or another version's."""
        recoded = folder / "recoded.parquet"
        return cls(
            folder,
            read_table(folder / "transcripts.parquet", TRANSCRIPTS),
            read_table(folder / "exons.parquet", EXONS),
            read_table(folder / "cds.parquet", CDS),
            # Folders of before 2026-12 lack the rest: nothing is circular or read otherwise.
            read_table(recoded, RECODED) if recoded.exists() else RECODED.empty(),
            tuple(json.loads((folder / "annotation.json").read_text()).get("circular", ())),
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

    def views(self, genome: Genome) -> Views:
        """Return the views of the transcripts that csq would read wrongly along the contig."""
        return Views(self.transcripts, self.exons, self.cds, self.recoded, self.circular, genome)

    def along_contigs(self, in_views: Ints) -> pl.DataFrame:
        """Return the transcripts but for those of some indices."""
        return self.transcripts.filter(~pl.col("index").is_in(pl.Series(in_views).implode()))

    def first_codons(self, genome: Genome) -> FirstCodons:
        """Return what is known of start codons."""
        return FirstCodons(self.transcripts, self.cds, self.recoded, Sequences(genome))

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

    def coding_reach(self, code: int, contigs: Mapping[str, int], in_views: Ints) -> Ints:
        """Return the merged spans on the line in which csq has something to say: shape (n, 2).

        Parameters
        ----------
        code : int
            Genetic code.
        contigs : mapping
            Contig → its number.
        in_views : numpy.ndarray
            int64: transcripts that csq is not asked about along the contig.
        """
        transcripts, exons = self.placed(contigs)
        of_code = transcripts.filter(
            (pl.col("genetic_code") == code) & ~pl.col("index").is_in(pl.Series(in_views).implode())
        )
        spans = exons.join(of_code.select("index"), on="index", how="semi")
        if spans.is_empty():
            return np.empty((0, 2), np.int64)
        beside = np.array([-csq.REACH, csq.REACH])
        pairs = spans.select("start", "end").to_numpy() + beside
        return Regions({"": pairs}).merged("")


def gff3_path(folder: Path, code: int) -> Path:
    """Return the GFF3 of a genetic code in an annotation folder."""
    return folder / f"coding.{code}.gff3"

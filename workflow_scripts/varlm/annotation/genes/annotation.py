"""An indexed annotation: its tables and where its GFF3 for `bcftools csq` lies."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from varlm.annotation.genes import csq
from varlm.annotation.genes.overlaps import Ints
from varlm.annotation.genes.tables import CDS, EXONS, TRANSCRIPTS
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

    def coding_reach(self, code: int, contig: str) -> Ints:
        """Return the merged spans in which csq has something to say: shape (n, 2), 0-based."""
        of_code = self.transcripts.filter(
            (pl.col("contig") == contig) & (pl.col("genetic_code") == code)
        )
        spans = self.exons.join(of_code.select("index"), on="index", how="semi")
        if spans.is_empty():
            return np.empty((0, 2), np.int64)
        beside = np.array([-csq.REACH, csq.REACH])
        pairs = spans.select("start", "end").cast(pl.Int64).to_numpy() + beside
        return Regions({contig: pairs}).merged(contig)


def gff3_path(folder: Path, code: int) -> Path:
    """Return the GFF3 of a genetic code in an annotation folder."""
    return folder / f"coding.{code}.gff3"

"""The tables of an indexed annotation: transcripts, exons, coding pieces."""

from __future__ import annotations

import polars as pl

from varlm.tables.parquet import Column, Table

STANDARD_CODE = 0  # csq's "standard simplified": NCBI's 1, in which ATG alone starts a protein
_U32, _STRING, _I16 = pl.UInt32(), pl.String(), pl.Int16()
TRANSCRIPTS = Table(
    "transcripts",
    (
        Column("index", _U32, "row number: by contig, coding ones first, then by transcript id"),
        Column("contig", _STRING, "name in the reference FASTA"),
        Column("start", _U32, "start of the first exon, 0-based"),
        Column("end", _U32, "end of the last exon, half-open"),
        Column("strand", _STRING, "+ or -; null where the annotation does not say"),
        Column("transcript", _STRING, "transcript id as in the annotation; the gene's where none"),
        Column("gene_id", _STRING, "gene id as in the annotation"),
        Column("gene", _STRING, "gene symbol, or the gene's id where it has none"),
        Column("biotype", _STRING, "biotype of the transcript"),
        Column("tss", _U32, "transcription start, 0-based"),
        Column("coding_start", _U32, "start of the coding sequence, 0-based; null: non-coding"),
        Column("coding_end", _U32, "its end, half-open, stop codon included; null: non-coding"),
        Column(
            "genetic_code",
            _I16,
            "NCBI number (0: standard) that its protein is read with; null: no coding calls",
        ),
    ),
)
EXONS = Table(
    "exons",
    (
        Column("index", _U32, "the transcript's row number in `transcripts`"),
        Column("start", _U32, "0-based"),
        Column("end", _U32, "half-open"),
    ),
)
CDS = Table(
    "cds",
    (
        *EXONS.columns,
        Column("phase", pl.Int8(), "bases to skip from its 5' end to the next codon"),
    ),
)
RECODED = Table(
    "recoded",
    (
        EXONS.columns[0],
        Column("residue", _U32, "number of the residue, from 1"),
        Column("letter", _STRING, "the amino acid that it is; *: the end; X: not known"),
    ),
)

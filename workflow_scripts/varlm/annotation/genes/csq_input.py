"""What `bcftools csq` is given: a GFF3, the genome and alleles, all with names of ours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from varlm.files.whole import atomic_path


def write_gff3(
    transcripts: pl.DataFrame,
    exons: pl.DataFrame,
    cds: pl.DataFrame,
    contigs: Sequence[str],
    path: Path,
) -> None:
    """Write the transcripts that have coding pieces as Ensembl-style GFF3, with derived UTRs.

    Parameters
    ----------
    transcripts, exons, cds : polars.DataFrame
        `tables.TRANSCRIPTS`, `EXONS`, `CDS`; those of one genetic code.
    contigs : sequence of str
        The reference's contigs, in order; the n-th is named c{n} in the file, the transcript of
        index i t{i}. Its gene is g{i}: csq needs one, and nothing of it is read back.
    """
    number = {contig: f"c{n}" for n, contig in enumerate(contigs)}
    called = transcripts.join(cds.select("index").unique(), on="index", how="semi").select(
        "index",
        pl.col("contig").replace_strict(number, return_dtype=pl.String),
        "strand",
        pl.col("start").alias("first"),
        pl.col("end").alias("last"),
        "coding_start",
        "coding_end",
    )
    exons = exons.join(called, on="index")
    before, after = _untranslated(exons)
    t = pl.col("index").cast(pl.String)
    whole = called.with_columns(start="first", end="last")
    gene = pl.format("ID=gene:g{};Name=g{};biotype=protein_coding", t, t)
    mrna = pl.format("ID=transcript:t{};Parent=gene:g{};biotype=protein_coding", t, t)
    parent = pl.format("Parent=transcript:t{}", t)
    everything = pl.concat(
        [
            _lines(whole, 0, pl.lit("gene"), gene),
            _lines(whole, 1, pl.lit("mRNA"), mrna),
            _lines(exons, 2, pl.lit("exon"), parent),
            _lines(before, 3, pl.col("type"), parent),
            _lines(after, 3, pl.col("type"), parent),
            _lines(cds.join(called, on="index"), 4, pl.lit("CDS"), parent),
        ]
    )
    rank = pl.col("contig").str.slice(1).cast(pl.UInt32)
    everything = everything.sort(rank, "group", "index", "order", "start").select(
        "contig",
        pl.lit("varlm"),
        "type",
        "start",
        "end",
        pl.lit(".").alias("score"),
        "strand",
        "phase",
        "attributes",
    )
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(b"##gff-version 3\n")
        everything.write_csv(file, separator="\t", include_header=False, quote_style="never")


def _untranslated(exons: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the pieces of exons before and after the coding part, their `type` a UTR's."""
    forward = pl.col("strand") == "+"
    before = exons.filter(pl.col("start") < pl.col("coding_start")).with_columns(
        pl.min_horizontal("end", "coding_start").alias("end"),
        pl.when(forward)
        .then(pl.lit("five_prime_UTR"))
        .otherwise(pl.lit("three_prime_UTR"))
        .alias("type"),
    )
    after = exons.filter(pl.col("end") > pl.col("coding_end")).with_columns(
        pl.max_horizontal("start", "coding_end").alias("start"),
        pl.when(forward)
        .then(pl.lit("three_prime_UTR"))
        .otherwise(pl.lit("five_prime_UTR"))
        .alias("type"),
    )
    return before, after


def _lines(rows: pl.DataFrame, order: int, kind: pl.Expr, attributes: pl.Expr) -> pl.DataFrame:
    """Return rows of one kind of feature as columns of the GFF3, and what they are sorted by."""
    phase = pl.col("phase").cast(pl.String) if "phase" in rows.columns else pl.lit(".")
    return rows.select(
        "contig",
        pl.col("first").alias("group"),
        "index",
        pl.lit(order).alias("order"),
        kind.cast(pl.String).alias("type"),
        (pl.col("start") + 1).alias("start"),
        "end",
        "strand",
        phase.alias("phase"),
        attributes.alias("attributes"),
    )


class Reference:
    """The genome as csq reads it: a link and an index of its own, contigs named c0, c1, ….

    Parameters
    ----------
    fasta : Path
        `genome.fa` of the reference folder.
    contigs : polars.DataFrame
        `schemas.CONTIGS`.
    folder : Path
        Where the link and the index go; removed by who made it.
    """

    def __init__(self, fasta: Path, contigs: pl.DataFrame, folder: Path):
        self.fasta = folder / "genome.fa"
        self.fasta.symlink_to(fasta.resolve())
        rows = list(contigs.select("length", "offset").iter_rows())
        (folder / "genome.fa.fai").write_text(
            "".join(
                f"c{n}\t{size}\t{at}\t{size}\t{size + 1}\n" for n, (size, at) in enumerate(rows)
            )
        )
        self.header = b"##fileformat=VCFv4.2\n" + b"".join(
            b"##contig=<ID=c%d,length=%d>\n" % (n, size) for n, (size, _) in enumerate(rows)
        )
        self.header += b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


def write_alleles(alleles: pl.DataFrame, header: bytes, path: Path) -> None:
    """Write the minimal VCF: columns `contig` (number), `pos`, `row`, `ref`, `alt`; sorted."""
    dot = pl.lit(".")
    with path.open("wb") as file:
        file.write(header)
        alleles.select(
            pl.format("c{}", "contig"),
            "pos",
            "row",
            "ref",
            "alt",
            dot.alias("qual"),
            dot.alias("filter"),
            dot.alias("info"),
        ).write_csv(file, separator="\t", include_header=False, quote_style="never")

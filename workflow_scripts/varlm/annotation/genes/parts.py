"""Exons, flanks and coding pieces of transcripts."""

from __future__ import annotations

import polars as pl

from varlm.annotation.genes.lines import (
    CDS_TYPES,
    EXON_TYPES,
    INTRON_TYPES,
    UTR_TYPES,
)

# A gap as short as this is no intron but a base that the ribosome skips or that the genome has too
# many of (Ensembl's frameshift introns); VEP draws the line there, the shortest introns have 15 bp.
NO_INTRON = 12


def _merged(parts: pl.DataFrame, coding: pl.DataFrame) -> pl.DataFrame:
    """Join a transcript's intervals that no intron parts: columns t, start, end.

    `coding` has the keys `t` of the transcripts in which short gaps are none.
    """
    parts = parts.select("t", "start", "end").sort("t", "start", "end")
    reach = pl.col("end").cum_max().shift(1).over("t")
    short = pl.when(pl.col("t").is_in(coding["t"].unique().implode())).then(NO_INTRON).otherwise(0)
    fresh = (pl.col("start") > reach + short).fill_null(True)
    return (
        parts.with_columns(fresh.cum_sum().alias("run"))
        .group_by("t", "run", maintain_order=True)
        .agg(pl.col("start").min(), pl.col("end").max())
        .drop("run")
    )


def exons_of(transcripts: pl.DataFrame, parts: pl.DataFrame) -> pl.DataFrame:
    """Return the exons of all transcripts: stated, or made of what the file has."""
    kind = pl.col("type")
    cds = parts.filter(kind.is_in([*CDS_TYPES, "stop_codon"]))
    stated = parts.filter(kind.is_in(EXON_TYPES))
    bare = transcripts.join(stated, on="t", how="anti")
    known = pl.concat([cds, parts.filter(kind.is_in(UTR_TYPES))]).join(bare, on="t", how="semi")
    inferred = pl.concat([known.select("t", "start", "end"), _flanks(bare, known, parts)])
    exons = stated.select("t", "start", "end")
    with_cds = cds.join(stated, on="t", how="semi").select("t", "start", "end")
    return _merged(pl.concat([exons, with_cds, inferred]), cds)


def _flanks(bare: pl.DataFrame, known: pl.DataFrame, parts: pl.DataFrame) -> pl.DataFrame:
    """Return what a transcript without exon lines has outside its coding parts, less its introns.

    SGD's mRNA lines span the untranslated ends, whose introns are lines of their own.
    """
    inner = known.group_by("t").agg(
        pl.col("start").min().alias("first"), pl.col("end").max().alias("last")
    )
    spans = bare.select("t", "start", "end").join(inner, on="t", how="left", maintain_order="left")
    left = spans.select("t", "start", pl.coalesce("first", "end").alias("end"))
    right = spans.filter(pl.col("last").is_not_null()).select(
        "t", pl.col("last").alias("start"), "end"
    )
    flanks = pl.concat([left, right]).filter(pl.col("start") < pl.col("end"))
    introns = parts.filter(pl.col("type").is_in(INTRON_TYPES)).join(bare, on="t", how="semi")
    if not introns.height:
        return flanks
    cuts = dict(
        introns.sort("start").group_by("t").agg(pl.struct("start", "end").alias("i")).iter_rows()
    )
    rows = []
    for t, start, end in flanks.iter_rows():
        at = start
        for cut in cuts.get(t, ()):
            if cut["start"] > at and cut["start"] < end:
                rows.append((t, at, cut["start"]))
            at = max(at, cut["end"]) if cut["start"] < end else at
        if at < end:
            rows.append((t, at, end))
    return pl.DataFrame(rows, schema=flanks.schema, orient="row")


def coding_pieces(parts: pl.DataFrame) -> pl.DataFrame:
    """Return the pieces of coding sequences with their stop codons: t, start, end, phase, strand.

    Pieces of one transcript may overlap by a base or two, where the ribosome slips.
    """
    cds = parts.filter(pl.col("type").is_in(CDS_TYPES))
    stops = parts.filter(pl.col("type") == "stop_codon").join(cds, on="t", how="semi")
    pieces = cds.select("t", "start", "end", "strand", "phase").unique(
        ["t", "start", "end", "strand"], maintain_order=True
    )
    if stops.height:
        reach = pieces.group_by("t").agg(
            pl.col("start").min().alias("low"), pl.col("end").max().alias("high")
        )
        stops = (
            stops.select("t", "start", "end", "strand")
            .unique(maintain_order=True)
            .join(reach, on="t", maintain_order="left")
            .filter((pl.col("end") > pl.col("high")) | (pl.col("start") < pl.col("low")))
        )
        after = stops.filter((pl.col("strand") == "+") & (pl.col("start") <= pl.col("high")))
        before = stops.filter((pl.col("strand") == "-") & (pl.col("end") >= pl.col("low")))
        apart = stops.join(pl.concat([after, before]), on=["t", "start", "end"], how="anti")
        pieces = (
            pieces.join(
                after.select("t", pl.col("high").alias("end"), pl.col("end").alias("to")),
                on=["t", "end"],
                how="left",
                maintain_order="left",
            )
            .join(
                before.select("t", pl.col("low").alias("start"), pl.col("start").alias("from")),
                on=["t", "start"],
                how="left",
                maintain_order="left",
            )
            .with_columns(
                pl.coalesce("to", "end").alias("end"), pl.coalesce("from", "start").alias("start")
            )
            .drop("to", "from")
        )
        pieces = pl.concat(
            [
                pieces,
                apart.select("t", "start", "end", "strand", pl.lit(None, pl.Int8).alias("phase")),
            ]
        )
    return pieces

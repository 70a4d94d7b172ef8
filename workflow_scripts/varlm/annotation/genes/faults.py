"""Transcripts whose coding sequence cannot be read as given, and organelles' genetic codes."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from varlm.annotation.genes.tables import STANDARD_CODE

# Biotypes that csq takes for non-coding whatever their CDS (gff.c, gff_parse_biotype).
_NON_CODING = (
    r"^(?:retained_intron|processed_transcript|antisense|artifact|ambiguous_orf|lncRNA|lincRNA"
    r"|sense_intronic|sense_overlapping|retrotransposed|misc_RNA|.*RNA_pseudogene"
    r"|(?:processed_|unitary_|unprocessed_|transcribed_\w+_|translated_\w+_|IG_(?:\w_)?|TR_\w_)?"
    r"pseudogene)$"
)
_MAX_SLIPPAGE = 3  # bp that pieces of one coding sequence may overlap: ribosomal slippage


def without_faults(
    transcripts: pl.DataFrame, cds: pl.DataFrame, left_out: dict[str, list[str]]
) -> pl.DataFrame:
    """Return the coding pieces that csq is given, phases filled in; note the rest and why."""
    names = transcripts.select(
        "t",
        "transcript",
        "biotype",
        "trans_spliced",
        "pseudo",
        "strand",
        "recoded",
        "cut",
        "untold",
    )
    cds = cds.drop("strand").join(names, on="t")

    def leave(reason: str, wrong: pl.Expr) -> None:
        nonlocal cds
        faulty = cds.filter(wrong.fill_null(False))
        if faulty.height:
            left_out[reason] = sorted(faulty["transcript"].unique().to_list())
            cds = cds.join(faulty.select("t").unique(), on="t", how="anti")

    leave("trans-spliced", pl.col("trans_spliced"))
    leave("passes the end of its contig", pl.col("cut"))
    leave("proteins that cannot be told apart", pl.col("untold"))
    leave("no strand", pl.col("strand").is_null())
    leave("non-coding biotype", pl.col("pseudo") | pl.col("biotype").str.contains(_NON_CODING))
    cds = cds.with_columns(
        pl.when(pl.col("strand") == "+").then("start").otherwise(-pl.col("end")).alias("order")
    ).sort("t", "order")
    after = pl.col("order").shift(-1).over("t")
    length = pl.col("end") - pl.col("start")
    leave("overlapping coding pieces", after < pl.col("order") + length - _MAX_SLIPPAGE)
    before = (length.cum_sum() - length).over("t")
    first = pl.col("phase").fill_null(0).first().over("t").cast(pl.Int64)
    expected = ((first - before) % 3 + 3) % 3
    cds = cds.with_columns(expected.cast(pl.Int8).alias("expected"))
    leave("phases against lengths", (pl.col("phase") != pl.col("expected")).any().over("t"))
    # csq subtracts the first piece's phase from its length: a piece as short as that is left out.
    # Its 5'-most codon lies in the next.
    cds = cds.filter(before + length > first)
    leave("shorter than a codon", length.sum().over("t") - pl.col("expected").first().over("t") < 3)
    recoded = cds.filter("recoded")["transcript"].unique().to_list()
    if recoded:
        left_out["recoded (read as written by csq)"] = sorted(recoded)
    return cds.select("t", "start", "end", pl.col("expected").alias("phase"))


def genetic_code_of(
    transcripts: pl.DataFrame,
    cds: pl.DataFrame,
    codes: Mapping[str, int],
    organelles: set[str],
    default: int | None = None,
) -> tuple[pl.DataFrame, list[str]]:
    """Give each transcript that has coding calls its genetic code; name refused contigs.

    The config's code of the contig rules over the annotation's `transl_table`, and that over the
    default. Without one the code is the standard, but for organelles, which are refused.
    """
    called = transcripts.join(cds, on="t", how="semi")
    stated = pl.coalesce(
        pl.col("contig").replace_strict(codes, default=None, return_dtype=pl.Int64),
        "transl_table",
        pl.lit(default, pl.Int64),
    )
    code = (
        pl.when(stated == 1)  # NCBI's table 1 knows starts besides ATG that no annotation means
        .then(STANDARD_CODE)
        .when(stated.is_null() & ~pl.col("contig").is_in(organelles))
        .then(STANDARD_CODE)
        .otherwise(stated)
    )
    called = called.select("t", "contig", code.cast(pl.Int16).alias("genetic_code"))
    without = called.filter(pl.col("genetic_code").is_null())["contig"]
    refused = without.unique(maintain_order=True).to_list()
    transcripts = transcripts.join(called.drop("contig"), on="t", how="left", maintain_order="left")
    return transcripts, refused

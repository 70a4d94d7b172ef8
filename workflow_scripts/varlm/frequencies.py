"""Allele frequencies from INFO: AF of the allele, or AC/AN."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl


class Frequencies(NamedTuple):
    """One value per allele: `af` (float32, null when absent), `unreadable` (bool)."""

    af: pl.Series
    unreadable: pl.Series


def allele_frequencies(alleles: pl.DataFrame) -> Frequencies:
    """Return the frequency of each allele.

    Parameters
    ----------
    alleles : polars.DataFrame
        `info` (INFO as given), `allele` (1-based index of the ALT), `n_alt` (ALTs of the record).

    Notes
    -----
    AF must be one number in [0, 1] per ALT; where AF is absent or '.', AC/AN (0 ≤ AC ≤ AN, AN > 0)
    takes its place. What is given but is no such number is null, and `unreadable`.
    """
    info = alleles["info"]
    if not info.str.contains("A", literal=True).any():
        return _absent(alleles.height)
    frame = alleles.select("allele", "n_alt", *(_field(key) for key in ("AF", "AC", "AN")))
    single = frame["n_alt"].max() == 1
    frame = frame.with_columns(_own("AF", single), _own("AC", single)).with_columns(
        pl.col("AF").cast(pl.Float64, strict=False).alias("af"),
        pl.col("AC").cast(pl.Int64, strict=False).alias("ac"),
        pl.col("AN").cast(pl.Int64, strict=False).alias("an"),
    )
    has_af, has_counts = pl.col("AF").is_not_null(), pl.col("AC", "AN").is_not_null()
    frame = frame.select(
        af=pl.when(has_af)
        .then(pl.when(pl.col("af").is_between(0, 1)).then("af"))
        .when(pl.col("ac").is_between(0, pl.col("an")) & (pl.col("an") > 0))
        .then(pl.col("ac") / pl.col("an"))
        .cast(pl.Float32),
        given=has_af | (pl.all_horizontal(has_counts) & (pl.col("AN") != "0")),
    )
    return Frequencies(frame["af"], frame["given"] & frame["af"].is_null())


def _absent(height: int) -> Frequencies:
    return Frequencies(
        pl.repeat(None, height, dtype=pl.Float32(), eager=True),
        pl.repeat(False, height, dtype=pl.Boolean(), eager=True),
    )


def _field(key: str) -> pl.Expr:
    """Return the text of one INFO field: null when it is absent, empty or '.'."""
    text = pl.col("info").str.extract(f"(?:^|;){key}=([^;]*)", 1)
    return pl.when(~text.is_in(["", "."])).then(text).alias(key)


def _own(key: str, single: bool) -> pl.Expr:
    """Return the allele's own entry of a Number=A field; '' (unreadable) if their number is off."""
    text = pl.col(key)
    if single:
        return text
    entries = text.str.split(",")
    own = entries.list.get(pl.col("allele").cast(pl.Int64) - 1, null_on_oob=True)
    own = pl.when(entries.list.len() == pl.col("n_alt")).then(own).otherwise(pl.lit(""))
    return pl.when(text.is_not_null() & (own != ".")).then(own).alias(key)

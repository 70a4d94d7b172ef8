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
    if not alleles["info"].str.contains("A", literal=True).any():
        return Frequencies(_no_values(alleles.height), _no(alleles.height))
    single = alleles["n_alt"].max() == 1
    text = alleles.select(_own("AF", single)).to_series()
    af = text.cast(pl.Float64, strict=False)
    af = af.set(~af.is_between(0, 1), None)
    has_value = text.is_not_null()
    missing = ~has_value
    # AC and AN are looked for only where AF is not: a search of INFO costs 0.3 µs a record.
    if missing.any():
        counts = _from_counts(alleles.filter(missing), single)
        rows = missing.arg_true()
        af = af.scatter(rows, counts.af)
        has_value = has_value.scatter(rows, counts.af.is_not_null() | counts.unreadable)
    return Frequencies(af.cast(pl.Float32).alias("af"), has_value & af.is_null())


def _from_counts(alleles: pl.DataFrame, single: bool) -> Frequencies:
    """Return AC/AN of alleles without AF; AN = 0 (nobody called) is no frequency, yet readable."""
    if not alleles["info"].str.contains("AN=", literal=True).any():
        return Frequencies(_no_values(alleles.height), _no(alleles.height))
    text = alleles.select(_own("AC", single), _field("AN"))
    ac, an = (text[key].cast(pl.Int64, strict=False) for key in ("AC", "AN"))
    valid = ((an > 0) & ac.is_between(0, an)).fill_null(False)
    af = (ac / an).set(~valid, None)
    stated = text["AC"].is_not_null() & text["AN"].is_not_null() & (an != 0).fill_null(True)
    return Frequencies(af, stated & ~valid)


def _no_values(height: int) -> pl.Series:
    return pl.repeat(None, height, dtype=pl.Float32(), eager=True)


def _no(height: int) -> pl.Series:
    return pl.repeat(False, height, dtype=pl.Boolean(), eager=True)


def _field(key: str) -> pl.Expr:
    """Return the text of one INFO field: null when it is absent, empty or '.'."""
    text = pl.col("info").str.extract(f"(?:^|;){key}=([^;]*)", 1)
    return pl.when(~text.is_in(["", "."])).then(text).alias(key)


def _own(key: str, single: bool) -> pl.Expr:
    """Return the allele's own entry of a Number=A field; '' (unreadable) if their number is off."""
    text = _field(key)
    if single:
        return text
    entries = text.str.split(",")
    own = entries.list.get(pl.col("allele").cast(pl.Int64) - 1, null_on_oob=True)
    own = pl.when(entries.list.len() == pl.col("n_alt")).then(own).otherwise(pl.lit(""))
    return pl.when(text.is_not_null() & (own != ".")).then(own).alias(key)

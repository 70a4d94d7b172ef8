"""Alleles that no score is defined for: indels and MNVs, of kinds that are of a site alone."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from varlm.tables.parquet import scan_table
from varlm.tables.schemas import VARIANTS


def alleles_without_score(variants: Path) -> int:
    """Return how many unique indels and MNVs a cohort's `variants.parquet` has."""
    others = scan_table(variants, VARIANTS).filter(pl.col("kind") != "snv")
    unique = others.select("contig", "pos", "ref", "alt").unique()
    return int(unique.select(pl.len()).collect(engine="streaming").item())

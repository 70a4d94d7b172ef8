"""How many alleles came in, and what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def contig_of_chrom(accounting: Mapping[str, Any]) -> dict[str, str]:
    """Return the reference's contig of each CHROM of a cohort (its `accounting.json`)."""
    return {
        entry["chrom"]: entry["contig"]
        for entry in accounting["contigs"]
        if entry["contig"] is not None
    }

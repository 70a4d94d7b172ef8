"""The sites around a cohort's top hits, for the sequence logos of its report."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.genome.reference import Genome
from varlm.results.top_hits import picture_positions
from varlm.scoring import formulas
from varlm.scoring.dense_scale import reference_bases
from varlm.scoring.stored_sites import Positions


def hit_positions(
    hits: pl.DataFrame, contigs: Mapping[str, str], genome: Genome, flank: int
) -> Positions:
    """Return the positions of all pictures of a model.

    Parameters
    ----------
    hits : polars.DataFrame
        The pictured alleles: `chrom`, `pos` (1-based), `ref`.
    contigs : mapping
        The cohort's chrom → the genome's contig.
    genome : Genome
    flank : int
        Positions on each side of an allele.
    """
    by_contig: dict[str, list[NDArray[np.uint32]]] = {}
    for chrom, pos, ref in hits.select("chrom", "pos", "ref").iter_rows():
        positions = picture_positions(genome, contigs[chrom], pos, ref, flank)
        by_contig.setdefault(contigs[chrom], []).append(positions)
    return {contig: np.unique(np.concatenate(parts)) for contig, parts in by_contig.items()}


def on_masked_scale(sites: pl.DataFrame, genome: Genome, constant: float) -> pl.DataFrame:
    """Return the logits of sites (`SITES`) as `formulas.on_masked_scale` has them."""
    if not constant or sites.is_empty():
        return sites
    ref = reference_bases(sites, genome)
    logits = formulas.on_masked_scale(formulas.site_logits(sites), ref, constant)
    columns = formulas.logit_columns(logits.astype(np.float32))
    return sites.select("contig", "pos").hstack(columns.fill_nan(None))

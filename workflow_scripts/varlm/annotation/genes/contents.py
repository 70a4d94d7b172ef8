"""What an annotation holds, for people: where no gene could be made of it, or not of all of it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from varlm.annotation.genes.gff import AnnotationFile
from varlm.annotation.genes.lines import CDS_TYPES, EXON_TYPES
from varlm.errors import UserError, first_few

log = logging.getLogger(__name__)

_SHOWN = 8  # types and attributes that a message lists
_EXPECTED = {
    False: "a GFF3 has genes and transcripts with ID, and exons and CDS with Parent",
    True: 'a GTF has exons and CDS with gene_id "…" and transcript_id "…"',
}


def nothing_made(file: AnnotationFile, path: Path, contigs_elsewhere: int) -> UserError:
    """Return the error of an annotation in which there is no gene and no transcript.

    Parameters
    ----------
    file : AnnotationFile
    path : Path
        Its name.
    contigs_elsewhere : int
        How many of its contigs the reference does not have.
    """
    elsewhere = ""
    if contigs_elsewhere:
        elsewhere = f"; {contigs_elsewhere} of its contigs are not in the reference"
    return UserError(
        f"{path}: no gene or transcript could be made of its {sum(file.types.values())} features, "
        f"read as {'GTF' if file.gtf else 'GFF3'} (types: {_counted(file.types)}; attributes: "
        f"{_counted(file.attributes)}{elsewhere}); expected: {_EXPECTED[file.gtf]}. Give the "
        "annotation of genes, or convert this one (for example with gffread or AGAT)"
    )


def warn_of_loose_parts(features: pl.DataFrame, gtf: bool, path: Path) -> None:
    """Warn of exons and coding pieces that say nothing of what they belong to."""
    loose = features.filter(pl.col("type").is_in([*EXON_TYPES, *CDS_TYPES])).filter(
        pl.col("gene_id").is_null() & pl.col("transcript_id").is_null()
        if gtf
        else pl.col("parent").is_null() & ~pl.col("type").is_in(CDS_TYPES)
    )
    if loose.height:
        log.warning(
            "%s: %d exons or CDS without %s belong to nothing and are passed over (the first in "
            "line %d)",
            path,
            loose.height,
            "gene_id and transcript_id" if gtf else "Parent",
            loose["line"][0],
        )


def _counted(counts: Mapping[str, int]) -> str:
    """Return names with how often each occurs, the most frequent first."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return first_few([f"{name} {count}" for name, count in ranked], _SHOWN) or "none"

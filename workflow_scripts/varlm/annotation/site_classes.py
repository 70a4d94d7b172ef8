"""Classes of sites by what the annotation has there: coding, UTR, …"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.annotation.genes.annotation import Annotation
from varlm.genome.reference import Genome
from varlm.genome.regions import Regions

# In the order of a table; a site is of the first of them that it is in, of any transcript.
CODING, UTR, NON_CODING, INTRON, UPSTREAM, INTERGENIC = CLASSES = (
    "coding",
    "UTR",
    "non-coding exon",
    "intron",
    "upstream",
    "intergenic",
)


def site_classes(
    sites: Mapping[str, NDArray[np.uint32]],
    annotation: Annotation,
    genome: Genome,
    upstream: int,
) -> NDArray[np.str_]:
    """Return the class of each site, contig after contig.

    Parameters
    ----------
    sites : mapping
        Contig → positions, 1-based.
    annotation : Annotation
    genome : Genome
    upstream : int
        Length in bp of what is upstream of a transcript.

    Returns
    -------
    numpy.ndarray
        One of `CLASSES` for each. A UTR is an exon of a coding transcript outside of its coding
        sequence, a non-coding exon one of another transcript (RNA genes, pseudogenes), an intron
        between the exons of any; upstream of a transcript is what lies before its start.
    """
    layers = {
        name: _regions(spans, annotation.circular, genome)
        for name, spans in _spans(annotation, upstream).items()
    }
    parts = [np.empty(0, f"U{max(map(len, CLASSES))}")]
    for contig, positions in sites.items():
        start = positions.astype(np.int64) - 1
        inside = [layers[name].overlap(contig, start, start + 1) for name in CLASSES[:-1]]
        parts.append(np.select(inside, CLASSES[:-1], INTERGENIC))
    return np.concatenate(parts)


def _spans(annotation: Annotation, upstream: int) -> dict[str, pl.DataFrame]:
    """Return `contig`, `start`, `end` (0-based, half-open) of each class but the last."""
    transcripts = annotation.transcripts.select(
        "index",
        "contig",
        is_coding=pl.col("coding_start").is_not_null(),
    )
    exons = annotation.exons.join(transcripts, on="index")
    end, tss = (pl.col(name).cast(pl.Int64) for name in ("end", "tss"))
    reverse = pl.col("strand") == "-"
    return {
        CODING: annotation.cds.join(transcripts, on="index"),
        UTR: exons.filter("is_coding"),
        NON_CODING: exons.filter(~pl.col("is_coding")),
        INTRON: annotation.transcripts,
        UPSTREAM: annotation.transcripts.select(
            "contig",
            start=pl.when(reverse).then(end).otherwise(tss - upstream),
            end=pl.when(reverse).then(end + upstream).otherwise(tss),
        ),
    }


def _regions(spans: pl.DataFrame, circular: tuple[str, ...], genome: Genome) -> Regions:
    """Return spans by contig; what goes over a circular contig's origin is on both sides of it."""
    plain = spans.select("contig", pl.col("start", "end").cast(pl.Int64)).filter(
        pl.col("start") < pl.col("end")
    )
    by_contig = {}
    for (contig,), rows in plain.group_by("contig"):
        pairs = rows.select("start", "end").to_numpy()
        if contig in circular:
            length = genome[str(contig)].length
            pairs = np.concatenate([pairs, pairs - length, pairs + length])
        by_contig[str(contig)] = pairs
    return Regions(by_contig)

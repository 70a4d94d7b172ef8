"""Scores of the transcript's strand: which strand that is, allele by allele."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.scoring.formulas import BOTH, FORWARD, REVERSE
from varlm.tables.columns import STRAND, TRANSCRIPTS

_SHOWN = {FORWARD: "+", REVERSE: "-", BOTH: "both"}


def strands(piece: pl.DataFrame) -> NDArray[np.intp]:
    """Return the strand of each allele's transcripts, as `varlm.scoring.formulas` counts them.

    `BOTH` where they lie on both strands, where there are none, and without an annotation.

    Parameters
    ----------
    piece : polars.DataFrame
        Rows of `schemas.VARIANTS`, with the columns of `schemas.CONSEQUENCES` where there are any.

    Returns
    -------
    shape (rows,)
    """
    if TRANSCRIPTS[0] not in piece.columns:
        return np.full(piece.height, BOTH)
    of_transcripts = piece[TRANSCRIPTS[0]].list.eval(pl.element().struct.field("strand"))
    distinct = of_transcripts.list.drop_nulls().list.unique()
    only = pl.DataFrame({"first": distinct.list.first(), "count": distinct.list.len()})
    codes = {_SHOWN[code]: code for code in (FORWARD, REVERSE)}
    strand = pl.col("first").replace_strict(codes, default=BOTH, return_dtype=pl.Int64)
    return (
        only.select(pl.when(pl.col("count") == 1).then(strand).otherwise(BOTH))
        .to_series()
        .to_numpy()
        .astype(np.intp)
    )


def strand_column(model: str, codes: NDArray[np.intp], has_score: NDArray[np.bool_]) -> pl.Series:
    """Return the column that says it: +, - or both; null where there is no score."""
    shown = pl.Series(codes).replace_strict(_SHOWN, return_dtype=pl.String)
    shown = shown.set(pl.Series(~has_score), None)
    return shown.alias(f"{model}_{STRAND[0]}")


def scored_on_both(annotated: Path, model: str) -> tuple[int, int]:
    """Return how many unique alleles have the mean of the strands as score, and how many a score.

    Parameters
    ----------
    annotated : Path
        `annotated.parquet`.
    model : str
        One whose strand is that of the transcript.
    """
    strand = pl.col(f"{model}_{STRAND[0]}")
    alleles = pl.scan_parquet(annotated).select("chrom", "pos", "ref", "alt", strand).unique()
    both, scored = (
        alleles.select((strand == _SHOWN[BOTH]).sum(), strand.count().alias("scored"))
        .collect(engine="streaming")
        .row(0)
    )
    return int(both), int(scored)

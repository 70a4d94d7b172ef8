"""Calibration by mutation context: a score less what the genome's SNVs of its context have.

A model's log-ratios follow how often a base changes to another beside certain neighbours, as CpG
does to TpG, which says nothing of the effect of one variant. So the mean of random SNVs of the same
5-mer and ALT is taken off. As GPN-Star's scores are calibrated (Ye, Benegas, Albors, Li, Prillo,
Fields, Clarke and Song 2025, bioRxiv, doi:10.1101/2025.09.21.677619; gpn, `llr_calibrated`), but
for four things: theirs are means over sites without conservation, in ancestral repeats where these
are known, of which an unknown genome has neither, so random sites of all of it stand for them; the
two strands are one; a cell counts from `LEAST` sites on; and where it has fewer, that of the
trinucleotide change stands in for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.files.json_record import JsonRecord
from varlm.genome.mutation_contexts import context_names, contexts, windows_around
from varlm.genome.reference import Genome
from varlm.tables.schemas import CONTEXT_MEANS

LEAST = 100
"""Sites of the background from which on the mean of a cell counts."""

FLANKS = (2, 1)
"""Bases on each side of the site: in a cell, and in the one that stands in for a small one."""

ENOUGH = 0.9
"""Share of a genome's SNVs whose 5-mers should be told by the background."""


@dataclass
class ContextCounts:
    """How many SNVs were held against which context.

    Attributes
    ----------
    pentamer, trinucleotide : int
        Their 5-mer change, or the trinucleotide change that stands in for it.
    none : int
        Neither has sites enough: they have no calibrated score.
    """

    pentamer: int = 0
    trinucleotide: int = 0
    none: int = 0

    @property
    def snvs(self) -> int:
        """All of them."""
        return self.pentamer + self.trinucleotide + self.none


@dataclass(frozen=True, kw_only=True)
class CohortCalibration(JsonRecord):
    """The file `calibration.json` of a cohort.

    Attributes
    ----------
    models : dict of ContextCounts
        Of each model whose scores are calibrated, the cohort's SNVs.
    """

    MADE_BY = "annotate"

    models: dict[str, ContextCounts]


def context_means(background: pl.DataFrame, genome: Genome) -> pl.DataFrame:
    """Return the mean score of the background in each context (`schemas.CONTEXT_MEANS`).

    Parameters
    ----------
    background : polars.DataFrame
        `schemas.BACKGROUND`: one row for each SNV at each of its sites.
    genome : Genome
        The background's.

    Returns
    -------
    polars.DataFrame
        The 1,536 contexts of 5-mers, then the 96 of trinucleotides, those without a site too.
    """
    names = {genome[name].stored_as: name for name in reversed(genome.names)}
    contigs = background["contig"].replace_strict(names, return_dtype=pl.String)
    cells = _cells(genome, contigs, background["pos"], background["alt"])
    scores = background["llr"].to_numpy().astype(np.float64)
    return pl.concat(
        _means(context_names(flank), numbers, scores)
        for flank, numbers in zip(FLANKS, cells, strict=True)
    )


def _means(
    names: list[str], numbers: NDArray[np.int64], scores: NDArray[np.float64]
) -> pl.DataFrame:
    """Return the rows of contexts, given the number of each score's own; −1: none."""
    rows = pl.DataFrame({"number": numbers, "score": scores}).filter(pl.col("number") >= 0)
    measured = rows.group_by("number").agg(
        pl.len().cast(pl.UInt32).alias("sites"),
        pl.col("score").mean().alias("mean"),
        pl.col("score").std().alias("sd"),
    )
    every = pl.DataFrame({"context": names}).with_row_index("number")
    return (
        every.with_columns(pl.col("number").cast(pl.Int64))
        .join(measured, on="number", how="left", maintain_order="left")
        .with_columns(pl.col("sites").fill_null(0))
        .select(CONTEXT_MEANS.names)
    )


def _cells(
    genome: Genome, contigs: pl.Series, positions: pl.Series, alts: pl.Series
) -> list[NDArray[np.int64]]:
    """Return the numbers of SNVs' contexts, shape (n,), with each of `FLANKS`; `pos` is 1-based."""
    widest = max(FLANKS)
    sites = positions.to_numpy().astype(np.int64) - 1
    windows = windows_around(genome, contigs, sites, widest)
    letters = np.frombuffer("".join(alts.to_list()).encode("ascii"), dtype=np.uint8)
    return [contexts(windows[:, widest - flank : widest + flank + 1], letters) for flank in FLANKS]


@dataclass(frozen=True)
class Coverage:
    """How far a background tells contexts apart.

    Attributes
    ----------
    sites : int
        Of the background, those with a context.
    pentamers, of_pentamers : int
        5-mer changes with `LEAST` sites or more, and how many there are.
    trinucleotides, of_trinucleotides : int
        Likewise.
    share : float
        Of the background's SNVs, those whose 5-mer change has so many sites; the genome's, nearly.
    needed : int
        About how many sites would be enough for the share `ENOUGH`.
    """

    sites: int
    pentamers: int
    of_pentamers: int
    trinucleotides: int
    of_trinucleotides: int
    share: float
    needed: int


def coverage(means: pl.DataFrame) -> Coverage:
    """Return how far the background of `context_means` tells contexts apart."""
    sites = means["sites"].to_numpy().astype(np.int64)
    five, three = np.split(sites, [len(context_names(FLANKS[0]))])
    total = int(five.sum())
    descending = np.sort(five)[::-1]
    # The smallest of the cells that together have the share: all grow alike with the background.
    last = int(np.searchsorted(np.cumsum(descending), ENOUGH * total))
    smallest = int(descending[min(last, len(five) - 1)])
    return Coverage(
        sites=total // 3,
        pentamers=int((five >= LEAST).sum()),
        of_pentamers=len(five),
        trinucleotides=int((three >= LEAST).sum()),
        of_trinucleotides=len(three),
        share=float(five[five >= LEAST].sum() / total) if total else 0.0,
        needed=_rounded_up(total / 3 * LEAST / max(smallest, 1)),
    )


def _rounded_up(number: float) -> int:
    """Return the next whole number of two digits and zeros."""
    zeros: int = 10 ** max(len(str(int(number))) - 2, 0)
    return math.ceil(number / zeros) * zeros


def _counted_means(means: pl.DataFrame) -> list[NDArray[np.float64]]:
    """Return the mean of each context, with each of `FLANKS`; NaN of those of too few sites."""
    means = CONTEXT_MEANS.check(means, "context means")
    counted = means.select(pl.when(pl.col("sites") >= LEAST).then("mean").fill_null(np.nan))
    values = counted.to_series().to_numpy()
    ends = np.cumsum([len(context_names(flank)) for flank in FLANKS])
    return np.split(values, ends[:-1])


class MutationCalibration:
    """Takes off a model's scores what its background has in their contexts.

    Parameters
    ----------
    means : polars.DataFrame
        `schemas.CONTEXT_MEANS` of the model.
    genome : Genome

    Attributes
    ----------
    coverage : Coverage
        How far the model's background tells contexts apart.
    counts : ContextCounts
        Of the SNVs so far.
    """

    def __init__(self, means: pl.DataFrame, genome: Genome):
        self._means, self._genome = _counted_means(means), genome
        self.coverage, self.counts = coverage(means), ContextCounts()

    def __call__(self, snvs: pl.DataFrame, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return calibrated scores, shape (n,); NaN where no context has sites enough.

        Parameters
        ----------
        snvs : polars.DataFrame
            With `contig`, `pos` (1-based) and `alt`.
        scores : numpy.ndarray
            float64, shape (n,).
        """
        cells = _cells(self._genome, snvs["contig"], snvs["pos"], snvs["alt"])
        five, three = (
            np.where(numbers >= 0, means[numbers], np.nan)
            for numbers, means in zip(cells, self._means, strict=True)
        )
        of_five, of_none = ~np.isnan(five), np.isnan(five) & np.isnan(three)
        self.counts.pentamer += int(of_five.sum())
        self.counts.none += int(of_none.sum())
        self.counts.trinucleotide += int((~of_five & ~of_none).sum())
        return scores - np.where(of_five, five, three)

"""Strata: alleles that are alike in what a score may follow in place of an effect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.evaluation.mutation_context import cells
from varlm.evaluation.tasks import CONTRAST, Task

Codes = NDArray[np.int64]

CONSEQUENCE = "consequence"


@dataclass(frozen=True)
class Strata:
    """What makes a stratum.

    Attributes
    ----------
    by : tuple of str
        Columns of `features.features`: trinucleotide, cpg, consequence, tss_distance.
    distance_bins : tuple of int
        Edges between bins of the distance to the nearest transcription start, in bp, on either
        side of it.
    """

    by: tuple[str, ...]
    distance_bins: tuple[int, ...]

    @classmethod
    def parse(cls, entry: Mapping[str, Any] | None) -> Self | None:
        """Return the config's `evaluate.strata`, defaults filled in; None: not wanted."""
        if entry is None:
            return None
        return cls(tuple(entry["by"]), tuple(sorted(entry["distance_bins"])))

    def of(self, task: Task, known: pl.DataFrame) -> TaskStrata:
        """Return the strata of a task's alleles; of a contrast, whatever their consequences.

        Parameters
        ----------
        task : Task
        known : polars.DataFrame
            From `features.features`, of the task's table.
        """
        by = [name for name in self.by if task.kind != CONTRAST or name != CONSEQUENCE]
        codes = np.zeros(known.height, np.int64)
        for name in by:
            own = self._codes(name, known)
            codes = codes * (own.max(initial=0) + 1) + own
        return TaskStrata(codes, " × ".join(by))

    def _codes(self, name: str, known: pl.DataFrame) -> Codes:
        """Return a number for each value of a column; what is not known is a value of its own."""
        if name == "trinucleotide":
            return cells(known)
        if name == "cpg":
            return known["cpg"].cast(pl.Int64).fill_null(pl.Series(cells(known))).to_numpy()
        if name == CONSEQUENCE:
            return known[name].rank("dense").cast(pl.Int64).fill_null(0).to_numpy()
        distance = known[name].cast(pl.Float64).abs().fill_null(np.nan).to_numpy()
        bins = np.digitize(distance, self.distance_bins)
        return np.where(np.isnan(distance), len(self.distance_bins) + 1, bins)


@dataclass(frozen=True)
class TaskStrata:
    """The strata of a task's alleles.

    Attributes
    ----------
    codes : numpy.ndarray
        Number of each allele's stratum, int64, shape (alleles of the table,).
    words : str
        What makes them.
    weights : polars.DataFrame, optional
        Columns of `Score.weights`, fitted within them, of the rows of the table.
    unfit : mapping
        Fitted score → why it could not be fitted within them.
    """

    codes: Codes
    words: str
    weights: pl.DataFrame | None = None
    unfit: Mapping[str, str] = field(default_factory=dict)

    def within_chromosomes(self, chromosome: pl.Series) -> Codes:
        """Return a number for chromosome and stratum: what pairs of alleles are compared in."""
        number: Codes = chromosome.rank("dense").cast(pl.Int64).fill_null(0).to_numpy()
        codes: Codes = number * (self.codes.max(initial=0) + 1) + self.codes
        return codes

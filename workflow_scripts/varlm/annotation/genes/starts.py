"""The transcription start nearest to an allele."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.annotation.genes.overlaps import Ints
from varlm.genome.line import FAR, STRIDE


def on_turns(transcripts: pl.DataFrame, rings: Mapping[int, int]) -> pl.DataFrame:
    """Return transcripts on the line, those of circular contigs a turn before and behind too.

    Parameters
    ----------
    transcripts : polars.DataFrame
        With `origin`, where their contig begins on the line.
    rings : mapping
        Number of a circular contig → its length in bp.
    """
    number = pl.col("origin") // STRIDE
    turn = number.replace_strict(rings, default=None, return_dtype=pl.Int64)
    around = transcripts.filter(turn.is_not_null())
    first = pl.col("origin") + (pl.col("tss") - pl.col("origin")) % turn
    turns = [around.with_columns(tss=first + n * turn) for n in (-1, 0, 1)]
    return pl.concat([transcripts.filter(turn.is_null()), *turns])


class Starts:
    """Transcription starts of one contig, or of several on a line.

    Parameters
    ----------
    transcripts : polars.DataFrame
        `tables.TRANSCRIPTS` of one contig; or of several, their places on the line that
        `genome.line` speaks of.

    Attributes
    ----------
    gene : list of str
        Symbol of each start's gene.
    """

    def __init__(self, transcripts: pl.DataFrame):
        one_a_place = transcripts.sort("tss", "gene_id", "strand").unique(
            "tss", keep="first", maintain_order=True
        )
        self.at = one_a_place["tss"].to_numpy().astype(np.int64)
        self.gene = one_a_place["gene"]
        self.sign = np.where((one_a_place["strand"].fill_null("+") == "+").to_numpy(), 1, -1)
        self.order = one_a_place["gene_id"].rank("dense").to_numpy().astype(np.int64)

    def nearest(self, start: Ints, end: Ints) -> tuple[Ints, Ints]:
        """Return the nearest start of each allele, and the distance to it.

        The distance is that of the nearest base that the allele changes (of the two bases that
        an insertion parts), negative upstream of the start in its gene's direction. Of two starts
        as near as each other, the gene whose id comes first is taken.

        Returns
        -------
        which, distance : numpy.ndarray
            int64, shape (alleles,): index into `gene`, and bp; -1 and 0 where the allele's contig
            has no start.
        """
        if not len(self.at):
            return np.full(len(start), -1), np.zeros(len(start), np.int64)
        inserted = start == end
        first = np.where(inserted, np.maximum(start - 1, 0), start)
        last = np.where(inserted, start, end - 1)
        right = np.searchsorted(self.at, first)
        left = right - 1
        to_right = np.where(
            right < len(self.at),
            np.maximum(self.at[right.clip(max=len(self.at) - 1)] - last, 0),
            FAR,
        )
        to_left = np.where(left >= 0, first - self.at[left.clip(min=0)], FAR)
        right = np.minimum(right, len(self.at) - 1)
        self._first_inside(right, last, to_right == 0)
        left = np.maximum(left, 0)
        takes_left = (to_left < to_right) | (
            (to_left == to_right) & (self.order[left] < self.order[right])
        )
        which = np.where(takes_left, left, right)
        distance = np.where(takes_left, to_left, -to_right) * self.sign[which]
        nowhere = np.abs(distance) >= FAR
        return np.where(nowhere, -1, which), np.where(nowhere, 0, distance)

    def _first_inside(self, right: Ints, last: Ints, covers: NDArray[np.bool_]) -> None:
        """Of several starts inside one allele take the gene whose id comes first, in place."""
        stop = np.searchsorted(self.at, last, side="right")
        for row in np.flatnonzero(covers & (stop - right > 1)):  # long deletions alone
            right[row] += int(np.argmin(self.order[right[row] : stop[row]]))

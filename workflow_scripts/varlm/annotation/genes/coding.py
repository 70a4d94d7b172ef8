"""Coding sequences base by base, over the origin of circular contigs too."""

from __future__ import annotations

import numpy as np
import polars as pl

from varlm.annotation.genes.codons import Bases, complement
from varlm.annotation.genes.overlaps import Ints
from varlm.genome.reference import Genome


class Sequences:
    """Bases of a genome's contigs; a position past the end is one of the next turn.

    The file is not held against its digest here, which would read all of it: csq reads it so too.

    Attributes
    ----------
    lengths : dict
        Contig → length in bp.
    """

    def __init__(self, genome: Genome):
        self._data = np.memmap(genome.fasta, dtype=np.uint8, mode="r")
        self._offset = dict(genome.contigs.select("contig", "offset").iter_rows())
        self.lengths = genome.lengths

    def at(self, contig: str, positions: Ints) -> Bases:
        """Return the bases at 0-based positions, uint8 ASCII of their shape."""
        return np.asarray(self._data[self._offset[contig] + positions % self.lengths[contig]])

    def coding(self, contig: str, positions: Ints, strand: str) -> str:
        """Return the bases of `coding_positions` as the ribosome reads them."""
        bases = self.at(contig, positions)
        return (complement(bases) if strand == "-" else bases).tobytes().decode()


def coding_positions(pieces: pl.DataFrame, strand: str) -> Ints:
    """Return the 0-based positions of a coding sequence's bases from its first codon on, 5' to 3'.

    Parameters
    ----------
    pieces : polars.DataFrame
        `start`, `end`, `phase` of one transcript, sorted by `start`. A base that two pieces share
        is read, and returned, twice.
    strand : str
        `+` or `-`.
    """
    spans = [np.arange(start, end) for start, end in pieces.select("start", "end").iter_rows()]
    phases = pieces["phase"].to_list()
    if strand == "-":
        spans = [span[::-1] for span in reversed(spans)]
        phases.reverse()
    return np.concatenate(spans)[phases[0] :]

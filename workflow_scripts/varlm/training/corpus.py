"""The corpus of a training: every base of every genome as one byte, and the windows to train on.

A byte holds the base (bits 0 to 2: 0 to 3 for A, C, G, T, 4 for anything else), whether it is
soft-masked (bit 3), and its region class (bits 4 to 6, an index of `REGIONS`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.errors import UserError
from varlm.tables.parquet import read_table
from varlm.tables.schemas import WINDOWS
from varlm.training.description import CorpusDescription

BASE, SOFT_MASKED, REGION_SHIFT = 0b111, 0b1000, 4

# Region classes; where features overlap, the later one holds.
REGIONS = ("intergenic", "promoter", "intron", "exon", "coding")

SETS = ("train", "validation", "held_out")


@dataclass(frozen=True)
class Corpus:
    """What `prepare_training` wrote.

    Attributes
    ----------
    bases : uint8, shape (total,)
        One byte a base, contig after contig, mapped from disk.
    windows : polars.DataFrame
        `WINDOWS`.
    description : CorpusDescription
        corpus.json: the genomes, the settings, counts and the digest.
    """

    bases: NDArray[np.uint8]
    windows: pl.DataFrame
    description: CorpusDescription

    @classmethod
    def open(cls, folder: Path) -> Corpus:
        """Map the corpus in `folder`.

        Raises
        ------
        UserError
            If a file is missing or not the one that corpus.json describes.
        """
        description = CorpusDescription.read(folder / "corpus.json")
        bases = np.load(folder / "bases.npy", mmap_mode="r")
        if bases.size != description.bases:
            raise UserError(
                f"{folder / 'bases.npy'}: {bases.size} bases, {description.bases} expected; "
                "delete the folder and run the workflow again"
            )
        return cls(bases, read_table(folder / "windows.parquet", WINDOWS), description)

    @property
    def window(self) -> int:
        """Length of the windows in bp."""
        return self.description.window

    def of(self, which: str) -> pl.DataFrame:
        """Return the windows of a set (one of `SETS`) that have a weight."""
        return self.windows.filter((pl.col("set") == which) & (pl.col("weight") > 0))

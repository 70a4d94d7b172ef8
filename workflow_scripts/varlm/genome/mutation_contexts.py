"""Mutation contexts: an SNV with the bases on each side, the two strands taken as one.

Of the two strands the one counts on which the reference has a pyrimidine, C or T, as in the
catalogues of mutational signatures (Alexandrov et al. 2013, doi:10.1038/nature12477; COSMIC), and
contexts are written as there: `A[C>T]G` is ACG > ATG, and CGT > CAT on the other strand. With one
base on each side there are 6 · 4² = 96 of them, with two 6 · 4⁴ = 1,536.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.genome.bases import BASES, CODE_COMPLEMENT, CODES, UNKNOWN
from varlm.genome.reference import Genome
from varlm.genome.windows import Bytes, site_windows

CHANGES = ("C>A", "C>G", "C>T", "T>A", "T>C", "T>G")
"""REF and ALT on the strand where REF is a pyrimidine."""

_NUMBERS = np.full((UNKNOWN + 1, UNKNOWN + 1), -1, dtype=np.int64)
for _number, _change in enumerate(CHANGES):
    _NUMBERS[BASES.index(_change[0]), BASES.index(_change[-1])] = _number
_IS_PURINE = np.array([True, False, True, False, False])  # by code


def context_names(flank: int) -> list[str]:
    """Return the contexts with `flank` bases on each side, in the order of `contexts`."""
    sides = ["".join(bases) for bases in product(BASES, repeat=flank)]
    return [f"{left}[{change}]{right}" for change in CHANGES for left in sides for right in sides]


def contexts(windows: Bytes, alts: Bytes) -> NDArray[np.int64]:
    """Return the number of each SNV's context among `context_names`; −1: it has none.

    It has none where a base of the window is not A, C, G or T, or where ALT is REF.

    Parameters
    ----------
    windows : uint8 ASCII, shape (n, 2 · flank + 1)
        The reference of the forward strand, with the site in the middle.
    alts : uint8 ASCII, shape (n,)
        ALT on the forward strand.
    """
    flank = windows.shape[1] // 2
    codes, alt = CODES[windows], CODES[alts]
    turned = _IS_PURINE[codes[:, flank]]
    codes = np.where(turned[:, None], CODE_COMPLEMENT[codes[:, ::-1]], codes)
    change = _NUMBERS[codes[:, flank], np.where(turned, CODE_COMPLEMENT[alt], alt)]
    numbers = change
    for base in np.delete(codes, flank, axis=1).T:
        numbers = numbers * len(BASES) + base
    return np.where((change >= 0) & (codes < UNKNOWN).all(axis=1), numbers, -1)


def windows_around(
    genome: Genome, contigs: pl.Series, positions: NDArray[np.int64], flank: int
) -> Bytes:
    """Return the reference around sites, N past the end of a contig that is not circular.

    Parameters
    ----------
    genome : Genome
    contigs : polars.Series
        String, shape (n,): the contig of each site. Sites of one contig should be neighbours.
    positions : int64, shape (n,)
        0-based.
    flank : int
        Bases on each side.

    Returns
    -------
    uint8 ASCII, shape (n, 2 · flank + 1)
        Forward strand.
    """
    width = 2 * flank + 1
    windows = np.empty((len(contigs), width), dtype=np.uint8)
    for contig, rows in _runs(contigs):
        circular = genome[contig].circular
        windows[rows] = site_windows(genome.sequence(contig), positions[rows], width, circular)
    return windows


def _runs(contigs: pl.Series) -> Iterator[tuple[str, slice]]:
    """Yield contigs that follow each other, and the rows of each."""
    start = 0
    for run in contigs.rle().to_list():
        yield run["value"], slice(start, start + run["len"])
        start += run["len"]

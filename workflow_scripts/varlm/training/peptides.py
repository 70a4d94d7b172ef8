"""Sampled peptides of coding sequence, and how much windows count by how common theirs are.

As with the k-mers of DNA (`varlm.training.kmers`), one peptide in so many is kept, by its hash.
What proteins of a family have in common they still have where their DNA has changed: between
paralogues, and between species.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.annotation.genes.codons import amino_acids
from varlm.genome.bases import CODES
from varlm.training import kmers

K = 7  # residues: by chance alone, one of 60 million would be met 0.2 times more
SCALED = 4  # one peptide in so many is kept: some 40 of a window of 512 bp

_ALPHABET = "ACDEFGHIKLMNPQRSTVWY"
_BROKEN = -1  # a stop codon, or one with an unknown base


def _residues() -> NDArray[np.int8]:
    """Return the residue of each codon by its number, in the standard code."""
    table = np.full(64, _BROKEN, np.int8)
    for codon, residue in amino_acids(0).items():
        first, second, third = CODES[np.frombuffer(codon.encode(), np.uint8)].tolist()
        table[16 * first + 4 * second + third] = _ALPHABET.find(residue)
    return table


_RESIDUES = _residues()


def sketch(
    codes: NDArray[np.uint8], pieces: pl.DataFrame
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Return where the kept peptides of a contig are, and their hashes.

    Parameters
    ----------
    codes : uint8, shape (length,)
        0, 1, 2, 3 for A, C, G, T; 4 for anything else.
    pieces : polars.DataFrame
        Coding pieces: `start`, `end` (0-based, half-open), `phase`, `strand`. Peptides across an
        intron are passed over.

    Returns
    -------
    places : int64, shape (kept,), 0-based, ascending
        A base of each peptide's middle codon.
    hashes : uint64, shape (kept,)
    """
    places, piece, residues = _translated(codes, pieces)
    count = residues.size - K + 1
    if count < 1:
        return np.zeros(0, np.int64), np.zeros(0, np.uint64)
    broken = np.concatenate([[0], np.cumsum(residues == _BROKEN)])
    whole = (broken[K:] == broken[:-K]) & (piece[K - 1 :] == piece[:count])
    packed = np.zeros(count, np.uint64)
    for offset in range(K):
        packed *= np.uint64(len(_ALPHABET))
        packed += np.where(whole, residues[offset : offset + count], 0).astype(np.uint64)
    hashes = kmers.mixed(packed)
    kept = np.flatnonzero(whole & (hashes <= np.uint64(((1 << 64) - 1) // SCALED)))
    order = np.argsort(places[kept + K // 2], kind="stable")
    return places[kept + K // 2][order], hashes[kept][order]


def _translated(
    codes: NDArray[np.uint8], pieces: pl.DataFrame
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int8]]:
    """Return, for each codon of each piece, its first base, its piece and its residue."""
    within = pieces.filter(pl.col("end") <= codes.size)  # but for what passes a circle's origin
    start, end, phase = (
        within[name].cast(pl.Int64).to_numpy() for name in ("start", "end", "phase")
    )
    step = np.where(within["strand"].to_numpy() == "-", -1, 1)
    count = np.maximum(end - start - phase, 0) // 3
    piece = np.repeat(np.arange(count.size), count)
    number = np.arange(piece.size) - np.repeat(np.cumsum(count) - count, count)
    first = np.where(step > 0, start + phase, end - 1 - phase)
    places = first[piece] + 3 * step[piece] * number
    bases = np.stack([codes[places + step[piece] * i] for i in range(3)]).astype(np.int64)
    known = (bases < kmers.UNKNOWN).all(axis=0)
    bases = np.where(step[piece] > 0, bases, 3 - bases)
    codons = np.where(known, np.array([16, 4, 1]) @ bases, 0)
    return places, piece, np.where(known, _RESIDUES[codons], np.int8(_BROKEN))


def family_factors(
    windows: pl.DataFrame,
    window: int,
    coding: NDArray[np.float64],
    places: NDArray[np.int64],
    hashes: NDArray[np.uint64],
) -> NDArray[np.float64]:
    """Return by how much more or less each window is drawn for the families of its proteins.

    A coding base counts by the mean, over the window's peptides, of 1 / (how often a peptide occurs
    in all windows, each occurrence with its window's weight: strains count once). How much coding
    sequence of each genome is drawn stays the same, and so does what is not coding.

    Parameters
    ----------
    windows : polars.DataFrame
        `WINDOWS` that may be trained on, by start, with their weights.
    window : int
        Their length, bp.
    coding : float, shape (windows,)
        Share of each window's bases that is coding.
    places : int64, shape (peptides,), ascending
        Where in the corpus each kept peptide is.
    hashes : uint64, shape (peptides,)
        Its hash.
    """
    starts, weight = windows["start"].to_numpy(), windows["weight"].to_numpy()
    nearest = np.clip(np.searchsorted(starts, places - window // 2), 0, starts.size - 1)
    inside = (starts[nearest] <= places) & (places < starts[nearest] + window)
    places, nearest = places[inside], nearest[inside]
    _, kind = np.unique(hashes[inside], return_inverse=True)
    occurrences = np.bincount(kind, weight[nearest])
    rarity = np.concatenate([[0.0], np.cumsum(1 / np.maximum(occurrences, 1.0)[kind])])
    low, high = np.searchsorted(places, starts), np.searchsorted(places, starts + window)
    mean = np.where(high > low, (rarity[high] - rarity[low]) / np.maximum(high - low, 1), 1.0)
    genome = windows["genome"].rank("dense").to_numpy() - 1
    before = np.bincount(genome, weight * coding)
    after = np.bincount(genome, weight * coding * mean)
    same = np.divide(before, after, out=np.ones_like(before), where=after > 0)
    return np.asarray(1 - coding + coding * same[genome] * mean)

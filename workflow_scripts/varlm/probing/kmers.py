"""What sequences say without a model: bases as numbers, counts of k-mers, the share of G and C."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from varlm.genome.bases import CODES, UNKNOWN

Features = NDArray[np.float64]
_PIECE = 1 << 22  # bases that are counted at a time


def base_codes(sequences: Sequence[str]) -> NDArray[np.uint8]:
    """Return the codes of sequences (`genome.bases`), shape (sequences, length of the longest).

    Shorter ones are followed by unknown bases, of which nothing is counted.
    """
    longest = max(map(len, sequences), default=0)
    padded = "".join(sequence.ljust(longest, "N") for sequence in sequences)
    letters = np.frombuffer(padded.upper().encode("ascii", "replace"), np.uint8)
    return CODES[letters].reshape(len(sequences), longest)


def kmer_counts(codes: NDArray[np.uint8], longest: int) -> Features:
    """Return how often each k-mer of 1 to `longest` bases is in each sequence, on its strand.

    k-mers with an unknown base are not counted. Of one length they are in the order of their
    letters; shorter ones come first.

    Parameters
    ----------
    codes : numpy.ndarray
        Shape (sequences, length).
    longest : int

    Returns
    -------
    float64, shape (sequences, Σ 4^k)
    """
    counted = [_counts(codes, k) for k in range(1, longest + 1)]
    return np.concatenate(counted, axis=1).astype(np.float64)


def _counts(codes: NDArray[np.uint8], k: int) -> NDArray[np.int64]:
    rows, length = codes.shape
    width = 4**k
    counts = np.zeros((rows, width), np.int64)
    if length < k:
        return counts
    step = max(1, _PIECE // length)
    for first in range(0, rows, step):
        piece = codes[first : first + step].astype(np.int64)
        windows = np.lib.stride_tricks.sliding_window_view(piece, k, axis=1)
        numbers = windows @ (4 ** np.arange(k - 1, -1, -1))
        known = (windows != UNKNOWN).all(axis=2)
        places = numbers + width * np.arange(len(piece))[:, None]
        drawn = np.bincount(places[known], minlength=width * len(piece))
        counts[first : first + step] = drawn.reshape(len(piece), width)
    return counts


def gc_share(codes: NDArray[np.uint8]) -> Features:
    """Return the share of G and C among the known bases, shape (sequences, 1); 0.5 of none."""
    known = (codes != UNKNOWN).sum(axis=1)
    strong = ((codes == 1) | (codes == 2)).sum(axis=1)
    return np.where(known > 0, strong / np.maximum(known, 1), 0.5)[:, None]


def of_alleles(features: Sequence[Features]) -> Features:
    """Return one array of features: those of the sequence; of two alleles [ref, alt − ref]."""
    if len(features) == 1:
        return features[0]
    reference, alternate = features
    return np.concatenate([reference, alternate - reference], axis=1)

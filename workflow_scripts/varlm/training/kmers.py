"""Sampled k-mers of a sequence, the same on both strands: what two genomes have in common.

FracMinHash (Irber et al. 2022, doi:10.1101/2022.01.11.475838): of all canonical k-mers, those
whose hash falls below a share of the range are kept, so that two sketches can be compared without
holding every k-mer of a genome.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

K = 20  # bp: unrelated sequence shares next to none; 10 % divergence leaves one in eight
SCALED = 8  # one k-mer in so many is kept, more where genomes are large

UNKNOWN = 4  # the code of what is not A, C, G or T


def sketch(
    codes: NDArray[np.uint8], scaled: int = SCALED
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Return where the kept k-mers of a sequence start, and their hashes.

    Parameters
    ----------
    codes : uint8, shape (length,)
        0, 1, 2, 3 for A, C, G, T; 4 for anything else, which no kept k-mer contains.
    scaled : int
        One k-mer in so many is kept.

    Returns
    -------
    starts : int64, shape (kept,), 0-based, ascending
    hashes : uint64, shape (kept,)
        Equal for a k-mer and its reverse complement.
    """
    if codes.size < K:
        return np.zeros(0, np.int64), np.zeros(0, np.uint64)
    known = codes < UNKNOWN
    plain = np.where(known, codes, 0).astype(np.uint64)
    forward = _packed(plain)
    reverse = _packed(3 - plain[::-1])[::-1]
    hashes = mixed(np.minimum(forward, reverse))
    unknown_before = np.concatenate([[0], np.cumsum(~known)])
    whole = unknown_before[K:] == unknown_before[:-K]
    kept = np.flatnonzero(whole & (hashes <= np.uint64(((1 << 64) - 1) // scaled)))
    return kept, hashes[kept]


def _packed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Two bits a base: element i is the k-mer that starts at i. By doubling: K = 16 + 4."""
    width, packed = 1, {1: values}
    while width < 16:
        one = packed[width]
        packed[2 * width] = (one[:-width] << np.uint64(2 * width)) | one[width:]
        width *= 2
    count = values.size - K + 1
    return (packed[16][:count] << np.uint64(8)) | packed[4][16 : 16 + count]


def mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scatter integers over 64 bits: the finaliser of SplitMix64 (Steele et al. 2014)."""
    mixed = values + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))

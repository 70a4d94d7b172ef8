"""Batches of windows to train on: functions of the seed and their number, and of nothing else.

So that a training that goes on after an interruption, or on another number of processes, sees the
batches that it would have seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from varlm.genome.bases import CODE_COMPLEMENT
from varlm.models.corruption import Corruption
from varlm.training.corpus import BASE, SOFT_MASKED, Corpus

# The tokens of GPN: [PAD] 0, [MASK] 1, [UNK] 2, a 3, c 4, g 5, t 6.
MASK, UNK, FIRST_BASE = 1, 2, 3
_TOKENS = np.array([3, 4, 5, 6, UNK], dtype=np.int64)

# BERT's; a random base may be the true one.
CORRUPTION = Corruption(masked=0.8, random=0.1, kept=0.1, symbols=4)


@dataclass(frozen=True)
class Batch:
    """Windows to predict masked bases of.

    Attributes
    ----------
    inputs : int64, shape (windows, length)
        Tokens, after masking.
    targets : int64, shape (windows, length)
        Tokens, before masking.
    weights : float32, shape (windows, length)
        What each position counts in the loss; 0 where nothing is predicted.
    """

    inputs: NDArray[np.int64]
    targets: NDArray[np.int64]
    weights: NDArray[np.float32]

    def part(self, start: int, end: int) -> Batch:
        """Return windows `start` to `end`."""
        return Batch(self.inputs[start:end], self.targets[start:end], self.weights[start:end])


class Sampler:
    """Draws training batches.

    Parameters
    ----------
    corpus : Corpus
    size : int
        Windows in a batch, on all devices together.
    seed : int
    causal : bool
        Whether every base is predicted from those before it, and nothing is masked.
    mask_share : float
        Share of the bases that is predicted (15 % in BERT and GPN).
    soft_masked_weight : float
        What a soft-masked base counts in the loss; the others count 1.
    jitter : int
        How far, in bp, a window may be moved from its place in the table, to either side.
    """

    def __init__(
        self,
        corpus: Corpus,
        size: int,
        seed: int,
        *,
        causal: bool = False,
        mask_share: float = 0.15,
        soft_masked_weight: float = 0.1,
        jitter: int = 0,
    ):
        self.corpus, self.size, self.seed, self.causal = corpus, size, seed, causal
        self.mask_share, self.soft_masked_weight, self.jitter = (
            mask_share,
            soft_masked_weight,
            jitter,
        )
        windows = corpus.of("train")
        self._starts = windows["start"].to_numpy().astype(np.int64)
        self._low = windows["contig_start"].to_numpy().astype(np.int64)
        self._high = windows["contig_end"].to_numpy().astype(np.int64) - corpus.window
        self._cumulative = np.cumsum(windows["weight"].to_numpy())

    def batch(self, number: int) -> Batch:
        """Return training batch `number`, counted from 0."""
        random = np.random.Generator(np.random.Philox(key=self.seed, counter=[0, 0, 0, number]))
        drawn = random.random(self.size) * self._cumulative[-1]
        chosen = np.minimum(
            np.searchsorted(self._cumulative, drawn, side="right"), self._starts.size - 1
        )
        starts = self._starts[chosen]
        if self.jitter:
            starts = starts + random.integers(-self.jitter, self.jitter + 1, self.size)
            starts = np.clip(starts, self._low[chosen], self._high[chosen])
        reverse = random.random(self.size) < 0.5
        codes = oriented(read(self.corpus, starts), reverse)
        weights = np.where(codes & SOFT_MASKED, np.float32(self.soft_masked_weight), np.float32(1))
        bases = codes & np.uint8(BASE)
        if self.causal:
            return causal(bases, weights)
        return masked(bases, weights, random, self.mask_share)


def read(corpus: Corpus, starts: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the bytes of windows: uint8, shape (windows, length)."""
    return np.asarray(corpus.bases[starts[:, None] + np.arange(corpus.window)])


def oriented(codes: NDArray[np.uint8], reverse: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return the windows, those in `reverse` as their reverse complement."""
    turned = codes[reverse, ::-1]
    result = codes.copy()
    result[reverse] = (turned & ~np.uint8(BASE)) | CODE_COMPLEMENT[turned & BASE]
    return result


def masked(
    bases: NDArray[np.uint8],
    weights: NDArray[np.float32],
    random: np.random.Generator,
    share: float,
    hidden: tuple[float, float] = (CORRUPTION.masked, CORRUPTION.random),
) -> Batch:
    """Choose bases to predict, and hide them.

    Parameters
    ----------
    bases, weights : shape (windows, length)
    random : numpy.random.Generator
    share : float
        Of the bases, how many are predicted.
    hidden : pair of float
        Of those, the shares that become [MASK] and a random base; the rest stays.
    """
    targets = _TOKENS[bases]
    chosen = (random.random(bases.shape, dtype=np.float32) < share) & (bases < 4)
    fate = random.random(bases.shape, dtype=np.float32)
    inputs = np.where(chosen & (fate < hidden[0]), MASK, targets)
    swapped = chosen & (fate >= hidden[0]) & (fate < sum(hidden))
    inputs[swapped] = random.integers(
        FIRST_BASE, FIRST_BASE + CORRUPTION.symbols, int(swapped.sum())
    )
    return Batch(inputs, targets, np.where(chosen, weights, np.float32(0)))


def causal(bases: NDArray[np.uint8], weights: NDArray[np.float32]) -> Batch:
    """Predict every base but the first from those before it."""
    targets = _TOKENS[bases]
    counted = np.where(bases < 4, weights, np.float32(0))
    counted[:, 0] = 0
    return Batch(targets, targets, counted)

"""Sequence that no model saw, and the same with mutations: which of the two is real?

The task of Ihtiyar & Özgür 2023 (doi:10.48550/arXiv.2307.10634), on windows of any genome. A
sequence gets 1 to M mutations one after the other, each of a random kind: a random base inserted, a
base deleted, two different neighbours swapped, a base replaced by another.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from varlm.genome.bases import LETTERS
from varlm.training.corpus import BASE, Corpus

log = logging.getLogger(__name__)

Bytes = NDArray[np.uint8]

# What the config calls them → kinds of mutation, drawn alike.
KINDS: dict[str, tuple[str, ...]] = {
    "all": ("insertion", "deletion", "swap", "substitution"),
    "substitutions": ("substitution",),
}

_SHARE = 4  # a window has so many bases for each mutation, or more: what is left is a sequence
_TRIES = 32  # places of a swap: next to none of a homopolymer will do


@dataclass(frozen=True)
class Pairs:
    """Real sequences and mutated ones.

    Attributes
    ----------
    real : list of uint8 ASCII arrays
        A, C, G, T alone.
    mutated : dict
        M → the same sequences after 1 to M mutations, each.
    kinds : str
        One of `KINDS`.
    """

    real: list[Bytes]
    mutated: dict[int, list[Bytes]]
    kinds: str


def sample_pairs(
    corpus: Corpus, which: str, count: int, most: Sequence[int], kinds: str, seed: int
) -> Pairs:
    """Draw sequences of a set, by the windows' weights, and mutate each.

    They are as much shorter than a training window as mutations can make them longer: no model
    reads more than it was trained on.

    Parameters
    ----------
    corpus : Corpus
    which : str
        validation or held_out.
    count : int
        Sequences to draw; those with an unknown base are left out.
    most : sequence of int
        M, each; one that is too large for the windows is left out, with a warning.
    kinds : str
        One of `KINDS`.
    seed : int
    """
    window = corpus.window
    fitting = [limit for limit in sorted(set(most)) if _SHARE * limit <= window]
    if len(fitting) < len(set(most)):
        log.warning(
            "mutated.most: %s mutations are too many for windows of %d bp, at least %d for each; "
            "left out",
            ", ".join(str(limit) for limit in sorted(set(most) - set(fitting))),
            window,
            _SHARE,
        )
    if not fitting:
        return Pairs([], {}, kinds)
    real = _sample(corpus, which, window - fitting[-1], count, np.random.default_rng([seed, 0]))
    mutated = {}
    for limit in fitting:
        random = np.random.default_rng([seed, limit])
        changed = [mutate(codes, limit, KINDS[kinds], random) for codes in real]
        mutated[limit] = [LETTERS[codes] for codes in changed]
    return Pairs([LETTERS[codes] for codes in real], mutated, kinds)


def _sample(
    corpus: Corpus, which: str, length: int, count: int, random: np.random.Generator
) -> Bytes:
    """Return the codes of sequences without unknown bases, shape (≤ count, length)."""
    windows = corpus.of(which)
    weight = windows["weight"].to_numpy()
    chosen = random.choice(windows.height, count, p=weight / weight.sum())
    start = windows["start"].to_numpy()[chosen] + random.integers(
        -(corpus.window // 2), corpus.window // 2 + 1, count
    )
    low = windows["contig_start"].to_numpy()[chosen]
    high = windows["contig_end"].to_numpy()[chosen] - length
    start = np.clip(start, low, high)
    codes = np.asarray(corpus.bases[start[:, None] + np.arange(length)]) & np.uint8(BASE)
    return codes[(codes < 4).all(1)]


def mutate(codes: Bytes, most: int, kinds: Sequence[str], random: np.random.Generator) -> Bytes:
    """Return a sequence after 1 to `most` mutations, one after the other.

    Where they undo each other, others are drawn: nothing could tell such a pair apart.

    Parameters
    ----------
    codes : uint8, shape (length,)
        0 to 3 for A, C, G, T.
    most : int
    kinds : sequence of str
        Of those of `KINDS`.
    random : numpy.random.Generator

    Returns
    -------
    uint8, shape (length − most … length + most,)
    """
    real: list[int] = codes.tolist()
    while True:
        mutated = real.copy()
        for _ in range(random.integers(1, most + 1)):
            _MUTATIONS[kinds[int(random.integers(len(kinds)))]](mutated, random)
        if mutated != real:
            return np.array(mutated, np.uint8)


def _insert(sequence: list[int], random: np.random.Generator) -> None:
    sequence.insert(random.integers(len(sequence) + 1), int(random.integers(4)))


def _delete(sequence: list[int], random: np.random.Generator) -> None:
    del sequence[random.integers(len(sequence))]


def _substitute(sequence: list[int], random: np.random.Generator) -> None:
    at = random.integers(len(sequence))
    sequence[at] = (sequence[at] + int(random.integers(1, 4))) % 4


def _swap(sequence: list[int], random: np.random.Generator) -> None:
    """Swap two neighbours that differ; where such are hard to find, substitute a base."""
    for at in random.integers(len(sequence) - 1, size=_TRIES).tolist():
        if sequence[at] != sequence[at + 1]:
            sequence[at], sequence[at + 1] = sequence[at + 1], sequence[at]
            return
    _substitute(sequence, random)


_MUTATIONS = {
    "insertion": _insert,
    "deletion": _delete,
    "swap": _swap,
    "substitution": _substitute,
}

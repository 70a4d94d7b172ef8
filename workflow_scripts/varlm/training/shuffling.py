"""Sequences in random order that keep how often each base follows each.

Altschul & Erickson 1985 (doi:10.1093/oxfordjournals.molbev.a040370): a sequence is a walk over the
bases that takes each of its dinucleotides once. Which of a base's dinucleotides is its last is
drawn so that the walk can end where it did; the others come in any order. Each sequence with the
same dinucleotides, and so the same first and last base, is as likely as any other.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.uint8]


def dinucleotide_shuffle(codes: Codes, random: np.random.Generator) -> Codes:
    """Return a sequence with the same counts of dinucleotides, the same first and last base.

    Parameters
    ----------
    codes : uint8, shape (length,)
        0 to 3 for A, C, G, T.
    random : numpy.random.Generator

    Returns
    -------
    uint8, shape (length,)
        It may be the sequence itself.
    """
    if codes.size < 4:  # there is no other
        return codes.copy()
    counts = np.zeros((4, 4), np.int64)
    np.add.at(counts, (codes[:-1], codes[1:]), 1)
    last = _last_exits(counts, int(codes[-1]), random)
    followers = [_followers(counts[base], last[base], random) for base in range(4)]
    taken = [0, 0, 0, 0]
    base = int(codes[0])
    walk = [base]
    for _ in range(codes.size - 1):
        following = followers[base][taken[base]]
        taken[base] += 1
        walk.append(following)
        base = following
    return np.array(walk, np.uint8)


def _last_exits(
    counts: NDArray[np.int64], end: int, random: np.random.Generator
) -> tuple[int | None, ...]:
    """Draw what follows each base for the last time; None of the end, and of bases without any.

    The walk uses up all dinucleotides if and only if these lead from every base to the end. All
    choices that do, at most 27, are weighed by the dinucleotides that each stands for.
    """
    options: list[list[int | None]] = [
        [None]
        if base == end or not counts[base].any()
        else [other for other in range(4) if other != base and counts[base, other]]
        for base in range(4)
    ]
    choices = [exits for exits in product(*options) if _all_lead_to(end, exits)]
    weights = np.array(
        [
            np.prod([float(counts[base, to]) for base, to in enumerate(exits) if to is not None])
            for exits in choices
        ]
    )
    return choices[int(random.choice(len(choices), p=weights / weights.sum()))]


def _all_lead_to(end: int, exits: tuple[int | None, ...]) -> bool:
    """Whether one comes to the end from every base that has an exit."""
    for start, first in enumerate(exits):
        at, steps = (start if first is None else first), 0
        while at != end and steps < 4:
            following = exits[at]
            if following is None:
                break
            at, steps = following, steps + 1
        if first is not None and at != end:
            return False
    return True


def _followers(
    counts: NDArray[np.int64], last: int | None, random: np.random.Generator
) -> list[int]:
    """Return what follows a base, time after time: in random order but for the last."""
    rest = counts.copy()
    if last is not None:
        rest[last] -= 1
    order: list[int] = random.permutation(np.repeat(np.arange(4), rest)).tolist()
    return order if last is None else [*order, last]

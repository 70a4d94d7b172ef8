"""AUROC within strata, and how much of the AUROC the strata explain.

A pair of a positive and a negative counts where both are of one stratum: alleles of the same
trinucleotide change, consequence and distance to a transcription start, say, so that none of these
can tell them apart. With one stratum this is Mann and Whitney's U over P N; over strata it is the
sum of U, ties one half, over the sum of P N, in which each pair weighs the same (van Elteren, Bull.
Int. Stat. Inst. 37, 351–361, 1960, who weighs the strata's U otherwise, for the power of a test;
the area under the covariate-adjusted ROC curve of Janes and Pepe, Biometrika 2009,
10.1093/biomet/asp002, weighs strata by their positives). It is computed within each chromosome, as
TraitGym has its metrics (10.1101/2025.02.11.637758), and averaged over them; here each chromosome
weighs the same, there it weighs as much as it has alleles.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from varlm.evaluation.metrics import FEWEST_CHROMOSOMES
from varlm.evaluation.resampling import Counts, Floats, Measured, resamples

Flags = NDArray[np.bool_]
Codes = NDArray[np.int64]

LEAST_AUROC = 0.52  # a raw AUROC up to here is too near to chance for a share of it to mean much


@dataclass(frozen=True)
class WithinStrata:
    """What was measured on the alleles of strata that have both classes.

    Attributes
    ----------
    within, raw : Measured
        AUROC within strata, and that without strata of the same alleles; both within chromosomes
        and averaged.
    explained : Measured
        The share of the raw AUROC that the strata explain, NaN where that is `LEAST_AUROC` or less.
    used : numpy.ndarray
        bool, the alleles, shape (alleles,).
    strata, pairs, chromosomes : int
        How many there are; a stratum is counted once for each chromosome.
    """

    within: Measured
    raw: Measured
    explained: Measured
    used: Flags
    strata: int
    pairs: int
    chromosomes: int


def usable(positive: Flags, stratum: Codes, chromosome: Codes) -> tuple[Flags, Codes]:
    """Return the alleles in strata that have both classes, and a number for their strata.

    Parameters
    ----------
    positive, stratum, chromosome : numpy.ndarray
        Shape (alleles,).

    Returns
    -------
    used : numpy.ndarray
        bool, shape (alleles,).
    strata : numpy.ndarray
        Chromosome and stratum as one number, shape (alleles used,).
    """
    both = chromosome * (stratum.max(initial=0) + 1) + stratum
    _, own = np.unique(both, return_inverse=True)
    positives, negatives = (
        np.bincount(own[of], minlength=own.max(initial=0) + 1) for of in (positive, ~positive)
    )
    used = ((positives > 0) & (negatives > 0))[own] if own.size else np.zeros(0, bool)
    return used, np.unique(both[used], return_inverse=True)[1]


def within_strata(
    scores: Floats,
    positive: Flags,
    stratum: Codes,
    chromosome: Codes,
    count: int = 0,
    seed: int = 0,
) -> WithinStrata | None:
    """Return what scores tell apart within strata; None: no stratum has both classes.

    Where there are `FEWEST_CHROMOSOMES`, resamples draw whole chromosomes, since alleles near each
    other are not independent. Where there are fewer they draw alleles within each chromosome,
    positives and negatives apart, and not within strata: many strata have one positive, which
    would be drawn each time, so that their part of the variance was lost.

    Parameters
    ----------
    scores : numpy.ndarray
        Higher is more like the positives; finite, shape (scores, alleles).
    positive : numpy.ndarray
        bool, shape (alleles,).
    stratum, chromosome : numpy.ndarray
        A number for each, from 0, shape (alleles,).
    count, seed : int
        Number of resamples, and what they are drawn from.
    """
    used, strata = usable(positive, stratum, chromosome)
    if not used.any():
        return None
    truth = positive[used]
    _, part = np.unique(chromosome[used], return_inverse=True)
    draws = _Draws(truth, part)
    pairs = [
        (_Pairs(score, truth, strata, part), _Pairs(score, truth, part, part))
        for score in scores[:, used]
    ]
    once = draws.once()
    by_part = np.array([[pair.auroc(*once) for pair in both] for both in pairs])
    points = by_part.mean(axis=2)  # (scores, within and raw)
    resampled = np.empty((*points.shape, count))
    if draws.parts >= FEWEST_CHROMOSOMES:
        for i, (drawn,) in enumerate(resamples([draws.parts], count, seed)):
            resampled[..., i] = by_part @ drawn / draws.parts
    else:
        for i, counts in enumerate(draws.resampled(count, seed)):
            for k, both in enumerate(pairs):
                resampled[k, :, i] = [_mean(pair.auroc(*counts)) for pair in both]
    within, raw = (Measured(points[:, i], resampled[:, i]) for i in (0, 1))
    in_strata = [np.bincount(strata[of]) for of in (truth, ~truth)]
    return WithinStrata(
        within,
        raw,
        Measured(
            np.where(raw.values > LEAST_AUROC, explained(within.values, raw.values), np.nan),
            explained(within.resampled, raw.resampled),
        ),
        used,
        in_strata[0].size,
        int((in_strata[0] * in_strata[1]).sum()),
        draws.parts,
    )


def explained(within: Floats, raw: Floats) -> Floats:
    """Return clip(1 − (within − ½)/(raw − ½), 0, 1); NaN where the raw AUROC is one half or less.

    Parameters
    ----------
    within, raw : numpy.ndarray
        AUROC within strata, and that of the same alleles without; of one shape.
    """
    above = np.where(raw > 0.5, raw - 0.5, np.nan)
    share: Floats = np.clip(1 - (within - 0.5) / above, 0, 1)
    return share


def _mean(values: Floats) -> float:
    """Return the mean over the chromosomes that have a pair; NaN: none has."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else np.nan


class _Draws:
    """Resamples of positives and negatives within each chromosome, in the order of the table."""

    def __init__(self, positive: Flags, part: Codes):
        self.parts = int(part.max()) + 1
        self.orders = [np.argsort(part[of], kind="stable") for of in (positive, ~positive)]
        self.sizes = [
            size
            for of in (positive, ~positive)
            for size in np.bincount(part[of], minlength=self.parts).tolist()
        ]

    def once(self) -> list[Counts]:
        """Return each allele once."""
        return [np.ones(order.size, np.int64) for order in self.orders]

    def resampled(self, count: int, seed: int) -> Iterator[list[Counts]]:
        """Yield how often each positive and each negative is drawn."""
        for drawn in resamples(self.sizes, count, seed):
            counts = self.once()
            for i, order in enumerate(self.orders):
                counts[i][order] = np.concatenate(drawn[i * self.parts : (i + 1) * self.parts])
            yield counts


class _Pairs:
    """A score sorted once within its strata, from the highest, its ties together.

    As `metrics._Curve`, but what is above a positive counts within its stratum alone.

    Parameters
    ----------
    score : numpy.ndarray
        Shape (alleles,).
    positive : numpy.ndarray
    stratum, part : numpy.ndarray
        Numbers of the strata, those of a chromosome next to each other, and of the chromosomes.
    """

    def __init__(self, score: Floats, positive: Flags, stratum: Codes, part: Codes):
        values, rank = np.unique(-score, return_inverse=True)
        key = stratum * values.size + rank
        self.order_positive, self.order_negative = (
            np.argsort(key[of], kind="stable") for of in (positive, ~positive)
        )
        ranked = key[positive][self.order_positive]
        self.ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
        threshold, negatives = ranked[self.ends], key[~positive][self.order_negative]
        start = threshold - threshold % values.size
        self.first, self.above, self.not_below, self.last = (
            np.searchsorted(negatives, at)
            for at in (start, threshold, threshold + 1, start + values.size)
        )
        parts = part[positive][self.order_positive][self.ends]
        self.parts = np.flatnonzero(np.append(True, parts[1:] != parts[:-1]))

    def auroc(self, positive: Counts, negative: Counts) -> Floats:
        """Return the AUROC of each chromosome; NaN where no stratum of it has a pair.

        Parameters
        ----------
        positive, negative : numpy.ndarray
            How often each allele is drawn.
        """
        false = np.zeros(negative.size + 1, np.int64)
        np.cumsum(negative[self.order_negative], out=false[1:])
        new = np.diff(np.cumsum(positive[self.order_positive])[self.ends], prepend=0)
        first = false[self.first]
        lost = new * ((false[self.above] + false[self.not_below]) / 2 - first)
        pairs = np.add.reduceat(new * (false[self.last] - first), self.parts)
        with np.errstate(invalid="ignore"):
            auroc: Floats = 1 - np.add.reduceat(lost, self.parts) / pairs
        return auroc

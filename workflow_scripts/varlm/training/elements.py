"""Regulatory elements of a BED file, each beside the same with its dinucleotides shuffled.

The paired control of DART-Eval (task 1; Patel et al. 2024, doi:10.48550/arXiv.2412.05430): the
control is the element's window, of which the element alone is shuffled, so that a model has to know
more than how often one base follows another.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from varlm.errors import UserError
from varlm.genome.bases import CODES, IS_ACGT, LETTERS
from varlm.genome.bed import Bed
from varlm.genome.reference import Genome
from varlm.training.contrasts import Contrasts, Indices
from varlm.training.shuffling import dinucleotide_shuffle

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Elements:
    """Elements in windows.

    Attributes
    ----------
    contig : list of str
        n contigs.
    window : int64, shape (n,)
        Where each window starts on it, 0-based.
    start, stop : int64, shape (n,)
        The element in the window, 0-based half-open.
    length : int
        Of the windows, bp.
    cut : int
        How many elements are longer than their window, so that both ends are cut off.
    left_out : dict
        Why → how many elements are left out.
    """

    contig: list[str]
    window: Indices
    start: Indices
    stop: Indices
    length: int
    cut: int
    left_out: dict[str, int]

    def __len__(self) -> int:
        return len(self.contig)

    def chosen(self, count: int, seed: int) -> Elements:
        """Return so many at random, or all where there are no more, in random order."""
        rows = np.random.default_rng([seed, 0]).permutation(len(self))[:count]
        contig = [self.contig[row] for row in rows.tolist()]
        parts = (self.window[rows], self.start[rows], self.stop[rows])
        return Elements(contig, *parts, self.length, self.cut, self.left_out)

    def report(self) -> None:
        """Log how many there are, and which are cut or left out."""
        listed = "".join(f"; {count} left out: {why}" for why, count in self.left_out.items())
        log.info("elements: %d%s", len(self), listed)
        if self.cut:
            log.info(
                "%d elements are longer than a window of %d bp: their middle is measured",
                self.cut,
                self.length,
            )


def lay_elements(bed: Bed, genome: Genome, contigs: Collection[str], length: int) -> Elements:
    """Return the elements on some contigs, each in the middle of its window.

    Near a contig's end the window stays on the contig, and the element is not in its middle. An
    element that is longer than the window is cut to its own middle.

    Parameters
    ----------
    bed : Bed
    genome : Genome
    contigs : collection of str
        As the genome names them.
    length : int
        Of the windows, bp.
    """
    names = np.array(bed.contigs, dtype=np.str_)[bed.code] if bed.contigs else np.empty(0, np.str_)
    start, end = bed.start.astype(np.int64), bed.end.astype(np.int64)
    sizes = np.array([genome.lengths[name] for name in names.tolist()], np.int64)
    middle = (start + end) // 2
    window = np.clip(middle - length // 2, 0, np.maximum(sizes - length, 0))
    kept: NDArray[Any] = np.ones(names.size, np.bool_)
    left_out = {}
    for why, is_left in (
        ("on other contigs", ~np.isin(names, list(contigs))),
        ("without a base", start == end),
        (f"on a contig shorter than a window of {length} bp", sizes < length),
    ):
        left_out[why] = int((kept & is_left).sum())
        kept &= ~is_left
    low, high = np.maximum(start, window), np.minimum(end, window + length)
    known = np.array(
        [
            bool(IS_ACGT[genome.sequence(name)[a:b]].all()) if keep else True
            for name, a, b, keep in zip(names.tolist(), low, high, kept, strict=True)
        ],
        np.bool_,
    )
    left_out["with an unknown base"] = int((~known).sum())
    kept &= known
    return Elements(
        names[kept].tolist(),
        window[kept],
        (low - window)[kept],
        (high - window)[kept],
        length,
        int((end - start > length)[kept].sum()),
        {why: count for why, count in left_out.items() if count},
    )


def with_controls(elements: Elements, genome: Genome, seed: int) -> Contrasts:
    """Return the elements' windows, and the same with the elements shuffled.

    Raises
    ------
    UserError
        If there is no element.
    """
    if not len(elements):
        listed = "; ".join(f"{count} {why}" for why, count in elements.left_out.items())
        raise UserError(
            f"elements.bed: no element to measure ({listed or 'the file has none'}); give elements "
            "on contigs that are held out, or name others in elements.contigs"
        )
    random = np.random.default_rng([seed, 1])
    real = np.stack(
        [
            genome.sequence(contig)[start : start + elements.length]
            for contig, start in zip(elements.contig, elements.window.tolist(), strict=True)
        ]
    )
    control = real.copy()
    spans = zip(elements.start.tolist(), elements.stop.tolist(), strict=True)
    for row, (start, stop) in enumerate(spans):
        shuffled = dinucleotide_shuffle(CODES[real[row, start:stop]], random)
        control[row, start:stop] = LETTERS[shuffled]
    return Contrasts(real, control, elements.start, elements.stop)

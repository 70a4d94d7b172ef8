"""A motif in sequence without any, beside the same with the motif's bases in another order.

The motif footprint of DART-Eval (task 2; Patel et al. 2024, doi:10.48550/arXiv.2412.05430): a model
that knows the motif finds its bases likelier than the same bases shuffled, in windows that are
neutral: of real sequence, with their dinucleotides shuffled. Every other window has the motif on
its other strand.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from varlm.errors import UserError
from varlm.genome.bases import CODE_COMPLEMENT, CODES, IS_ACGT, LETTERS
from varlm.genome.reference import Genome
from varlm.training.contrasts import Bytes, Contrasts
from varlm.training.meme import Motif
from varlm.training.shuffling import Codes, dinucleotide_shuffle

log = logging.getLogger(__name__)

_TRIES = 100  # windows looked at for each that is wanted


def neutral_windows(
    genome: Genome, contigs: Collection[str], length: int, count: int, seed: int
) -> Bytes:
    """Draw windows of some contigs and shuffle their dinucleotides.

    Parameters
    ----------
    genome : Genome
    contigs : collection of str
        As the genome names them.
    length : int
        bp.
    count : int
    seed : int

    Returns
    -------
    uint8 ASCII, shape (count, length)

    Raises
    ------
    UserError
        If the contigs have too few windows without unknown bases.
    """
    random = np.random.default_rng([seed, 2])
    room = {name: genome.lengths[name] - length + 1 for name in contigs}
    room = {name: places for name, places in room.items() if places > 0}
    windows: list[Bytes] = []
    for _ in range(_TRIES * count if room else 0):
        window = _anywhere(genome, room, length, random)
        if IS_ACGT[window].all():
            windows.append(LETTERS[dinucleotide_shuffle(CODES[window], random)])
        if len(windows) == count:
            break
    if len(windows) < count:
        raise UserError(
            f"elements.motifs: {len(windows)} windows of {length} bp without unknown bases on "
            f"{', '.join(contigs)}, {count} wanted; name longer contigs in elements.contigs, or "
            "lower elements.length or elements.windows"
        )
    return np.stack(windows)


def _anywhere(
    genome: Genome, room: Mapping[str, int], length: int, random: np.random.Generator
) -> Bytes:
    """Return a window from one of the places that each contig has room for, all as likely."""
    ends = np.cumsum(list(room.values()))
    at = random.integers(ends[-1])
    which = int(np.searchsorted(ends, at, "right"))
    start = int(at - (ends[which] - list(room.values())[which]))
    return genome.sequence(list(room)[which])[start : start + length]


def with_motifs(
    motifs: Sequence[Motif], windows: Bytes, seed: int
) -> Iterator[tuple[Motif, Contrasts]]:
    """Yield each motif with the windows that have its consensus in their middle, and the controls.

    Each control has the consensus' bases in another order, which is neither the consensus nor its
    reverse complement. A motif of one base alone, or longer than the windows, is left out, with a
    warning.

    Parameters
    ----------
    motifs : sequence of Motif
    windows : uint8 ASCII, shape (n, length)
    seed : int
    """
    length = windows.shape[1]
    for index, motif in enumerate(motifs):
        site = CODES[np.frombuffer(motif.consensus.encode(), np.uint8)]
        if site.size > length:
            log.warning("motif %s: %d bp, longer than a window; left out", motif.name, site.size)
            continue
        if len(set(motif.consensus)) == 1:
            log.warning(
                "motif %s: %s is the same in any order of its bases; left out",
                motif.name,
                motif.consensus,
            )
            continue
        random = np.random.default_rng([seed, 3, index])
        yield motif, _inserted(site, windows, random)


def _inserted(site: Codes, windows: Bytes, random: np.random.Generator) -> Contrasts:
    start = (windows.shape[1] - site.size) // 2
    stop = start + site.size
    real, control = windows.copy(), windows.copy()
    for row in range(len(windows)):
        for target, codes in ((real, site), (control, _other_order(site, random))):
            written = codes if row % 2 == 0 else _reverse_complement(codes)
            target[row, start:stop] = LETTERS[written]
    count = len(windows)
    return Contrasts(real, control, np.full(count, start), np.full(count, stop))


def _reverse_complement(codes: Codes) -> Codes:
    return CODE_COMPLEMENT[codes][::-1]


def _other_order(site: Codes, random: np.random.Generator) -> Codes:
    """Return the bases in a random order that is not the site's on either strand.

    There is one wherever two bases differ.
    """
    strands = (site.tobytes(), _reverse_complement(site).tobytes())
    while True:
        order: Codes = random.permutation(site)
        if order.tobytes() not in strands:
            return order

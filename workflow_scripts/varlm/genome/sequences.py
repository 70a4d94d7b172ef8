"""Whole windows with REF and with ALT, for models that give a sequence a likelihood.

Unlike the windows of a pseudo-log-likelihood, the alternate one is as long as the allele makes it:
nothing is cut off or filled up on its right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from varlm.errors import UserError
from varlm.genome.windows import Bytes, site_windows


@dataclass(frozen=True)
class SequencePairs:
    """Windows of n alleles with REF and with ALT.

    Attributes
    ----------
    reference : uint8 ASCII, shape (n, W)
    alternate : list of n uint8 arrays, each of the length that the allele makes it
        Forward strand, both.
    """

    reference: Bytes
    alternate: list[Bytes]

    def __len__(self) -> int:
        return len(self.reference)

    @classmethod
    def concatenate(cls, parts: Sequence[SequencePairs]) -> SequencePairs:
        """Join the rows of several."""
        return cls(
            np.concatenate([part.reference for part in parts]),
            [alternate for part in parts for alternate in part.alternate],
        )


def sequence_pairs(
    sequence: Bytes,
    positions: NDArray[Any],
    refs: Sequence[str],
    alts: Sequence[str],
    window: int,
    *,
    before: int,
    pad: int,
    circular: bool = False,
) -> SequencePairs:
    """Return the windows around alleles.

    Parameters
    ----------
    sequence : uint8, shape (contig length,)
        Upper-case ASCII.
    positions : integers, shape (n,)
        0-based position of the first base of each REF, as in VCF minus one; it is at index `before`
        of its window.
    refs, alts : sequences of n str
        Upper-case A, C, G, T.
    window : int
        Width W in bp of the reference window.
    before : int
        Bases on the left of each position.
    pad : int
        ASCII byte past the contig's ends.
    circular : bool
        Whether the contig is.

    Raises
    ------
    UserError
        If REF goes past the window, or is not what the sequence holds; the message gives the
        1-based position.
    """
    reference = site_windows(sequence, positions, window, circular, before, pad)
    alternate = []
    for row, (ref, alt) in enumerate(zip(refs, alts, strict=True)):
        end = before + len(ref)
        bases = reference[row, before:end].tobytes().decode("ascii")
        if end > window:
            raise UserError(
                f"position {int(positions[row]) + 1}: a REF of {len(ref)} bp does not fit in a "
                f"window of {window} bp; lower normalise.max_allele_length"
            )
        if bases != ref:
            raise UserError(
                f"position {int(positions[row]) + 1}: REF is {ref!r}, but the reference holds "
                f"{bases!r}; normalise against the same reference as is scored with"
            )
        letters = np.frombuffer(alt.encode("ascii"), np.uint8)
        alternate.append(np.concatenate([reference[row, :before], letters, reference[row, end:]]))
    return SequencePairs(reference, alternate)

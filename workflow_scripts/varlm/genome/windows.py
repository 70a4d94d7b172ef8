"""Windows around sites and alleles, as arrays of ASCII bytes, on both strands.

A sequence is one contig as uint8 ASCII, upper case, of shape (length,): an array, or the memory
map of the encoded genome, of which only the bytes of the windows asked for are read.
Positions are 0-based. What lies past an end of the contig is N.

The window of position p is [p − W//2, p + W//2), one base more on the right when W is odd, as in
`gpn.ss.run_vep`; `centre` gives the index of p in it, and in its reverse complement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from varlm.errors import UserError
from varlm.genome.bases import COMPLEMENT, IS_ACGT

Bytes = NDArray[np.uint8]
Strand = Literal["forward", "reverse"]

CHUNK = 4096  # windows held at a time, so that memory does not grow with the number of sites

_N = ord("N")


def centre(window: int, strand: Strand = "forward") -> int:
    """Index of the position that a window of `window` bp is taken around.

    It is W//2 on the forward strand. Reversal sends index i to W − 1 − i: W//2 again when W is
    odd, but W//2 − 1 when it is even.
    """
    return window // 2 if strand == "forward" else (window - 1) // 2


def site_windows(sequence: Bytes, positions: NDArray[Any], window: int) -> Bytes:
    """Return the forward-strand windows of `positions`.

    Parameters
    ----------
    sequence : uint8, shape (contig length,)
        Upper-case ASCII.
    positions : integers, shape (n,)
        0-based.
    window : int
        Width W in bp.

    Returns
    -------
    uint8, shape (n, W)
        A fresh array; N past the contig's ends.
    """
    return _slices(sequence, np.asarray(positions, dtype=np.int64) - window // 2, window)


def reverse_complement(windows: Bytes) -> Bytes:
    """Return the reverse complements, shape (n, W); IUPAC codes are complemented as well."""
    return np.take(COMPLEMENT, windows[:, ::-1])


@dataclass(frozen=True)
class AlleleWindows:
    """Windows of n indels or MNVs with REF and with ALT, and which positions of each count.

    Attributes
    ----------
    reference, alternate : uint8, shape (n, W)
        Forward strand.
    reference_scored, alternate_scored : bool, shape (n, W)
        True at the bases that enter the pseudo-log-likelihood; never at a non-ACGT base.
    """

    reference: Bytes
    alternate: Bytes
    reference_scored: NDArray[np.bool_]
    alternate_scored: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.reference)

    def __getitem__(self, rows: slice) -> AlleleWindows:
        return AlleleWindows(*(getattr(self, field.name)[rows] for field in fields(self)))

    @classmethod
    def concatenate(cls, parts: Sequence[AlleleWindows]) -> AlleleWindows:
        """Join the rows of several."""
        return cls(
            *(
                np.concatenate([getattr(part, field.name) for part in parts])
                for field in fields(cls)
            )
        )


def strip_shared(position: int, ref: str, alt: str) -> tuple[int, str, str]:
    """Remove the bases that REF and ALT share at their ends: the right end first, then the left.

    Returns the 0-based position of what is left of REF, and what is left of REF and ALT; either
    may be empty. `strip_shared(9, "CA", "C") == (10, "A", "")`.
    """
    while ref and alt and ref[-1] == alt[-1]:
        ref, alt = ref[:-1], alt[:-1]
    while ref and alt and ref[0] == alt[0]:
        position, ref, alt = position + 1, ref[1:], alt[1:]
    return position, ref, alt


def allele_windows(
    sequence: Bytes,
    positions: NDArray[Any],
    refs: Sequence[str],
    alts: Sequence[str],
    window: int,
) -> AlleleWindows:
    """Return the windows over which indels and MNVs are scored (docs/design.md, Indels and MNVs).

    The stripped allele replaces r reference bases by a alternate bases at s. Both windows begin
    at s − W//2; the alternate one holds the a bases at index W//2 and goes on with the reference
    from s + r. Scored are the W//2 bases on the left, the allele's own bases, and the
    W − W//2 − max(r, a) bases on the right that both windows hold.

    Parameters
    ----------
    sequence : uint8, shape (contig length,)
    positions : integers, shape (n,)
        0-based position of the first base of each REF, as in VCF minus one.
    refs, alts : sequences of n str
        Upper-case A, C, G, T.
    window : int
        Width W in bp.

    Raises
    ------
    UserError
        If an allele is longer than the right half of the window, or REF is not what the
        sequence holds; the message gives the 1-based position.
    """
    n, left = len(refs), window // 2
    right = window - left
    starts = np.empty(n, dtype=np.int64)
    alternate = np.empty((n, window), dtype=np.uint8)
    ends = np.empty((n, 2), dtype=np.int64)  # where scoring stops in either window
    for row, (position, ref, alt) in enumerate(zip(positions, refs, alts, strict=True)):
        bases = sequence[position : position + len(ref)].tobytes().decode("ascii")
        if bases != ref:
            raise UserError(
                f"position {position + 1}: REF is {ref!r}, but the reference holds {bases!r}; "
                "normalise against the same reference as is scored with"
            )
        start, ref, alt = strip_shared(int(position), ref, alt)
        longest = max(len(ref), len(alt))
        if longest > right:
            raise UserError(
                f"position {position + 1}: an allele of {longest} bp does not fit in the right "
                f"half ({right} bp) of a window of {window} bp; lower normalise.max_allele_length"
            )
        starts[row] = start
        alternate[row, left : left + len(alt)] = np.frombuffer(alt.encode("ascii"), np.uint8)
        tail = _slices(sequence, np.array([start + len(ref)]), right - len(alt))
        alternate[row, left + len(alt) :] = tail[0]
        ends[row] = window - longest + len(ref), window - longest + len(alt)
    reference = _slices(sequence, starts - left, window)
    alternate[:, :left] = reference[:, :left]
    column = np.arange(window)
    return AlleleWindows(
        reference,
        alternate,
        (column < ends[:, :1]) & IS_ACGT[reference],
        (column < ends[:, 1:]) & IS_ACGT[alternate],
    )


def _slices(sequence: Bytes, starts: NDArray[np.int64], width: int) -> Bytes:
    """Return sequence[start : start + width] for each start, N where that leaves the sequence."""
    if width == 0:
        return np.empty((len(starts), 0), dtype=np.uint8)
    last = len(sequence) - width
    if len(starts) and last >= 0 and starts.min() >= 0 and starts.max() <= last:
        # A gather of whole rows: 30 times the speed of a gather of single bytes.
        return np.lib.stride_tricks.sliding_window_view(sequence, width)[starts]
    out = np.full((len(starts), width), _N, dtype=np.uint8)
    inside = (starts >= 0) & (starts <= last)
    if inside.any():
        rows = np.lib.stride_tricks.sliding_window_view(sequence, width)
        out[inside] = rows[starts[inside]]
    for row in np.flatnonzero(~inside):
        start = int(starts[row])
        begin, end = max(start, 0), min(start + width, len(sequence))
        if begin < end:
            out[row, begin - start : end - start] = sequence[begin:end]
    return out

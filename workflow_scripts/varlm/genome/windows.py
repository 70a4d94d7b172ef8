"""Windows around sites and alleles, as arrays of ASCII bytes, on both strands.

A sequence is one contig as uint8 ASCII, upper case, of shape (length,): an array, or the memory
map of the encoded genome, of which only the bytes of the windows asked for are read.
Positions are 0-based. What lies past an end of the contig is N, or what the caller asks for in its
place. A circular contig has no ends: its
windows are those of the linear contig that it becomes when it is cut opposite to the site, so that
they go on over the origin, and no base comes twice in a window that is longer than the contig.

The window of position p is [p − W//2, p + W//2), one base more on the right when W is odd, as in
`gpn.ss.run_vep`; `centre` gives the index of p in it, and in its reverse complement. Models that
were published with the site one base further left in an even window have another `before`.
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


def site_windows(
    sequence: Bytes,
    positions: NDArray[Any],
    window: int,
    circular: bool = False,
    before: int | None = None,
    pad: int = _N,
) -> Bytes:
    """Return the forward-strand windows of `positions`.

    Parameters
    ----------
    sequence : uint8, shape (contig length,)
        Upper-case ASCII.
    positions : integers, shape (n,)
        0-based.
    window : int
        Width W in bp.
    circular : bool
        Whether the contig is.
    before : int, optional
        Bases on the left of each position; W//2 without it.
    pad : int
        ASCII byte past the contig's ends, and past one turn of a circular one.

    Returns
    -------
    uint8, shape (n, W)
        A fresh array.
    """
    sites = np.asarray(positions, dtype=np.int64)
    turns = _turns(sequence, sites, np.ones(len(sites), np.int64)) if circular else None
    starts = sites - (window // 2 if before is None else before)
    return _slices(sequence, starts, window, turns, pad)


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
    circular: bool = False,
    pad: int = _N,
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
    circular : bool
        Whether the contig is. REF lies within it all the same.
    pad : int
        ASCII byte past the contig's ends.

    Raises
    ------
    UserError
        If an allele is longer than the right half of the window, or REF is not what the
        sequence holds; the message gives the 1-based position.
    """
    stripped = [
        _stripped(sequence, int(position), ref, alt, window)
        for position, ref, alt in zip(positions, refs, alts, strict=True)
    ]
    left = window // 2
    starts = np.array([start for start, _, _ in stripped], np.int64)
    lengths = np.array([(len(ref), len(alt)) for _, ref, alt in stripped], np.int64).reshape(-1, 2)
    turns = _turns(sequence, starts, lengths[:, 0]) if circular else None
    reference = _slices(sequence, starts - left, window, turns, pad)
    alternate = np.empty_like(reference)
    alternate[:, :left] = reference[:, :left]
    for row, (start, ref, alt) in enumerate(stripped):
        end = left + len(alt)
        alternate[row, left:end] = np.frombuffer(alt.encode("ascii"), np.uint8)
        turn = None if turns is None else turns[row : row + 1]
        tail = _slices(sequence, np.array([start + len(ref)]), window - end, turn, pad)
        alternate[row, end:] = tail[0]
    ends = window - lengths.max(axis=1, initial=0)[:, None] + lengths  # of what is scored
    column = np.arange(window)
    return AlleleWindows(
        reference,
        alternate,
        (column < ends[:, :1]) & IS_ACGT[reference],
        (column < ends[:, 1:]) & IS_ACGT[alternate],
    )


def _stripped(
    sequence: Bytes, position: int, ref: str, alt: str, window: int
) -> tuple[int, str, str]:
    """Return what `strip_shared` does, of an allele that lies on the sequence and in the window."""
    bases = sequence[position : position + len(ref)].tobytes().decode("ascii")
    if bases != ref:
        raise UserError(
            f"position {position + 1}: REF is {ref!r}, but the reference holds {bases!r}; "
            "normalise against the same reference as is scored with"
        )
    start, ref, alt = strip_shared(position, ref, alt)
    longest, right = max(len(ref), len(alt)), window - window // 2
    if longest > right:
        raise UserError(
            f"position {position + 1}: an allele of {longest} bp does not fit in the right "
            f"half ({right} bp) of a window of {window} bp; lower normalise.max_allele_length"
        )
    return start, ref, alt


def _turns(
    sequence: Bytes, starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return where a circular contig is cut for each allele: opposite to it, and not within it.

    The cut lies before the base that is returned, which may be less than 0: it counts from the
    origin backwards then.
    """
    return starts - np.minimum(len(sequence) // 2, len(sequence) - lengths)


def _slices(
    sequence: Bytes,
    starts: NDArray[np.int64],
    width: int,
    turns: NDArray[np.int64] | None,
    pad: int = _N,
) -> Bytes:
    """Return sequence[start : start + width] for each start, `pad` where that leaves the sequence.

    With `turns`, the sequence is circular and left after one turn, which begins there.
    """
    if width == 0:
        return np.empty((len(starts), 0), dtype=np.uint8)
    inside = (starts >= 0) & (starts <= len(sequence) - width)
    if turns is not None:
        inside &= (starts >= turns) & (starts + width <= turns + len(sequence))
    if len(starts) and inside.all():
        # A gather of whole rows: 30 times the speed of a gather of single bytes.
        return np.lib.stride_tricks.sliding_window_view(sequence, width)[starts]
    out = np.full((len(starts), width), pad, dtype=np.uint8)
    if inside.any():
        rows = np.lib.stride_tricks.sliding_window_view(sequence, width)
        out[inside] = rows[starts[inside]]
    for row in np.flatnonzero(~inside):
        start = int(starts[row])
        turn = 0 if turns is None else int(turns[row])
        for shift in (0,) if turns is None else (-len(sequence), 0, len(sequence)):
            begin = max(start, shift, turn)
            end = min(start + width, shift + len(sequence), turn + len(sequence))
            if begin < end:
                out[row, begin - start : end - start] = sequence[begin - shift : end - shift]
    return out

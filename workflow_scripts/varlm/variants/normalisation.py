"""One allele → its only spelling: trimmed and left-aligned, as `bcftools norm` writes it.

Tan, Abecasis and Kang, "Unified representation of genetic variants", Bioinformatics 31 (2015):
an allele is normalised when it is left-aligned and parsimonious, and that form is unique. It is
computed here rather than by `bcftools norm` so that no child process, temporary file or foreign
parser stands between the input and its key, and so that bcftools can be the tests' oracle.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# Alleles up to this length are trimmed by slices; longer ones by one vectorised comparison.
_SHORT = 32


class Trimmed(NamedTuple):
    """An allele without the bases that REF and ALT share: `ref` is replaced by `alt` at `start`.

    `start` is 0-based; `ref` or `alt` may be empty (insertion, deletion), or both (ALT = REF).
    """

    start: int
    ref: bytes
    alt: bytes

    @property
    def length(self) -> int:
        """The longer of the two, in bp: what `max_allele_length` limits."""
        return max(len(self.ref), len(self.alt))

    @property
    def kind(self) -> str:
        """`snv`, `mnv`, `ins`, `del` or `delins`."""
        r, a = len(self.ref), len(self.alt)
        if r == a:
            return "snv" if r == 1 else "mnv"
        if r == 0:
            return "ins"
        return "del" if a == 0 else "delins"


class Normalised(NamedTuple):
    """A normalised allele as VCF writes it: `pos` is 1-based, `ref` and `alt` have an anchor."""

    pos: int
    ref: bytes
    alt: bytes
    kind: str


def trim(start: int, ref: bytes, alt: bytes) -> Trimmed:
    """Drop the bases that upper-case `ref` and `alt` share, first on the right, then on the left.

    Parameters
    ----------
    start : int
        0-based position of the first base of `ref`.
    ref, alt : bytes
        Upper-case alleles.
    """
    right = _shared_right(ref, alt)
    ref, alt = ref[: len(ref) - right], alt[: len(alt) - right]
    left = _shared_right(ref[::-1], alt[::-1])
    return Trimmed(start + left, ref[left:], alt[left:])


def left_align(sequence: np.ndarray, allele: Trimmed) -> Normalised:
    """Shift an insertion or deletion as far left as the contig lets it, and give it its anchor.

    Parameters
    ----------
    sequence : numpy.ndarray
        The contig, uint8 ASCII upper case, shape (length,).
    allele : Trimmed
        With `allele.ref` equal to the contig there and `ref` ≠ `alt`.

    Notes
    -----
    A base is the anchor on the left; at a contig's first base, where there is none, the base
    that follows (VCF specification, section 1.6.1, REF).
    """
    start, ref, alt = allele
    kind = allele.kind
    if not ref or not alt:
        moved = ref or alt
        shift = _shift(sequence, start, moved)
        turn = -shift % len(moved)
        moved = moved[turn:] + moved[:turn]
        start -= shift
        end = start + len(ref)
        ref, alt = (moved, b"") if ref else (b"", moved)
        if start > 0:
            anchor = sequence[start - 1 : start].tobytes()
            return Normalised(start, anchor + ref, anchor + alt, kind)
        anchor = sequence[end : end + 1].tobytes()
        return Normalised(1, ref + anchor, alt + anchor, kind)
    return Normalised(start + 1, ref, alt, kind)


def _shared_right(a: bytes, b: bytes) -> int:
    """Return how many bases two alleles share at their right ends."""
    limit = min(len(a), len(b))
    if limit > _SHORT:
        x = np.frombuffer(a, np.uint8)[len(a) - limit :]
        y = np.frombuffer(b, np.uint8)[len(b) - limit :]
        differ = np.flatnonzero(x != y)
        return limit - 1 - int(differ[-1]) if len(differ) else limit
    shared = 0
    while shared < limit and a[-1 - shared] == b[-1 - shared]:
        shared += 1
    return shared


def _shift(sequence: np.ndarray, start: int, moved: bytes) -> int:
    """Return by how many bases `moved`, at 0-based `start`, can move left in a repeat."""
    shift, block = 0, 64
    length = len(moved)
    while start > shift:
        end = start - shift
        before = sequence[max(0, end - block) : end].tobytes()
        for base in reversed(before):
            if base != moved[(-1 - shift) % length]:
                return shift
            shift += 1
        block *= 2
    return shift

"""Sequence logos: what a model expects at each position around an allele, as inline SVG.

The letters of a position stand on each other, the likeliest on top, each p × (2 − H) bits high,
where p are the probabilities of A, C, G and T from the strand-averaged logits and H is their
entropy in bits (Schneider and Stephens, Nucleic Acids Research 18, 1990, without the correction
for small samples: p is no count).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

from varlm.genome.bases import BASES
from varlm.scoring import formulas

# Each letter fills a box 100 wide and 100 high, y downwards; paths, for no font is sure to be
# there.
GLYPHS = {
    "A": "M0 100L38 0H62L100 100H78L70.5 78H29.500L22 100ZM35.500 60H64.500L50 18Z",
    "C": "M99 67C94 89 76 101 52 101C20 101 1 81 1 50C1 19 20 -1 52 -1C75 -1 92 10 98 32L76 36"
    "C73 24 65 18 52 18C33 18 23 29 23 50C23 71 33 82 52 82C65 82 74 75 77 62Z",
    "G": "M98 33L76 37C72 25 64 18 51 18C33 18 23 29 23 50C23 71 33 82 53 82C63 82 71 79 77 74V64"
    "H52V46H99V84C87 95 71 101 53 101C20 101 1 81 1 50C1 19 20 -1 52 -1C76 -1 92 10 98 33Z",
    "T": "M2 0H98V19H61V100H39V19H2Z",
}

_COLUMN = 16  # width of a position
_LETTERS = 110  # height of the logo
_LEFT, _RIGHT, _TOP = 44, 10, 12
_SMALLEST = 0.004  # share of the axis; a lower letter is left out, it would not be seen
_AXES = (0.1, 0.25, 0.5, 1.0, 1.5, 2.0)  # bits


@dataclass(frozen=True)
class Picture:
    """What one logo shows.

    Attributes
    ----------
    positions : array, int, shape (columns,)
        1-based position of each column; 0 beyond the contig's ends. After the last position of a
        circular contig comes 1.
    sequence : str
        The reference's letters, one a column; a space beyond the contig's ends.
    heights : array, float64, shape (columns, 4)
        Bits of A, C, G, T; NaN where the model says nothing.
    pos : int
        1-based position of the allele.
    ref, alt : str
        Its alleles.
    """

    positions: NDArray[np.int64]
    sequence: str
    heights: NDArray[np.float64]
    pos: int
    ref: str
    alt: str

    @property
    def highest(self) -> float:
        """The highest column, bits; 0 without any."""
        columns = self.heights.sum(axis=1)
        return float(np.nanmax(columns)) if np.isfinite(columns).any() else 0.0


def letter_heights(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return p × (2 − H) in bits of A, C, G, T, float64, shape (n, 4).

    Parameters
    ----------
    logits : shape (n, 2, 4)
        Strands forward and reverse; NaN on the reverse strand where it is not scored.
    """
    mean = formulas.strand_mean(np.asarray(logits, dtype=np.float64))
    bits = formulas.entropy(mean) / np.log(2)
    return np.asarray(formulas.probabilities(mean) * (2 - bits)[:, None])


def axis_height(pictures: Sequence[Picture]) -> float:
    """Return the lowest round number of bits that holds all pictures, so that they compare."""
    highest = max((picture.highest for picture in pictures), default=0.0)
    return next((bits for bits in _AXES if highest <= bits), _AXES[-1])


def glyphs() -> Markup:
    """Return the letters' definitions, which every logo of the page uses; hidden itself."""
    paths = "".join(f'<path id="base-{base}" d="{path}"/>' for base, path in GLYPHS.items())
    return Markup(
        f'<svg class="glyphs" width="0" height="0" aria-hidden="true"><defs>{paths}</defs></svg>'
    )


def draw(picture: Picture, axis: float, label: str) -> Markup:
    """Return the logo as an SVG element.

    Parameters
    ----------
    picture : Picture
    axis : float
        Bits at the top of the axis.
    label : str
        What the picture shows, for its title and for a screen reader; plain text.
    """
    width = _LEFT + _COLUMN * len(picture.sequence) + _RIGHT
    base_y = _TOP + _LETTERS
    height = base_y + 56
    parts = [
        f'<svg class="logo" viewBox="0 0 {width} {height}" role="img" '
        f'xmlns="http://www.w3.org/2000/svg"><title>{escape(label)}</title>',
        _highlight(picture, base_y),
        _axis(axis, base_y, width),
        *(
            _column(heights, _LEFT + i * _COLUMN, base_y, axis)
            for i, heights in enumerate(picture.heights)
        ),
        _reference(picture, base_y),
        _alternate(picture, base_y, width),
        "</svg>",
    ]
    return Markup("".join(parts))


def _first_column(picture: Picture) -> int:
    return int(np.flatnonzero(picture.positions == picture.pos)[0])


def _highlight(picture: Picture, base_y: int) -> str:
    x = _LEFT + _first_column(picture) * _COLUMN
    wide = _COLUMN * len(picture.ref)
    return (
        f'<rect class="site" x="{x}" y="{_TOP - 6}" width="{wide}" '
        f'height="{base_y - _TOP + 26}" rx="3"/>'
    )


def _axis(axis: float, base_y: int, width: int) -> str:
    ticks = []
    for share in (0.0, 0.5, 1.0):
        y = base_y - share * _LETTERS
        ticks.append(
            f'<line class="grid" x1="{_LEFT}" x2="{width - _RIGHT}" y1="{y:g}" y2="{y:g}"/>'
            f'<text class="tick" x="{_LEFT - 5}" y="{y + 4:g}" text-anchor="end">'
            f"{axis * share:g}</text>"
        )
    middle = base_y - _LETTERS / 2
    name = (
        f'<text class="tick" x="10" y="{middle:g}" text-anchor="middle" '
        f'transform="rotate(-90 10 {middle:g})">bits</text>'
    )
    return "".join(ticks) + name


def _column(heights: NDArray[np.float64], x: float, base_y: int, axis: float) -> str:
    if not np.isfinite(heights).all():
        return ""
    letters, y = [], float(base_y)
    for i in np.argsort(heights, kind="stable"):
        tall = float(heights[i]) / axis * _LETTERS
        if tall < _SMALLEST * _LETTERS:
            continue
        y -= tall
        letters.append(
            f'<use href="#base-{BASES[i]}" class="{BASES[i]}" '
            f'transform="matrix({(_COLUMN - 1.5) / 100:g} 0 0 {tall / 100:.4g} '
            f'{x + 0.75:g} {y:.2f})"/>'
        )
    return "".join(letters)


def _reference(picture: Picture, base_y: int) -> str:
    first, wide = _first_column(picture), len(picture.ref)
    letters = []
    for i, letter in enumerate(picture.sequence):
        if letter == " ":
            continue
        marked = " marked" if first <= i < first + wide else ""
        x = _LEFT + (i + 0.5) * _COLUMN
        letters.append(
            f'<text class="base{marked}" x="{x:g}" y="{base_y + 15}" '
            f'text-anchor="middle">{escape(letter)}</text>'
        )
    row = f'<text class="tick" x="{_LEFT - 5}" y="{base_y + 15}" text-anchor="end">ref</text>'
    return row + "".join(letters)


def _alternate(picture: Picture, base_y: int, width: int) -> str:
    """Return the alternate allele below the reference, and the positions at the ends."""
    first = _first_column(picture)
    positions = picture.positions[picture.positions > 0]
    shown = picture.alt if len(picture.alt) <= 24 else f"{picture.alt[:20]}… {len(picture.alt)} bp"
    x = _LEFT + first * _COLUMN + _COLUMN / 2 - 5
    y = base_y + 34
    # Text that would leave the picture on the right grows to the left instead.
    anchor = "end" if len(shown) > 1 and x > 0.7 * width else "start"
    if anchor == "end":
        x += 10
    return (
        f'<text class="tick" x="{_LEFT - 5}" y="{y}" text-anchor="end">alt</text>'
        f'<text class="base alt" x="{x:g}" y="{y}" text-anchor="{anchor}">{escape(shown)}</text>'
        f'<text class="tick" x="{_LEFT}" y="{y + 17}">{positions[0]:,}</text>'
        f'<text class="tick" x="{width - _RIGHT}" y="{y + 17}" text-anchor="end">'
        f"{positions[-1]:,}</text>"
    )

"""A fixed grid of tiles on each contig, whose middles dense scoring answers all at once.

Tile n answers the 0-based positions [n · size, (n + 1) · size) of its contig, the last one those
that are left. The grid belongs to the contig, so that what a position's answer rests on depends on
nothing else: not on what else is asked for, nor on how the work is cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from varlm.genome.windows import Bytes, site_windows


@dataclass(frozen=True)
class Tiles:
    """A grid.

    Attributes
    ----------
    size : int
        Positions that a tile answers.
    context : int
        Bases that are read beside them, on each side, at least.
    """

    size: int
    context: int

    @classmethod
    def within(cls, window: int, size: int | None = None) -> Self:
        """Return the grid of dense scores with windows of `window` bp.

        A tile is the middle half of a window: the quarter at each side is context. With more of it
        the answers are hardly nearer to those of windows around each site (benchmarks/dense.py).

        Parameters
        ----------
        window : int
            W in bp.
        size : int, optional
            bp of a tile, of networks that answer what has W//2 bp on each side, and nothing else.
        """
        if size is not None:
            return cls(size, window // 2)
        context = window // 4
        return cls(window - 2 * context, context)

    @property
    def window(self) -> int:
        """Bases that are read for a tile."""
        return self.size + 2 * self.context

    def of(self, positions: NDArray[Any]) -> NDArray[np.int64]:
        """Return the number of the tile that answers each 0-based position."""
        return np.asarray(positions, dtype=np.int64) // self.size

    def spans(self, numbers: NDArray[np.int64], length: int) -> NDArray[np.int64]:
        """Return where tiles start and end on a contig of `length` bp: 0-based, shape (n, 2)."""
        starts = numbers * self.size
        return np.stack([starts, np.minimum(starts + self.size, length)], axis=1)

    def places(self, positions: NDArray[Any], length: int) -> NDArray[np.int64]:
        """Return which of its tile's answers belongs to each 0-based position: 0 … size − 1.

        A window has its tile in the middle, so that a shorter one begins later.
        """
        spans = self.spans(self.of(positions), length)
        lacking = self.size // 2 - (spans[:, 1] - spans[:, 0]) // 2
        return np.asarray(positions, dtype=np.int64) - spans[:, 0] + lacking

    def windows(
        self, sequence: Bytes, numbers: NDArray[np.int64], circular: bool, pad: int
    ) -> Bytes:
        """Return the forward-strand windows of tiles: uint8 ASCII, shape (n, window).

        Parameters
        ----------
        sequence : uint8, shape (contig length,)
        numbers : int64, shape (n,)
        circular : bool
            Whether the contig is: its windows go on over the origin, each base once.
        pad : int
            ASCII byte of what is past the contig's ends.
        """
        spans = self.spans(numbers, len(sequence))
        before = self.context + self.size // 2
        return site_windows(sequence, spans.sum(1) // 2, self.window, circular, before, pad)

"""Which positions of a window each convolution has to make for the positions that are asked for.

Positions are 0-based in the window, sorted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.int64]


@dataclass(frozen=True)
class Reach:
    """The geometry of a convolution: output o reads o − before + dilation·j, j = 0 … taps − 1."""

    taps: int
    dilation: int

    @property
    def before(self) -> int:
        """Zero padding on the left, as `padding="same"` has it (the odd one goes right)."""
        return self.dilation * (self.taps - 1) // 2

    def inputs(self, outputs: Positions, length: int) -> Positions:
        """Positions in [0, length) that the outputs read, and the outputs themselves, sorted."""
        reads = outputs[:, None] - self.before + self.dilation * np.arange(self.taps)
        needed = np.zeros(length, dtype=bool)  # np.union1d would import numpy.ma, 40 ms
        needed[outputs] = True
        needed[reads[(reads >= 0) & (reads < length)]] = True
        return np.flatnonzero(needed)


def plan(
    reaches: Sequence[Reach],
    outputs: Positions,
    length: int,
    hull_pays: Callable[[int, int, int], bool],
) -> list[Positions]:
    """Which positions each layer has to make, from the input to the last layer's output.

    Parameters
    ----------
    reaches : one per layer
    outputs : sorted positions wanted of the last layer
    length : int
        Of the window.
    hull_pays : (layer, positions needed, positions of their hull) → bool
        Whether making the whole stretch from the first to the last is cheaper than gathering.

    Returns
    -------
    list of len(reaches) + 1 arrays; entry i is the input of layer i.
    """
    plans = [outputs]
    for layer in range(len(reaches) - 1, -1, -1):
        needed = plans[0]
        hull = np.arange(needed[0], needed[-1] + 1)
        if len(hull) != len(needed) and hull_pays(layer, len(needed), len(hull)):
            plans[0] = needed = hull
        plans.insert(0, reaches[layer].inputs(needed, length))
    return plans


def contiguous(positions: Positions) -> bool:
    """Whether sorted positions are one stretch without a gap."""
    return int(positions[-1] - positions[0]) == len(positions) - 1

"""Dilated convolutions with fewer multiplications: nested Winograd (Toom–Cook) algorithms.

A correlation of m outputs with r taps, F(m, r), needs m + r − 1 multiplications instead of m·r:
y = Aᵀ[(G w) ⊙ (Bᵀ x)], with constant matrices from the interpolation of polynomials at
m + r − 1 points, one of them infinity (Lavin & Gray 2016, arXiv:1509.09308; points after
Barabasz et al. 2020, doi:10.1145/3412380). One level with many points loses accuracy; a kernel
of 9 taps is cut in three runs of three, F(m, 3) over the runs around F(3, 3) within them:
5·(m + 2) products for 3·m outputs. With m = 6 that is 40 instead of 162; 5 taps take 35 instead
of 90. The rounding of such a convolution is ten times that of direct float32 sums; on the
65.9 M-parameter shape, logits of unit size are off by 1e-5, with direct sums by 5e-6.

With channels, each product is a matrix product, and the rest is cheap. A dilation d makes d
independent convolutions of every d-th position.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import ceil

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

# Finite interpolation points for n − 1 = 2, 3, …, in the order in which they are taken.
_POINTS = tuple(Fraction(point) for point in ("0", "1", "-1", "1/2", "-2", "-1/2", "2"))


@dataclass(frozen=True, eq=False)
class Tile:
    """One algorithm for `outputs` neighbouring outputs of a kernel of `taps` taps.

    Attributes
    ----------
    a : shape (outputs, products)
    g : shape (products, taps)
    b : shape (products, outputs + taps − 1)
        y = a @ ((g @ w) * (b @ x)).
    """

    a: Matrix
    g: Matrix
    b: Matrix

    @property
    def outputs(self) -> int:
        """Neighbouring outputs that one tile makes."""
        return int(self.a.shape[0])

    @property
    def products(self) -> int:
        """Matrix products that one tile takes."""
        return int(self.a.shape[1])

    @property
    def taps(self) -> int:
        """Kernel size."""
        return int(self.g.shape[1])


@lru_cache
def toom_cook(m: int, r: int) -> Tile:
    """Return F(m, r): m outputs of r taps with m + r − 1 products, exact rationals inside.

    The algorithm for polynomial products, transposed. The rows of g and b are rescaled against
    each other so that g's have unit sums of magnitudes.
    """
    n = m + r - 1
    points = _POINTS[: n - 1]
    if len(points) < n - 1:
        raise ValueError(f"F({m}, {r}) needs {n - 1} points; there are {len(_POINTS)}")

    def evaluate(width: int) -> list[list[Fraction]]:
        rows = [[point**power for power in range(width)] for point in points]
        return [*rows, [Fraction(int(power == width - 1)) for power in range(width)]]

    inverse = _inverse(evaluate(n))
    a = np.array(evaluate(m), dtype=np.float64).T
    g = np.array(evaluate(r), dtype=np.float64)
    b = np.array(inverse, dtype=np.float64).T
    scale = np.abs(g).sum(axis=1, keepdims=True)
    return Tile(a, g / scale, b * scale)


@lru_cache
def tiles(taps: int) -> tuple[Tile, ...]:
    """Return the algorithms for a kernel of `taps` taps, from few outputs to many; may be empty.

    Up to three taps: F(m, 3). Up to twelve: F(m, 2 … 4) around F(3, 3). Taps that fill the last
    run of three are zero and cut away.
    """
    runs = ceil(taps / 3)
    if taps < 3 or runs > 4:
        return ()
    sizes = range(2, min(6, len(_POINTS) - max(runs, 3) + 2) + 1)
    if runs == 1:
        return tuple(toom_cook(m, 3) for m in sizes)
    nested = (_nest(toom_cook(m, runs), toom_cook(3, 3)) for m in sizes)
    return tuple(_first_taps(tile, taps) for tile in nested)


def cheapest(taps: int, length: int, dilation: int) -> Tile | None:
    """Return the algorithm with the fewest products for `length` outputs; None if none is known."""
    return min(tiles(taps), key=lambda tile: products(tile, length, dilation), default=None)


def count_tiles(tile: Tile, length: int, dilation: int) -> int:
    """Tiles that each of the `dilation` interleaved signals needs for its share of `length`."""
    return ceil(ceil(length / dilation) / tile.outputs)


def products(tile: Tile, length: int, dilation: int) -> int:
    """Rows that the matrix products see, in all; a direct convolution has taps × length."""
    return count_tiles(tile, length, dilation) * tile.products * dilation


class WinogradConv:
    """A dilated convolution of fixed weights with one `Tile`.

    Parameters
    ----------
    weight : float32, shape (channels out, channels in, taps)
    bias : float32, shape (channels out,), optional
    dilation : int
    tile : Tile
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None, dilation: int, tile: Tile):
        device = weight.device
        kernel = torch.einsum("pt,oit->pio", torch.from_numpy(tile.g), weight.double().cpu())
        self.kernel = kernel.float().contiguous().to(device)
        self.a = torch.from_numpy(tile.a).float().to(device)
        self.b = torch.from_numpy(tile.b).float().to(device)
        self.bias, self.dilation, self.tile = bias, dilation, tile

    def __call__(self, x: torch.Tensor, before: int, length: int) -> torch.Tensor:
        """Return `length` outputs, shape (batch, length, channels out).

        Parameters
        ----------
        x : shape (batch, positions, channels in), contiguous
            Zero outside.
        before : int
            How far the first output's first tap lies before x's first position (negative:
            behind it).
        length : int
            Number of neighbouring outputs.
        """
        tile, d = self.tile, self.dilation
        batch, _, channels = x.shape
        count = count_tiles(tile, length, d)
        steps = count * tile.outputs + tile.taps - 1
        x = F.pad(x, (0, 0, before, steps * d - before - x.shape[1]))
        span = tile.outputs + tile.taps - 1
        row = d * channels
        # (within tile, batch, tile, phase and channel): overlapping views of one signal.
        view = x.as_strided(
            (span, batch, count, row), (row, steps * row, tile.outputs * row, 1), x.storage_offset()
        )
        transformed = (self.b @ view.reshape(span, -1)).view(tile.products, -1, channels)
        product = torch.bmm(transformed, self.kernel)
        width = product.shape[2]
        y = (self.a @ product.view(tile.products, -1)).view(tile.outputs, batch, count, d * width)
        y = y.permute(1, 2, 0, 3).reshape(batch, count * tile.outputs * d, width)[:, :length]
        return y if self.bias is None else y.add_(self.bias)


def _nest(outer: Tile, inner: Tile) -> Tile:
    """Compose two algorithms: tap 3a + b, output 3c + d, input 3u + v, products (outer, inner)."""
    stride, runs = inner.outputs, outer.taps
    assert inner.taps == stride, "the inner outputs must fill the stride of the outer ones"
    a = np.einsum("cp,dq->cdpq", outer.a, inner.a).reshape(outer.outputs * stride, -1)
    g = np.einsum("pa,qb->pqab", outer.g, inner.g).reshape(-1, runs * stride)
    b = np.zeros((outer.products, inner.products, a.shape[0] + runs * stride - 1))
    for u in range(outer.products):
        for v in range(inner.products):
            b[:, :, stride * u + v] += np.multiply.outer(outer.b[:, u], inner.b[:, v])
    return Tile(a, g, b.reshape(a.shape[1], -1))


def _first_taps(tile: Tile, taps: int) -> Tile:
    """Cut a tile down to its first taps; the inputs that only the others read are not needed."""
    return Tile(tile.a, tile.g[:, :taps], tile.b[:, : tile.outputs + taps - 1])


def _inverse(matrix: list[list[Fraction]]) -> list[list[Fraction]]:
    """Invert a matrix of rationals exactly (Gauss–Jordan)."""
    n = len(matrix)
    rows = [[*row, *(Fraction(int(i == j)) for j in range(n))] for i, row in enumerate(matrix)]
    for column in range(n):
        pivot = next(row for row in range(column, n) if rows[row][column])
        rows[column], rows[pivot] = rows[pivot], rows[column]
        rows[column] = [value / rows[column][column] for value in rows[column]]
        for row in range(n):
            if row != column and rows[row][column]:
                factor = rows[row][column]
                rows[row] = [
                    value - factor * base
                    for value, base in zip(rows[row], rows[column], strict=True)
                ]
    return [row[n:] for row in rows]

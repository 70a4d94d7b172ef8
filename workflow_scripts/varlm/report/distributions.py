"""Histograms of scores in fixed bins: what quantiles, shares and curves are read from."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.tables.score_kinds import ScoreKind

# Values between which the scores of a kind lie; of an LLR what is beyond counts at the end.
_LIMITS = {
    "probability": (-1.0, 1.0),
    "cosine": (0.0, 2.0),
    "euclidean": (0.0, math.inf),
    "influence": (0.0, math.inf),
    "divergence": (0.0, math.inf),
}
_MIDDLE = (0.05, 0.95)  # quantiles of the background, whose distance is the measure of its bins
_BINS = 150  # at most, between these two
_BEYOND = 20  # times that distance on either side is in bins


@dataclass(frozen=True)
class Bins:
    """Bins of one width; what is below the first or above the last counts in these.

    Attributes
    ----------
    low : float
        Where the first begins.
    step : float
        The width: 1, 2 or 5 times a power of ten.
    count : int
    """

    low: float
    step: float
    count: int

    @property
    def high(self) -> float:
        """Where the last ends."""
        return self.low + self.step * self.count

    @property
    def places(self) -> int:
        """Decimals that tell two bins apart."""
        return max(0, -int(f"{self.step:e}".partition("e")[2]))

    @property
    def middles(self) -> NDArray[np.float64]:
        """The middle of each bin, shape (count,)."""
        return np.asarray(self.low + self.step * (np.arange(self.count) + 0.5), dtype=np.float64)

    def index(self, column: str) -> pl.Expr:
        """Return the bin of a column's values, Int64; null of null and NaN."""
        at = ((pl.col(column).cast(pl.Float64) - self.low) / self.step).floor()
        return at.clip(0, self.count - 1).fill_nan(None).cast(pl.Int64)


LLR_BINS = Bins(-100.0, 0.05, 4000)
_PROBABILITY_BINS = Bins(-1.0, 0.0005, 4000)


def has_llr_bins(kind: ScoreKind) -> bool:
    """Whether the bins of a kind are `LLR_BINS`, whatever its scores."""
    return kind.is_llr and kind.name != "mean_likelihood"


def bins_for(kind: ScoreKind, values: NDArray[np.float64]) -> Bins:
    """Return the bins of a model's scores.

    Those of log-ratios and probabilities are always the same. Distances, products and the mean of
    a likelihood over a window's tokens, which is smaller the longer the window, have no scale of
    their own, so that theirs are made to that of the background.

    Parameters
    ----------
    kind : ScoreKind
    values : shape (n,)
        The background's scores or, where there is none, the cohort's; NaN is passed over.
    """
    if has_llr_bins(kind):
        return LLR_BINS
    if kind.column == "probability":
        return _PROBABILITY_BINS
    known = values[np.isfinite(values)]
    if not len(known):
        return Bins(0.0, 0.001, 2000)
    low, high = (float(value) for value in np.quantile(known, _MIDDLE))
    spread = (high - low) or abs(high) or 1.0
    step = round_up(spread / _BINS)
    least, most = _LIMITS.get(kind.column, (-math.inf, math.inf))
    first = math.floor(max(low - _BEYOND * spread, least) / step)
    last = math.ceil(min(high + _BEYOND * spread, most) / step)
    return Bins(round(first * step, 15), step, max(last - first, 1))


def round_up(value: float) -> float:
    """Return the next 1, 2 or 5 times a power of ten."""
    power = math.floor(math.log10(value))
    steps = (float(f"{digit}e{power}") for digit in (1, 2, 5, 10))
    return next(step for step in steps if step >= value)


@dataclass(frozen=True)
class Distribution:
    """A histogram of scores: `counts`, int64, shape (bins.count,)."""

    counts: NDArray[np.int64]
    bins: Bins = LLR_BINS

    @property
    def total(self) -> int:
        """Number of alleles."""
        return int(self.counts.sum())

    def quantile(self, share: float) -> float | None:
        """Return the score below which `share` of the alleles lie, linear within a bin."""
        if not self.total:
            return None
        cumulative = np.cumsum(self.counts)
        wanted = share * self.total
        at = int(np.searchsorted(cumulative, max(wanted, 1e-9)))
        before = cumulative[at] - self.counts[at]
        inside = (wanted - before) / self.counts[at]
        return float(self.bins.low + self.bins.step * (at + inside))

    def share_below(self, score: float) -> float | None:
        """Return the share of alleles with a lower score, linear within a bin; None: no allele."""
        if not self.total:
            return None
        at = (score - self.bins.low) / self.bins.step
        whole = min(max(int(at), 0), self.bins.count - 1)
        inside = self.counts[whole] * min(max(at - whole, 0.0), 1.0)
        return float((self.counts[:whole].sum() + inside) / self.total)

    def __add__(self, other: Distribution) -> Distribution:
        if self.bins != other.bins:
            raise ValueError(f"histograms of {self.bins} and of {other.bins} have no sum")
        return Distribution(self.counts + other.counts, self.bins)


def distribution(
    at: NDArray[np.int64], counts: NDArray[np.int64], bins: Bins = LLR_BINS
) -> Distribution:
    """Return the distribution with these counts in the bins `at` (a bin may come twice)."""
    total = np.zeros(bins.count, dtype=np.int64)
    np.add.at(total, at, counts)
    return Distribution(total, bins)


def of_values(values: NDArray[np.float64], bins: Bins = LLR_BINS) -> Distribution:
    """Return the distribution of the scores in an array; NaN is left out."""
    frame = pl.DataFrame({"score": values}).select(bins.index("score").alias("bin")).drop_nulls()
    numbers = frame.group_by("bin").len().sort("bin")
    return distribution(numbers["bin"].to_numpy(), numbers["len"].to_numpy().astype(np.int64), bins)

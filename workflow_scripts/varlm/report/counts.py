"""The annotated table, however long, counted in one pass: what the charts and tables show.

A slice of rows at a time becomes counts in fixed bins, and the counts are added; so memory holds
one slice, quantiles are exact to half of `LLR_STEP`, and the result depends on no order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

ROWS = 500_000  # read at a time

LLR_STEP = 0.05  # nats; a bin of every LLR histogram
LLR_LIMIT = 100.0  # nats; what is beyond ±100 counts as ±100
LLR_BINS = round(2 * LLR_LIMIT / LLR_STEP)
STRAND_STEP = 0.1  # nats; a cell of forward against reverse
AF_EDGES = (0.0001, 0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9)
SHOWN_CONTIGS = 25


@dataclass(frozen=True)
class GenomeBins:
    """Stretches of the genome, the longest contigs cut into bins of one width.

    Attributes
    ----------
    contigs : dict
        Shown contig → length in bp, in the reference's order.
    width : int
        bp of a bin.
    left_out : int
        Contigs with alleles that are not shown: the shorter ones.
    """

    contigs: dict[str, int]
    width: int
    left_out: int

    @classmethod
    def choose(cls, lengths: Mapping[str, int], present: Sequence[str], bins: int) -> GenomeBins:
        """Choose the `SHOWN_CONTIGS` longest of the contigs present, cut into about `bins`.

        Parameters
        ----------
        lengths : mapping
            All contigs of the reference, in its order → bp.
        present : sequence of str
            Those with alleles.
        """
        wanted = set(present)
        order = {name: i for i, name in enumerate(lengths)}
        longest = sorted(
            (name for name in lengths if name in wanted),
            key=lambda name: (-lengths[name], order[name]),
        )[:SHOWN_CONTIGS]
        contigs = {name: lengths[name] for name in sorted(longest, key=order.__getitem__)}
        width = _round_up(max(sum(contigs.values()) / max(bins - len(contigs), 1), 1.0))
        return cls(contigs, width, len(wanted & set(lengths)) - len(contigs))


def _round_up(value: float) -> int:
    """Return the next 1, 2 or 5 times a power of ten."""
    power = 10 ** int(np.floor(np.log10(value)))
    return int(next(step * power for step in (1, 2, 5, 10) if step * power >= value))


@dataclass(frozen=True)
class Distribution:
    """A histogram of LLRs: `counts`, int64, shape (LLR_BINS,), from −LLR_LIMIT upwards."""

    counts: NDArray[np.int64]

    @property
    def total(self) -> int:
        """Number of alleles."""
        return int(self.counts.sum())

    def quantile(self, share: float) -> float | None:
        """Return the LLR below which `share` of the alleles lie, linear within a bin, nats."""
        if not self.total:
            return None
        cumulative = np.cumsum(self.counts)
        wanted = share * self.total
        at = int(np.searchsorted(cumulative, max(wanted, 1e-9)))
        before = cumulative[at] - self.counts[at]
        inside = (wanted - before) / self.counts[at]
        return float(-LLR_LIMIT + LLR_STEP * (at + inside))

    def share_below(self, llr: float) -> float | None:
        """Return the share of alleles with a lower LLR, linear within a bin; None: no allele."""
        if not self.total:
            return None
        at = (llr + LLR_LIMIT) / LLR_STEP
        whole = min(max(int(at), 0), LLR_BINS - 1)
        inside = self.counts[whole] * min(max(at - whole, 0.0), 1.0)
        return float((self.counts[:whole].sum() + inside) / self.total)

    def __add__(self, other: Distribution) -> Distribution:
        return Distribution(self.counts + other.counts)


def distribution(bins: NDArray[np.int64], counts: NDArray[np.int64]) -> Distribution:
    """Return the distribution with these counts in these bins (a bin may come twice)."""
    total = np.zeros(LLR_BINS, dtype=np.int64)
    np.add.at(total, bins, counts)
    return Distribution(total)


def bin_middles() -> NDArray[np.float64]:
    """Return the LLR at the middle of each bin, nats, shape (LLR_BINS,)."""
    return np.asarray(-LLR_LIMIT + LLR_STEP * (np.arange(LLR_BINS) + 0.5), dtype=np.float64)


def of_values(llr: NDArray[np.float64]) -> Distribution:
    """Return the distribution of LLRs in an array, nats; NaN is left out."""
    frame = pl.DataFrame({"llr": llr}).select(_llr_bin("llr").alias("bin")).drop_nulls()
    numbers = frame.group_by("bin").len().sort("bin")
    return distribution(numbers["bin"].to_numpy(), numbers["len"].to_numpy().astype(np.int64))


@dataclass(frozen=True)
class ModelCounts:
    """The counts of one model, each a table with the column `n`.

    Attributes
    ----------
    classes : consequence, kind, bin
    by_af : af (index of the interval between `AF_EDGES`; null: no frequency), bin
    genome : contig, window (0-based index along the contig), bin
    strands : fwd, rev (cell indices, of `STRAND_STEP` nats)
    percentiles : percentile (0 … 99, the integer part; 100 counts as 99)
    correlation : float or None
        Pearson's r of the strands' LLRs; None with fewer than two, or where one is constant.
    missing : int
        Rows without an LLR.
    """

    classes: pl.DataFrame
    by_af: pl.DataFrame
    genome: pl.DataFrame
    strands: pl.DataFrame
    percentiles: pl.DataFrame
    correlation: float | None
    missing: int

    def by(self, table: str, *columns: str) -> dict[tuple[object, ...], Distribution]:
        """Return the distributions of a table's rows that are alike in `columns`, sorted."""
        frame: pl.DataFrame = getattr(self, table)
        grouped = frame.group_by(*columns, "bin").agg(pl.col("n").sum()).sort(*columns, "bin")
        return {
            key: distribution(rows["bin"].to_numpy(), rows["n"].to_numpy())
            for key, rows in grouped.group_by(*columns, maintain_order=True)
        }

    def all(self) -> Distribution:
        """Return the distribution of all alleles."""
        bins, counts = self.classes["bin"].to_numpy(), self.classes["n"].to_numpy()
        return distribution(bins, counts)


@dataclass
class _Tally:
    """Adds up the counts of one table, slice by slice."""

    columns: tuple[str, ...]
    sum: pl.DataFrame | None = None

    def add(self, rows: pl.LazyFrame | pl.DataFrame) -> None:
        counted = rows.lazy().group_by(self.columns).agg(pl.len().cast(pl.Int64).alias("n"))
        total = counted.collect(engine="in-memory")
        if self.sum is not None:
            total = pl.concat([self.sum, total], how="vertical")
            total = total.group_by(self.columns).agg(pl.col("n").sum())
        self.sum = total

    def result(self) -> pl.DataFrame:
        assert self.sum is not None
        return self.sum.sort(self.columns)


@dataclass
class _Moments:
    """Sums for a correlation, float64; shifted by nothing, for LLRs are near zero."""

    sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros(6))

    def add(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
        self.sums += [len(x), x.sum(), y.sum(), x @ x, y @ y, x @ y]

    def correlation(self) -> float | None:
        n, x, y, xx, yy, xy = self.sums
        if n < 2:
            return None
        spread = (xx - x * x / n) * (yy - y * y / n)
        return float((xy - x * y / n) / np.sqrt(spread)) if spread > 0 else None


def count(
    annotated: Path,
    models: Sequence[str],
    bins: GenomeBins,
    contig_of_chrom: Mapping[str, str],
) -> dict[str, ModelCounts]:
    """Count the annotated table (`schemas.annotated`) for each model, in one pass.

    Parameters
    ----------
    bins : GenomeBins
        What is shown along the genome; other contigs are left out there only.
    contig_of_chrom : mapping
        CHROM as in the table → name in the reference.
    """
    tallies = {model: _ModelTally(model) for model in models}
    index = {name: i for i, name in enumerate(bins.contigs)}
    chroms = {chrom: index[contig] for chrom, contig in contig_of_chrom.items() if contig in index}
    frame = pl.scan_parquet(annotated).select(
        "chrom",
        "pos",
        "consequence",
        "kind",
        "af",
        *(f"{m}_{c}" for m in models for c in ("llr", "llr_fwd", "llr_rev", "percentile")),
    )
    total = int(frame.select(pl.len()).collect().item())
    contig = pl.col("chrom").replace_strict(
        list(chroms), list(chroms.values()), default=None, return_dtype=pl.Int64
    )
    for start in range(0, max(total, 1), ROWS):
        rows = frame.slice(start, ROWS).collect(engine="in-memory")
        rows = rows.with_columns(
            contig.alias("contig"),
            ((pl.col("pos").cast(pl.Int64) - 1) // bins.width).alias("window"),
            _af_interval().alias("af"),
        )
        for tally in tallies.values():
            tally.add(rows)
    return {model: tally.result(list(bins.contigs)) for model, tally in tallies.items()}


def _llr_bin(column: str) -> pl.Expr:
    at = ((pl.col(column).cast(pl.Float64) + LLR_LIMIT) / LLR_STEP).floor()
    return at.clip(0, LLR_BINS - 1).fill_nan(None).cast(pl.Int64)


def _af_interval() -> pl.Expr:
    """Index of the interval: 0 is up to and with the first edge, the last is above all edges."""
    af = pl.col("af").cast(pl.Float64)
    # As float32 0.01 is above 0.01; the edges are compared as the column holds them.
    edges = [float(np.float32(edge)) for edge in AF_EDGES]
    above = sum(((af > edge).cast(pl.Int64) for edge in edges), pl.lit(0, pl.Int64))
    return pl.when(af.is_not_null() & af.is_not_nan()).then(above)


class _ModelTally:
    """The tallies of one model."""

    def __init__(self, model: str):
        self.model = model
        self.classes = _Tally(("consequence", "kind", "bin"))
        self.by_af = _Tally(("af", "bin"))
        self.genome = _Tally(("contig", "window", "bin"))
        self.strands = _Tally(("fwd", "rev"))
        self.percentiles = _Tally(("percentile",))
        self.moments = _Moments()
        self.missing = 0

    def add(self, rows: pl.DataFrame) -> None:
        m = self.model
        own = rows.select(
            "consequence",
            "kind",
            "af",
            "contig",
            "window",
            _llr_bin(f"{m}_llr").alias("bin"),
            pl.col(f"{m}_llr_fwd").alias("x"),
            pl.col(f"{m}_llr_rev").alias("y"),
            pl.col(f"{m}_percentile").floor().clip(0, 99).cast(pl.Int64).alias("percentile"),
        )
        known = own.filter(pl.col("bin").is_not_null())
        self.missing += own.height - known.height
        self.classes.add(known)
        self.by_af.add(known)
        self.genome.add(known.filter(pl.col("contig").is_not_null()))
        self.percentiles.add(known.filter(pl.col("percentile").is_not_null()))
        both = known.select(pl.col("x", "y").cast(pl.Float64)).drop_nulls()
        cell = (pl.all() / STRAND_STEP).floor().clip(-1000, 999).cast(pl.Int64)
        self.strands.add(both.select(cell).rename({"x": "fwd", "y": "rev"}))
        self.moments.add(both["x"].to_numpy(), both["y"].to_numpy())

    def result(self, contigs: Sequence[str]) -> ModelCounts:
        names = pl.col("contig").replace_strict(
            list(range(len(contigs))), list(contigs), default=None, return_dtype=pl.String
        )
        return ModelCounts(
            classes=self.classes.result(),
            by_af=self.by_af.result(),
            genome=self.genome.result().with_columns(names),
            strands=self.strands.result(),
            percentiles=self.percentiles.result(),
            correlation=self.moments.correlation(),
            missing=self.missing,
        )

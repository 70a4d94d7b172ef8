"""The annotated table, however long, counted in one pass: what the charts and tables show.

A slice of rows at a time becomes counts in fixed bins, and the counts are added; so memory holds
one slice, quantiles are exact to half of a bin, and the result depends on no order.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.report.distributions import Distribution, distribution, round_up
from varlm.report.scales import Scale, scales_of

ROWS = 500_000  # read at a time

_STRAND_BINS = 2  # to a side of a cell of forward against reverse
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
        width = int(round_up(max(sum(contigs.values()) / max(bins - len(contigs), 1), 1.0)))
        return cls(contigs, width, len(wanted & set(lengths)) - len(contigs))


@dataclass(frozen=True)
class ModelCounts:
    """The counts of one model, each a table with the column `n`.

    Attributes
    ----------
    classes : consequence, kind, bin
    by_af : af (index of the interval between `AF_EDGES`; null: no frequency), bin
    genome : contig, window (0-based index along the contig), bin
    strands : fwd, rev (cell indices, of `strand_step`)
    percentiles : percentile (0 … 99, the integer part; 100 counts as 99)
    unscored : consequence, kind; rows without a score
    correlation : float or None
        Pearson's r of the strands' scores; None with fewer than two, or where one is constant.
    scale : Scale
        Of the scores; `bin` is one of its bins.
    """

    classes: pl.DataFrame
    by_af: pl.DataFrame
    genome: pl.DataFrame
    strands: pl.DataFrame
    percentiles: pl.DataFrame
    unscored: pl.DataFrame
    correlation: float | None
    scale: Scale

    @property
    def missing(self) -> int:
        """Rows without a score."""
        return int(self.unscored["n"].sum())

    @property
    def missing_alleles(self) -> int:
        """Indels and MNVs among them, where the kind of score is of single bases."""
        if self.scale.kind.alleles is not None:
            return 0
        return int(self.unscored.filter(pl.col("kind") != "snv")["n"].sum())

    @property
    def strand_step(self) -> float:
        """The side of a cell of forward against reverse."""
        return strand_step(self.scale)

    def totals(self, column: str) -> dict[object, int]:
        """Return how many rows each value of `consequence` or `kind` has, scored or not."""
        rows = pl.concat([self.classes.select(column, "n"), self.unscored.select(column, "n")])
        return dict(rows.group_by(column).agg(pl.col("n").sum()).sort(column).iter_rows())

    def by(self, table: str, *columns: str) -> dict[tuple[object, ...], Distribution]:
        """Return the distributions of a table's rows that are alike in `columns`, sorted."""
        frame: pl.DataFrame = getattr(self, table)
        grouped = frame.group_by(*columns, "bin").agg(pl.col("n").sum()).sort(*columns, "bin")
        return {
            key: distribution(rows["bin"].to_numpy(), rows["n"].to_numpy(), self.scale.bins)
            for key, rows in grouped.group_by(*columns, maintain_order=True)
        }

    def all(self) -> Distribution:
        """Return the distribution of all alleles."""
        bins, counts = self.classes["bin"].to_numpy(), self.classes["n"].to_numpy()
        return distribution(bins, counts, self.scale.bins)


def strand_step(scale: Scale) -> float:
    """Return the side of a cell of forward against reverse."""
    return scale.bins.step * _STRAND_BINS


@dataclass(frozen=True)
class Counted:
    """A score that is counted: its scale, and the columns that it has; None: it has none.

    Without a `score` only classes are counted, all of them unscored.
    """

    scale: Scale
    score: str | None = None
    forward: str | None = None
    reverse: str | None = None
    percentile: str | None = None

    @classmethod
    def of(cls, model: str, scale: Scale) -> Counted:
        """Return the score of a model."""
        score = f"{model}_{scale.kind.column}"
        return cls(scale, score, f"{score}_fwd", f"{score}_rev", f"{model}_percentile")

    @property
    def columns(self) -> list[str]:
        """The columns that there are."""
        names = (self.score, self.forward, self.reverse, self.percentile)
        return [name for name in names if name is not None]


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
    """Sums for a correlation, float64, of values less `shift`, which is amid them."""

    shift: float
    sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros(6))

    def add(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
        x, y = x - self.shift, y - self.shift
        self.sums += [len(x), x.sum(), y.sum(), x @ x, y @ y, x @ y]

    def correlation(self) -> float | None:
        n, x, y, xx, yy, xy = self.sums
        if n < 2:
            return None
        spread = (xx - x * x / n) * (yy - y * y / n)
        return float((xy - x * y / n) / np.sqrt(spread)) if spread > 0 else None


def count(
    annotated: Path,
    models: Iterable[str] | Mapping[str, Scale],
    bins: GenomeBins,
    contig_of_chrom: Mapping[str, str],
    others: Mapping[str, Counted] | None = None,
) -> dict[str, ModelCounts]:
    """Count the annotated table (`schemas.annotated`) for each model, in one pass.

    Parameters
    ----------
    models : mapping, or iterable of str
        Name → scale of its scores, or names alone: all masked.
    bins : GenomeBins
        What is shown along the genome; other contigs are left out there only.
    contig_of_chrom : mapping
        CHROM as in the table → name in the reference.
    others : mapping, optional
        Name → what else is counted likewise.
    """
    counted = {model: Counted.of(model, scale) for model, scale in scales_of(models).items()}
    tallies = {name: _ModelTally(what) for name, what in {**counted, **(others or {})}.items()}
    index = {name: i for i, name in enumerate(bins.contigs)}
    chroms = {chrom: index[contig] for chrom, contig in contig_of_chrom.items() if contig in index}
    frame = pl.scan_parquet(annotated).select(
        "chrom",
        "pos",
        "consequence",
        "kind",
        "af",
        *(name for tally in tallies.values() for name in tally.counted.columns),
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


def _af_interval() -> pl.Expr:
    """Index of the interval: 0 is up to and with the first edge, the last is above all edges."""
    af = pl.col("af").cast(pl.Float64)
    # As float32 0.01 is above 0.01; the edges are compared as the column holds them.
    edges = [float(np.float32(edge)) for edge in AF_EDGES]
    above = sum(((af > edge).cast(pl.Int64) for edge in edges), pl.lit(0, pl.Int64))
    return pl.when(af.is_not_null() & af.is_not_nan()).then(above)


def _column(name: str | None) -> pl.Expr:
    return pl.lit(None, pl.Float64) if name is None else pl.col(name)


class _ModelTally:
    """The tallies of one score."""

    def __init__(self, counted: Counted):
        self.counted = counted
        self.scale = scale = counted.scale
        self.classes = _Tally(("consequence", "kind", "bin"))
        self.by_af = _Tally(("af", "bin"))
        self.genome = _Tally(("contig", "window", "bin"))
        self.strands = _Tally(("fwd", "rev"))
        self.percentiles = _Tally(("percentile",))
        self.unscored = _Tally(("consequence", "kind"))
        self.moments = _Moments((scale.bins.low + scale.bins.high) / 2)

    def add(self, rows: pl.DataFrame) -> None:
        counted, bins = self.counted, self.scale.bins
        own = rows.select(
            "consequence",
            "kind",
            "af",
            "contig",
            "window",
            (bins.index(counted.score) if counted.score else pl.lit(None, pl.Int64)).alias("bin"),
            _column(counted.forward).alias("x"),
            _column(counted.reverse).alias("y"),
            _column(counted.percentile).floor().clip(0, 99).cast(pl.Int64).alias("percentile"),
        )
        known = own.filter(pl.col("bin").is_not_null())
        self.unscored.add(own.filter(pl.col("bin").is_null()))
        self.classes.add(known)
        self.by_af.add(known)
        self.genome.add(known.filter(pl.col("contig").is_not_null()))
        self.percentiles.add(known.filter(pl.col("percentile").is_not_null()))
        both = known.select(pl.col("x", "y").cast(pl.Float64)).drop_nulls()
        self.strands.add(both.select(self._cell()).rename({"x": "fwd", "y": "rev"}))
        self.moments.add(both["x"].to_numpy(), both["y"].to_numpy())

    def _cell(self) -> pl.Expr:
        step, bins = strand_step(self.scale), self.scale.bins
        first, last = math.floor(bins.low / step), math.ceil(bins.high / step) - 1
        return (pl.all() / step).floor().clip(first, last).cast(pl.Int64)

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
            unscored=self.unscored.result(),
            correlation=self.moments.correlation(),
            scale=self.scale,
        )

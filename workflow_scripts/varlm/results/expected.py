"""What the annotated VCF should hold: the table's alleles and the rejected ones, by record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from varlm.results.tags import ANNOTATION_TAGS, REJECTED_TAG, Models, score_columns_of
from varlm.tables.schemas import REJECTED

STRETCH = 100_000  # records held at a time
_KEYS = ("chrom", "pos", "ref", "alt", "file", "record", "allele")


@dataclass(frozen=True)
class Expected:
    """What a VCF should hold.

    Attributes
    ----------
    table : Path
        The cohort's `annotated.parquet`.
    rejected : polars.DataFrame
        `schemas.REJECTED`.
    models : mapping, or iterable of str
        Model → kind of its score.
    consequences : bool
        Whether the table has consequences.
    records : polars.DataFrame
        `chrom` and `pos` of every record, in the VCF's order: by contig, then by position.
    tables : sequence of str
        Columns of tables of published scores, which are tags too.
    """

    table: Path
    rejected: pl.DataFrame
    models: Models
    consequences: bool
    records: pl.DataFrame
    tables: Sequence[str] = ()

    @property
    def tags(self) -> dict[str, str]:
        """INFO tag → column of `alleles`, in the order in which they are written."""
        genes = {tag: column for tag, (column, _) in ANNOTATION_TAGS.items()}
        return {
            **score_columns_of(self.models),
            **{name: name for name in self.tables},
            **(genes if self.consequences else {}),
            REJECTED_TAG: "reason",
        }

    @property
    def contigs(self) -> list[str]:
        """Contigs in the VCF's order."""
        return [str(name) for name in self.records["chrom"].unique(maintain_order=True)]

    def parts(self) -> list[Expected]:
        """Split after the contig with the middle record, for two processes; few stay together."""
        middle = self.records.height // 2
        if middle < STRETCH:
            return [self]
        chrom = self.records["chrom"]
        others = chrom[middle:] != chrom[middle]
        if not others.any():
            return [self]
        cut = middle + int(others.arg_max() or 0)
        return [replace(self, records=half) for half in (self.records[:cut], self.records[cut:])]

    def stretches(self) -> Iterator[pl.DataFrame]:
        """Yield `records` in pieces of about `STRETCH`; records of one place stay together."""
        start = 0
        while start < self.records.height:
            end = min(start + STRETCH, self.records.height)
            while end < self.records.height and self.records.row(end) == self.records.row(end - 1):
                end += 1
            yield self.records[start:end]
            start = end

    def alleles(self, stretch: pl.DataFrame) -> pl.DataFrame:
        """Return the alleles of some records, in the VCF's order.

        Parameters
        ----------
        stretch : polars.DataFrame
            Of `stretches`.

        Returns
        -------
        polars.DataFrame
            `row` (number of the record in the stretch), `place` (of the allele in its record,
            0-based), `count` (alleles of the record), `chrom`, `pos`, `ref`, `alt` as given,
            `file`, `record`, `allele` and the columns of `tags`.
        """
        spans = stretch.group_by(pl.col("chrom").cast(pl.String), maintain_order=True).agg(
            pl.col("pos").min().alias("low"), pl.col("pos").max().alias("high")
        )
        scores = [column for column in self.tags.values() if column != "reason"]
        scored = (
            pl.scan_parquet(self.table)
            .filter(_inside(spans, "input_pos"))
            .with_columns(pos="input_pos", ref="input_ref", alt="input_alt")
            .select(*_KEYS, *scores)
            .cast({"pos": pl.Int64, **{name: REJECTED.schema[name] for name in _KEYS[-3:]}})
            .collect(engine="streaming")  # in any order: sorted below, by keys that are unique
        )
        position = pl.col("pos").cast(pl.Int64, strict=False).fill_null(0)
        rejected = self.rejected.with_columns(position).filter(_inside(spans, "pos"))
        rank = dict(zip(spans["chrom"], range(spans.height), strict=True))
        return (
            pl.concat([scored, rejected.select(*_KEYS, "reason")], how="diagonal")
            .with_columns(rank=pl.col("chrom").replace_strict(rank, return_dtype=pl.UInt32))
            .sort("rank", "pos", "file", "record", "allele")
            .pipe(_numbered)
        )


def _numbered(alleles: pl.DataFrame) -> pl.DataFrame:
    """Add `row`, `place` and `count` to sorted alleles."""
    new = np.ones(alleles.height, bool)
    file, record = alleles["file"].to_numpy(), alleles["record"].to_numpy()
    new[1:] = (file[1:] != file[:-1]) | (record[1:] != record[:-1])
    first = np.flatnonzero(new)
    row = np.cumsum(new) - 1
    count = np.diff(np.append(first, alleles.height))[row]
    return alleles.with_columns(
        row=pl.Series(row),
        place=pl.Series(np.arange(alleles.height) - first[row]),
        count=pl.Series(count),
    )


def _inside(spans: pl.DataFrame, position: str) -> pl.Expr:
    """Return whether a row is in a stretch: its contigs, of the first and the last a part."""
    chrom, pos = pl.col("chrom"), pl.col(position)
    inside = chrom.is_in(spans["chrom"][1:-1].to_list())
    for name, low, high in (spans.row(0), spans.row(-1)):
        inside |= (chrom == name) & pos.is_between(low, high)
    return inside

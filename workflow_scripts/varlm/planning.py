"""What must be scored: the cohorts' unique sites and alleles less what the store holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from varlm.reference import Genome
from varlm.schemas import SHARD, VARIANTS
from varlm.store import ALLELE_KEY, SITE_KEY, Store

# Passes of the model: a site needs one a strand, an allele two (REF's window and ALT's).
ALLELE_COST = 2

BLOCK = 200_000  # rows of a cohort read at a time, where its contigs are smaller
_WANTED = ["pos", "ref", "alt", "kind"]


@dataclass
class Counts:
    """How many unique rows a cohort, or all of them together, ask for."""

    sites: int = 0
    sites_from_store: int = 0
    sites_scored: int = 0
    alleles: int = 0
    alleles_from_store: int = 0
    alleles_scored: int = 0

    def add(self, kind: str, wanted: int, new: int) -> None:
        """Count `wanted` unique rows of a kind (sites or alleles), `new` of them unknown."""
        setattr(self, kind, getattr(self, kind) + wanted)
        setattr(self, f"{kind}_scored", getattr(self, f"{kind}_scored") + new)
        setattr(self, f"{kind}_from_store", getattr(self, f"{kind}_from_store") + wanted - new)


@dataclass
class Tally:
    """The counts of a plan: `total` over unique rows, and per cohort."""

    total: Counts = field(default_factory=Counts)
    cohorts: dict[str, Counts] = field(default_factory=dict)


class CohortRows:
    """The unique rows that a cohort's `variants.parquet` asks for, contig by contig.

    The file is sorted by contig, so that a contig is one slice of it; slices are cut from blocks
    of `BLOCK` rows or one contig, and a genome of thousands of contigs takes few reads.
    """

    def __init__(self, variants: Path):
        self._table = pl.scan_parquet(variants)
        spans = (
            self._table.select("contig")
            .with_row_index("row")
            .group_by("contig")
            .agg(pl.col("row").min(), pl.len())
            .collect(engine="in-memory")
        )
        self._spans = {contig: (start, count) for contig, start, count in spans.iter_rows()}
        self._start = 0
        self._block = pl.DataFrame(schema={n: VARIANTS.schema[n] for n in _WANTED})

    def __contains__(self, contig: str) -> bool:
        return contig in self._spans

    def wanted(self, contig: str, kind: str) -> pl.DataFrame:
        """Return the unique rows on a contig, sorted.

        `kind` is sites (column `pos` of the SNVs) or alleles (`pos`, `ref`, `alt` of the rest).
        """
        start, count = self._spans.get(contig, (self._start, 0))
        if start < self._start or start + count > self._start + self._block.height:
            rows = self._table.select(_WANTED).slice(start, max(count, BLOCK))
            self._start, self._block = start, rows.collect(engine="in-memory")
        rows_here = self._block[start - self._start : start - self._start + count]
        snv = pl.col("kind") == "snv"
        by = SITE_KEY if kind == "sites" else ALLELE_KEY
        return rows_here.filter(snv if kind == "sites" else ~snv).select(by).unique().sort(by)


def new_rows(
    cohorts: Mapping[str, Path], genome: Genome, store: Store, key: str, tally: Tally
) -> Iterator[pl.DataFrame]:
    """Yield, contig by contig in genome order, the rows that the store lacks (`SHARD`).

    Memory is bounded by one contig, or `BLOCK` rows, of each cohort. `tally` is filled as the
    rows go by.
    """
    asked = {name: CohortRows(path) for name, path in cohorts.items()}
    for name in cohorts:
        tally.cohorts.setdefault(name, Counts())
    for contig in genome.names:
        if not any(contig in rows for rows in asked.values()):
            continue
        digest = genome[contig].digest
        pieces = []
        for kind, by, known in (
            ("sites", SITE_KEY, store.known_sites),
            ("alleles", ALLELE_KEY, store.known_alleles),
        ):
            wanted = {name: rows.wanted(contig, kind) for name, rows in asked.items()}
            union = pl.concat(wanted.values()).unique().sort(by)
            if union.is_empty():
                continue
            new = union.join(known(key, digest), on=by, how="anti").sort(by)
            tally.total.add(kind, union.height, new.height)
            for name, rows in wanted.items():
                count = rows.join(new, on=by, how="semi").height
                tally.cohorts[name].add(kind, rows.height, count)
            if kind == "sites":
                empty = pl.lit(None, dtype=pl.String())
                new = new.with_columns(ref=empty, alt=empty)
            pieces.append(new)
        if pieces:
            rows = pl.concat(pieces)
            if rows.height:
                yield (
                    rows.with_columns(contig=pl.lit(contig))
                    .select(SHARD.names)
                    .sort("pos", "ref", "alt", nulls_last=False)
                )


def shards(rows: Iterator[pl.DataFrame], sites_per_shard: int) -> Iterator[pl.DataFrame]:
    """Cut rows into shards, in order, of the cost of `sites_per_shard` sites each at most."""
    held: list[pl.DataFrame] = []
    room = sites_per_shard
    for piece in rows:
        cost = pl.when(pl.col("ref").is_null()).then(1).otherwise(ALLELE_COST)
        total = piece.select(cost.cast(pl.Int64).cum_sum()).to_series()
        done = spent = 0
        while done < piece.height:
            # The rows whose running cost still fits; at least one, so that any size makes progress.
            until = int(total.search_sorted(spent + room, side="right"))
            if until == done and not held:
                until = done + 1
            if until > done:
                held.append(piece.slice(done, until - done))
                now = int(total[until - 1])
                room -= now - spent
                spent, done = now, until
            if done < piece.height or room <= 0:
                yield pl.concat(held)
                held, room = [], sites_per_shard
    if held:
        yield pl.concat(held)

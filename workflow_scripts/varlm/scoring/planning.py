"""What must be scored: the cohorts' unique sites and alleles less what the store holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.errors import UserError
from varlm.genome.reference import Genome
from varlm.models.prepared import PreparedModel
from varlm.scoring import background, dense_scale
from varlm.scoring.plan_record import Counts
from varlm.scoring.together import Repeats, batches, unknown_of_many
from varlm.store import ALLELE_KEY, Store
from varlm.tables.parquet import scan_table
from varlm.tables.schemas import SHARD, VARIANTS

# Passes of the model: a site needs one a strand, an allele two (REF's window and ALT's).
ALLELE_COST = 2

BLOCK = 500_000  # rows of a cohort read at a time
# What the tally calls the background's sites; no cohort can be called so.
BACKGROUND_ROWS = "(background)"
DENSE_ROWS = "(dense)"  # likewise those that are scored both ways

_WANTED = ["pos", "ref", "alt", "kind"]


@dataclass
class Tally:
    """The counts of a plan: `total` over unique rows, and per cohort."""

    total: Counts = field(default_factory=Counts)
    cohorts: dict[str, Counts] = field(default_factory=dict)


class Wanted(Protocol):
    """Rows that somebody wants scored, read contig by contig, in order of position."""

    def __contains__(self, contig: str) -> bool:
        """Return whether any row is wanted on a contig."""
        ...

    def count(self, contig: str) -> int:
        """Return how many rows are wanted on a contig, the same ones several times or not."""
        ...

    def all_of(self, contigs: Sequence[str]) -> pl.DataFrame:
        """Return all rows of neighbouring contigs: `contig`, `pos`, `ref`, `alt`."""
        ...

    def open(self, contig: str) -> None:
        """Go to the first row of a contig."""
        ...

    def limit(self) -> int | None:
        """Return the position (1-based) below which all rows are at hand; None: all of them."""
        ...

    def take(self, below: int | None) -> pl.DataFrame:
        """Return the next rows, those below a position that `limit` allows: `pos`, `ref`, `alt`.

        `ref` and `alt` are null where the site is wanted, for its SNVs.
        """
        ...


class CohortRows:
    """The rows that a cohort's `variants.parquet` asks for.

    The file is sorted by contig and position, so that a contig is one slice of it; slices are cut
    from blocks of `BLOCK` rows, whatever the contigs' sizes: a genome of thousands of contigs
    takes few reads, and the largest cohort little memory.

    Parameters
    ----------
    variants : Path
    alleles : bool
        Whether indels and MNVs ask for a row each; else they ask for nothing.
    """

    def __init__(self, variants: Path, alleles: bool = True):
        self.path = variants
        self._alleles = alleles
        self._table = scan_table(variants, VARIANTS)
        spans = (
            self._table.select("contig")
            .with_row_index("row")
            .group_by("contig")
            .agg(pl.col("row").min(), pl.len())
            .collect(engine="streaming")
        )
        self._spans = {contig: (start, count) for contig, start, count in spans.iter_rows()}
        self._row = self._end = self._start = 0
        self._block = pl.DataFrame(schema={n: VARIANTS.schema[n] for n in _WANTED})

    def __contains__(self, contig: str) -> bool:
        return contig in self._spans

    def count(self, contig: str) -> int:
        """Return how many rows the file has on a contig, whether they ask for something or not."""
        return int(self._spans.get(contig, (0, 0))[1])

    def all_of(self, contigs: Sequence[str]) -> pl.DataFrame:
        """Return all rows of contigs that are few: `contig`, `pos`, `ref`, `alt`."""
        spans = sorted(self._spans[contig] for contig in contigs if contig in self._spans)
        starts = [start for start, _ in spans]
        ends = [start + count for start, count in spans]
        # Neighbours in the genome are neighbours in the file.
        gaps = [n for n in range(1, len(spans)) if starts[n] != ends[n - 1]]
        rows = pl.concat(
            self._table.select("contig", *_WANTED)
            .slice(starts[low], ends[high - 1] - starts[low])
            .collect(engine="in-memory")
            for low, high in pairwise([0, *gaps, len(spans)])
        )
        back = (pl.col("pos").diff() < 0) & (pl.col("contig") == pl.col("contig").shift(1))
        self._check_order(not rows.select(back.any()).item())
        return self._asking(rows).select("contig", *_sites_and_alleles())

    def open(self, contig: str) -> None:
        """Go to the first row of a contig."""
        start, count = self._spans.get(contig, (0, 0))
        self._row, self._end = start, start + count

    def limit(self) -> int | None:
        """Return the position (1-based) below which all rows are at hand; None: all of them."""
        if self._row == self._end:
            return None
        size = BLOCK
        if not self._start <= self._row < self._start + self._block.height:
            self._load(size)
        while self._start + self._block.height < self._end:
            pos = self._block["pos"]
            if pos[self._row - self._start] < pos[-1]:
                return int(pos[-1])  # the next block may begin with the same position
            size *= 2
            self._load(size)
        return None

    def take(self, below: int | None) -> pl.DataFrame:
        """Return the next rows of the contig, those below a position: `pos`, `ref`, `alt`."""
        end = min(self._end, self._start + self._block.height)
        rows = self._block[self._row - self._start : end - self._start]
        self._check_order(rows["pos"].is_sorted())
        if below is not None:
            rows = rows[: int(rows["pos"].search_sorted(below, side="left"))]
        self._row += rows.height
        return self._asking(rows).select(*_sites_and_alleles())

    def _asking(self, rows: pl.DataFrame) -> pl.DataFrame:
        return rows if self._alleles else rows.filter(pl.col("kind") == "snv")

    def _check_order(self, is_sorted: bool) -> None:
        if not is_sorted:
            raise UserError(
                f"{self.path}: not sorted by position; it is not as normalise wrote it: delete it "
                "and run the workflow again"
            )

    def _load(self, size: int) -> None:
        self._start = self._row
        self._block = self._table.select(_WANTED).slice(self._row, size).collect(engine="in-memory")


def _sites_and_alleles() -> list[pl.Expr]:
    """Columns of `variants.parquet` → those of a shard but the contig: an SNV asks for its site."""
    other = pl.col("kind") != "snv"
    return [
        pl.col("pos"),
        *(pl.when(other).then(pl.col(name)).alias(name) for name in ("ref", "alt")),
    ]


class SiteRows:
    """Wanted sites by contig: positions, 1-based and sorted, uint32."""

    def __init__(self, positions: Mapping[str, NDArray[np.uint32]]):
        self._positions = {contig: sites for contig, sites in positions.items() if len(sites)}
        self._left = np.empty(0, np.uint32)

    def __contains__(self, contig: str) -> bool:
        return contig in self._positions

    def count(self, contig: str) -> int:
        """Return how many sites of a contig are wanted."""
        return len(self._positions.get(contig, ()))

    def all_of(self, contigs: Sequence[str]) -> pl.DataFrame:
        """Return all sites of contigs: `contig`, `pos`; `ref` and `alt` are null."""
        sites = {contig: self._positions[contig] for contig in contigs if contig in self}
        names = np.repeat(np.array(list(sites), dtype=object), list(map(len, sites.values())))
        positions = np.concatenate([np.empty(0, np.uint32), *sites.values()])
        return _site_rows({"contig": names, "pos": positions})

    def open(self, contig: str) -> None:
        """Go to the first site of a contig."""
        self._left = self._positions.get(contig, np.empty(0, np.uint32))

    def limit(self) -> int | None:
        """All rows are at hand."""
        return None

    def take(self, below: int | None) -> pl.DataFrame:
        """Return the next sites, those below a position: `pos`; `ref` and `alt` are null."""
        count = len(self._left) if below is None else int(np.searchsorted(self._left, below))
        sites, self._left = self._left[:count], self._left[count:]
        return _site_rows({"pos": sites})


def _site_rows(columns: dict[str, NDArray[Any]]) -> pl.DataFrame:
    """Return rows that ask for sites: without an allele."""
    schema = {name: SHARD.schema[name] for name in [*columns, "ref", "alt"]}
    return pl.DataFrame({**columns, "ref": None, "alt": None}, schema=schema)


def wanted_rows(
    cohorts: Mapping[str, Path],
    background_sites: int,
    genome: Genome,
    store: Store,
    model: PreparedModel,
    dense_sites: int = 0,
) -> dict[str, Wanted]:
    """Return what is wanted: by cohorts, and by the background where the store lacks it.

    And, of dense scores, the sites on which they are compared with masked ones.

    Parameters
    ----------
    cohorts : mapping
        Name → `variants.parquet`.
    background_sites : int
        `scoring.background_sites`; 0: no background.
    model : PreparedModel
        Its kind of score says whether indels and MNVs can have one.
    dense_sites : int
        `scoring.dense.sites`; counts for dense scores alone.
    """
    alleles = model.kind.alleles is not None
    wanted: dict[str, Wanted] = {name: CohortRows(path, alleles) for name, path in cohorts.items()}
    if background_sites:
        chosen = background.choose(genome, background_sites, model.strands)
        if store.read_background(model.key, chosen.digest) is None:
            wanted[BACKGROUND_ROWS] = SiteRows(chosen.sites)
    if dense_sites and dense_scale.has_scale(model):
        wanted[DENSE_ROWS] = SiteRows(dense_scale.sample(genome, dense_sites))
    return wanted


def storable(rows: Iterator[pl.DataFrame], store: Store, key: str) -> Iterator[pl.DataFrame]:
    """Yield the rows, if their scores can be kept.

    Raises
    ------
    UserError
        At the first of them, if the store cannot be written.
    """
    for number, piece in enumerate(rows):
        if number == 0 and not store.writable(key):
            raise UserError(
                f"{store.root}: there is something to score, but the store cannot be written: no "
                "score would be kept; make it writable, or name a copy in the config key store"
            )
        yield piece


def new_rows(
    wanted: Mapping[str, Wanted], genome: Genome, store: Store, key: str, tally: Tally
) -> Iterator[pl.DataFrame]:
    """Yield the rows that the store lacks (`SHARD`), in genome order, each once.

    Memory is bounded by `BLOCK` rows of each cohort and one part of the store. `tally` is filled
    as the rows go by. Contigs of the same sequence have the same scores: what one of them asks
    for is not asked for again by the next.
    """
    for name in wanted:
        tally.cohorts.setdefault(name, Counts())
    repeats = Repeats(genome)
    for contigs in batches(
        genome.names, lambda contig: sum(rows.count(contig) for rows in wanted.values()), BLOCK
    ):
        asking = {name: rows for name, rows in wanted.items() if any(c in rows for c in contigs)}
        digests = pl.Series([genome[contig].stored_as for contig in contigs])
        alone = len(contigs) == 1
        by = ALLELE_KEY if alone else SHARD.names
        name_of = pl.lit(contigs[0]) if alone else pl.col("contig").cast(pl.String)
        for pieces in _pieces(contigs, asking):
            union = pl.concat(pieces.values()).unique().sort(by)
            if alone:
                new = _unknown(union, store, key, digests[0])
                new = repeats.less_asked(new, pl.repeat(digests[0], new.height, eager=True))
            else:
                new = unknown_of_many(union, store, key, digests)
                new = repeats.less_asked(new, digests.gather(new["contig"].to_physical()))
            _count(tally.total, union, new)
            for name, rows_here in pieces.items():
                mine = rows_here.join(new, on=by, how="semi", nulls_equal=True)
                _count(tally.cohorts[name], rows_here, mine)
            if new.height:
                yield new.select(name_of.alias("contig"), *ALLELE_KEY)


def _pieces(
    contigs: Sequence[str], asking: Mapping[str, Wanted]
) -> Iterator[dict[str, pl.DataFrame]]:
    """Yield what each asks for, sorted, each row once: of one contig piece by piece, or of several.

    Those of several have the column `contig` too, in the order of `contigs`.
    """
    if len(contigs) > 1:
        order = pl.Enum(contigs)
        number = pl.col("contig").cast(order)
        yield {
            name: rows.all_of(contigs).with_columns(number).unique().sort(SHARD.names)
            for name, rows in asking.items()
        }
        return
    for rows in asking.values():
        rows.open(contigs[0])
    more = True
    while more:
        limits = [rows.limit() for rows in asking.values()]
        below = min((limit for limit in limits if limit is not None), default=None)
        more = below is not None
        yield {name: rows.take(below).unique().sort(ALLELE_KEY) for name, rows in asking.items()}


def _unknown(rows: pl.DataFrame, store: Store, key: str, digest: str) -> pl.DataFrame:
    """Return the rows, sites and alleles, that the store does not hold; their order is kept."""
    site = rows["ref"].is_null().to_numpy()
    known = np.zeros(rows.height, dtype=bool)
    if site.any():
        known[site] = store.has_sites(key, digest, rows["pos"].to_numpy()[site])
    if not site.all():
        known[~site] = store.has_alleles(key, digest, rows.filter(~site))
    return rows.filter(~known)


def _count(counts: Counts, wanted: pl.DataFrame, new: pl.DataFrame) -> None:
    sites, new_sites = (int(rows["ref"].null_count()) for rows in (wanted, new))
    counts.add("sites", sites, new_sites)
    counts.add("alleles", wanted.height - sites, new.height - new_sites)

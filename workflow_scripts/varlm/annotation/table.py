"""A cohort's alleles, the store's scores and what tracks say → the annotated table, in pieces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.annotation.joined_scores import JoinedScores
from varlm.annotation.scores import Model, ScoreSource, mixed_score_columns, score_columns
from varlm.errors import UserError
from varlm.genome.reference import Genome
from varlm.tables.parquet import ROW_GROUP, Column, Table, scan_table
from varlm.tables.schemas import CONSEQUENCES, VARIANTS, annotated

ROWS = ROW_GROUP  # variants in a piece: the bound on memory
# Positions (bp) that a piece may span: a sparse cohort must not read a dense store's whole contig.
SPAN = 2_000_000
# Contigs among `ROWS` rows beyond which those of at most `SMALL` rows share a piece: a piece costs
# some ms, and 100,000 rows may lie on as many contigs.
MANY, SMALL = 50, 1000


class Track(Protocol):
    """A file over the genome, read by place; `IntervalColumns` and `BigWigColumns` are such."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns that it adds."""
        ...

    def series(
        self, contig: str, start: NDArray[np.int64], end: NDArray[np.int64]
    ) -> list[pl.Series]:
        """Return its columns for spans [start, end), 0-based, sorted by start, on a contig."""
        ...

    def series_of(
        self,
        contigs: Sequence[tuple[str, int]],
        start: NDArray[np.int64],
        end: NDArray[np.int64],
    ) -> list[pl.Series]:
        """Return its columns for spans on several contigs: (contig, spans on it) in order."""
        ...


@dataclass(frozen=True)
class Beside:
    """A table whose rows are those of `variants.parquet`, in their order; `table` is its schema."""

    path: Path
    table: Table


@dataclass(frozen=True)
class Sources:
    """What the annotated table is made of, besides the alleles and the store.

    Attributes
    ----------
    consequences : Beside, optional
        `schemas.CONSEQUENCES`; without it, its columns are null.
    info : Beside, optional
        INFO fields carried along, one column each.
    tracks : sequence of Track
    scores : sequence of JoinedScores
        Tables of published scores.
    """

    consequences: Beside | None = None
    info: Beside | None = None
    tracks: Sequence[Track] = ()
    scores: Sequence[JoinedScores] = ()

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns besides those that every annotated table has."""
        carried = self.info.table.columns if self.info else ()
        tracks = (column for track in self.tracks for column in track.columns)
        scores = (column for table in self.scores for column in table.columns)
        return (*carried, *tracks, *scores)

    @property
    def beside(self) -> list[Beside]:
        """The tables whose rows are those of the alleles."""
        tables = [Beside(table.path, table.joined) for table in self.scores]
        return [*(source for source in (self.consequences, self.info) if source), *tables]


NOTHING = Sources()


def annotated_table(models: Sequence[Model], sources: Sources) -> Table:
    """Return the schema of the annotated table (`schemas.annotated`).

    Raises
    ------
    UserError
        If two of its columns would have one name.
    """
    table = annotated({model.name: model.kind for model in models}, sources.columns)
    if len(table.schema) < len(table.names):
        twice = next(name for name in table.names if table.names.count(name) > 1)
        raise UserError(
            f"two columns of the annotated table would be called {twice}; give the model, the "
            "INFO field, the track or the table another name in the config"
        )
    return table


def annotate(
    variants: Path,
    genome: Genome,
    store: ScoreSource,
    models: Sequence[Model],
    sources: Sources = NOTHING,
) -> Iterator[pl.DataFrame]:
    """Yield the annotated table (`schemas.annotated`) in pieces, in the order of `variants`.

    Raises
    ------
    LookupError
        If the store lacks the score of a variant, or has one that is no number: `plan`, `score`
        and `commit` make sure that neither happens.
    UserError
        If a table beside the variants has another number of rows.
    """
    table = annotated_table(models, sources)
    nothing = [] if sources.consequences else _nulls(CONSEQUENCES)
    for piece in pieces(variants, sources.beside):
        start = piece["pos"].to_numpy().astype(np.int64) - 1
        end = start + piece["ref"].str.len_bytes().to_numpy()
        contig = piece["contig"][0]
        if contig == piece["contig"][-1]:
            digest = genome[contig].stored_as
            of_tracks = [track.series(contig, start, end) for track in sources.tracks]
            scores = [score_columns(piece, store, model, digest) for model in models]
        else:
            runs = _runs(piece["contig"])
            of_tracks = [track.series_of(runs, start, end) for track in sources.tracks]
            digests = pl.Series([genome[contig].stored_as for contig, _ in runs])
            digests = digests.gather(np.repeat(np.arange(len(runs)), [count for _, count in runs]))
            scores = [mixed_score_columns(piece, store, model, digests) for model in models]
        ranks = [joined.ranked(piece) for joined in sources.scores]
        columns = [column for group in (*of_tracks, *ranks, *scores) for column in group]
        yield piece.with_columns(*columns, *nothing).select(table.names)


def _runs(contigs: pl.Series) -> list[tuple[str, int]]:
    """Return contigs that follow each other, and how often each is there."""
    runs = contigs.rle().struct
    return list(zip(runs.field("value").to_list(), runs.field("len").to_list(), strict=True))


def _nulls(table: Table) -> list[pl.Expr]:
    return [pl.lit(None, dtype=dtype).alias(name) for name, dtype in table.schema.items()]


def pieces(variants: Path, beside: Sequence[Beside] = ()) -> Iterator[pl.DataFrame]:
    """Yield the rows of `variants.parquet` in order, the columns of tables beside it with them.

    Each piece lies on one contig and is no wider than `ROWS` rows and `SPAN` bp; or it has, of
    more than `MANY` contigs, those of few rows.

    Raises
    ------
    UserError
        If a table beside the variants has other columns than it says, or other rows.
    """
    frame = scan_table(variants, VARIANTS)
    total = frame.select(pl.len()).collect().item()
    others = []
    for other in beside:
        rows = scan_table(other.path, other.table)
        height = rows.select(pl.len()).collect().item()
        if height != total:
            raise UserError(
                f"{other.path}: {height} rows, but {variants} has {total}; delete it and run the "
                "workflow again"
            )
        others.append(rows)
    for start in range(0, total, ROWS):
        parts = [part.slice(start, ROWS).collect(engine="in-memory") for part in (frame, *others)]
        rows_here = pl.concat(parts, how="horizontal", strict=True)
        runs = _runs(rows_here["contig"])
        at = low = 0
        for _, height in runs:
            if height > SMALL or len(runs) <= MANY:
                if low < at:
                    yield rows_here[low:at]
                yield from _narrow(rows_here[at : at + height])
                low = at + height
            at += height
        if low < at:
            yield rows_here[low:at]


def _narrow(rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Cut a contig's rows into pieces no wider than `SPAN` bp."""
    pos = rows["pos"].to_numpy()
    low = 0
    while low < len(pos):
        high = int(np.searchsorted(pos, int(pos[low]) + SPAN))
        yield rows[low:high]
        low = high

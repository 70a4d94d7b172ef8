"""A cohort's alleles, the store's scores and what tracks say → the annotated table, in pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.errors import UserError
from varlm.genome.reference import Genome
from varlm.scoring import formulas
from varlm.scoring.background import Percentiles
from varlm.store.layout import KINDS, Kind
from varlm.tables.parquet import ROW_GROUP, Column, Table, scan_table
from varlm.tables.schemas import CONSEQUENCES, LOGIT_COLUMNS, SCORE_COLUMNS, VARIANTS, annotated

ROWS = ROW_GROUP  # variants in a piece: the bound on memory
# Positions (bp) that a piece may span: a sparse cohort must not read a dense store's whole contig.
SPAN = 2_000_000
# Contigs among `ROWS` rows beyond which those of at most `SMALL` rows share a piece: a piece costs
# some ms, and 100,000 rows may lie on as many contigs.
MANY, SMALL = 50, 1000


class ScoreSource(Protocol):
    """What is asked of the store; `varlm.store.Store` is one."""

    def read_sites(self, key: str, contig: str, start: int, end: int) -> pl.DataFrame:
        """Return `pos` and the eight logits between two 1-based positions, both included."""
        ...

    def read_alleles(self, key: str, contig: str, start: int, end: int) -> pl.DataFrame:
        """Return `pos`, `ref`, `alt`, `llr_fwd`, `llr_rev`, likewise."""
        ...

    def rows_of(self, key: str, kind: Kind, keys: pl.DataFrame) -> pl.DataFrame:
        """Return the rows that `keys` names: `contig` and the columns of the kind's key."""
        ...


@dataclass(frozen=True)
class Model:
    """A model's name in the columns, its key in the store, and what ranks its LLRs, if anything."""

    name: str
    key: str
    percentiles: Percentiles | None = None


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
    """

    consequences: Beside | None = None
    info: Beside | None = None
    tracks: Sequence[Track] = ()

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns besides those that every annotated table has."""
        carried = self.info.table.columns if self.info else ()
        return (*carried, *(column for track in self.tracks for column in track.columns))


NOTHING = Sources()


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
    table = annotated((model.name for model in models), sources.columns)
    beside = [source for source in (sources.consequences, sources.info) if source]
    nothing = [] if sources.consequences else _nulls(CONSEQUENCES)
    for piece in pieces(variants, beside):
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
        columns = [column for group in (*of_tracks, *scores) for column in group]
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


def score_columns(
    piece: pl.DataFrame, store: ScoreSource, model: Model, contig: str
) -> list[pl.Series]:
    """Return the model's score columns for the rows of a piece, float32, in the rows' order.

    Parameters
    ----------
    piece : polars.DataFrame
        Rows of `schemas.VARIANTS` on one contig, sorted by `pos`.
    contig : str
        What the contig's scores are stored as.
    """
    start, end = int(piece["pos"][0]), int(piece["pos"][-1])
    return _score_columns(
        piece,
        model,
        lambda _: store.read_sites(model.key, contig, start, end),
        lambda _: store.read_alleles(model.key, contig, start, end),
        [],
    )


def mixed_score_columns(
    piece: pl.DataFrame, store: ScoreSource, model: Model, digests: pl.Series
) -> list[pl.Series]:
    """Return the model's score columns for rows on several contigs; as `score_columns`.

    Parameters
    ----------
    digests : polars.Series
        String, shape (rows,): that of each row's contig.
    """

    def read(kind: Kind) -> Callable[[pl.DataFrame], pl.DataFrame]:
        def rows_of(keys: pl.DataFrame) -> pl.DataFrame:
            named = keys.select(pl.col("digest").alias("contig"), *kind.key)
            return store.rows_of(model.key, kind, named.unique()).rename({"contig": "digest"})

        return rows_of

    return _score_columns(
        piece.with_columns(digests.alias("digest")),
        model,
        read(KINDS["sites"]),
        read(KINDS["alleles"]),
        ["digest"],
    )


def _score_columns(
    piece: pl.DataFrame,
    model: Model,
    sites: Callable[[pl.DataFrame], pl.DataFrame],
    alleles: Callable[[pl.DataFrame], pl.DataFrame],
    contig: list[str],
) -> list[pl.Series]:
    """Return score columns, given what reads the rows of the store that some keys ask for.

    `contig` has the key's column for it, where the rows of the store have one.
    """
    values = {name: np.full(piece.height, np.nan) for name, _ in SCORE_COLUMNS}
    snv = (piece["kind"] == "snv").to_numpy()
    if snv.any():
        rows = piece.filter(snv)
        keys = rows.select(*contig, "pos", "ref", "alt")
        joined = keys.join(sites(keys), on=[*contig, "pos"], how="left", maintain_order="left")
        _check_found(joined, LOGIT_COLUMNS[0], model, rows)
        logits = formulas.site_logits(joined)
        ref = formulas.base_index(_first_letters(joined["ref"]))
        alt = formulas.base_index(_first_letters(joined["alt"]))
        for name, column in vars(formulas.snv_scores(logits, ref, alt)).items():
            values[name][snv] = column
    if not snv.all():
        rows = piece.filter(~snv)
        keys = rows.select(*contig, "pos", "ref", "alt")
        joined = keys.join(alleles(keys), on=keys.columns, how="left", maintain_order="left")
        _check_found(joined, "llr_fwd", model, rows)
        by_strand = joined.select("llr_fwd", "llr_rev").fill_null(np.nan).to_numpy()
        values["llr"][~snv] = formulas.strand_mean(by_strand)
        values["llr_fwd"][~snv] = by_strand[:, 0]
        values["llr_rev"][~snv] = by_strand[:, 1]
    _check_numbers(values["llr"], model, piece)
    if model.percentiles is not None:
        values["percentile"] = model.percentiles(values["llr"])
    return [
        pl.Series(f"{model.name}_{name}", column, dtype=pl.Float32).fill_nan(None)
        for name, column in values.items()
    ]


def _first_letters(alleles: pl.Series) -> np.ndarray:
    """Return one-letter strings as uint8 ASCII, shape (n,)."""
    return np.frombuffer("".join(alleles.to_list()).encode("ascii"), dtype=np.uint8)


def _check_found(joined: pl.DataFrame, column: str, model: Model, rows: pl.DataFrame) -> None:
    missing = joined[column].is_null()
    if missing.any():
        first = rows.filter(missing).row(0, named=True)
        raise LookupError(
            f"{int(missing.sum())} scores of model {model.name} are not in the store, the first "
            f"of {first['contig']}:{first['pos']} {first['ref']}>{first['alt']}"
        )


def _check_numbers(llr: np.ndarray, model: Model, rows: pl.DataFrame) -> None:
    """Refuse what would become a null or an infinite score, shape (rows,)."""
    wrong = ~np.isfinite(llr)
    if wrong.any():
        first = rows.row(int(wrong.argmax()), named=True)
        raise LookupError(
            f"{int(wrong.sum())} scores of model {model.name} in the store are no finite numbers, "
            f"the first of {first['contig']}:{first['pos']} {first['ref']}>{first['alt']}"
        )

"""The store's scores of a piece of alleles, as columns of the annotated table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import polars as pl

from varlm.annotation.mutation_calibration import MutationCalibration
from varlm.annotation.transcript_strands import strand_column, strands
from varlm.scoring import formulas
from varlm.scoring.background import Percentiles
from varlm.store.layout import KINDS, Kind
from varlm.tables import score_kinds
from varlm.tables.schemas import LOGIT_COLUMNS
from varlm.tables.score_kinds import ScoreKind


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
    """A model's name in the columns, its key in the store, what ranks its scores, and their kind.

    Without `percentiles` nothing does. `calibration` is there where the kind is calibrated by the
    mutation context. `constant` brings dense numbers to the scale of masked ones
    (`formulas.on_masked_scale`); it is 0 of others.
    """

    name: str
    key: str
    percentiles: Percentiles | None = None
    kind: ScoreKind = formulas.MASKED
    constant: float = 0.0
    calibration: MutationCalibration | None = None


def score_columns(
    piece: pl.DataFrame, store: ScoreSource, model: Model, contig: str
) -> list[pl.Series]:
    """Return the model's score columns for the rows of a piece, float32, in the rows' order.

    Behind those of a model of the transcript's strand, a String column says which that is.

    Parameters
    ----------
    piece : polars.DataFrame
        Rows of `schemas.VARIANTS` on one contig, sorted by `pos`, with their consequences.
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

    `contig` has the key's column for it, where the rows of the store have one. What the kind of
    score is not defined for is null.
    """
    kind = model.kind
    values = {name: np.full(piece.height, np.nan) for name, _ in score_kinds.score_columns(kind)}
    strand = strands(piece) if kind.strands == "transcript" else None
    snv = (piece["kind"] == "snv").to_numpy()
    if snv.any():
        rows = piece.filter(snv)
        keys = rows.select(*contig, "pos", "ref", "alt")
        joined = keys.join(sites(keys), on=[*contig, "pos"], how="left", maintain_order="left")
        _check_found(joined, LOGIT_COLUMNS[0], model, rows)
        ref = formulas.base_index(_first_letters(joined["ref"]))
        numbers = formulas.on_masked_scale(formulas.site_logits(joined), ref, model.constant)
        alt = formulas.base_index(_first_letters(joined["alt"]))
        chosen = None if strand is None else strand[snv]
        for name, column in formulas.snv_scores(numbers, ref, alt, kind, chosen).items():
            values[name][snv] = column
    if not snv.all() and kind.alleles is not None:
        rows = piece.filter(~snv)
        keys = rows.select(*contig, "pos", "ref", "alt")
        joined = keys.join(alleles(keys), on=keys.columns, how="left", maintain_order="left")
        _check_found(joined, "llr_fwd", model, rows)
        by_strand = joined.select("llr_fwd", "llr_rev").fill_null(np.nan).to_numpy()
        chosen = None if strand is None else strand[~snv]
        for name, column in formulas.by_column(kind, by_strand, chosen).items():
            values[name][~snv] = column
    scores = values[kind.column]
    defined = snv if kind.alleles is None else np.ones_like(snv)
    _check_numbers(scores[defined], model, piece.filter(defined))
    if model.calibration is not None and snv.any():
        calibrated = model.calibration(piece.filter(snv), scores[snv])
        values[kind.calibrated_column][snv] = calibrated
    if model.percentiles is not None:
        values["percentile"] = model.percentiles(scores)
    columns = [
        pl.Series(f"{model.name}_{name}", column, dtype=pl.Float32).fill_nan(None)
        for name, column in values.items()
    ]
    if strand is not None:
        columns.append(strand_column(model.name, strand, defined))
    return columns


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


def _check_numbers(scores: np.ndarray, model: Model, rows: pl.DataFrame) -> None:
    """Refuse what would become a null or an infinite score, shape (rows,)."""
    wrong = ~np.isfinite(scores)
    if wrong.any():
        first = rows.row(int(wrong.argmax()), named=True)
        raise LookupError(
            f"{int(wrong.sum())} scores of model {model.name} in the store are no finite numbers, "
            f"the first of {first['contig']}:{first['pos']} {first['ref']}>{first['alt']}"
        )

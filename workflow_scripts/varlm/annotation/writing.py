"""The annotated table on disk: every allele, and what its numbers come from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import polars as pl

from varlm import __version__
from varlm.annotation.joined_scores import scores_metadata
from varlm.annotation.mutation_calibration import MutationCalibration
from varlm.annotation.scores import Model
from varlm.annotation.table import Sources, annotate, annotated_table
from varlm.errors import UserError
from varlm.files.whole import write_digest
from varlm.genome.reference import Genome
from varlm.models.prepared import PreparedModel
from varlm.scoring.background import Percentiles
from varlm.scoring.lost_rows import lost_rows_told
from varlm.store import Store
from varlm.tables.parquet import Table, meanings, write_pieces
from varlm.tables.schemas import ALLELES_SCORED, CONSEQUENCES_CALLED, MODEL_ABOUT

_NONE: Mapping[str, float] = MappingProxyType({})


def write_annotated(
    variants: Path,
    genome: Genome,
    store: Store,
    models: Sequence[tuple[PreparedModel, Percentiles | None]],
    sources: Sources,
    path: Path,
    constants: Mapping[str, float] = _NONE,
    calibrations: Mapping[str, MutationCalibration] = MappingProxyType({}),
) -> int:
    """Write `annotated.parquet` and its digest; return its rows.

    The rows are those of `variants`, in their order. The Parquet metadata says which models the
    scores are of, and what each column means.

    Parameters
    ----------
    variants : Path
        `schemas.VARIANTS`.
    models : sequence of tuple
        Each model, and what ranks its scores, if anything.
    constants : mapping
        Model → what brings its dense numbers to the scale of masked ones; none of others.
    calibrations : mapping
        Model → what calibrates its scores by mutation context; none of others.

    Raises
    ------
    UserError
        If the store lacks a score, rows were lost on the way, or two columns have one name.
    """
    scored = [
        Model(
            model.name,
            model.key,
            ranks,
            replace(model.kind, calibrated=model.name in calibrations),
            constants.get(model.name, 0.0),
            calibrations.get(model.name),
        )
        for model, ranks in models
    ]
    table = annotated_table(scored, sources)
    rows = annotate(variants, genome, store, scored, sources)
    metadata = _metadata([model for model, _ in models], constants, sources, table)
    with lost_rows_told(store.root):
        count = write_pieces(rows, path, table, metadata)
    check_count(path, count, variants)
    write_digest(path)
    return count


def check_count(path: Path, count: int, variants: Path) -> None:
    """Raise `UserError` unless a table was written with as many rows as `variants` has."""
    expected = pl.scan_parquet(variants).select(pl.len()).collect().item()
    if count != expected:
        raise UserError(
            f"{path}: {count} rows written of {expected} in {variants}; the disk may be failing: "
            "run again"
        )


def _metadata(
    models: Sequence[PreparedModel],
    constants: Mapping[str, float],
    sources: Sources,
    table: Table,
) -> dict[str, str]:
    return {
        "varlm": __version__,
        CONSEQUENCES_CALLED: "yes" if sources.consequences else "no",
        **{
            f"{MODEL_ABOUT}{model.name}": json.dumps(_about(model, constants.get(model.name)))
            for model in models
        },
        **scores_metadata([joined.table for joined in sources.scores]),
        **meanings(table),
    }


def _about(model: PreparedModel, constant: float | None) -> dict[str, Any]:
    unscored = {} if model.kind.alleles else {ALLELES_SCORED: None}
    scale = {"constant": constant} if constant else {}
    return {**model.provenance(), **scale, "files": model.files, **unscored}

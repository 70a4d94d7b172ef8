"""Join a cohort's alleles with the store's scores."""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path

import polars as pl

from varlm import __version__
from varlm.annotation import Model, annotate
from varlm.background import Percentiles
from varlm.errors import UserError
from varlm.reference import Genome
from varlm.schemas import (
    BACKGROUND,
    annotated,
    check_digest,
    read_table,
    write_digest,
    write_pieces,
)
from varlm.store import Store

log = logging.getLogger("varlm")

# What the Parquet metadata says of each model.
_PROVENANCE = ("path", "revision", "key", "window", "strands", "precision", "files")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the step's options."""
    parser.add_argument("--variants", type=Path, required=True, help="variants.parquet")
    parser.add_argument("--reference", type=Path, required=True, help="the reference folder")
    parser.add_argument("--store", type=Path, required=True, help="folder of the score store")
    parser.add_argument(
        "--model", type=Path, action="append", required=True, help="models/{model}.json; repeat"
    )
    parser.add_argument(
        "--background", type=Path, action="append", required=True, help="of each model, in order"
    )
    parser.add_argument("--annotated", type=Path, required=True, help="output table")


def run(args: argparse.Namespace) -> None:
    """Write `annotated.parquet`; its rows are those of `variants.parquet`, in their order."""
    described = [json.loads(path.read_text()) for path in args.model]
    check_digest(args.variants)
    models = [
        Model(entry["name"], entry["key"], _percentiles(background))
        for entry, background in zip(described, args.background, strict=True)
    ]
    table = annotated(model.name for model in models)
    rows = annotate(args.variants, Genome.open(args.reference), Store(args.store), models)

    metadata = {
        "varlm": __version__,
        **{
            f"varlm.model.{entry['name']}": json.dumps({k: entry[k] for k in _PROVENANCE})
            for entry in described
        },
        **{f"varlm.column.{column.name}": column.meaning for column in table.columns},
    }
    try:
        count = write_pieces(rows, args.annotated, table, metadata)
    except LookupError as error:
        raise UserError(
            f"{args.store}: {error}: rows were lost since the plan; run the workflow again with "
            "--forcerun plan"
        ) from error
    expected = pl.scan_parquet(args.variants).select(pl.len()).collect().item()
    if count != expected:
        raise UserError(
            f"{args.annotated}: {count} rows written of {expected} in {args.variants}; "
            "the disk may be failing: run again"
        )
    write_digest(args.annotated)
    log.info("%s: %d alleles, models %s", args.annotated, count, ", ".join(m.name for m in models))


def _percentiles(path: Path) -> Percentiles | None:
    background = read_table(path, BACKGROUND)
    return Percentiles(background["llr"].to_numpy()) if background.height else None

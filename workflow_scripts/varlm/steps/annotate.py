"""Join a cohort's alleles with the store's scores."""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
from polars.io.plugins import register_io_source

from varlm import __version__
from varlm.annotation import ROWS, Model, annotate
from varlm.errors import UserError
from varlm.reference import Genome
from varlm.schemas import annotated, atomic_path
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
    parser.add_argument("--annotated", type=Path, required=True, help="output table")


def run(args: argparse.Namespace) -> None:
    """Write `annotated.parquet`; its rows are those of `variants.parquet`, in their order."""
    described = [json.loads(path.read_text()) for path in args.model]
    models = [Model(entry["name"], entry["key"]) for entry in described]
    table = annotated(model.name for model in models)
    rows = annotate(args.variants, Genome.open(args.reference), Store(args.store), models)

    failure: list[Exception] = []

    def source(*_: Any) -> Iterator[pl.DataFrame]:
        # Polars asks for all columns and rows here, for nothing is selected before the sink.
        try:
            yield from rows
        except Exception as error:
            failure.append(error)  # Polars wraps it in an error of its own
            raise

    metadata = {
        "varlm": __version__,
        **{
            f"varlm.model.{entry['name']}": json.dumps({k: entry[k] for k in _PROVENANCE})
            for entry in described
        },
        **{f"varlm.column.{column.name}": column.meaning for column in table.columns},
    }
    with atomic_path(args.annotated) as temporary:
        try:
            register_io_source(source, schema=table.schema).sink_parquet(
                temporary,
                compression="zstd",
                compression_level=3,
                row_group_size=ROWS,
                maintain_order=True,
                metadata=metadata,
            )
        except pl.exceptions.PolarsError:
            if failure:
                raise failure[0] from None
            raise
        count = [
            pl.scan_parquet(path).select(pl.len()).collect().item()
            for path in (args.variants, temporary)
        ]
        if count[0] != count[1]:
            raise UserError(
                f"{args.annotated}: {count[1]} rows written of {count[0]} in {args.variants}; "
                "the disk may be failing: run again"
            )
    log.info(
        "%s: %d alleles, models %s", args.annotated, count[0], ", ".join(m.name for m in models)
    )

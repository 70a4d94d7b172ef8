"""Join a cohort's alleles with the store's scores, consequences, INFO fields and tracks."""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path

import polars as pl

from varlm import __version__
from varlm.annotation.bigwigs import BigWigColumns
from varlm.annotation.info_fields import read_info_table
from varlm.annotation.intervals import IntervalColumns
from varlm.annotation.table import Beside, Model, Sources, Track, annotate
from varlm.errors import UserError
from varlm.files.whole import check_digest, write_digest
from varlm.genome.contig_names import ContigNames
from varlm.genome.reference import Genome
from varlm.models.prepared import PreparedModel
from varlm.scoring.background import Percentiles
from varlm.store import Store
from varlm.tables.parquet import meanings, read_table, write_pieces
from varlm.tables.schemas import BACKGROUND, CONSEQUENCES, CONSEQUENCES_CALLED, annotated

log = logging.getLogger("varlm")


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
    parser.add_argument("--consequences", type=Path, help="consequences.parquet")
    parser.add_argument("--info", type=Path, help="info.parquet")
    parser.add_argument(
        "--interval", action="append", default=[], metavar="NAME=BED", help="a BED file; repeat"
    )
    parser.add_argument(
        "--bigwig", action="append", default=[], metavar="NAME=FILE", help="a bigWig; repeat"
    )
    parser.add_argument("--aliases", type=Path, help="contig aliases")
    parser.add_argument("--annotated", type=Path, required=True, help="output table")


def run(args: argparse.Namespace) -> None:
    """Write `annotated.parquet`; its rows are those of `variants.parquet`, in their order."""
    prepared = [*map(PreparedModel.read, args.model)]
    for path in filter(None, (args.variants, args.consequences, args.info)):
        check_digest(path)
    models = [
        Model(model.name, model.key, _percentiles(background))
        for model, background in zip(prepared, args.background, strict=True)
    ]
    genome = Genome.open(args.reference)
    sources = _sources(args, genome)
    table = annotated((model.name for model in models), sources.columns)
    rows = annotate(args.variants, genome, Store(args.store), models, sources)

    metadata = {
        "varlm": __version__,
        CONSEQUENCES_CALLED: "yes" if args.consequences else "no",
        **{
            f"varlm.model.{model.name}": json.dumps({**model.provenance(), "files": model.files})
            for model in prepared
        },
        **meanings(table),
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


def _sources(args: argparse.Namespace, genome: Genome) -> Sources:
    """Open what the table is made of besides the alleles and the store."""
    names = ContigNames.of(genome.lengths, args.aliases)
    tracks: list[Track] = []
    for entry in args.interval:
        name, _, path = entry.partition("=")
        tracks.append(IntervalColumns(name, Path(path), names, f"annotate.intervals.{name}"))
    for entry in args.bigwig:
        name, _, path = entry.partition("=")
        tracks.append(BigWigColumns(name, Path(path), names, f"annotate.bigwigs.{name}"))
    return Sources(
        Beside(args.consequences, CONSEQUENCES) if args.consequences else None,
        Beside(args.info, read_info_table(args.info)) if args.info else None,
        tracks,
    )


def _percentiles(path: Path) -> Percentiles | None:
    background = read_table(path, BACKGROUND)
    return Percentiles(background["llr"].to_numpy()) if background.height else None

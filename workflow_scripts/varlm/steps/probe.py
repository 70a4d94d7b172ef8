"""Predict labels from embeddings, and from the sequence alone, over folds of chromosomes."""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
from typing import Any

import polars as pl

from varlm.errors import UserError
from varlm.probing.parts import open_embeddings
from varlm.probing.record import CNN, FoldRecord, ProbeRun, predictions_table
from varlm.probing.running import Probed, ProbeSettings, run_probes, same_rows
from varlm.probing.units import Codes, overlap_units
from varlm.tables.parquet import write_table

log = logging.getLogger("varlm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the step's options."""
    parser.add_argument("--name", required=True, help="the probe's name in the config")
    parser.add_argument(
        "--embeddings",
        action="append",
        required=True,
        metavar="MODEL=FOLDER",
        help="what embed wrote; repeat",
    )
    parser.add_argument("--settings", required=True, help="how it is probed, JSON")
    parser.add_argument("--threads", type=int, default=1, help="processor cores to use")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--predictions", type=Path, required=True, help="output: Parquet")
    parser.add_argument("--fits", type=Path, required=True, help="output: how they came about")


def run(args: argparse.Namespace) -> None:
    """Write the predictions of all probes, and how each was fitted."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    folders = dict(pair.partition("=")[::2] for pair in args.embeddings)
    embeddings = {name: open_embeddings(Path(folder)) for name, folder in folders.items()}
    options = json.loads(args.settings)
    label, folds_by = options.pop("label"), options.pop("folds")
    settings = ProbeSettings(**options)
    device = _device(settings, args)
    try:
        with threadpool_limits(args.threads):
            probed = run_probes(embeddings, settings, device)
    except UserError as error:
        raise UserError(f"probe.{args.name}: {error}") from error
    rows = same_rows(embeddings)
    record = next(iter(embeddings.values())).record
    columns = [fit.column for fit in probed.fits]
    units = overlap_units(rows, probed.folds.codes)
    write_table(_predictions(rows, probed, units), args.predictions, predictions_table(columns))
    ProbeRun(
        probe=args.name,
        label=label,
        classes=settings.classes,
        kind=record.kind,
        rows=rows.height,
        length=record.length,
        positives=int((rows["label"] == 1).sum()) if settings.classes else None,
        left_out=record.left_out,
        folds_by=folds_by,
        folds=tuple(
            FoldRecord(names=names, rows=probed.folds.held(fold).size)
            for fold, names in enumerate(probed.folds.names)
        ),
        fits=tuple(probed.fits),
        units=int(units.max()) + 1,
        flanks=record.flanks,
    ).write(args.fits)


def _device(settings: ProbeSettings, args: argparse.Namespace) -> str:
    """Return where networks are fitted, as torch names it; torch is imported for them alone."""
    if CNN not in settings.probes:
        return "cpu"
    import torch

    from varlm.scoring.batch_size import take_device

    torch.set_num_threads(args.threads)
    return str(take_device(args.device))


def _predictions(rows: pl.DataFrame, probed: Probed, units: Codes) -> pl.DataFrame:
    columns: dict[str, Any] = {
        fit.column: values for fit, values in zip(probed.fits, probed.predictions, strict=True)
    }
    held_out = pl.Series("held_out", probed.folds.codes, pl.UInt32)
    unit = pl.Series("unit", units, pl.UInt32)
    return rows.select("row", "fold", held_out, unit, "label").with_columns(**columns)

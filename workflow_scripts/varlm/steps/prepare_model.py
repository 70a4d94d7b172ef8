"""Find the checkpoint, hash its files, and derive its key in the store; no weight is loaded."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from varlm.models import download, preparing
from varlm.models.prepared import PRECISIONS

log = logging.getLogger("varlm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the step's options."""
    parser.add_argument("--name", required=True, help="the model's name in the config")
    parser.add_argument("--path", required=True, help="checkpoint folder or hub id")
    parser.add_argument("--revision", help="commit hash of a hub id")
    parser.add_argument("--window", type=int, required=True, help="window in bp")
    parser.add_argument("--strands", choices=["both", "forward"], required=True)
    parser.add_argument("--precision", choices=PRECISIONS, required=True)
    parser.add_argument("--model", type=Path, required=True, help="output: the model's JSON")


def run(args: argparse.Namespace) -> None:
    """Write the JSON that `plan`, `score` and `annotate` identify the model by."""
    folder = download.resolve(args.path, args.revision)
    model = preparing.prepare(
        folder,
        name=args.name,
        path=args.path,
        revision=args.revision,
        window=args.window,
        strands=args.strands,
        precision=args.precision,
    )
    model.write(args.model)
    log.info("model %s: %s in %s, key %s", model.name, model.model_type, folder, model.key)

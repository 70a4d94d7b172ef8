"""Find the checkpoint, hash its files, and derive its key in the store; no weight is loaded."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import get_args

from varlm.models import download, preparing
from varlm.models.prepared import PRECISIONS, Strands
from varlm.run.model_families import FAMILIES
from varlm.run.model_settings import PUBLISHED
from varlm.tables.score_kinds import SCORE_KINDS

log = logging.getLogger("varlm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the step's options."""
    parser.add_argument("--name", required=True, help="the model's name in the config")
    parser.add_argument("--path", required=True, help="checkpoint folder or hub id")
    parser.add_argument("--revision", help="commit hash of a hub id")
    parser.add_argument("--window", required=True, help="window in bp, or published")
    strands = [*get_args(Strands), PUBLISHED]
    parser.add_argument("--strands", choices=strands, required=True)
    parser.add_argument("--family", choices=FAMILIES, help="where config.json does not tell")
    parser.add_argument("--score", choices=SCORE_KINDS, help="kind of score; the published one")
    parser.add_argument(
        "--option", action="append", default=[], metavar="NAME=VALUE", help="of the family; repeat"
    )
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
        window=None if args.window == PUBLISHED else int(args.window),
        strands=None if args.strands == PUBLISHED else args.strands,
        family=args.family,
        score=args.score,
        options=dict(option.split("=", 1) for option in args.option),
        precision=args.precision,
    )
    model.write(args.model)
    log.info(
        "model %s: %s in %s; score %s, window %d bp, strands %s; key %s",
        model.name,
        model.known_as.title,
        folder,
        model.kind.name,
        model.window,
        model.strands,
        model.key,
    )

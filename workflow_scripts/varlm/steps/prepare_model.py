"""Find the checkpoint, hash its files, and derive its key in the store; no weight is loaded."""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path

from varlm.files.whole import atomic_path
from varlm.models import checkpoint, download

log = logging.getLogger("varlm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the step's options."""
    parser.add_argument("--name", required=True, help="the model's name in the config")
    parser.add_argument("--path", required=True, help="checkpoint folder or hub id")
    parser.add_argument("--revision", help="commit hash of a hub id")
    parser.add_argument("--window", type=int, required=True, help="window in bp")
    parser.add_argument("--strands", choices=["both", "forward"], required=True)
    parser.add_argument("--precision", choices=checkpoint.PRECISIONS, required=True)
    parser.add_argument("--model", type=Path, required=True, help="output: the model's JSON")


def run(args: argparse.Namespace) -> None:
    """Write the JSON that `plan`, `score` and `annotate` identify the model by."""
    folder = download.resolve(args.path, args.revision)
    files = checkpoint.describe(folder)
    key = checkpoint.model_key(
        files, window=args.window, strands=args.strands, precision=args.precision
    )
    model = {
        "name": args.name,
        "path": args.path,
        "revision": args.revision,
        "folder": str(folder.resolve()),
        "model_type": files.model_type,
        "files": files.files,
        "window": args.window,
        "strands": args.strands,
        "precision": args.precision,
        "scoring_version": checkpoint.SCORING_VERSION,
        "key": key,
    }
    with atomic_path(args.model) as temporary:
        temporary.write_text(json.dumps(model, indent=2) + "\n")
    log.info("model %s: %s in %s, key %s", args.name, files.model_type, folder, key)

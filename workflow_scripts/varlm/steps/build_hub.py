"""Make the folder of tracks ready for UCSC, IGV and JBrowse 2."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from varlm.files.whole import atomic_path
from varlm.models.prepared import PreparedModel
from varlm.tracks.hub import build_hub

log = logging.getLogger("varlm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the step's options."""
    parser.add_argument(
        "--model", type=Path, action="append", required=True, help="models/{model}.json; repeat"
    )
    parser.add_argument("--reference", type=Path, required=True, help="the reference folder")
    parser.add_argument("--genome", help="UCSC's name of the assembly, such as hg38")
    parser.add_argument(
        "--tracks", type=Path, required=True, help="folder of all tracks; the files go there"
    )


def run(args: argparse.Namespace) -> None:
    """Write hub.txt, igv_session.xml, config.json and README.txt beside the models' folders."""
    names = [PreparedModel.read(path).name for path in args.model]
    files = build_hub(args.tracks, names, args.reference, args.genome)
    for name, text in files.items():
        with atomic_path(args.tracks / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    log.info("%s: %s", args.tracks, ", ".join(files))

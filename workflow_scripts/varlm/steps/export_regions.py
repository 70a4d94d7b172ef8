"""Write the annotated table of the regions as TSV."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from varlm.files.whole import check_digest
from varlm.results.export import export_tsv
from varlm.run import environment

log = logging.getLogger("varlm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the step's options."""
    parser.add_argument("--annotated", type=Path, required=True, help="annotated.parquet")
    parser.add_argument("--model", action="append", default=[], help="model name; repeat")
    parser.add_argument("--tsv", type=Path, required=True, help="output .tsv.gz")


def run(args: argparse.Namespace) -> None:
    """Write the file and its index."""
    check_digest(args.annotated)
    rows = export_tsv(args.annotated, args.model, args.tsv, environment.index_kind())
    log.info("%s: %d alleles", args.tsv, rows)

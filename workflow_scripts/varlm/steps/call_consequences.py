"""Tell what a cohort's alleles do to genes and transcripts."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from varlm.annotation.genes.annotation import Annotation
from varlm.annotation.genes.calling import write_consequences
from varlm.files.whole import check_digest
from varlm.genome.reference import Genome

log = logging.getLogger("varlm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the step's options."""
    parser.add_argument("--variants", type=Path, required=True, help="variants.parquet")
    parser.add_argument("--reference", type=Path, required=True, help="the reference folder")
    parser.add_argument("--annotation", type=Path, required=True, help="folder of index_annotation")
    parser.add_argument("--upstream", type=int, required=True, help="bp before a transcript")
    parser.add_argument("--downstream", type=int, required=True, help="bp after a transcript")
    parser.add_argument("--consequences", type=Path, required=True, help="output table")


def run(args: argparse.Namespace) -> None:
    """Write `consequences.parquet`; its rows are those of `variants.parquet`, in their order."""
    check_digest(args.variants)
    genome, annotation = Genome.open(args.reference), Annotation.open(args.annotation)
    count = write_consequences(
        args.variants, genome, annotation, args.upstream, args.downstream, args.consequences
    )
    log.info("%s: %d alleles", args.consequences, count)

"""Read the gene annotation once, in whatever dialect, for calling consequences."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from varlm.annotation.genes.indexing import index_annotation
from varlm.genome.reference import Genome

log = logging.getLogger("varlm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the step's options."""
    parser.add_argument(
        "--annotation", type=Path, required=True, help="GFF3 or GTF; plain, gzip or bgzip"
    )
    parser.add_argument("--reference", type=Path, required=True, help="the reference folder")
    parser.add_argument("--aliases", type=Path, help="contig aliases or NCBI assembly report")
    parser.add_argument(
        "--genetic-codes",
        action="append",
        default=[],
        metavar="CONTIG=N",
        help="NCBI genetic code of a contig, for example Mito=3, or of all: default=11; repeat",
    )
    parser.add_argument(
        "--circular",
        action="append",
        default=[],
        metavar="CONTIG",
        help="a contig of the reference that is circular; repeat",
    )
    parser.add_argument("--out", type=Path, required=True, help="output folder")


def run(args: argparse.Namespace) -> None:
    """Write the tables of gene models, the GFF3 that csq reads, and `annotation.json`."""
    summary = index_annotation(
        args.annotation,
        Genome.open(args.reference),
        args.out,
        args.aliases,
        args.genetic_codes,
        args.circular,
    )
    log.info(
        "%s: %s, %d genes, %d transcripts, %d of them with coding calls",
        args.annotation,
        *(summary[key] for key in ("dialect", "genes", "transcripts", "coding_transcripts")),
    )

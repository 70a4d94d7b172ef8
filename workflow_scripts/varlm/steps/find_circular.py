"""Find out which contigs are circular, for the windows of the scores."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from varlm.annotation.genes.circular import annotated_circular
from varlm.errors import first_few
from varlm.genome.circular import FILE, CircularContigs
from varlm.genome.contig_names import ContigNames
from varlm.genome.reference import Genome
from varlm.genome.regions import named_circular

log = logging.getLogger("varlm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the step's options."""
    parser.add_argument("--reference", type=Path, required=True, help="the reference folder")
    parser.add_argument("--annotation", type=Path, help="GFF3 whose Is_circular=true counts")
    parser.add_argument("--contig", action="append", default=[], help="a circular contig; repeat")
    parser.add_argument("--aliases", type=Path, help="contig aliases or NCBI assembly report")


def run(args: argparse.Namespace) -> None:
    """Write `circular.json` into the reference folder; it names no contig where none is."""
    names = ContigNames.of(Genome.open(args.reference).lengths, args.aliases)
    contigs = named_circular(args.contig, names)
    if args.annotation is not None:
        contigs |= annotated_circular(args.annotation, names)
    CircularContigs(contigs=contigs).write(args.reference / FILE)
    if contigs:
        circular = [f"{contig} ({why})" for contig, why in contigs.items()]
        log.info("circular, so that windows go on over the origin: %s", first_few(circular, 10))
    else:
        log.info("no contig is circular")

"""List every possible SNV of regions, of contigs or of the genome, or at random sites there."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from varlm.files.whole import write_digest
from varlm.genome.contig_names import ContigNames
from varlm.genome.reference import Genome
from varlm.genome.regions import Regions, read_regions, whole_contigs
from varlm.genome.sites import Area, Sample, Sites
from varlm.tables.parquet import write_pieces
from varlm.tables.schemas import VARIANTS
from varlm.variants.saturation import Saturation

log = logging.getLogger("varlm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the step's options."""
    parser.add_argument("--cohort", required=True, help="name, for messages and the accounting")
    parser.add_argument("--reference", type=Path, required=True, help="folder of index_reference")
    area = parser.add_mutually_exclusive_group(required=True)
    area.add_argument("--bed", type=Path, help="BED file")
    area.add_argument("--contig", action="append", help="a whole contig; may be given again")
    area.add_argument("--all-contigs", action="store_true", help="the whole genome")
    parser.add_argument("--aliases", type=Path, help="contig aliases or NCBI assembly report")
    parser.add_argument("--sample", type=int, help="draw so many random sites")
    parser.add_argument("--seed", type=int, default=0, help="another one draws other sites")
    parser.add_argument("--variants", type=Path, required=True, help="output table")
    parser.add_argument("--accounting", type=Path, required=True, help="output .json")


def run(args: argparse.Namespace) -> None:
    """Write the table, its digest, and `accounting` last."""
    genome = Genome.open(args.reference)
    area = Area(genome, _regions(args, genome))
    sites: Sites = area if args.sample is None else Sample(area, args.sample, args.seed)
    saturation = Saturation(sites)
    write_pieces(saturation.pieces(), args.variants, VARIANTS)
    write_digest(args.variants)
    accounting = saturation.accounting(args.cohort, args.bed)
    accounting.write(args.accounting)
    log.info(
        "%d bp on %d contigs; %d of them A, C, G or T; %d sites, %d alleles",
        area.bases_in,
        len(area.by_contig),
        area.count,
        sites.count,
        accounting.accepted,
    )


def _regions(args: argparse.Namespace, genome: Genome) -> Regions:
    names = ContigNames.of(genome.lengths, args.aliases)
    if args.bed is not None:
        return read_regions(args.bed, names, "regions")
    return whole_contigs(
        genome.names if args.all_contigs else args.contig, names, "regions.contigs"
    )

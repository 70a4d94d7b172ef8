"""Score the sites around a cohort's top hits, for the sequence logos of its report."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from varlm.files.whole import check_digest
from varlm.genome.reference import Genome
from varlm.models.prepared import PreparedModel
from varlm.report.picture_sites import Positions, hit_positions, picture_sites
from varlm.results.top_hits import pictured, top_hits
from varlm.steps.options import add_hardware_options, hardware
from varlm.store import Store
from varlm.tables.parquet import write_table
from varlm.tables.schemas import PICTURES, read_annotated_table
from varlm.variants.accounting import Accounting

log = logging.getLogger("varlm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the step's options."""
    parser.add_argument("--annotated", type=Path, required=True, help="annotated.parquet")
    parser.add_argument("--accounting", type=Path, required=True, help="accounting.json")
    parser.add_argument("--reference", type=Path, required=True, help="the reference folder")
    parser.add_argument("--model", type=Path, required=True, help="models/{model}.json")
    parser.add_argument(
        "--name", action="append", required=True, help="each model of the annotated table"
    )
    parser.add_argument("--store", type=Path, required=True, help="folder of the score store")
    parser.add_argument("--pictures", type=int, required=True, help="hits to picture")
    parser.add_argument("--flank", type=int, required=True, help="positions on each side")
    parser.add_argument("--sites", type=Path, required=True, help="output: site logits")
    add_hardware_options(parser)


def run(args: argparse.Namespace) -> None:
    """Write the logits of every position that a logo shows; score those the store lacks.

    A model whose score gives A, C, G, T no probabilities has no logos, and is not loaded.
    """
    chosen = hardware(args)
    model = PreparedModel.read(args.model)
    if not model.kind.distribution:
        write_table(PICTURES.empty(), args.sites, PICTURES)
        log.info("model %s: no logos, for its score is %s", model.name, model.kind.title)
        return
    check_digest(args.annotated)
    read_annotated_table(args.annotated, args.name)
    contigs = Accounting.read(args.accounting).contig_of_chrom
    genome, store = Genome.open(args.reference), Store(args.store)
    wanted: Positions = {}
    if args.pictures:
        hits = top_hits(args.annotated, [model.name], args.pictures)[model.name]
        wanted = hit_positions(pictured(hits, args.pictures), contigs, genome, args.flank)
    pictures = picture_sites(wanted, genome, store, model, chosen)
    write_table(pictures.sites, args.sites, PICTURES)
    log.info(
        "model %s: %d sites around top hits, %d of them in the store",
        model.name,
        pictures.sites.height,
        pictures.from_store,
    )

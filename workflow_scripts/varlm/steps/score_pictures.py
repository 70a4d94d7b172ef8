"""Score the sites around a cohort's top hits, for the sequence logos of its report."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from varlm.files.whole import check_digest
from varlm.genome.reference import Genome
from varlm.models.prepared import PreparedModel
from varlm.report.picture_sites import hit_positions, on_masked_scale
from varlm.results.top_hits import pictured, top_hits
from varlm.scoring.dense_scale import constants
from varlm.scoring.stored_sites import Positions, sites_through_store
from varlm.steps.options import add_dense_option, add_hardware_options, hardware
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
    add_dense_option(parser)
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
    constant = constants([model], args.dense)[model.name]
    pictures = sites_through_store(wanted, genome, store, model, chosen)
    write_table(on_masked_scale(pictures.sites, genome, constant), args.sites, PICTURES)
    log.info(
        "model %s: %d sites around top hits, %d of them in the store",
        model.name,
        pictures.sites.height,
        pictures.from_store,
    )

"""A model's scores of the genome's background: from the store, or of its sites and kept there.

Where scores are calibrated by mutation context, also what the background has in each.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import polars as pl

from varlm.annotation.mutation_calibration import LEAST, context_means, coverage
from varlm.genome.reference import Genome
from varlm.models.prepared import PreparedModel
from varlm.scoring import background
from varlm.scoring.dense_scale import constants
from varlm.steps.options import add_dense_option
from varlm.store import Store
from varlm.tables.parquet import write_table
from varlm.tables.schemas import BACKGROUND, CONTEXT_MEANS

log = logging.getLogger("varlm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the step's options."""
    parser.add_argument("--model", type=Path, required=True, help="models/{model}.json")
    parser.add_argument("--reference", type=Path, required=True, help="the reference folder")
    parser.add_argument("--store", type=Path, required=True, help="folder of the score store")
    parser.add_argument("--sites", type=int, required=True, help="random sites; 0: none")
    add_dense_option(parser)
    parser.add_argument("--background", type=Path, required=True, help="output table")
    parser.add_argument("--contexts", type=Path, help="output table of mutation contexts")


def run(args: argparse.Namespace) -> None:
    """Write the background's table; without rows where no sites are wanted."""
    model, rows = PreparedModel.read(args.model), BACKGROUND.empty()
    constant = constants([model], args.dense)[model.name]
    if args.sites:
        chosen = background.choose(Genome.open(args.reference), args.sites, model.strands)
        rows = background.kept_scores(chosen, Store(args.store), model, constant)
    write_table(rows, args.background, BACKGROUND)
    if args.contexts:
        _write_contexts(model, rows, Genome.open(args.reference), args.contexts)


def _write_contexts(model: PreparedModel, rows: pl.DataFrame, genome: Genome, path: Path) -> None:
    """Write what the background has in each mutation context; nothing of what is no log-ratio."""
    if not model.kind.is_llr:
        log.info("model %s: %s is no log-ratio, and not calibrated", model.name, model.kind.name)
        write_table(CONTEXT_MEANS.empty(), path, CONTEXT_MEANS)
        return
    means = context_means(rows, genome)
    write_table(means, path, CONTEXT_MEANS)
    covered = coverage(means)
    log.info(
        "model %s: %d of %d 5-mer changes are at %d or more of the background's sites, and %d of "
        "%d trinucleotide changes",
        *(model.name, covered.pentamers, covered.of_pentamers, LEAST),
        *(covered.trinucleotides, covered.of_trinucleotides),
    )

"""A model's scores of the genome's background: from the store, or of its sites and kept there."""

from __future__ import annotations

import argparse
from pathlib import Path

from varlm.genome.reference import Genome
from varlm.models.prepared import PreparedModel
from varlm.scoring import background
from varlm.scoring.dense_scale import constants
from varlm.steps.options import add_dense_option
from varlm.store import Store
from varlm.tables.parquet import write_table
from varlm.tables.schemas import BACKGROUND


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the step's options."""
    parser.add_argument("--model", type=Path, required=True, help="models/{model}.json")
    parser.add_argument("--reference", type=Path, required=True, help="the reference folder")
    parser.add_argument("--store", type=Path, required=True, help="folder of the score store")
    parser.add_argument("--sites", type=int, required=True, help="random sites; 0: none")
    add_dense_option(parser)
    parser.add_argument("--background", type=Path, required=True, help="output table")


def run(args: argparse.Namespace) -> None:
    """Write the background's table; without rows where no sites are wanted."""
    model, rows = PreparedModel.read(args.model), BACKGROUND.empty()
    constant = constants([model], args.dense)[model.name]
    if args.sites:
        chosen = background.choose(Genome.open(args.reference), args.sites, model.strands)
        rows = background.kept_scores(chosen, Store(args.store), model, constant)
    write_table(rows, args.background, BACKGROUND)

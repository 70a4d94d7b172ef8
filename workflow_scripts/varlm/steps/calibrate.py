"""The genome's background LLRs of a model: from the store, or made of its sites and kept there."""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path

from varlm.errors import UserError
from varlm.genome.reference import Genome
from varlm.scoring import background
from varlm.store import Store
from varlm.tables.parquet import write_table
from varlm.tables.schemas import BACKGROUND

log = logging.getLogger("varlm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the step's options."""
    parser.add_argument("--model", type=Path, required=True, help="models/{model}.json")
    parser.add_argument("--reference", type=Path, required=True, help="the reference folder")
    parser.add_argument("--store", type=Path, required=True, help="folder of the score store")
    parser.add_argument("--sites", type=int, required=True, help="random sites; 0: none")
    parser.add_argument("--background", type=Path, required=True, help="output table")


def run(args: argparse.Namespace) -> None:
    """Write the background's table; without rows where no sites are wanted."""
    model = json.loads(args.model.read_text())
    if args.sites == 0:
        write_table(BACKGROUND.empty(), args.background, BACKGROUND)
        return
    genome, store, key = Genome.open(args.reference), Store(args.store), model["key"]
    chosen = background.choose(genome, args.sites)
    rows = store.read_background(key, chosen.digest)
    source = "in the store"
    if rows is None:
        source = "new"
        try:
            rows = background.background_llrs(chosen, store, key)
        except LookupError as error:
            raise UserError(
                f"{args.store}: {error}: rows were lost since the plan; run the workflow again "
                "with --forcerun plan"
            ) from error
        if store.writable(key):
            store.commit(key, model, background=[(chosen.digest, rows)])
    write_table(rows, args.background, BACKGROUND)
    log.info(
        "model %s: background of %d SNVs (%s), LLR quartiles %.2f, %.2f, %.2f",
        model["name"],
        rows.height,
        source,
        *(rows["llr"].quantile(q) for q in (0.25, 0.5, 0.75)),
    )

"""Look random sites of the genome up in a table of published scores, for percentiles."""

from __future__ import annotations

import argparse
from pathlib import Path

from varlm.annotation.published.ranking import rank_scores
from varlm.genome.reference import Genome
from varlm.run.score_tables import ScoreTable
from varlm.steps.options import add_table_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the step's options."""
    add_table_options(parser)
    parser.add_argument("--sites", type=int, required=True, help="random sites; 0: none")
    parser.add_argument("--scores", type=Path, required=True, help="output table")
    parser.add_argument("--record", type=Path, required=True, help="output shares (JSON)")


def run(args: argparse.Namespace) -> None:
    """Write the scores of the background's SNVs; no rows where the table has too few of them."""
    table = ScoreTable.from_json(args.table)
    genome = Genome.open(args.reference)
    record = rank_scores(
        genome, args.aliases, table, args.sites, args.scores, args.max_ref_mismatch
    )
    record.write(args.record)

"""Look a cohort's alleles up in a table of published scores."""

from __future__ import annotations

import argparse
from pathlib import Path

from varlm.annotation.published.joining import join_scores
from varlm.files.whole import check_digest
from varlm.genome.reference import Genome
from varlm.run.score_tables import ScoreTable
from varlm.steps.options import add_table_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the step's options."""
    parser.add_argument("--variants", type=Path, required=True, help="variants.parquet")
    add_table_options(parser)
    parser.add_argument("--scores", type=Path, required=True, help="output table")
    parser.add_argument("--record", type=Path, required=True, help="output counts (JSON)")


def run(args: argparse.Namespace) -> None:
    """Write the table's columns, row for row as `variants.parquet`, and what was matched."""
    check_digest(args.variants)
    table = ScoreTable.from_json(args.table)
    genome = Genome.open(args.reference)
    record = join_scores(
        args.variants, genome, args.aliases, table, args.scores, args.max_ref_mismatch
    )
    record.write(args.record)

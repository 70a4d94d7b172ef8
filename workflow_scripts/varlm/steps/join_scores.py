"""Look a cohort's alleles up in a table of published scores."""

from __future__ import annotations

import argparse
from pathlib import Path

from varlm.annotation.published.joining import join_scores
from varlm.files.whole import check_digest
from varlm.genome.reference import Genome
from varlm.run.score_tables import ScoreTable
from varlm.variants.options import NormaliseOptions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the step's options."""
    parser.add_argument("--variants", type=Path, required=True, help="variants.parquet")
    parser.add_argument("--reference", type=Path, required=True, help="the reference folder")
    parser.add_argument("--aliases", type=Path, help="contig aliases")
    parser.add_argument("--table", required=True, help="the table, as JSON")
    parser.add_argument(
        "--max-ref-mismatch",
        type=float,
        default=NormaliseOptions.max_ref_mismatch,
        help="share of wrong REFs that is allowed",
    )
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

"""Score a shard: the logits of its sites, the log-likelihood ratios of its indels and MNVs."""

from __future__ import annotations

import argparse
from pathlib import Path

from varlm.genome.reference import Genome
from varlm.models.prepared import PreparedModel
from varlm.scoring.commit_record import write_run
from varlm.scoring.partial_scores import open_partial_scores
from varlm.scoring.shard import check_rows, identity, score_rows
from varlm.steps.options import add_hardware_options, add_model_options, hardware
from varlm.tables.parquet import read_table, write_table
from varlm.tables.schemas import ALLELES, SHARD, SITES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the step's options."""
    parser.add_argument("--shard", type=Path, required=True, help="the rows to score (Parquet)")
    add_model_options(parser)
    parser.add_argument("--sites", type=Path, required=True, help="output: site logits")
    parser.add_argument("--alleles", type=Path, required=True, help="output: allele scores")
    parser.add_argument("--run", type=Path, required=True, help="output: device, mode, seconds")
    parser.add_argument(
        "--partial", type=Path, help="folder of the scores so far, from which a stopped job resumes"
    )
    add_hardware_options(parser)


def run(args: argparse.Namespace) -> None:
    """Write one row of logits per site row of the shard, and one ratio per allele row."""
    chosen = hardware(args)
    model = PreparedModel.read(args.model)
    shard = read_table(args.shard, SHARD)
    genome = Genome.open(args.reference)
    check_rows(shard, genome, args.shard)
    partial = open_partial_scores(args.partial, identity(args.shard, genome, model))
    scores = score_rows(shard, genome, model, chosen, partial)
    write_table(scores.sites, args.sites, SITES)
    write_table(scores.alleles, args.alleles, ALLELES)
    write_run(scores.run, args.run)
    partial.remove()

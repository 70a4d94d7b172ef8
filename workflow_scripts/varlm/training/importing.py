"""Make a checkpoint of a Markov chain from the counts of a published n-gram model."""

from __future__ import annotations

import argparse
from pathlib import Path

from varlm.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `varlm import_ngram`."""
    parser.add_argument(
        "counts",
        type=Path,
        metavar="COUNTS",
        help="table (plain or gzip) with the columns context (n - 1 tokens separated by blanks), "
        "next and count",
    )
    parser.add_argument("--out", type=Path, required=True, help="output: checkpoint folder")
    parser.add_argument(
        "--smoothing",
        choices=["laplace"],
        default="laplace",
        help="laplace: (count(context, next) + 1) / (count(context) + V)",
    )
    parser.add_argument(
        "--vocabulary", type=int, metavar="V", help="the tokens that the table names by default"
    )
    parser.add_argument("--start", default="<s>", help="the token that stands before a sequence")
    parser.add_argument("--end", default="</s>", help="the token that stands behind a sequence")
    parser.add_argument(
        "--window", type=int, default=512, help="bp that tokenizer_config.json names as the longest"
    )


def run(args: argparse.Namespace) -> None:
    """Write config.json, the tokeniser's files and model.safetensors."""
    from varlm.training.checkpoints import write_checkpoint
    from varlm.training.counts_table import Padding, read_counts
    from varlm.training.ngram import chain_of

    if args.window < 1:
        raise UserError(f"--window: found {args.window}; expected at least 1")
    padding = Padding(args.start, args.end)
    counts = read_counts(args.counts, padding)
    config, tensors = chain_of(counts, padding, args.smoothing, args.vocabulary)
    write_checkpoint(args.out, config, tensors, args.window)

"""Predict masked bases of held-out contigs, and tell them from mutated ones, with checkpoints."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.errors import UserError
from varlm.files.whole import atomic_path
from varlm.steps.options import add_hardware_options, hardware
from varlm.tables.model_schemas import MUTATED, PERPLEXITY
from varlm.tables.tsv import write_tsv
from varlm.training import recognition
from varlm.training.corpus import Corpus
from varlm.training.pairs import KINDS, sample_pairs
from varlm.training.perplexity import measure, sample_sites, table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the step's options."""
    parser.add_argument("--corpus", type=Path, required=True, help="prepare_training's folder")
    parser.add_argument(
        "--checkpoint",
        action="append",
        required=True,
        metavar="NAME=FOLDER",
        help="repeat; the first is what the others are compared with",
    )
    parser.add_argument("--set", choices=["validation", "held_out"], default="held_out")
    parser.add_argument("--sites", type=int, default=10_000, help="how many sites")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pairs", type=int, default=1000, help="how many sequences to mutate")
    parser.add_argument(
        "--most",
        type=int,
        action="append",
        required=True,
        help="a sequence gets 1 to so many mutations; repeat",
    )
    parser.add_argument("--kinds", choices=list(KINDS), default="all", help="of the mutations")
    parser.add_argument("--out", type=Path, required=True, help="output: perplexities (TSV)")
    parser.add_argument(
        "--mutated", type=Path, required=True, help="output: real or mutated sequence (TSV)"
    )
    add_hardware_options(parser)


def run(args: argparse.Namespace) -> None:
    """Write perplexities by region class and strand, and how often real sequence is recognised."""
    import torch

    from varlm.models.loading import load_model
    from varlm.scoring.batch_size import default_batch, fitting_batch, take_device

    chosen = hardware(args)
    torch.set_num_threads(chosen.threads)
    corpus = Corpus.open(args.corpus)
    if not corpus.of(args.set).height:
        raise UserError(
            f"{args.corpus}: no window of the set {args.set}; name contigs in "
            f"train.<name>.{args.set} that are as long as a window"
        )
    sites = sample_sites(corpus, args.set, args.sites, args.seed)
    pairs = sample_pairs(corpus, args.set, args.pairs, args.most, args.kinds, args.seed)
    device = take_device(chosen.device)
    losses: dict[str, dict[str, NDArray[np.float64]]] = {}
    shares = []
    for pair in args.checkpoint:
        name, _, folder = pair.partition("=")
        model = load_model(Path(folder), device=device)
        batch = chosen.batch_size or default_batch(model, corpus.window)
        batch = fitting_batch(model, corpus.window, batch)
        losses |= measure(name, model, sites, batch)
        shares.append(recognition.measure(name, model, pairs, batch))
    frame = PERPLEXITY.check(table(losses, sites.region, seed=args.seed), args.out)
    mutated = MUTATED.check(pl.concat(shares), args.mutated)
    for path, rows in ((args.out, frame), (args.mutated, mutated)):
        with atomic_path(path) as temporary:
            write_tsv(rows, temporary, float_precision=5)

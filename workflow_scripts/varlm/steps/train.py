"""Train a model on the prepared genomes; a stopped training goes on where it was."""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path

import polars as pl
import torch

from varlm.schemas import atomic_path
from varlm.scoring import take_device
from varlm.training.checkpoints import write_checkpoint
from varlm.training.corpus import Corpus
from varlm.training.families import new_network
from varlm.training.loop import Training, identity
from varlm.training.processes import Processes
from varlm.training.settings import Settings

log = logging.getLogger("varlm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the step's options."""
    parser.add_argument("--corpus", type=Path, required=True, help="prepare_training's folder")
    parser.add_argument("--model", required=True, help="JSON: the family and its options")
    parser.add_argument("--settings", required=True, help="JSON: how it is trained")
    parser.add_argument("--state", type=Path, required=True, help="file to go on from")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--out", type=Path, required=True, help="output: checkpoint folder")
    parser.add_argument("--curve", type=Path, required=True, help="output: learning curve (TSV)")


def run(args: argparse.Namespace) -> None:
    """Write the checkpoint with the lowest validation loss, and the learning curve."""
    torch.set_num_threads(args.threads)
    corpus = Corpus.open(args.corpus)
    settings = Settings(**json.loads(args.settings))
    torch.manual_seed(settings.seed)
    family = new_network(json.loads(args.model))
    processes = Processes.join(take_device(args.device))
    training = Training(
        family.network, corpus, settings, processes, identity(family.config, corpus, settings)
    )
    count = sum(p.numel() for p in family.network.parameters())
    log.info("%s, %.3g M parameters, on %s", family.name, count / 1e6, processes.device)

    def write_curve(_: object = None) -> None:
        with atomic_path(args.curve) as temporary:
            pl.DataFrame(training.curve, infer_schema_length=None).write_csv(
                temporary, separator="\t"
            )

    training.run(args.state, told=write_curve)
    if processes.first:
        write_curve()
        write_checkpoint(args.out, family.config, training.best_tensors(), corpus.window)
    processes.leave()

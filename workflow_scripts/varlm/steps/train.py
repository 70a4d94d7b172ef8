"""Train a model on the prepared genomes; a stopped training goes on where it was."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import polars as pl

from varlm.errors import UserError
from varlm.files.whole import atomic_path
from varlm.training.corpus import Corpus
from varlm.training.settings import Settings

log = logging.getLogger("varlm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the step's options."""
    parser.add_argument("--corpus", type=Path, required=True, help="prepare_training's folder")
    parser.add_argument("--model", required=True, help="JSON: the family and its options")
    parser.add_argument("--settings", required=True, help="JSON: how it is trained")
    parser.add_argument("--start", type=Path, help="checkpoint folder to train on from")
    parser.add_argument("--state", type=Path, required=True, help="file to go on from")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument(
        "--processes", type=int, default=1, help="of one training, under torchrun: one a GPU"
    )
    parser.add_argument("--out", type=Path, required=True, help="output: checkpoint folder")
    parser.add_argument("--curve", type=Path, required=True, help="output: learning curve (TSV)")


def run(args: argparse.Namespace) -> None:
    """Write the checkpoint with the lowest validation loss, and the learning curve.

    Under torchrun all processes train one model, each on a share of every batch.
    """
    if args.processes > 1 and "WORLD_SIZE" not in os.environ:
        _become_torchrun(args.processes)
    corpus = Corpus.open(args.corpus)
    model, settings = json.loads(args.model), Settings(**json.loads(args.settings))
    if model["family"] == "markov":
        _count(args, corpus, model)
    else:
        _learn(args, corpus, model, settings)


def _become_torchrun(processes: int) -> NoReturn:
    """Start this step so many times, as the processes of one training."""
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    os.execv(sys.executable, [sys.executable, *launcher, *sys.argv])


def _count(args: argparse.Namespace, corpus: Corpus, model: Mapping[str, Any]) -> None:
    """Make a Markov chain: one pass over the genomes."""
    import torch

    from varlm.models.markov import MODEL_TYPE, order_of, table_name
    from varlm.training.checkpoints import write_checkpoint
    from varlm.training.markov import fit

    if args.start is not None:
        raise UserError(
            "train.<name>.start: a Markov chain is counted anew from its genomes; remove the key"
        )
    surplus = set(model) - {"family", "order"}
    if surplus:
        raise UserError(
            f"train.<name>.model: {', '.join(sorted(surplus))}: no option of a Markov chain, which "
            "has only its order"
        )
    config = {"model_type": MODEL_TYPE, "order": model.get("order", 8)}
    tables, curve = fit(corpus, order_of(config, Path("train.<name>.model")))
    _write_curve(curve, args.curve)
    write_checkpoint(
        args.out,
        config,
        {table_name(k): torch.from_numpy(table) for k, table in enumerate(tables)},
        corpus.window,
    )


def _learn(
    args: argparse.Namespace, corpus: Corpus, model: Mapping[str, Any], settings: Settings
) -> None:
    """Train a network."""
    import torch

    from varlm.scoring.batch_size import choose_device
    from varlm.scoring.hardware import take_device
    from varlm.training.checkpoints import write_checkpoint
    from varlm.training.families import new_network
    from varlm.training.loop import Training, identity
    from varlm.training.processes import Processes
    from varlm.training.starting import start_from

    torch.set_num_threads(args.threads)
    torch.manual_seed(settings.seed)
    family = new_network(model, corpus.window)
    made_of = identity(family.config, corpus, settings)
    if args.start is not None:
        made_of["start"] = start_from(family, args.start)
    # A process of several takes the device of its number; alone, one that no other job has.
    together = Processes.expected() > 1
    taken = None if together else take_device(args.device)
    processes = Processes.join(choose_device(args.device) if taken is None else taken.torch)
    training = Training(family.network, corpus, settings, processes, made_of)
    count = sum(p.numel() for p in family.network.parameters())
    log.info("%s, %.3g M parameters, on %s", family.name, count / 1e6, processes.device)
    training.run(args.state, told=lambda _: _write_curve(training.curve, args.curve))
    if processes.first:
        _write_curve(training.curve, args.curve)
        write_checkpoint(args.out, family.config, training.best_tensors(), corpus.window)
    processes.leave()


def _write_curve(curve: Sequence[Mapping[str, Any]], path: Path) -> None:
    with atomic_path(path) as temporary:
        pl.DataFrame(curve, infer_schema_length=None).write_csv(temporary, separator="\t")

"""Train a model on the prepared genomes; a stopped training goes on where it was."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from varlm.files.whole import atomic_path
from varlm.run.devices import cuda_devices, lease_several
from varlm.training.corpus import Corpus
from varlm.training.launching import launch
from varlm.training.settings import Settings

if TYPE_CHECKING:
    from varlm.training.running import Trained


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the step's options."""
    parser.add_argument("--corpus", type=Path, required=True, help="prepare_training's folder")
    parser.add_argument("--model", required=True, help="JSON: the family and its options")
    parser.add_argument("--settings", required=True, help="JSON: how it is trained")
    parser.add_argument("--start", type=Path, help="checkpoint folder to train on from")
    parser.add_argument("--state", type=Path, required=True, help="file to go on from")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--processes", type=int, default=1, help="of one training, one a GPU")
    parser.add_argument("--out", type=Path, required=True, help="output: checkpoint folder")
    parser.add_argument("--curve", type=Path, required=True, help="output: learning curve (TSV)")


def run(args: argparse.Namespace) -> None:
    """Write the checkpoint, of the lowest validation loss or the last step, and the curve.

    Several processes train one model, each on a share of every batch.
    """
    from varlm.scoring.batch_size import choose_device
    from varlm.training.checkpoints import write_checkpoint
    from varlm.training.processes import Processes

    model = json.loads(args.model)
    if model["family"] != "markov" and args.processes > Processes.expected():
        on_gpus = choose_device(args.device).type == "cuda"
        leases = lease_several(cuda_devices(), args.processes) if on_gpus else []
        launch([sys.executable, *sys.argv], args.processes, leases)
        return
    corpus = Corpus.open(args.corpus)
    trained = _train(args, model, corpus)
    if trained is not None:
        _write_curve(args.curve, trained.curve)
        write_checkpoint(args.out, trained.config, trained.tensors, corpus.window, trained.hidden)


def _train(args: argparse.Namespace, model: Mapping[str, Any], corpus: Corpus) -> Trained | None:
    """Train as one process, which may be one of several."""
    import torch

    from varlm.scoring.batch_size import choose_device, take_device
    from varlm.training.processes import Processes
    from varlm.training.running import count_chain, train_network

    if model["family"] == "markov":
        return count_chain(corpus, model, args.start)
    together = Processes.expected()
    torch.set_num_threads(max(1, args.threads // together))
    # One of several has the device that the launcher leased for it.
    device_of = take_device if together == 1 else choose_device
    return train_network(
        corpus,
        model,
        Settings(**json.loads(args.settings)),
        start=args.start,
        device=partial(device_of, args.device),
        state=args.state,
        on_row=partial(_write_curve, args.curve),
    )


def _write_curve(path: Path, curve: Sequence[Mapping[str, Any]]) -> None:
    with atomic_path(path) as temporary:
        pl.DataFrame(curve, infer_schema_length=None).write_csv(temporary, separator="\t")

"""The device, threads and batch that a step is told to use."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from varlm.errors import UserError
from varlm.run.devices import Lease, lease, visible_devices

if TYPE_CHECKING:
    import torch


_held: list[Lease] = []  # a lock is freed when nothing holds it any more


@dataclass(frozen=True)
class Hardware:
    """Where to compute: `device` (auto, cpu, cuda, cuda:N, mps), windows a batch, cores."""

    device: str = "auto"
    batch_size: int | None = None
    threads: int = 1


def take_device(name: str) -> torch.device:
    """Return the device to compute on; a CUDA device is this job's alone until it ends."""
    import torch

    from varlm.scoring.batch_size import choose_device

    device = choose_device(name)
    if device.type != "cuda":
        return device
    uuids = [
        str(torch.cuda.get_device_properties(number).uuid)
        for number in range(torch.cuda.device_count())
    ]
    names = visible_devices(uuids, os.environ.get("CUDA_VISIBLE_DEVICES"))
    _held.append(lease(names, device.index))
    return torch.device("cuda", _held[-1].index)


def add_hardware_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of every step that loads a model."""
    parser.add_argument("--threads", type=int, default=1, help="processor cores to use")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--batch-size", default="auto", help="windows a forward pass, or auto")


def hardware(args: argparse.Namespace) -> Hardware:
    """Return what `add_hardware_options` made of the command line."""
    text = args.batch_size
    if text != "auto" and (not text.isdigit() or int(text) < 1):
        raise UserError(f"scoring.batch_size: {text!r}; expected auto or a positive number")
    return Hardware(args.device, None if text == "auto" else int(text), args.threads)

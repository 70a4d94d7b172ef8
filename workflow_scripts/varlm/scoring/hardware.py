"""The device, threads and batch that a job computes with."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from varlm.run.devices import Lease, lease, visible_devices

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Hardware:
    """Where to compute: `device` (auto, cpu, cuda, cuda:N, mps), windows a batch, cores."""

    device: str = "auto"
    batch_size: int | None = None
    threads: int = 1


@dataclass(frozen=True)
class TakenDevice:
    """A device to compute on; a CUDA device is this job's alone as long as this object lives.

    Attributes
    ----------
    torch : torch.device
    lease : Lease or None
        What keeps other jobs away; None but for CUDA. Its lock is freed with it.
    """

    torch: torch.device
    lease: Lease | None = None


def take_device(name: str) -> TakenDevice:
    """Return the device to compute on; wait for a CUDA device that no other job has.

    Parameters
    ----------
    name : str
        auto, cpu, cuda, cuda:N or mps.

    Raises
    ------
    UserError
        If there is no such device here.
    """
    import torch

    from varlm.scoring.batch_size import choose_device

    device = choose_device(name)
    if device.type != "cuda":
        return TakenDevice(device)
    uuids = [
        str(torch.cuda.get_device_properties(number).uuid)
        for number in range(torch.cuda.device_count())
    ]
    names = visible_devices(uuids, os.environ.get("CUDA_VISIBLE_DEVICES"))
    held = lease(names, device.index)
    return TakenDevice(torch.device("cuda", held.index), held)

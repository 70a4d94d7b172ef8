"""The device, threads and batch that a job computes with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from varlm.run.devices import cuda_devices, lease

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Hardware:
    """Where to compute: `device` (auto, cpu, cuda, cuda:N, mps), windows a batch, cores."""

    device: str = "auto"
    batch_size: int | None = None
    threads: int = 1


def take_device(name: str) -> torch.device:
    """Return the device to compute on; a CUDA device is this job's alone until it ends.

    Waits for a CUDA device that no other job has.

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
        return device
    return torch.device("cuda", lease(cuda_devices(), device.index).index)

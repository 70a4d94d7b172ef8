"""The processes of one training: one, or as many as `varlm.training.launching` started."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.distributed as dist

from varlm.training.launching import COUNT, MEETING, RANK


@dataclass(frozen=True)
class Processes:
    """Which process this is, of how many, and its device."""

    rank: int
    count: int
    device: torch.device

    @staticmethod
    def expected() -> int:
        """Return how many processes this training has."""
        return int(os.environ.get(COUNT, "1"))

    @classmethod
    def join(cls, device: torch.device) -> Processes:
        """Join the others, where there are any; each computes on a device of its own."""
        count = cls.expected()
        if count == 1:
            return cls(0, 1, device)
        rank = int(os.environ[RANK])
        if device.type == "cuda":
            torch.cuda.set_device(device)
        dist.init_process_group(
            "nccl" if device.type == "cuda" else "gloo",
            init_method=os.environ[MEETING],
            rank=rank,
            world_size=count,
        )
        return cls(rank, count, device)

    @property
    def first(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    def share(self, windows: int) -> tuple[int, int]:
        """Return which windows of a batch are this process's: start and end."""
        return self.rank * windows // self.count, (self.rank + 1) * windows // self.count

    def add_up(self, tensors: Iterable[torch.Tensor]) -> None:
        """Replace each tensor by its sum over all processes."""
        if self.count == 1:
            return
        tensors = list(tensors)
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        dist.all_reduce(flat)
        start = 0
        for tensor in tensors:
            tensor.copy_(flat[start : start + tensor.numel()].view_as(tensor))
            start += tensor.numel()

    def leave(self) -> None:
        """Part from the others."""
        if self.count > 1:
            dist.destroy_process_group()

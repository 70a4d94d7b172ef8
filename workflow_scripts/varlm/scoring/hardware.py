"""The device, threads and batch that a job computes with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Hardware:
    """Where to compute: `device` (auto, cpu, cuda, cuda:N, mps), windows a batch, cores."""

    device: str = "auto"
    batch_size: int | None = None
    threads: int = 1

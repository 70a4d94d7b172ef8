"""What works on each position by itself, and in which type its products are."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
from torch import nn


def type_of_products(mode: str) -> torch.dtype:
    """Return the type that matrix products have in a mode."""
    if mode == "fused":
        return torch.bfloat16
    return getattr(torch, mode) if mode in ("bfloat16", "float16") else torch.float32


class Pointwise(nn.Module):
    """Modules that work on each position by itself, one after the other: see `pointwise`."""

    def __init__(self, steps: Iterable[nn.Module], dtype: torch.dtype):
        super().__init__()
        self.steps = nn.ModuleList(steps)
        self.dtype = dtype

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Any shape (…, channels) → (…, channels), float32."""
        for step in self.steps:
            x = step(x.to(self.dtype)).float() if isinstance(step, nn.Linear) else step(x)
        return x


def pointwise(modules: Iterable[nn.Module], dtype: torch.dtype, device: torch.device) -> Pointwise:
    """Compose modules that work on each position by itself: linear, LayerNorm, GELU, dropout.

    Linear layers compute in `dtype`, everything else in float32.
    """
    steps: list[nn.Module] = []
    for module in modules:
        if isinstance(module, nn.Dropout | nn.Identity):
            continue  # inference
        if not isinstance(module, nn.Linear | nn.LayerNorm | nn.GELU):
            raise TypeError(f"{type(module).__name__} is no layer of GPN that varlm knows")
        module = copy.deepcopy(module).to(device).requires_grad_(False)
        steps.append(module.to(dtype) if isinstance(module, nn.Linear) else module)
    return Pointwise(steps, dtype)

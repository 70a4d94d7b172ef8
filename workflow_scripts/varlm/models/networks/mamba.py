"""Mamba's mixer (Gu & Dao 2023, arXiv:2312.00752) in both directions, as Caduceus has it.

Tensors have the names of `mamba_ssm.modules.mamba_simple.Mamba`. Both directions are scanned
together; where they share their projections, these are computed once.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

from varlm.models.families.caduceus import Options
from varlm.models.networks.products import linear
from varlm.models.networks.selective_scan import causal_convolution, selective_scan


class Weights(nn.Module):
    """`weight` of a shape and, where asked for, `bias`, without values yet."""

    def __init__(self, *shape: int, bias: bool = False):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(shape))
        self.bias = nn.Parameter(torch.empty(shape[0])) if bias else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute as a linear layer."""
        return linear(x, self.weight, self.bias)


class Direction(nn.Module):
    """The tensors of a `Mamba`: what one direction has."""

    def __init__(self, options: Options):
        super().__init__()
        inner, states = options.d_inner, options.d_state
        self.A_log = nn.Parameter(torch.empty(inner, states))
        self.D = nn.Parameter(torch.empty(inner))
        self.in_proj = Weights(2 * inner, options.d_model, bias=options.bias)
        self.conv1d = Weights(inner, 1, options.d_conv, bias=options.conv_bias)
        self.x_proj = Weights(options.dt_rank + 2 * states, inner)
        self.dt_proj = Weights(inner, options.dt_rank, bias=True)
        self.out_proj = Weights(options.d_model, inner, bias=options.bias)


class BiMamba(nn.Module):
    """Mamba along a sequence and, where config.json says so, against it.

    Parameters
    ----------
    options : Options
    """

    def __init__(self, options: Options):
        super().__init__()
        self.options = options
        self.mamba_fwd = Direction(options)
        if options.bidirectional:
            self.mamba_rev = Direction(options)
            if self._is_tied:
                self.mamba_rev.in_proj = self.mamba_fwd.in_proj
                self.mamba_rev.out_proj = self.mamba_fwd.out_proj

    @property
    def directions(self) -> list[Direction]:
        """Along the sequence, then against it."""
        return [self.mamba_fwd, *([self.mamba_rev] if self.options.bidirectional else [])]

    @property
    def _is_tied(self) -> bool:
        return self.options.bidirectional and self.options.bidirectional_weight_tie

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Mix along the sequence: shape (n, T, channels), and so the result."""
        inputs, gates = self._project(x)
        mixed = self._scan([inputs[0], *(inside.flip(1) for inside in inputs[1:])])
        parts = [mixed[0], *mixed[1:].flip(2)]
        is_sum = self.options.bidirectional_strategy == "add"
        if self._is_tied and is_sum:
            projection = self.mamba_fwd.out_proj
            out = linear((parts[0] + parts[1]).mul_(gates[0]), projection.weight)
            # Once a direction.
            return out if projection.bias is None else out.add_(projection.bias, alpha=2)
        answers: list[torch.Tensor] = [
            direction.out_proj(part * gate)
            for direction, part, gate in zip(self.directions, parts, gates, strict=True)
        ]
        if len(answers) == 1:
            return answers[0]
        return answers[0] + answers[1] if is_sum else answers[0] * answers[1]

    def _project(self, x: torch.Tensor) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Return of each direction what is scanned and by what that is multiplied: (n, T, d)."""
        own = [self.mamba_fwd] if self._is_tied else self.directions
        halves = [direction.in_proj(x).chunk(2, -1) for direction in own]
        inputs, gates = [half[0] for half in halves], [F.silu(half[1]) for half in halves]
        times = len(self.directions) // len(own)
        return inputs * times, gates * times

    def _scan(self, inputs: list[torch.Tensor]) -> torch.Tensor:
        """Convolve and scan: g of shape (n, T, d), each in its own order → (g, n, T, d)."""
        options = self.options
        x = causal_convolution(
            torch.stack(inputs),
            self._stacked(lambda direction: direction.conv1d.weight[:, 0]),
            self._stacked(lambda direction: direction.conv1d.bias) if options.conv_bias else None,
        )
        parts = self._times(x, lambda direction: direction.x_proj.weight)
        sizes = [options.dt_rank, options.d_state, options.d_state]
        dt, into, out_of = torch.split(parts, sizes, -1)
        return selective_scan(
            x,
            self._times(dt, lambda direction: direction.dt_proj.weight),
            self._stacked(lambda direction: direction.dt_proj.bias).float(),
            -self._stacked(lambda direction: direction.A_log.mT).float().exp(),
            into,
            out_of,
            self._stacked(lambda direction: direction.D).float(),
        )

    def _stacked(self, tensor: Callable[[Direction], torch.Tensor | None]) -> torch.Tensor:
        """Return a tensor of each direction: (g, …)."""
        tensors = [tensor(direction) for direction in self.directions]
        return torch.stack([part for part in tensors if part is not None])

    def _times(self, x: torch.Tensor, weight: Callable[[Direction], torch.Tensor]) -> torch.Tensor:
        """Multiply by each direction's own matrix: (g, n, T, inputs) → (g, n, T, outputs)."""
        pairs = zip(x, self.directions, strict=True)
        return torch.stack([linear(part, weight(direction)) for part, direction in pairs])

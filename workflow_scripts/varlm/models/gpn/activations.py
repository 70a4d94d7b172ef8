"""Activation functions by the names that a RoFormer's config.json has for them."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn


class Activation(nn.Module):
    """A function of each value by itself."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]):
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Any shape → the same shape."""
        return self.function(x)


def _gelu_tanh(x: torch.Tensor) -> torch.Tensor:
    return F.gelu(x, approximate="tanh")


def _laplace(x: torch.Tensor) -> torch.Tensor:
    """Ma et al. 2022 (Mega), arXiv:2209.10655, with its mean and deviation to six digits."""
    return 0.5 * (1 + torch.erf((x - 0.707107) / (0.282095 * math.sqrt(2))))


# `hidden_act` of RoFormer: the names of `transformers.activations`, but xielu (learned, of
# another type). Several are spellings of the same function.
FUNCTIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "gelu": F.gelu,
    "gelu_python": F.gelu,
    "gelu_10": lambda x: F.gelu(x).clip(-10, 10),
    "gelu_new": _gelu_tanh,
    "gelu_fast": _gelu_tanh,
    "gelu_accurate": _gelu_tanh,
    "gelu_pytorch_tanh": _gelu_tanh,
    "gelu_python_tanh": _gelu_tanh,
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
    "hardswish": F.hardswish,
    "laplace": _laplace,
    "leaky_relu": F.leaky_relu,
    "linear": lambda x: x,
    "mish": F.mish,
    "relu": F.relu,
    "relu2": lambda x: F.relu(x).square(),
    "relu6": F.relu6,
    "sigmoid": torch.sigmoid,
    "silu": F.silu,
    "swish": F.silu,
    "sqrtsoftplus": lambda x: F.softplus(x).sqrt(),
    "tanh": torch.tanh,
}


def activation(name: str) -> nn.Module:
    """Return the module of a name of `hidden_act`; PReLU's parameter has no value yet.

    Raises
    ------
    ValueError
        If the name is not known.
    """
    if name == "prelu":
        return nn.PReLU(device="meta")
    if name not in FUNCTIONS:
        raise ValueError(
            f"hidden_act is {name!r}, expected one of {', '.join(sorted([*FUNCTIONS, 'prelu']))}"
        )
    return Activation(FUNCTIONS[name])

"""What the families with a network of their own or of transformers have in common.

A family gives a `Network`: a module that answers at tokens. Which device it is on, in which type it
computes, and what it is called in the log is told here.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import nn

from varlm.models.gpn.model import has_bfloat16
from varlm.models.language_model import TokenModel
from varlm.models.networks import products
from varlm.models.tf32 import allow, has_tf32
from varlm.models.tokens import KmerTokeniser

_TYPES = {
    "float32": torch.float32,
    "tf32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


class Network(nn.Module, ABC):
    """A module that answers at tokens, in the type of its parameters."""

    def cast(self, dtype: torch.dtype) -> None:
        """Compute in `dtype` from now on.

        All parameters are cast, where a network does not know better. Buffers stay float32:
        frequencies and slopes, by which positions are told apart; what is computed from them is
        cast where it meets hidden states.
        """
        for parameter in self.parameters():
            parameter.data = parameter.data.to(dtype)

    @abstractmethod
    def logits(self, ids: torch.Tensor, at: Sequence[int] | None = None) -> torch.Tensor:
        """Logits over the vocabulary at tokens: (n, T) → (n, len(at) or T, V)."""

    @abstractmethod
    def hidden(self, ids: torch.Tensor, at: Sequence[int] | None = None) -> torch.Tensor:
        """Last hidden states at tokens: (n, T) → (n, len(at) or T, C)."""


class NetworkModel(TokenModel):
    """A network with its tokeniser, on a device.

    Parameters
    ----------
    network : Network
        With the checkpoint's tensors, in float32 on the CPU; the reference. Its linear layers
        become those of `varlm.models.networks.products`.
    tokeniser : KmerTokeniser
    device : torch.device
    title : str
        The family, for the log.
    channels : int
        Width of the hidden states.
    max_window : int, optional
        bp.
    """

    def __init__(
        self,
        network: Network,
        tokeniser: KmerTokeniser,
        device: torch.device,
        *,
        title: str,
        channels: int,
        max_window: int | None = None,
    ):
        products.take_over(network)
        self.reference = network
        self.tokeniser = tokeniser
        self.device = device
        self.title = title
        self.channels = channels
        self.max_window = max_window
        self.set_mode("float32")

    def describe(self) -> str:
        """Return the family and the number of parameters."""
        count = sum(parameter.numel() for parameter in self.reference.parameters())
        return f"{self.title}, {count / 1e6:.3g} M parameters"

    @torch.inference_mode()
    def logits(self, ids: torch.Tensor, at: Sequence[int] | None = None) -> torch.Tensor:
        """Logits at tokens: see `TokenModel`."""
        return self.network.logits(ids, at).float()

    @torch.inference_mode()
    def hidden(self, ids: torch.Tensor, at: Sequence[int] | None = None) -> torch.Tensor:
        """Last hidden states at tokens: see `TokenModel`."""
        return self.network.hidden(ids, at).float()

    def modes(self) -> tuple[str, ...]:
        """Modes worth trying here: types only where the device computes in them."""
        return (
            "float32",
            *(("tf32",) if has_tf32(self.device) else ()),
            *(("bfloat16",) if has_bfloat16(self.device) else ()),
        )

    def set_mode(self, mode: str) -> None:
        """Cast the parameters for `mode`; the copy before is freed."""
        if mode not in _TYPES:
            raise ValueError(f"a {self.title} has no mode {mode!r}")
        allow(mode, self.device)
        self.mode = mode
        self.network = self.reference
        if mode != "float32" or self.device.type != "cpu":
            self.network = copy.deepcopy(self.reference).to(self.device)
            self.network.cast(_TYPES[mode])


def pick(values: torch.Tensor, at: Sequence[int] | None) -> torch.Tensor:
    """Return the values at tokens: (n, T, …) → (n, len(at), …); all where `at` is None."""
    if at is None:
        return values
    if isinstance(at, range) and at.step == 1:
        return values[:, at.start : at.stop]
    return values[:, torch.tensor(at, device=values.device)]

"""PhyloGPN (Albors et al. 2025): dilated convolutions that treat both strands alike.

A checkpoint holds weights of which the model uses the mean of themselves and their reverse
complement. Those means are taken once, at loading; then the network is one of plain convolutions.
They have no padding, so that a window of W bp answers W − 2·halo of its bases (halo: 240 bp).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrize

from varlm.errors import UserError
from varlm.genome.bases import BASES, CODE_COMPLEMENT
from varlm.models import checkpoint, weights
from varlm.models.families.phylogpn import Options, read_options, read_tokeniser
from varlm.models.networks.network_model import Network, NetworkModel, pick
from varlm.models.tokens import KmerTokeniser

_PREFIX = "_model."


class _Symmetric(nn.Module):
    """A tensor → the mean of itself and of itself on the other strand.

    Parameters
    ----------
    rows, columns : tensor of int64
        Index → index of its complement, of the first two axes. A third axis, along the sequence,
        is reversed.
    """

    def __init__(self, rows: torch.Tensor, columns: torch.Tensor | None = None):
        super().__init__()
        self.rows, self.columns = rows, columns

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        other = x[self.rows]
        if self.columns is not None:
            other = other[:, self.columns]
        return (x + (other.flip(2) if x.dim() == 3 else other)) / 2


class _Convolution(nn.Module):
    """A convolution over (batch, length, channels).

    Of two dimensions, as which torch takes the channels last as they lie: 1 to 3 times the speed of
    a matrix product of the same (AMD EPYC, one core), and no transposed copies.
    """

    def __init__(self, inputs: int, outputs: int, size: int = 1, dilation: int = 1):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, size))
        self.bias = nn.Parameter(torch.empty(outputs))
        self.dilation = dilation
        rows = _reversed(outputs)
        parametrize.register_parametrization(self, "weight", _Symmetric(rows, _reversed(inputs)))
        parametrize.register_parametrization(self, "bias", _Symmetric(rows))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        image = x.mT[:, :, None]
        return F.conv2d(image, self.weight[:, :, None], self.bias, dilation=self.dilation)[
            :, :, 0
        ].mT


class _Block(nn.Module):
    def __init__(self, options: Options, dilation: int):
        super().__init__()
        outer, inner = options.outer_dim, options.inner_dim
        self.lost = dilation * (options.kernel_size - 1) // 2
        self.layer_norm1 = nn.LayerNorm(outer)
        self.conv1 = _Convolution(outer, inner)
        self.layer_norm2 = nn.LayerNorm(inner)
        self.conv2 = _Convolution(inner, inner, options.kernel_size, dilation)
        self.layer_norm3 = nn.LayerNorm(inner)
        self.conv3 = _Convolution(inner, outer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.conv1(F.gelu(self.layer_norm1(x)))
        y = self.conv2(F.gelu(self.layer_norm2(y)))
        y = self.conv3(F.gelu(self.layer_norm3(y)))
        return x[:, self.lost : self.lost + y.shape[1]] + y


class PhyloGPNNetwork(Network):
    """Embedding, residual blocks of convolutions, a norm and a convolution to four bases.

    Parameters
    ----------
    options : Options
    tokeniser : KmerTokeniser
        Whose ids have complements.
    """

    def __init__(self, options: Options, tokeniser: KmerTokeniser):
        super().__init__()
        outer = options.outer_dim
        self.halo = options.halo
        self.embedding = nn.Embedding(tokeniser.size, outer)
        parametrize.register_parametrization(
            self.embedding, "weight", _Symmetric(_complements(tokeniser), _reversed(outer))
        )
        self.blocks = nn.ModuleList(_Block(options, dilation) for dilation in options.dilations)
        self.output_layer_norm = nn.LayerNorm(outer)
        self.output_conv = _Convolution(outer, len(BASES))

    def logits(self, ids: torch.Tensor, at: Sequence[int] | None = None) -> torch.Tensor:
        """Logits of A, C, G, T at tokens: (n, T) → (n, len(at) or T − 2·halo, 4)."""
        logits: torch.Tensor = self.output_conv(F.gelu(self.hidden(ids, at)))
        return logits

    def hidden(self, ids: torch.Tensor, at: Sequence[int] | None = None) -> torch.Tensor:
        """Last hidden states at tokens: (n, T) → (n, len(at) or T − 2·halo, C)."""
        x = self.embedding(ids)
        for block in self.blocks:
            x = block(x)
        tokens = None if at is None else [token - self.halo for token in at]
        hidden: torch.Tensor = self.output_layer_norm(pick(x, tokens))
        return hidden

    def settle(self) -> None:
        """Keep the symmetrised tensors and forget those that they come from."""
        for module in list(self.modules()):
            for name in ("weight", "bias"):
                if parametrize.is_parametrized(module, name):
                    parametrize.remove_parametrizations(module, name)


def _reversed(size: int) -> torch.Tensor:
    """Channel → its complement: the last the first's. On the CPU, also under a device context."""
    return torch.arange(size - 1, -1, -1, device="cpu")


def _complements(tokeniser: KmerTokeniser) -> torch.Tensor:
    """Id → the complement's; of other tokens, itself."""
    ids = torch.arange(tokeniser.size, device="cpu")
    kmers = torch.from_numpy(tokeniser.kmer_ids)
    ids[kmers] = kmers[torch.from_numpy(CODE_COMPLEMENT[:4].astype(np.int64))]
    return ids


class PhyloGPN(NetworkModel):
    """A loaded PhyloGPN.

    Attributes
    ----------
    halo : int
        Bases at each end of a window that get no answer.
    """

    def __init__(
        self,
        network: PhyloGPNNetwork,
        options: Options,
        tokeniser: KmerTokeniser,
        device: torch.device,
    ):
        super().__init__(
            network,
            tokeniser,
            device,
            title="PhyloGPN",
            channels=max(options.outer_dim, options.kernel_size * options.inner_dim),
        )
        self.halo = options.halo

    def base_logits(self, ids: torch.Tensor) -> torch.Tensor:
        """Logits of the bases that have `halo` others on each side: (n, W − 2·halo, 4)."""
        return self.logits(ids)

    def tile_logits(self, ids: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        """Logits at bases, from what the model sees of them: see `LanguageModel`.

        Raises
        ------
        ValueError
            If they have less than `halo` bases on a side.
        """
        first, last = start - self.halo, stop + self.halo
        if first < 0 or last > ids.shape[1]:
            raise ValueError(
                f"the bases from {start} to {stop - 1} of a window of {ids.shape[1]} bp; they need "
                f"{self.halo} on each side"
            )
        return self.base_logits(ids[:, first:last])


def load(folder: Path, device: torch.device, expected: Mapping[str, str] | None = None) -> PhyloGPN:
    """Load the checkpoint in `folder`, its weights checked against their `expected` SHA-256.

    Raises
    ------
    UserError
        If a file is missing or damaged, or the tensors are not exactly those that config.json
        asks for.
    """
    config = checkpoint.read_config(folder)
    tokeniser = read_tokeniser(folder, config, {})
    try:
        options = read_options(config)
    except ValueError as error:
        raise UserError(
            f"{folder / 'config.json'}: does not describe a PhyloGPN ({error})"
        ) from error
    with torch.device("meta"):
        network = PhyloGPNNetwork(options, tokeniser)
    stored = weights.read_tensors(folder, expected)
    tensors = {name.removeprefix(_PREFIX): tensor for name, tensor in stored.items()}
    weights.fill(network, tensors, folder, {})
    network.settle()
    return PhyloGPN(network, options, tokeniser, device)

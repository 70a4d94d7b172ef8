"""Caduceus and PlantCaduceus (Schiff et al. 2024, arXiv:2403.03234): bidirectional Mamba.

PH reads a window as it is. PS (`rcps`) reads it on both strands with the same parameters: here as
two sequences, each in its own order, where the authors' code has the second one's states along the
first, in the opposite order of positions and of channels. The functions are the same; only
`hidden` puts them together as theirs does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from varlm.errors import UserError
from varlm.models import checkpoint, weights
from varlm.models.families.caduceus import Options, read_options, read_tokeniser
from varlm.models.networks.mamba import BiMamba, Weights
from varlm.models.networks.network_model import Network, NetworkModel, pick

# Buffers of PS, from config.json.
_COMPLEMENT_MAPS = (
    "caduceus.backbone.embeddings.word_embeddings.complement_map",
    "lm_head.complement_map",
)


class _Part(nn.Module):
    """A part of a checkpoint that does nothing but give its modules their names."""

    def __init__(self, /, **modules: nn.Module):
        super().__init__()
        for name, module in modules.items():
            self.add_module(name, module)


class _Norm(Weights):
    """RMSNorm or LayerNorm, of float32."""

    def __init__(self, options: Options):
        super().__init__(options.d_model, bias=not options.rms_norm)
        self.epsilon = options.norm_epsilon

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the type of the weights."""
        weight, shape = self.weight.float(), self.weight.shape
        if self.bias is None:
            normed = F.rms_norm(x, shape, weight, self.epsilon)
        else:
            normed = F.layer_norm(x, shape, weight, self.bias.float(), self.epsilon)
        return normed.to(self.weight.dtype)


class _Layer(nn.Module):
    def __init__(self, options: Options):
        super().__init__()
        mixer = BiMamba(options)
        self.mixer = _Part(submodule=mixer) if options.rcps else mixer
        self.norm = _norm(options)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, T, channels), float32 → the same shape, in the type of the weights."""
        mixed: torch.Tensor = _inner(self.mixer)(_inner(self.norm)(x))
        return mixed


def _norm(options: Options) -> nn.Module:
    norm = _Norm(options)
    return _Part(submodule=norm) if options.rcps and not options.fused_add_norm else norm


def _inner(module: nn.Module) -> nn.Module:
    """Return what computes, of a module that a checkpoint of PS may have in another."""
    inner: nn.Module = getattr(module, "submodule", module)
    return inner


class Caduceus(Network):
    """A Caduceus with a head for masked tokens.

    Parameters
    ----------
    options : Options
    """

    complement: torch.Tensor

    def __init__(self, options: Options):
        super().__init__()
        self.options = options
        table = Weights(options.vocab_size, options.d_model)
        head = (
            table if options.tie_word_embeddings else Weights(options.vocab_size, options.d_model)
        )
        backbone = _Part(
            embeddings=_Part(word_embeddings=_Part(embedding=table) if options.rcps else table),
            layers=nn.ModuleList(_Layer(options) for _ in range(options.n_layer)),
            norm_f=_norm(options),
        )
        self.caduceus = _Part(backbone=backbone)
        self.lm_head = _Part(lm_head=head) if options.rcps else head
        self.register_buffer("complement", torch.tensor(options.complement), persistent=False)

    @property
    def _backbone(self) -> Any:
        return self.caduceus.backbone

    @property
    def _table(self) -> torch.Tensor:
        words = self._backbone.embeddings.word_embeddings
        weight: torch.Tensor = getattr(words, "embedding", words).weight
        return weight

    @property
    def _head(self) -> torch.Tensor:
        head: Any = getattr(self.lm_head, "lm_head", self.lm_head)
        weight: torch.Tensor = head.weight
        return weight

    def logits(self, ids: torch.Tensor, at: Sequence[int] | None = None) -> torch.Tensor:
        """Logits at tokens: see `Network`."""
        weight = self._head
        own, *other = self._last(ids, at)
        logits = F.linear(own, weight)
        for strand in other:
            logits += F.linear(strand, weight[self.complement])
        return logits

    def hidden(self, ids: torch.Tensor, at: Sequence[int] | None = None) -> torch.Tensor:
        """Last hidden states at tokens, as the authors' code gives them to its head.

        Of PS they have 2 · d_model channels: the strand that is read, then the other one, its
        channels in the opposite order.
        """
        own, *other = self._last(ids, at)
        return torch.cat([own, *(strand.flip(-1) for strand in other)], -1)

    def _last(self, ids: torch.Tensor, at: Sequence[int] | None) -> list[torch.Tensor]:
        """Return the last states at tokens, of each strand: (n, len(at) or T, d_model)."""
        own, *other = self._sum(ids)
        norm = _inner(self._backbone.norm_f)
        return [norm(pick(x, at)) for x in (own, *(strand.flip(1) for strand in other))]

    def _sum(self, ids: torch.Tensor) -> torch.Tensor:
        """Return the sum of all layers' outputs: float32, (strands, n, T, d_model).

        Each strand in its own order.
        """
        options = self.options
        strands = [ids, self.complement[ids.flip(1)]] if options.rcps else [ids]
        total = F.embedding(torch.stack(strands), self._table).float()
        for layer in self._backbone.layers:
            if options.rcps and options.fused_add_norm:
                # RCPSMambaBlock of the authors' modeling_rcps.py takes each half of the channels
                # for the other one's, in this case alone; their checkpoints are trained with it.
                total = total.flip(0, 2, 3)
            total = total + layer(total.flatten(0, 1)).view_as(total)
        return total


def load(
    folder: Path, device: torch.device, expected: Mapping[str, str] | None = None
) -> NetworkModel:
    """Load the checkpoint in `folder`, its weights checked against their `expected` SHA-256.

    Raises
    ------
    UserError
        If a file is missing or damaged, or the tensors are not exactly those that config.json
        asks for.
    """
    config = checkpoint.read_config(folder)
    options = read_options(config, folder)
    tokeniser = read_tokeniser(folder, config, {})
    network = Caduceus(options)
    tensors = weights.read_tensors(folder, expected)
    weights.fill_built(network, _without_maps(tensors, options, folder), folder)
    directions = 2 if options.bidirectional else 1
    return NetworkModel(
        network,
        tokeniser,
        device,
        title="Caduceus-PS" if options.rcps else "Caduceus-PH",
        channels=options.strands * directions * options.d_inner,
    )


def _without_maps(
    tensors: Mapping[str, torch.Tensor], options: Options, folder: Path
) -> dict[str, torch.Tensor]:
    """Return the tensors but the complements of the ids, which have to be those of config.json."""
    kept = dict(tensors)
    for name in _COMPLEMENT_MAPS if options.rcps else ():
        table = kept.pop(name, None)
        if table is not None and table.tolist() != list(options.complement):
            raise UserError(
                f"{folder}: the tensor {name} is {table.tolist()}, but complement_map in "
                f"config.json makes it {list(options.complement)}; one of the files belongs to "
                "another model"
            )
    return kept

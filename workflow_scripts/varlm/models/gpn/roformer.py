"""The RoFormer encoder of GPN: attention with rotary positions (Su et al. 2021, arXiv:2104.09864).

The same sums as `transformers.models.roformer`, with fused attention; in the last layer only the
wanted position asks, which is exact.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from varlm.models.gpn import fused
from varlm.models.gpn.options import RoFormerOptions
from varlm.models.gpn.pointwise import Pointwise, type_of_products


class RoFormerNetwork:
    """Embedding, RoFormer layers and head of a loaded GPN, on a device, in one mode.

    Parameters
    ----------
    embedding : float32, shape (vocabulary, channels)
    encoder : the modules of transformers' RoFormerEncoder (`skeleton`)
        Loaded; copied to `device`.
    options : RoFormerOptions
    head : modules that work on each position by itself
    mode : str
        One of `varlm.models.language_model.MODES`, but winograd.
    """

    def __init__(
        self,
        embedding: torch.Tensor,
        encoder: Any,
        options: RoFormerOptions,
        head: Iterable[nn.Module],
        mode: str,
        device: torch.device,
    ):
        self.dtype, self.device = type_of_products(mode), device
        self.embedding = embedding.to(device)
        self.heads = options.num_attention_heads
        self.rotary_value = options.rotary_value
        # sin in the left half, cos in the right half; each serves two neighbouring channels.
        sin, cos = encoder.embed_positions.weight.detach().float().to(device).chunk(2, dim=-1)
        self.sin: torch.Tensor = sin.repeat_interleave(2, dim=-1)
        self.cos: torch.Tensor = cos.repeat_interleave(2, dim=-1)
        self.layers = [self._layer(layer) for layer in encoder.layer]
        self.head = [self._module(module) for module in head]
        self._step = fused.compiled(self._through) if mode == "fused" else self._through

    def __call__(self, ids: torch.Tensor, wanted: range) -> torch.Tensor:
        """Return the vocabulary's logits: float32, (batch, len(wanted), vocabulary).

        Parameters
        ----------
        ids : int64, shape (batch, length)
        wanted : range
            Positions, 0-based.
        """
        x = self.encoded(ids, wanted)
        for module in self.head:
            x = module(x)
        return x

    def encoded(self, ids: torch.Tensor, wanted: range) -> torch.Tensor:
        """Return the last layer's output: float32, (batch, len(wanted), channels)."""
        x = self.embedding[ids]
        everywhere = range(ids.shape[1])
        for number, layer in enumerate(self.layers):
            last = number == len(self.layers) - 1
            x = self._step(layer, x, wanted if last else everywhere)
        if not self.layers:
            x = x[:, wanted.start : wanted.stop]
        return x

    def _through(
        self, layer: Mapping[str, Pointwise], x: torch.Tensor, wanted: range
    ) -> torch.Tensor:
        """Return what a layer makes of its input, at the positions wanted."""
        x = self._attend(layer, x, wanted)
        y: torch.Tensor = layer["out_norm"](x + layer["out"](layer["act"](layer["up"](x))))
        return y

    def _attend(
        self, layer: Mapping[str, Pointwise], x: torch.Tensor, wanted: range
    ) -> torch.Tensor:
        asking = x[:, wanted.start : wanted.stop]
        query = self._rotate(self._split(layer["query"](asking)), wanted.start)
        key = self._rotate(self._split(layer["key"](x)), 0)
        value = self._split(layer["value"](x))
        if self.rotary_value:
            value = self._rotate(value, 0)
        query, key, value = (part.to(self.dtype) for part in (query, key, value))
        mixed = F.scaled_dot_product_attention(query, key, value)
        mixed = mixed.transpose(1, 2).flatten(2).float()
        y: torch.Tensor = layer["attention_norm"](asking + layer["attention_out"](mixed))
        return y

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)

    def _rotate(self, x: torch.Tensor, first: int) -> torch.Tensor:
        """Rotate each pair of channels by its position's angle; x: (batch, head, length, width)."""
        stop = first + x.shape[2]
        turned = torch.stack([-x[..., 1::2], x[..., ::2]], dim=-1).view_as(x)
        return x * self.cos[first:stop] + turned * self.sin[first:stop]

    def _layer(self, layer: Any) -> dict[str, Pointwise]:
        attention = layer.attention
        modules = {
            "query": attention.self.query,
            "key": attention.self.key,
            "value": attention.self.value,
            "attention_out": attention.output.dense,
            "attention_norm": attention.output.LayerNorm,
            "up": layer.intermediate.dense,
            "out": layer.output.dense,
            "out_norm": layer.output.LayerNorm,
            "act": layer.intermediate.intermediate_act_fn,
        }
        return {name: self._module(module) for name, module in modules.items()}

    def _module(self, module: nn.Module) -> Pointwise:
        copied = copy.deepcopy(module).to(self.device).requires_grad_(False)
        if isinstance(module, nn.Linear):
            copied = copied.to(self.dtype)
        return Pointwise([copied], self.dtype)

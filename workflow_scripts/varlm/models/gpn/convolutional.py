"""The convolutional encoders of GPN, computed for the positions that an answer depends on.

`gpn.model` (convnet, bytenet) and `gpn.legacy` (ConvNet) stack residual layers
x + post(conv(pre(x))), each but bytenet's followed by x + ffn(x), where pre, post and ffn work
on each position by itself. The answer at one position needs ever fewer positions of the later
layers (the last layers of the legacy shape: …, 457, 225, 81, 9, 1 of 512), and the first layer
sees tokens, so that it is a sum of rows of a table. Both are exact. Activations stay in the
layout (batch, positions, channels).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from varlm.models.gpn import fused, winograd
from varlm.models.gpn.pointwise import Pointwise, pointwise, type_of_products
from varlm.models.gpn.reach import Positions, Reach, contiguous, plan


@dataclass(frozen=True)
class Layer:
    """One residual layer, as modules of a loaded checkpoint.

    `conv` is an `nn.Conv1d` with zero padding that keeps the length; `pre`, `post` and `ffn`
    hold modules that work on each position by itself (`ffn` may be empty).
    """

    pre: tuple[nn.Module, ...]
    conv: nn.Conv1d
    post: tuple[nn.Module, ...]
    ffn: tuple[nn.Module, ...]


@dataclass(frozen=True)
class Stage:
    """What one layer does for one plan; the index tensors lie on the device.

    Attributes
    ----------
    start, count : int
        The first output position, and the number of outputs.
    before : int or None
        How far the first output's first tap lies before the first input, where inputs and
        outputs are whole stretches; None where they are scattered.
    reads : int64, shape (count, taps)
        Rows of the input that each output reads; the number of input rows stands for the
        padding. None where `before` serves.
    kept : int64, shape (count,), or slice
        Rows of the input that are the outputs' own positions.
    tile : winograd.Tile or None
        The algorithm for a whole stretch; None: tap by tap.
    """

    start: int
    count: int
    before: int | None
    reads: torch.Tensor | None
    kept: torch.Tensor | slice
    tile: winograd.Tile | None


class ConvolutionalNetwork:
    """Embedding, layers and head of a loaded GPN, on a device, in one mode.

    Parameters
    ----------
    embedding : float32, shape (vocabulary, channels)
        What each token becomes.
    layers : sequence of Layer
    head : modules that work on each position by itself
        From the last layer's output to the logits of the whole vocabulary.
    mode : str
        One of `varlm.models.language_model.MODES`.
    device : torch.device
    """

    def __init__(
        self,
        embedding: torch.Tensor,
        layers: Sequence[Layer],
        head: Iterable[nn.Module],
        mode: str,
        device: torch.device,
    ):
        self.mode, self.device = mode, device
        dtype = type_of_products(mode)
        self.embedding = embedding.to(device)
        self.reaches = [
            Reach(layer.conv.kernel_size[0], layer.conv.dilation[0]) for layer in layers
        ]
        first, *rest = layers
        table = pointwise(first.pre, torch.float32, device)(self.embedding)
        self.first = _TableConv(table, first.conv)
        self.pre = [pointwise(layer.pre, dtype, device) for layer in rest]
        self.convs = [_Conv(layer.conv, dtype, device, mode == "fused") for layer in rest]
        self.post = [pointwise(layer.post, dtype, device) for layer in layers]
        self.ffn = [pointwise(layer.ffn, dtype, device) if layer.ffn else None for layer in layers]
        self.head = pointwise(head, dtype, device)
        self._add = fused.compiled(_add) if mode == "fused" else _add
        self._plans: dict[tuple[int, range], list[Stage]] = {}

    def __call__(self, ids: torch.Tensor, wanted: range) -> torch.Tensor:
        """Return the logits of the whole vocabulary.

        Parameters
        ----------
        ids : int64, shape (batch, length)
        wanted : range
            Positions, 0-based.

        Returns
        -------
        float32, shape (batch, len(wanted), vocabulary)
        """
        logits: torch.Tensor = self.head(self.encoded(ids, wanted))
        return logits.float()

    def encoded(self, ids: torch.Tensor, wanted: range) -> torch.Tensor:
        """Return the last layer's output: float32, (batch, len(wanted), channels)."""
        stage, *stages = self._stages(ids.shape[1], wanted)
        x = self.embedding[ids[:, stage.kept]]
        x = self._add(x, self.first(ids, stage), None, self.post[0], self.ffn[0])
        for layer, stage in enumerate(stages, start=1):
            y = self._convolve(layer, self.pre[layer - 1](x), stage)
            bias = self.convs[layer - 1].late_bias
            x = self._add(x[:, stage.kept], y, bias, self.post[layer], self.ffn[layer])
        return x

    def _convolve(self, layer: int, x: torch.Tensor, stage: Stage) -> torch.Tensor:
        conv, reach = self.convs[layer - 1], self.reaches[layer]
        if stage.before is None:
            return conv.gathered(x, stage)
        if stage.tile is not None:
            return conv.winograd(stage.tile, reach)(x, stage.before, stage.count)
        if conv.kernel is not None:
            return conv.stretch(x, stage, reach)
        return conv.taps(x, stage, reach)

    def _stages(self, length: int, wanted: range) -> list[Stage]:
        key = length, wanted
        if key not in self._plans:
            tiles = [self._tile(layer, length) for layer in range(len(self.reaches))]

            def hull_pays(layer: int, needed: int, hull: int) -> bool:
                tile, reach = tiles[layer], self.reaches[layer]
                if tile is None:
                    return False
                return winograd.products(tile, hull, reach.dilation) < 0.7 * needed * reach.taps

            plans = plan(self.reaches, np.array(wanted), length, hull_pays)
            plans[0] = np.arange(length)  # the first layer reads tokens, which are all there
            self._plans[key] = [
                self._stage(layer, inputs, outputs, tiles[layer])
                for layer, (inputs, outputs) in enumerate(pairwise(plans))
            ]
        return self._plans[key]

    def _tile(self, layer: int, length: int) -> winograd.Tile | None:
        """Return the algorithm of a layer: by the window alone, so that weights are kept once."""
        if self.mode != "winograd" or layer == 0 or self.convs[layer - 1].groups != 1:
            return None
        return winograd.cheapest(self.reaches[layer].taps, length, self.reaches[layer].dilation)

    def _stage(
        self, layer: int, inputs: Positions, outputs: Positions, tile: winograd.Tile | None
    ) -> Stage:
        reach = self.reaches[layer]
        start, count = int(outputs[0]), len(outputs)
        kept = np.searchsorted(inputs, outputs)
        whole = contiguous(inputs) and contiguous(outputs)
        reads = None
        # Sums wider than the type need all taps in one product, as scattered outputs do.
        if not whole or layer == 0 or self.convs[layer - 1].needs_one_product:
            reads_at = outputs[:, None] - reach.before + reach.dilation * np.arange(reach.taps)
            rows = np.searchsorted(inputs, reads_at)
            # What is wanted and is no input lies outside the window: the padding.
            rows[inputs[np.minimum(rows, len(inputs) - 1)] != reads_at] = len(inputs)
            reads = torch.from_numpy(rows).to(self.device)
        if tile and winograd.products(tile, count, reach.dilation) > 0.9 * reach.taps * count:
            tile = None  # a short stretch leaves most of its tiles empty
        return Stage(
            start=start,
            count=count,
            before=reach.before - (start - int(inputs[0])) if reads is None else None,
            reads=reads,
            kept=slice(int(kept[0]), int(kept[0]) + count)
            if whole
            else torch.from_numpy(kept).to(self.device),
            tile=tile,
        )


class _TableConv:
    """The first layer: a convolution of tokens is a sum of rows of a table, one per tap.

    Parameters
    ----------
    table : float32, shape (vocabulary, channels in)
        What each token contributes, before the convolution.
    conv : nn.Conv1d
    """

    def __init__(self, table: torch.Tensor, conv: nn.Conv1d):
        weight = conv.weight.detach().to(table.device)
        if conv.groups != 1:  # each output reads its own channel alone
            rows = torch.einsum("vo,ot->tvo", table, weight[:, 0])
        else:
            rows = torch.einsum("vi,oit->tvo", table, weight)
        rows = F.pad(rows, (0, 0, 0, 1))  # the last row of each tap is the padding's: zero
        self.vocabulary = rows.shape[1]
        self.table = rows.reshape(-1, rows.shape[2]).contiguous()
        self.tap = self.vocabulary * torch.arange(rows.shape[0], device=table.device)
        self.bias = None if conv.bias is None else conv.bias.detach().to(table.device)

    def __call__(self, ids: torch.Tensor, stage: Stage) -> torch.Tensor:
        padded = F.pad(ids, (0, 1), value=self.vocabulary - 1)
        rows = padded[:, stage.reads] + self.tap
        y = F.embedding_bag(rows.view(-1, len(self.tap)), self.table, mode="sum")
        y = y.view(len(ids), stage.count, -1)
        return y if self.bias is None else y.add_(self.bias)


class _Conv:
    """One convolution's weights, laid out for products with rows of positions."""

    def __init__(
        self, conv: nn.Conv1d, dtype: torch.dtype, device: torch.device, in_one_kernel: bool
    ):
        if conv.groups not in (1, conv.out_channels):
            raise ValueError(f"a convolution in {conv.groups} groups is no layer of GPN")
        self.source, self.groups = conv, conv.groups
        self.dtype, self.device = dtype, device
        self.bias = None if conv.bias is None else conv.bias.detach().to(device)
        self._winograd: dict[winograd.Tile, winograd.WinogradConv] = {}
        self.kernel: torch.Tensor | None = None
        self.late_bias: torch.Tensor | None = None  # what the caller adds
        if in_one_kernel and conv.groups == 1:
            kernel = conv.weight.detach().to(device, dtype)[..., None]
            self.kernel = kernel.contiguous(memory_format=torch.channels_last)
            self.bias, self.late_bias = None, self.bias

    @property
    def needs_one_product(self) -> bool:
        """Whether sums over the taps must not be rounded to the type of the products."""
        return self.groups == 1 and self.dtype != torch.float32 and self.kernel is None

    @cached_property
    def weight(self) -> torch.Tensor:
        """Shape (taps, channels in, channels out); (taps, channels) when depthwise.

        Made when first asked for: layers that only run as Winograd's do without it.
        """
        weight = self.source.weight.detach()
        rows = weight.permute(2, 1, 0) if self.groups == 1 else weight[:, 0].T
        dtype = self.dtype if self.groups == 1 else torch.float32
        return rows.to(self.device, dtype).contiguous()

    def winograd(self, tile: winograd.Tile, reach: Reach) -> winograd.WinogradConv:
        """Return the convolution as that algorithm; its weights are transformed once."""
        if tile not in self._winograd:
            self._winograd[tile] = winograd.WinogradConv(
                self.source.weight.detach().to(self.device), self.bias, reach.dilation, tile
            )
        return self._winograd[tile]

    def taps(self, x: torch.Tensor, stage: Stage, reach: Reach) -> torch.Tensor:
        """Convolve a whole stretch, tap by tap.

        One product per tap over the outputs that it reaches, added up in place, needs neither
        padding nor a transposed layout: 1.1 to 1.3 times the speed of oneDNN's on Zen 3.
        """
        assert stage.before is not None
        batch, width, channels = x.shape
        out = x.new_zeros((batch, stage.count, self.weight.shape[-1]))
        if self.bias is not None:
            out += self.bias
        for tap in range(reach.taps):
            shift = tap * reach.dilation - stage.before
            low, high = max(0, -shift), min(stage.count, width - shift)
            if low >= high:
                continue
            part, rows = out[:, low:high], x[:, low + shift : high + shift]
            if self.groups == 1:
                kernel = self.weight[tap].expand(batch, channels, -1)
                torch.baddbmm(part, rows, kernel, out=part)
            else:
                part.addcmul_(rows, self.weight[tap])
        return out

    def stretch(self, x: torch.Tensor, stage: Stage, reach: Reach) -> torch.Tensor:
        """Convolve a whole stretch in one kernel; the bias is left to the caller."""
        assert stage.before is not None
        assert self.kernel is not None
        return fused.convolve_stretch(x, self.kernel, reach.dilation, stage.before, stage.count)

    def gathered(self, x: torch.Tensor, stage: Stage) -> torch.Tensor:
        """Convolve at scattered positions: the rows that each output reads, side by side."""
        assert stage.reads is not None
        batch, _, channels = x.shape
        count, taps = stage.reads.shape
        padded = F.pad(x.to(self.weight.dtype), (0, 0, 0, 1))
        rows = padded.index_select(1, stage.reads.view(-1))
        if self.groups == 1:
            y = rows.view(batch * count, taps * channels) @ self.weight.view(taps * channels, -1)
            y = y.view(batch, count, -1).to(x.dtype)
        else:
            y = (rows.view(batch, count, taps, channels) * self.weight).sum(dim=2)
        return y if self.bias is None else y.add_(self.bias)


def _add(
    x: torch.Tensor,
    y: torch.Tensor,
    bias: torch.Tensor | None,
    post: Pointwise,
    ffn: Pointwise | None,
) -> torch.Tensor:
    """Add a layer's convolution y to its input x, and the feed-forward part; x is used up."""
    x += post(y.float() if bias is None else y + bias)
    if ffn is not None:
        x += ffn(x)
    return x

"""The modules of a GPN checkpoint: names and shapes of its tensors, in plain torch.

A checkpoint names its tensors by the modules of `gpn` 0.9.0a1 and, for RoFormer, of
`transformers` 5.23.0. The modules here have the same names and shapes and none of those packages'
code, whose import takes three times as long as scoring a small shard. They are built without
values, on the meta device: `weights.fill` gives them those of the files. `convolutional` and
`roformer` take the filled modules and compute.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from varlm.models.gpn.activations import activation
from varlm.models.gpn.convolutional import Layer
from varlm.models.gpn.options import (
    ConvNetOptions,
    GPNOptions,
    GPNRoFormerOptions,
    Options,
    RoFormerOptions,
)

_META = torch.device("meta")


class Part(nn.Module):
    """A part of a checkpoint that does nothing but give its modules their names."""

    def __init__(self, /, **modules: nn.Module):
        super().__init__()
        for name, module in modules.items():
            self.add_module(name, module)


class Table(nn.Module):
    """A table of vectors: `weight`, shape (rows, width).

    Not `nn.Embedding`: filling one on the meta device imports `torch._dynamo`, two seconds.
    """

    def __init__(self, rows: int, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(rows, width, device=_META))


class Output(NamedTuple):
    """What a masked language model answers: `logits`, float32, (batch, length, vocabulary)."""

    logits: torch.Tensor


class Skeleton(nn.Module):
    """A masked language model's modules, under the names of the checkpoint.

    Parameters
    ----------
    options : Options
    model : the embedding and the encoder
    cls : the head
    words : Table or None
        The embedding; None: each token has a channel of its own.
    head : sequence of nn.Module
        From the encoder's output to the logits of the vocabulary, each position by itself.
    """

    def __init__(
        self,
        options: Options,
        model: Part,
        cls: Part,
        words: Table | None,
        head: Sequence[nn.Module],
    ):
        super().__init__()
        self.options = options
        self.model = model
        self.cls = cls
        self._words = [words]  # in a list, so that the state has it once
        self.head = list(head)

    @property
    def words(self) -> Table | None:
        """The embedding; None: each token has a channel of its own."""
        return self._words[0]

    def embedding(self) -> torch.Tensor:
        """Return what each token becomes: float32, shape (vocabulary, channels)."""
        if self.words is None:
            return torch.eye(self.options.vocab_size, self.options.hidden_size)
        return self.words.weight.detach()


class ConvolutionalSkeleton(Skeleton):
    """Convnet, bytenet, or the legacy ConvNet."""

    def layers(self) -> list[Layer]:
        """Return the residual layers, first to last."""
        encoder: Any = self.model.encoder
        legacy = isinstance(self.options, ConvNetOptions)
        return [_layer(part) for part in (encoder if legacy else encoder.layer)]

    def forward(self, input_ids: torch.Tensor) -> Output:
        """Compute every position of every layer: plain, slow, what the tests compare with.

        Parameters
        ----------
        input_ids : int64, shape (batch, length)
        """
        x = self.embedding()[input_ids]
        for layer in self.layers():
            before = _apply(layer.pre, x)
            x = x + _apply(layer.post, layer.conv(before.transpose(1, 2)).transpose(1, 2))
            if layer.ffn:
                x = x + _apply(layer.ffn, x)
        return Output(_apply(self.head, x))


class RoFormerSkeleton(Skeleton):
    """GPN's RoFormer, or the legacy GPNRoFormer."""

    options: RoFormerOptions


def build(options: Options) -> ConvolutionalSkeleton | RoFormerSkeleton:
    """Return the modules that a checkpoint with these options has; their tensors have no values.

    Raises
    ------
    ValueError
        If the activation is not known.
    """
    if isinstance(options, GPNOptions):
        return _gpn(options)
    if isinstance(options, GPNRoFormerOptions):
        return _gpn_roformer(options)
    assert isinstance(options, ConvNetOptions)
    return _convnet(options)


def _gpn(options: GPNOptions) -> ConvolutionalSkeleton | RoFormerSkeleton:
    hidden, bias = options.hidden_size, options.bias
    words = Table(options.vocab_size, hidden) if options.embedding == "embedding" else None
    encoder = _roformer_encoder(options) if options.encoder == "roformer" else _encoder(options)
    norm = _norm(hidden, bias)
    transform = nn.Sequential(
        *((_linear(hidden, hidden, bias), nn.GELU(), _norm(hidden, bias)))
        if options.mlm_head_transform
        else ()
    )
    decoder = _linear(hidden, options.vocab_size, bias)
    kind = RoFormerSkeleton if options.encoder == "roformer" else ConvolutionalSkeleton
    return kind(
        options,
        model=Part(
            embeddings=Part() if words is None else Part(word_embeddings=words),
            encoder=encoder,
            ln_f=norm,
        ),
        cls=Part(transform=transform, decoder=decoder),
        words=words,
        head=[norm, *transform, decoder],
    )


def _convnet(options: ConvNetOptions) -> ConvolutionalSkeleton:
    hidden = options.hidden_size
    layers = [
        Part(
            conv=nn.Sequential(
                nn.Identity(),
                _conv(hidden, options.kernel_size, options.dilation(layer), 1, True),
                nn.Identity(),
                nn.GELU(),
                _norm(hidden, True),
            ),
            ffn=nn.Sequential(_linear(hidden, hidden, True), nn.GELU(), _norm(hidden, True)),
        )
        for layer in range(options.n_layers)
    ]
    decoder = nn.Sequential(
        _linear(hidden, hidden, True),
        nn.GELU(),
        _norm(hidden, True),
        _linear(hidden, options.vocab_size, True),
    )
    return ConvolutionalSkeleton(
        options,
        model=Part(encoder=nn.Sequential(*layers)),
        cls=Part(decoder=decoder),
        words=None,
        head=list(decoder),
    )


def _gpn_roformer(options: GPNRoFormerOptions) -> RoFormerSkeleton:
    width = options.embedding_size or options.hidden_size
    transform = Part(
        dense=_linear(options.hidden_size, width, True),
        transform_act_fn=activation(options.hidden_act),
        LayerNorm=_norm(width, True, options.layer_norm_eps),
    )
    decoder = _linear(width, options.vocab_size, True)
    predictions = Part(transform=transform, decoder=decoder)
    # The decoder's bias under another name; transformers 4 stored both.
    predictions.bias = nn.Parameter(torch.empty(options.vocab_size, device=_META))
    return RoFormerSkeleton(
        options,
        model=Part(encoder=_roformer_encoder(options)),
        cls=Part(predictions=predictions),
        words=None,
        head=[*transform.children(), decoder],
    )


# Layers. The numbers of a Sequential's modules are part of the tensors' names: an Identity keeps
# the place of a module of gpn that has no tensor (a transposition, dropout).


def _encoder(options: GPNOptions) -> Part:
    make = _convnet_layer if options.encoder == "convnet" else _bytenet_layer
    return Part(
        layer=nn.Sequential(*(make(options, layer) for layer in range(options.num_hidden_layers)))
    )


def _convnet_layer(options: GPNOptions, layer: int) -> Part:
    hidden, inner, bias = options.hidden_size, options.intermediate_size, options.bias
    return Part(
        conv=nn.Sequential(
            _norm(hidden, bias),
            nn.Identity(),
            _gpn_conv(options, layer, hidden),
            nn.Identity(),
            nn.GELU(),
            _linear(hidden, hidden, bias),
        ),
        ffn=nn.Sequential(
            _norm(hidden, bias),
            _linear(hidden, inner, bias),
            nn.GELU(),
            _linear(inner, hidden, bias),
        ),
    )


def _bytenet_layer(options: GPNOptions, layer: int) -> Part:
    hidden, bias = options.hidden_size, options.bias
    inner = hidden // 2 if options.slim else hidden
    return Part(
        layer=nn.Sequential(
            _norm(hidden, bias),
            nn.GELU(),
            _linear(hidden, inner, bias),
            _norm(inner, bias),
            nn.GELU(),
            nn.Identity(),
            _gpn_conv(options, layer, inner),
            nn.Identity(),
            _norm(inner, bias),
            nn.GELU(),
            _linear(inner, hidden, bias),
        )
    )


def _roformer_encoder(options: RoFormerOptions) -> Part:
    return Part(
        embed_positions=Table(options.max_position_embeddings, options.head_width),
        layer=nn.ModuleList(_roformer_layer(options) for _ in range(options.num_hidden_layers)),
    )


def _roformer_layer(options: RoFormerOptions) -> Part:
    hidden, inner, eps = options.hidden_size, options.intermediate_size, options.layer_norm_eps
    asking = {name: _linear(hidden, hidden, True) for name in ("query", "key", "value")}
    return Part(
        attention=Part(
            **{"self": Part(**asking)},
            output=Part(dense=_linear(hidden, hidden, True), LayerNorm=_norm(hidden, True, eps)),
        ),
        intermediate=Part(
            dense=_linear(hidden, inner, True), intermediate_act_fn=activation(options.hidden_act)
        ),
        output=Part(dense=_linear(inner, hidden, True), LayerNorm=_norm(hidden, True, eps)),
    )


def _linear(inputs: int, outputs: int, bias: bool) -> nn.Linear:
    return nn.Linear(inputs, outputs, bias=bias, device=_META)


def _norm(width: int, bias: bool, eps: float = 1e-5) -> nn.LayerNorm:
    return nn.LayerNorm(width, eps=eps, bias=bias, device=_META)


def _gpn_conv(options: GPNOptions, layer: int, channels: int) -> nn.Conv1d:
    first = layer == 0  # sees tokens, so that it mixes channels even where the others do not
    return _conv(
        channels,
        taps=options.first_kernel_size if first else options.rest_kernel_size,
        dilation=options.dilation(layer),
        groups=options.hidden_size if options.depthwise and not first else 1,
        bias=options.bias,
    )


def _conv(channels: int, taps: int, dilation: int, groups: int, bias: bool) -> nn.Conv1d:
    return nn.Conv1d(
        channels,
        channels,
        taps,
        padding="same",
        dilation=dilation,
        groups=groups,
        bias=bias,
        device=_META,
    )


def _layer(part: Any) -> Layer:
    """Return a convolutional layer's modules in order, around its convolution."""
    steps = [
        step
        for step in (part.layer if hasattr(part, "layer") else part.conv)
        if not isinstance(step, nn.Identity)
    ]
    at = next(i for i, step in enumerate(steps) if isinstance(step, nn.Conv1d))
    conv = steps[at]
    assert isinstance(conv, nn.Conv1d)
    return Layer(
        pre=tuple(steps[:at]),
        conv=conv,
        post=tuple(steps[at + 1 :]),
        ffn=tuple(part.ffn) if hasattr(part, "ffn") else (),
    )


def _apply(modules: Iterable[nn.Module], x: torch.Tensor) -> torch.Tensor:
    for module in modules:
        x = module(x)
    return x

"""Networks in training: the modules of `varlm.models`, with a forward pass that can be trained.

Only what the loss needs is computed: the first layer of a GPN sees tokens, so that its convolution
is a table of vectors, and past the last convolution only the positions that are predicted go on.
Tensors have the names and shapes of `gpn` 0.9.0a1, and start from its distributions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import nn

from varlm.models.gpn.convolutional import Layer
from varlm.models.gpn.options import GPNOptions
from varlm.models.gpn.skeleton import ConvolutionalSkeleton, build


class Network(nn.Module, ABC):
    """A model in training."""

    causal = False

    @abstractmethod
    def at(self, inputs: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """Return logits of the vocabulary at some positions.

        Parameters
        ----------
        inputs : int64, shape (windows, length)
            Tokens.
        places : int64, shape (predicted,)
            Positions in the flattened `inputs`, ascending.

        Returns
        -------
        float32, shape (predicted, vocabulary)
        """

    @abstractmethod
    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the tensors of the checkpoint, by their names there."""


class ConvolutionalGPN(Network):
    """GPN's convnet and bytenet.

    Parameters
    ----------
    options : GPNOptions
    initializer_range : float
        Standard deviation of the linear layers' and the embedding's first values.
    """

    def __init__(self, options: GPNOptions, initializer_range: float = 0.02):
        super().__init__()
        skeleton = build(options)
        assert isinstance(skeleton, ConvolutionalSkeleton)
        skeleton.to_empty(device="cpu")
        initialise(skeleton, initializer_range)
        self.skeleton = skeleton
        self.dropout = options.hidden_dropout_prob if options.encoder == "convnet" else 0.0
        self._layers = skeleton.layers()

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the tensors of the checkpoint, by their names there."""
        return dict(self.skeleton.state_dict())

    def at(self, inputs: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """Return logits at some positions: see `Network`."""
        vocabulary = self._vocabulary()
        x = vocabulary[inputs]
        last = len(self._layers) - 1
        for i, layer in enumerate(self._layers):
            chosen = places if i == last else None
            if i == 0:
                columns = _table_convolution(layer, vocabulary, inputs, chosen)
            else:
                columns = _convolution(layer.conv, applied(layer.pre, x), chosen)
            if chosen is not None:
                x = x.flatten(0, 1)[chosen]
            x = x + self._dropped(applied(layer.post, columns))
            if layer.ffn:
                x = x + self._dropped(applied(layer.ffn, x))
        return applied(self.skeleton.head, x)

    def _vocabulary(self) -> torch.Tensor:
        """Return what each token becomes: (vocabulary, channels), with its gradient."""
        words = self.skeleton.words
        if words is not None:
            return words.weight
        options = self.skeleton.options
        device = next(self.parameters()).device
        return torch.eye(options.vocab_size, options.hidden_size, device=device)

    def _dropped(self, x: torch.Tensor) -> torch.Tensor:
        return F.dropout(x, self.dropout, self.training) if self.dropout else x


def _table_convolution(
    layer: Layer, vocabulary: torch.Tensor, inputs: torch.Tensor, chosen: torch.Tensor | None
) -> torch.Tensor:
    """Convolve what a layer makes of tokens, by what each token adds at each tap.

    (windows, length) → (windows, length, channels), or (chosen, channels).
    """
    conv = layer.conv
    steps = applied(layer.pre, vocabulary)  # (tokens, channels)
    if conv.groups > 1:
        weight = conv.weight[:, 0].t()[:, None] * steps  # (taps, tokens, channels)
    else:
        weight = torch.einsum("oct,vc->tvo", conv.weight, steps)
    taps, tokens, channels = weight.shape
    # "same" padding: outside the window there is nothing, a token of its own without a vector.
    before, after = _padding(conv)
    padded = F.pad(inputs, (before, after), value=tokens)
    dilation = conv.dilation[0]
    seen = padded.unfold(1, dilation * (taps - 1) + 1, 1)[..., ::dilation]  # (n, length, taps)
    if chosen is not None:
        seen = seen.flatten(0, 1)[chosen]
    hot = F.one_hot(seen, tokens + 1)[..., :tokens].flatten(-2).to(weight.dtype)
    result = hot @ weight.reshape(taps * tokens, channels)
    return result if conv.bias is None else result + conv.bias


def _convolution(conv: nn.Conv1d, x: torch.Tensor, chosen: torch.Tensor | None) -> torch.Tensor:
    """Convolve along positions: (n, length, channels) → the same, or (chosen, channels)."""
    length = x.shape[1]
    taps, dilation = conv.kernel_size[0], conv.dilation[0]
    before, after = _padding(conv)
    padded = F.pad(x, (0, 0, before, after))  # "same"
    if chosen is not None:
        rows = torch.div(chosen, length, rounding_mode="floor") * (length + before + after)
        first = rows + chosen % length
        offsets = torch.arange(taps, device=x.device) * dilation
        seen = padded.flatten(0, 1)[first[:, None] + offsets]  # (chosen, taps, channels)
        if conv.groups > 1:
            result = (seen * conv.weight[:, 0].t()).sum(1)
        else:
            result = seen.flatten(1) @ conv.weight.permute(2, 1, 0).flatten(0, 1)
        return result if conv.bias is None else result + conv.bias
    if x.device.type != "cpu" or conv.groups > 1:
        convolved: torch.Tensor = conv(x.transpose(1, 2))
        return convolved.transpose(1, 2)
    # On a CPU the two-dimensional convolution is the faster one for channels that lie together.
    image = padded.transpose(1, 2).unsqueeze(2)
    weight = conv.weight.unsqueeze(2).contiguous(memory_format=torch.channels_last)
    result = F.conv2d(image, weight, conv.bias, dilation=(1, dilation))
    return result.squeeze(2).transpose(1, 2)


def _padding(conv: nn.Conv1d) -> tuple[int, int]:
    """Return what "same" pads before and after, as torch does it."""
    total = conv.dilation[0] * (conv.kernel_size[0] - 1)
    return total // 2, total - total // 2


def applied(modules: Iterable[nn.Module], x: torch.Tensor) -> torch.Tensor:
    """Apply modules one after another."""
    for module in modules:
        x = module(x)
    return x


def initialise(modules: nn.Module, deviation: float) -> None:
    """Give modules their first values, drawn from the distributions of `gpn` 0.9.0a1.

    Linear layers and embeddings are normal with `deviation`, biases 0, norms 1; convolutions keep
    torch's own.
    """
    for module in modules.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=deviation)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Conv1d | nn.LayerNorm):
            module.reset_parameters()
        elif not list(module.children()):
            for parameter in module.parameters(recurse=False):
                nn.init.normal_(parameter, std=deviation)


def loss_sum(logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the weighted sum of the cross-entropies, nats.

    Parameters
    ----------
    logits : (predicted, vocabulary)
    targets : int64, (predicted,)
    weights : float32, (predicted,)
    """
    return (F.cross_entropy(logits.float(), targets, reduction="none") * weights).sum()


def parameters_for_decay(network: nn.Module) -> list[Sequence[nn.Parameter]]:
    """Return the matrices, which weight decay draws to zero, and the rest, which it does not."""
    matrices = [p for p in network.parameters() if p.ndim > 1]
    return [matrices, [p for p in network.parameters() if p.ndim <= 1]]

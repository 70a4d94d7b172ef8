"""The network of DNABERT-2 (MosaicBERT): BERT with ALiBi and gated feed-forward layers.

Modules bear the names of the checkpoint's tensors. The authors' class packs sequences of a batch
without their padding; here sequences of a batch are of one length, which is the same function.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import nn
from torch.nn import functional

_ACTIVATIONS = {"gelu": nn.GELU, "relu": nn.ReLU, "silu": nn.SiLU}


@dataclass(frozen=True)
class Options:
    """What of config.json shapes the network; the defaults are those of the authors' class."""

    vocab_size: int
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    type_vocab_size: int = 2
    layer_norm_eps: float = 1e-12
    hidden_act: str = "gelu"

    def __post_init__(self) -> None:
        """Raise ValueError if they make no network."""
        for field in fields(self):
            value, kind = getattr(self, field.name), type(field.default)
            if kind is str and value not in _ACTIVATIONS:
                raise ValueError(f"{field.name} is {value!r}, expected {', '.join(_ACTIVATIONS)}")
            if kind is float and not (isinstance(value, float) and value > 0):
                raise ValueError(f"{field.name} is {value!r}, expected a number above 0")
            if kind not in (str, float) and not (isinstance(value, int) and value > 0):
                raise ValueError(f"{field.name} is {value!r}, expected a whole number above 0")
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} is no multiple of num_attention_heads "
                f"{self.num_attention_heads}"
            )


def read_options(config: Mapping[str, Any]) -> Options:
    """Return the options of a config.json; ValueError if they make no network."""
    return Options(**{f.name: config[f.name] for f in fields(Options) if f.name in config})


def slopes(heads: int) -> list[float]:
    """Return what a head's attention falls by from a token to the next, of each head.

    A geometric series that ends at 2^−8 for a power of two. For other numbers, that of the power
    below, followed by every other slope of the power above.
    """
    below = 1 << (heads.bit_length() - 1)
    first = [2.0 ** (-8 * (head + 1) / below) for head in range(below)]
    return first if below == heads else first + slopes(2 * below)[0::2][: heads - below]


class _Embeddings(nn.Module):
    def __init__(self, options: Options):
        super().__init__()
        self.word_embeddings = nn.Embedding(options.vocab_size, options.hidden_size)
        self.token_type_embeddings = nn.Embedding(options.type_vocab_size, options.hidden_size)
        self.LayerNorm = _norm(options)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        states: torch.Tensor = self.LayerNorm(
            self.word_embeddings(ids) + self.token_type_embeddings.weight[0]
        )
        return states


class _SelfAttention(nn.Module):
    def __init__(self, options: Options):
        super().__init__()
        self.heads = options.num_attention_heads
        self.Wqkv = nn.Linear(options.hidden_size, 3 * options.hidden_size)

    def forward(
        self, states: torch.Tensor, bias: torch.Tensor, at: torch.Tensor | None
    ) -> torch.Tensor:
        n, tokens, _ = states.shape
        parts = self.Wqkv(states).view(n, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        query, key, value = parts.unbind(0)  # each (n, heads, tokens, width)
        if at is not None:
            query = query[torch.arange(n, device=at.device), :, at][:, :, None]
            bias = bias[:, at].transpose(0, 1)[:, :, None]
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        return mixed.transpose(1, 2).flatten(2)


class _Output(nn.Module):
    def __init__(self, options: Options):
        super().__init__()
        self.dense = nn.Linear(options.hidden_size, options.hidden_size)
        self.LayerNorm = _norm(options)


class _Attention(nn.Module):
    def __init__(self, options: Options):
        super().__init__()
        self.self = _SelfAttention(options)
        self.output = _Output(options)

    def forward(
        self, states: torch.Tensor, bias: torch.Tensor, at: torch.Tensor | None
    ) -> torch.Tensor:
        mixed = self.output.dense(self.self(states, bias, at))
        if at is not None:
            states = states[torch.arange(len(at), device=at.device), at][:, None]
        normed: torch.Tensor = self.output.LayerNorm(mixed + states)
        return normed


class _GatedFeedForward(nn.Module):
    def __init__(self, options: Options):
        super().__init__()
        self.gated_layers = nn.Linear(
            options.hidden_size, 2 * options.intermediate_size, bias=False
        )
        self.wo = nn.Linear(options.intermediate_size, options.hidden_size)
        self.layernorm = _norm(options)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        gate, values = self.gated_layers(states).chunk(2, -1)
        # The exact GELU, whatever hidden_act is.
        mixed = self.wo(functional.gelu(gate) * values)
        normed: torch.Tensor = self.layernorm(mixed + states)
        return normed


class _Layer(nn.Module):
    def __init__(self, options: Options):
        super().__init__()
        self.attention = _Attention(options)
        self.mlp = _GatedFeedForward(options)

    def forward(
        self, states: torch.Tensor, bias: torch.Tensor, at: torch.Tensor | None = None
    ) -> torch.Tensor:
        mixed: torch.Tensor = self.mlp(self.attention(states, bias, at))
        return mixed


class _Encoder(nn.Module):
    def __init__(self, options: Options):
        super().__init__()
        self.layer = nn.ModuleList(_Layer(options) for _ in range(options.num_hidden_layers))


class _Bert(nn.Module):
    def __init__(self, options: Options):
        super().__init__()
        self.embeddings = _Embeddings(options)
        self.encoder = _Encoder(options)


class _Transform(nn.Module):
    def __init__(self, options: Options):
        super().__init__()
        self.dense = nn.Linear(options.hidden_size, options.hidden_size)
        self.activation = _ACTIVATIONS[options.hidden_act]()
        self.LayerNorm = nn.LayerNorm(options.hidden_size, eps=1e-12)  # not layer_norm_eps

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        normed: torch.Tensor = self.LayerNorm(self.activation(self.dense(states)))
        return normed


class _Predictions(nn.Module):
    def __init__(self, options: Options):
        super().__init__()
        self.transform = _Transform(options)
        self.decoder = nn.Linear(options.hidden_size, options.vocab_size)


class _Head(nn.Module):
    def __init__(self, options: Options):
        super().__init__()
        self.predictions = _Predictions(options)


class MosaicBert(nn.Module):
    """The masked language model; its output matrix is that of its input.

    Parameters
    ----------
    options : Options
    """

    def __init__(self, options: Options):
        super().__init__()
        self.options = options
        self.bert = _Bert(options)
        self.cls = _Head(options)
        self.tie()

    def tie(self) -> None:
        """Let input and output have one matrix: again, once they were filled by name."""
        self.cls.predictions.decoder.weight = self.bert.embeddings.word_embeddings.weight

    def hidden(self, ids: torch.Tensor, at: torch.Tensor | None = None) -> torch.Tensor:
        """Last hidden states.

        Parameters
        ----------
        ids : int64, shape (n, T)
            Special tokens included; none is padding.
        at : int64, shape (n,), optional
            A token of each sequence; None: all.

        Returns
        -------
        shape (n, T, C), or (n, C)
        """
        states = self.bert.embeddings(ids)
        bias = self._bias(ids.shape[1], ids.device)
        *layers, last = self.bert.encoder.layer
        for layer in layers:
            states = layer(states, bias)
        # What the last layer makes of other tokens nobody reads.
        out: torch.Tensor = last(states, bias, at)
        return out if at is None else out[:, 0]

    def logits(self, ids: torch.Tensor) -> torch.Tensor:
        """Logits over the vocabulary at every token: (n, T) → (n, T, V)."""
        head = self.cls.predictions
        logits: torch.Tensor = head.decoder(head.transform(self.hidden(ids)))
        return logits

    def _bias(self, tokens: int, device: torch.device) -> torch.Tensor:
        """Return what is added to attention: minus slope times distance, (heads, T, T)."""
        places = torch.arange(tokens, device=device)
        distance = (places[:, None] - places).abs()
        falls = torch.tensor(slopes(self.options.num_attention_heads), device=device)
        return -falls[:, None, None] * distance


def _norm(options: Options) -> nn.LayerNorm:
    return nn.LayerNorm(options.hidden_size, eps=options.layer_norm_eps)

"""ESM for masked tokens, as the Nucleotide Transformers use it.

Versions 1 and AgroNT are the class `EsmForMaskedLM` of transformers with learned positions; version
2 has rotary positions and a gated feed-forward (SiLU, twice as wide within, mostly without bias).
Modules are named as the checkpoints' tensors are. Own code rather than transformers': the same for
both versions, no import of 2 s in each score job, and the last layer is computed only where it is
read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from varlm.models.networks.network_model import Network, pick

# Of the tokens that ESM was trained on, those that it saw as <mask>.
_MASKED_IN_TRAINING = 0.15 * 0.8


@dataclass(frozen=True, kw_only=True)
class EsmOptions:
    """What of a config.json makes the network; the defaults are those of transformers' class.

    Attributes
    ----------
    gated : bool
        Whether the feed-forward is version 2's.
    add_bias_fnn : bool
        Whether a gated feed-forward has biases.
    token_dropout : bool
        Whether masked tokens are zeros, and the others scaled by how many of them there are.
    """

    vocab_size: int
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    max_position_embeddings: int = 1026
    pad_token_id: int = 1
    mask_token_id: int = -1
    layer_norm_eps: float = 1e-12
    rope_theta: float = 10000.0
    position_embedding_type: str = "absolute"
    emb_layer_norm_before: bool = False
    token_dropout: bool = False
    tie_word_embeddings: bool = True
    gated: bool = False
    add_bias_fnn: bool = True

    @property
    def rotary(self) -> bool:
        """Whether positions turn queries and keys, rather than being learned."""
        return self.position_embedding_type == "rotary"

    @property
    def longest(self) -> int:
        """Return how many tokens it reads: positions count from the one after <pad>'s."""
        return self.max_position_embeddings - self.pad_token_id - 1


_COUNTS = (
    *("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads"),
    *("intermediate_size", "max_position_embeddings"),
)


def read_options(config: Mapping[str, Any]) -> EsmOptions:
    """Return the options of a config.json.

    Raises
    ------
    ValueError
        If there is no such network.
    """
    names = EsmOptions.__dataclass_fields__
    stated = {name: config[name] for name in names if config.get(name) is not None}
    mapped = config.get("auto_map")
    own_code = isinstance(mapped, Mapping) and any(
        "modeling_esm" in str(x) for x in mapped.values()
    )
    stated["gated"] = own_code or "add_bias_fnn" in config
    for name in _COUNTS:
        value = stated.get(name, names[name].default)
        if type(value) is not int or value < 1:
            raise ValueError(f"{name} is {config.get(name)!r}, expected a whole number from 1")
    options = EsmOptions(**stated)
    if options.position_embedding_type not in ("absolute", "rotary"):
        raise ValueError(
            f"position_embedding_type is {options.position_embedding_type!r}, expected absolute or "
            "rotary"
        )
    if options.hidden_size % options.num_attention_heads:
        raise ValueError(
            f"hidden_size is {options.hidden_size}, expected a multiple of num_attention_heads, "
            f"{options.num_attention_heads}"
        )
    if options.token_dropout and options.mask_token_id < 0:
        raise ValueError("token_dropout is true, but there is no mask_token_id")
    if options.rotary and options.hidden_size // options.num_attention_heads % 2:
        raise ValueError(
            f"hidden_size is {options.hidden_size}, expected an even number for each of the "
            f"{options.num_attention_heads} heads"
        )
    if config.get("is_decoder"):
        raise ValueError("is_decoder is true: the model reads from left to right")
    if options.longest < 1:
        raise ValueError(
            f"max_position_embeddings is {options.max_position_embeddings}, expected more than "
            f"pad_token_id, {options.pad_token_id}"
        )
    return options


class Esm(Network):
    """The network; its modules `esm` and `lm_head` are named as in the checkpoints."""

    def __init__(self, options: EsmOptions):
        super().__init__()
        self.options = options
        self.esm = _Body(options)
        self.lm_head = _Head(options)
        self._tie()

    def _tie(self) -> None:
        if self.options.tie_word_embeddings:
            self.lm_head.decoder.weight = self.esm.embeddings.word_embeddings.weight

    def settle(self) -> None:
        """Lay out the tensors that it was filled with, once: before, it answers nonsense."""
        self._tie()
        if self.options.rotary:
            for module in self.modules():
                if isinstance(module, _Attention):
                    module.pair()

    def cast(self, dtype: torch.dtype) -> None:
        """Multiply matrices in `dtype`, but for the head's.

        Hidden states are added up in float32. Of 24 layers in bfloat16, an LLR then is off by at
        most 0.03 nats, rather than by 0.11 (random weights, learned positions).
        """
        for module in self.esm.encoder.modules():
            if isinstance(module, nn.Linear):
                module.to(dtype)

    def logits(self, ids: torch.Tensor, at: Sequence[int] | None = None) -> torch.Tensor:
        """Logits over the vocabulary at tokens: see `Network`."""
        answers: torch.Tensor = self.lm_head(self.esm(ids, at))
        return answers

    def hidden(self, ids: torch.Tensor, at: Sequence[int] | None = None) -> torch.Tensor:
        """Last hidden states, after the last normalisation: see `Network`."""
        states: torch.Tensor = self.esm(ids, at)
        return states


class _Body(nn.Module):
    def __init__(self, options: EsmOptions):
        super().__init__()
        self.embeddings = _Embeddings(options)
        if options.rotary:
            self.rotary_embeddings = _RotaryEmbeddings(options)
        self.encoder = _Encoder(options)

    def forward(self, ids: torch.Tensor, at: Sequence[int] | None) -> torch.Tensor:
        states = self.embeddings(ids)
        rotary = None
        if hasattr(self, "rotary_embeddings"):
            rotary = self.rotary_embeddings(ids.shape[1])
        answers: torch.Tensor = self.encoder(states, rotary, at)
        return answers


class _Embeddings(nn.Module):
    def __init__(self, options: EsmOptions):
        super().__init__()
        self.options = options
        width = options.hidden_size
        self.word_embeddings = nn.Embedding(options.vocab_size, width)
        if not options.rotary:
            self.position_embeddings = nn.Embedding(options.max_position_embeddings, width)
        if options.emb_layer_norm_before:
            self.layer_norm = nn.LayerNorm(width, eps=options.layer_norm_eps)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        states: torch.Tensor = self.word_embeddings(ids)
        if self.options.token_dropout:
            masked = ids == self.options.mask_token_id
            seen = 1 - masked.float().mean(-1)
            scale = (1 - _MASKED_IN_TRAINING) / seen[:, None, None]
            states = (states.masked_fill(masked[..., None], 0.0) * scale).to(states.dtype)
        if not self.options.rotary:
            first = self.options.pad_token_id + 1
            states = states + self.position_embeddings.weight[first : first + ids.shape[1]]
        if self.options.emb_layer_norm_before:
            states = self.layer_norm(states)
        return states


class _RotaryEmbeddings(nn.Module):
    inv_freq: torch.Tensor

    def __init__(self, options: EsmOptions):
        super().__init__()
        self.register_buffer("inv_freq", frequencies(options))

    def forward(self, tokens: int) -> torch.Tensor:
        """Return e^(i · position · frequency): complex64, (tokens, width of a head / 2)."""
        positions = torch.arange(tokens, device=self.inv_freq.device, dtype=torch.float32)
        angles = torch.outer(positions, self.inv_freq)
        return torch.complex(angles.cos(), angles.sin())


def frequencies(options: EsmOptions) -> torch.Tensor:
    """Return theta^(−2j / d) for a head of d values: float32, shape (d / 2,)."""
    width = options.hidden_size // options.num_attention_heads
    exponents = torch.arange(0, width, 2, dtype=torch.float32, device="cpu") / width
    return 1.0 / options.rope_theta**exponents


class _Encoder(nn.Module):
    def __init__(self, options: EsmOptions):
        super().__init__()
        self.layer = nn.ModuleList(_Layer(options) for _ in range(options.num_hidden_layers))
        self.emb_layer_norm_after = nn.LayerNorm(options.hidden_size, eps=options.layer_norm_eps)

    def forward(
        self, states: torch.Tensor, rotary: torch.Tensor | None, at: Sequence[int] | None
    ) -> torch.Tensor:
        last = len(self.layer) - 1
        for number, layer in enumerate(self.layer):
            states = layer(states, rotary, at if number == last else None)
        normed: torch.Tensor = self.emb_layer_norm_after(states)
        return normed


class _Layer(nn.Module):
    def __init__(self, options: EsmOptions):
        super().__init__()
        width, inner = options.hidden_size, options.intermediate_size
        self.gated = options.gated
        bias = options.add_bias_fnn or not options.gated
        self.attention = _Attention(options)
        self.LayerNorm = nn.LayerNorm(width, eps=options.layer_norm_eps)
        wide = nn.Linear(width, inner * (2 if options.gated else 1), bias=bias)
        self.intermediate = nn.ModuleDict({"dense": wide})
        self.output = nn.ModuleDict({"dense": nn.Linear(inner, width, bias=bias)})

    def forward(
        self, states: torch.Tensor, rotary: torch.Tensor | None, at: Sequence[int] | None
    ) -> torch.Tensor:
        states = self.attention(states, rotary, at)
        dense: Any = self.output["dense"]
        inner = self.intermediate["dense"](self.LayerNorm(states).to(dense.weight.dtype))
        if self.gated:
            gate, inner = inner.chunk(2, dim=-1)
            inner = functional.silu(gate).mul_(inner)
        else:
            inner = functional.gelu(inner)
        return states.add_(dense(inner))


class _Attention(nn.Module):
    def __init__(self, options: EsmOptions):
        super().__init__()
        self.width = width = options.hidden_size
        self.heads = options.num_attention_heads
        names = ("query", "key", "value")
        self.self = nn.ModuleDict({name: nn.Linear(width, width) for name in names})
        self.output = nn.ModuleDict({"dense": nn.Linear(width, width)})
        self.LayerNorm = nn.LayerNorm(width, eps=options.layer_norm_eps)

    def forward(
        self, states: torch.Tensor, rotary: torch.Tensor | None, at: Sequence[int] | None
    ) -> torch.Tensor:
        """Attend from the tokens `at` to all, and add what comes of it to them."""
        dense: Any = self.output["dense"]
        normed = self.LayerNorm(states).to(dense.weight.dtype)
        query = self._split(self.self["query"](pick(normed, at)))
        key = self._split(self.self["key"](normed))
        if rotary is not None:
            query, key = _turn(query, pick(rotary[None], at)[0]), _turn(key, rotary)
        value = self._split(self.self["value"](normed))
        mixed = functional.scaled_dot_product_attention(
            query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)
        )
        answers: torch.Tensor = pick(states, at) + dense(mixed.transpose(1, 2).flatten(2))
        return answers

    def _split(self, values: torch.Tensor) -> torch.Tensor:
        """(n, T, C) → (n, T, heads, C / heads)."""
        return values.view(*values.shape[:2], self.heads, -1)

    def pair(self) -> None:
        """Put the values side by side that turn together, j and j + d/2 of a head's d.

        They are one complex number then, and turning is one product. The order of a head's values
        changes no product of a query and a key.
        """
        order = torch.arange(self.width).view(self.heads, 2, -1).transpose(1, 2).flatten()
        for name in ("query", "key"):
            linear: Any = self.self[name]
            linear.weight.data = linear.weight.data[order]
            linear.bias.data = linear.bias.data[order]


def _turn(values: torch.Tensor, rotary: torch.Tensor) -> torch.Tensor:
    """Turn the pairs of (n, T, heads, d) by each token's angles, (T, d / 2); in float32."""
    pairs = torch.view_as_complex(values.float().view(*values.shape[:-1], -1, 2))
    return torch.view_as_real(pairs.mul_(rotary[:, None])).flatten(-2).to(values.dtype)


class _Head(nn.Module):
    def __init__(self, options: EsmOptions):
        super().__init__()
        width = options.hidden_size
        self.dense = nn.Linear(width, width)
        self.layer_norm = nn.LayerNorm(width, eps=options.layer_norm_eps)
        self.decoder = nn.Linear(width, options.vocab_size, bias=False)
        self.bias = nn.Parameter(torch.zeros(options.vocab_size))

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        states = self.layer_norm(functional.gelu(self.dense(states)))
        return functional.linear(states, self.decoder.weight, self.bias)

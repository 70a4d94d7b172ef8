"""Causal language models of nucleotides: an LSTM and a small GPT (Ihtiyar & Özgür 2023).

Each position's logits come from the bases before it alone. The logits of a site are log-likelihoods
of the window with each of the four bases there; what is before the site is read once for all four.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from varlm.errors import UserError
from varlm.models import checkpoint, weights
from varlm.models.language_model import LanguageModel
from varlm.models.tokeniser import Tokens, read_tokens

_MOST = 1 << 16  # of any size: a mistyped one is an error, not a lack of memory
START = 0  # [PAD] stands before the first base


@dataclass(frozen=True, kw_only=True)
class CausalOptions:
    """What makes a causal model. Sizes are in tokens, channels or layers."""

    vocab_size: int = 7
    hidden_size: int = 128
    num_hidden_layers: int = 2

    def check(self) -> None:
        """Raise `ValueError` unless every option is a whole number from 1 up."""
        for option in fields(self):
            value = getattr(self, option.name)
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _MOST:
                raise ValueError(
                    f"{option.name} is {value!r}, expected a whole number from 1 to {_MOST}"
                )


@dataclass(frozen=True, kw_only=True)
class LSTMOptions(CausalOptions):
    """An LSTM."""


@dataclass(frozen=True, kw_only=True)
class GPTOptions(CausalOptions):
    """A GPT: attention with rotary positions, so that windows of any length can be read."""

    num_hidden_layers: int = 6
    num_attention_heads: int = 4
    intermediate_size: int = 512

    def check(self) -> None:
        """Raise `ValueError` if options do not go together."""
        super().check()
        if self.hidden_size % (2 * self.num_attention_heads):
            raise ValueError(
                f"hidden_size is {self.hidden_size} and num_attention_heads "
                f"{self.num_attention_heads}; expected heads of an even, whole number of channels"
            )


class CausalNetwork(nn.Module, ABC):
    """Tokens → what is known before each of them."""

    decoder: nn.Linear

    def hidden(self, ids: torch.Tensor) -> torch.Tensor:
        """Int64 (batch, length) → (batch, length, channels), each from the tokens before it."""
        return self.read(shifted(ids))[0]

    @abstractmethod
    def read(self, ids: torch.Tensor, state: Any = None) -> tuple[torch.Tensor, Any]:
        """Read tokens, after those of a state where one is given, which stays as it is.

        Returns
        -------
        hidden : shape (batch, length, channels)
            Each from its token and those before it.
        state
            With these tokens.
        """

    @staticmethod
    @abstractmethod
    def repeated(state: Any, times: int) -> Any:
        """Return a state with each row of the batch several times, one after the other."""

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """(…, channels) → (…, vocabulary)."""
        logits: torch.Tensor = self.decoder(hidden)
        return logits


class LSTMNetwork(CausalNetwork):
    """Embedding, LSTM layers, a norm, and a linear layer to the vocabulary."""

    def __init__(self, options: LSTMOptions):
        super().__init__()
        width = options.hidden_size
        self.words = nn.Embedding(options.vocab_size, width)
        self.lstm = nn.LSTM(width, width, options.num_hidden_layers, batch_first=True)
        self.norm = nn.LayerNorm(width)
        self.decoder = nn.Linear(width, options.vocab_size)

    def read(self, ids: torch.Tensor, state: Any = None) -> tuple[torch.Tensor, Any]:
        """See `CausalNetwork`. The state: (h, c), each (layers, batch, channels)."""
        hidden, state = self.lstm(self.words(ids), state)
        return self.norm(hidden), state

    @staticmethod
    def repeated(state: Any, times: int) -> Any:
        """See `CausalNetwork`."""
        return tuple(part.repeat_interleave(times, 1) for part in state)


class GPTNetwork(CausalNetwork):
    """Embedding, layers of causal attention and feed-forward, a norm, a linear layer."""

    def __init__(self, options: GPTOptions):
        super().__init__()
        self.words = nn.Embedding(options.vocab_size, options.hidden_size)
        self.layers = nn.ModuleList(_Block(options) for _ in range(options.num_hidden_layers))
        self.norm = nn.LayerNorm(options.hidden_size)
        self.decoder = nn.Linear(options.hidden_size, options.vocab_size)

    def read(self, ids: torch.Tensor, state: Any = None) -> tuple[torch.Tensor, Any]:
        """See `CausalNetwork`. The state: each layer's keys and values."""
        x = self.words(ids)
        kept = []
        for layer, before in zip(self.layers, state or [None] * len(self.layers), strict=True):
            x, attended = layer(x, before)
            kept.append(attended)
        return self.norm(x), kept

    @staticmethod
    def repeated(state: Any, times: int) -> Any:
        """See `CausalNetwork`."""
        return [tuple(part.repeat_interleave(times, 0) for part in layer) for layer in state]


_Attended = tuple[torch.Tensor, torch.Tensor]  # keys and values: (batch, heads, length, channels)


class _Block(nn.Module):
    def __init__(self, options: GPTOptions):
        super().__init__()
        width = options.hidden_size
        self.heads = options.num_attention_heads
        self.before_attention = nn.LayerNorm(width)
        self.attention = nn.Linear(width, 3 * width)
        self.attended = nn.Linear(width, width)
        self.before_ffn = nn.LayerNorm(width)
        self.ffn_in = nn.Linear(width, options.intermediate_size)
        self.ffn_out = nn.Linear(options.intermediate_size, width)

    def forward(
        self, x: torch.Tensor, before: _Attended | None = None
    ) -> tuple[torch.Tensor, _Attended]:
        batch, length, width = x.shape
        parts = self.attention(self.before_attention(x))
        query, key, value = (
            part.view(batch, length, self.heads, -1).transpose(1, 2)
            for part in parts.split(width, -1)
        )
        start, mask = 0, None
        if before is not None:
            start = before[0].shape[2]
            mask = x.new_ones((length, start + length), dtype=torch.bool).tril(start)
        query, key = _rotated(query, start), _rotated(key, start)
        if before is not None:
            key, value = torch.cat([before[0], key], 2), torch.cat([before[1], value], 2)
        attended = F.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, is_causal=mask is None
        )
        x = x + self.attended(attended.transpose(1, 2).flatten(2))
        return x + self.ffn_out(F.gelu(self.ffn_in(self.before_ffn(x)))), (key, value)


def _rotated(x: torch.Tensor, start: int) -> torch.Tensor:
    """Turn pairs of channels by an angle that goes with the position (Su et al. 2021)."""
    length, width = x.shape[-2:]
    steps = torch.arange(width // 2, device=x.device, dtype=torch.float32)
    positions = torch.arange(start, start + length, device=x.device, dtype=torch.float32)
    angle = positions[:, None] / 10000 ** (2 * steps / width)
    sine, cosine = angle.sin().to(x.dtype), angle.cos().to(x.dtype)
    left, right = x.chunk(2, -1)
    return torch.cat([left * cosine - right * sine, left * sine + right * cosine], -1)


def shifted(ids: torch.Tensor) -> torch.Tensor:
    """Return what each position sees last: the token before it."""
    return F.pad(ids, (1, 0), value=START)[:, :-1]


# model_type → its options and its network.
KINDS: dict[str, tuple[type[CausalOptions], Any]] = {
    "VarlmLSTM": (LSTMOptions, LSTMNetwork),
    "VarlmGPT": (GPTOptions, GPTNetwork),
}


def read_options(config: Mapping[str, Any]) -> CausalOptions:
    """Return the options of a config.json, checked.

    Raises
    ------
    ValueError
        If an option has a value of another kind or out of range.
    """
    family = KINDS[config["model_type"]][0]
    names = {option.name for option in fields(family)}
    options = family(**{name: config[name] for name in names if name in config})
    options.check()
    return options


def config_of(model_type: str, options: CausalOptions) -> dict[str, Any]:
    """Return config.json."""
    return {"model_type": model_type, **asdict(options)}


class Causal(LanguageModel):
    """A loaded causal model.

    Parameters
    ----------
    name : str
    network : CausalNetwork
        In float32.
    options : CausalOptions
    tokens : Tokens
    device : torch.device
    """

    causal = True

    def __init__(
        self,
        name: str,
        network: CausalNetwork,
        options: CausalOptions,
        tokens: Tokens,
        device: torch.device,
    ):
        self.name, self.tokens = name, tokens
        self.network = network.to(device).eval()
        self.device, self.mode = device, "float32"
        self.channels = 4 * options.hidden_size  # four windows for each site
        self._table = tokens.table()
        self._bases = torch.tensor(tokens.bases, device=device)

    def describe(self) -> str:
        """Return the kind and the number of parameters."""
        count = sum(parameter.numel() for parameter in self.network.parameters())
        return f"{self.name}, {count / 1e6:.3g} M parameters"

    def encode(self, windows: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """ASCII windows (batch, length) → token ids, uint8, the same shape."""
        return np.take(self._table, windows)

    @torch.inference_mode()
    def site_logits(self, ids: torch.Tensor, index: int) -> torch.Tensor:
        """Log-likelihood of the window with each base at `index`: see `LanguageModel`.

        Less what all four have in common; float64. Bases that are not A, C, G or T are read, and
        their own probability does not count.
        """
        ids = ids.long()
        hidden, state = self.network.read(shifted(ids)[:, : index + 1])
        own = self._log_p(hidden[:, -1]).double()
        if index + 1 == ids.shape[1]:
            return own
        variants = ids[:, None, index:].repeat(1, 4, 1)
        variants[:, :, 0] = self._bases
        flat = variants.flatten(0, 1)
        hidden, _ = self.network.read(flat[:, :-1], self.network.repeated(state, 4))
        return own + self._sum(hidden, flat[:, 1:]).view(-1, 4)

    @torch.inference_mode()
    def base_logits(self, ids: torch.Tensor) -> torch.Tensor:
        """Log p of each base, given those before it: see `LanguageModel`."""
        return self._log_p(self.network.hidden(ids.long()))

    @torch.inference_mode()
    def base_embeddings(self, windows: NDArray[np.uint8], start: int, stop: int) -> torch.Tensor:
        """Hidden states once bases are read: see `LanguageModel`."""
        ids = torch.from_numpy(self.encode(windows)[:, :stop]).to(self.device).long()
        return self.network.read(F.pad(ids, (1, 0), value=START))[0][:, start + 1 :]

    @torch.inference_mode()
    def log_likelihood(self, ids: torch.Tensor) -> torch.Tensor:
        """Log-likelihood of whole windows, over their A, C, G, T: float64, (n,)."""
        ids = ids.long()
        return self._sum(self.network.hidden(ids), ids)

    def counts(self, ids: torch.Tensor) -> torch.Tensor:
        """Return how many bases count in a likelihood: int64, (n,)."""
        return (self._code(ids) < 4).sum(-1)

    def _log_p(self, hidden: torch.Tensor) -> torch.Tensor:
        """Log p of A, C, G, T: (…, channels) → (…, 4)."""
        return self.network.logits(hidden)[..., self._bases].float().log_softmax(-1)

    def _sum(self, hidden: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        """Sum of log p of tokens, from what is known before each; those of no base count 0."""
        code = self._code(ids)
        own = self._log_p(hidden).gather(-1, code.clamp(max=3)[..., None])[..., 0].double()
        return (own * (code < 4)).sum(-1)

    def _code(self, ids: torch.Tensor) -> torch.Tensor:
        """Token ids → 0 to 3 for A, C, G, T, 4 for anything else."""
        same = ids[..., None] == self._bases
        return torch.where(same.any(-1), same.int().argmax(-1), 4)


def load(folder: Path, device: torch.device, expected: Mapping[str, str] | None = None) -> Causal:
    """Load the checkpoint in `folder`, its weights checked against their `expected` SHA-256.

    Raises
    ------
    UserError
        If a file is missing or damaged, or the tensors are not exactly those that config.json
        asks for.
    """
    config = checkpoint.read_config(folder)
    try:
        options = read_options(config)
    except ValueError as error:
        raise UserError(
            f"{folder / 'config.json'}: does not describe a {config['model_type']} ({error})"
        ) from error
    tokens = read_tokens(folder)
    if options.vocab_size < tokens.size:
        raise UserError(
            f"{folder}: tokenizer.json has ids up to {tokens.size - 1}, but the model knows only "
            f"{options.vocab_size}; one of the files belongs to another model"
        )
    with torch.device("meta"):
        network = KINDS[config["model_type"]][1](options)
    weights.fill(network, weights.read_tensors(folder, expected), folder, {})
    return Causal(config["model_type"].removeprefix("Varlm"), network, options, tokens, device)

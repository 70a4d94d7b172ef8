"""HyenaDNA (Nguyen et al. 2023): a stack of Hyena operators over single nucleotides.

Computes what `HyenaDNAForCausalLM` does (modeling_hyena.py of the -hf checkpoints), in evaluation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from varlm.errors import UserError
from varlm.models import checkpoint, weights
from varlm.models.causal_model import CausalModel
from varlm.models.families.hyenadna import LONGEST, read_tokeniser
from varlm.models.gpn.skeleton import Part, Table
from varlm.models.networks.hyena_operator import LongFilter, Operator, Read
from varlm.models.networks.products import linear, linear_gelu
from varlm.models.tokens import KmerTokeniser

_META = torch.device("meta")
_MOST = 1 << 24  # of any size: a mistyped one is an error, not a lack of memory
_SIZES = (
    *("vocab_size", "pad_vocab_size_multiple", "d_model", "n_layer", "max_seq_len"),
    *("emb_dim", "filter_order", "short_filter_order", "hyena_order"),
)
_GROUP = 4096  # tokens at once on a CPU: what lies between the layers stays in its cache


@dataclass(frozen=True, kw_only=True)
class HyenaOptions:
    """What makes a HyenaDNA, by the keys of its config.json; defaults as `HyenaConfig`."""

    vocab_size: int = 12
    pad_vocab_size_multiple: int = 8
    d_model: int = 256
    d_inner: int | None = None
    n_layer: int = 12
    max_seq_len: int = LONGEST
    emb_dim: int = 3
    filter_order: int = 64
    num_inner_mlps: int = 2
    short_filter_order: int = 3
    hyena_order: int = 2
    activation_freq: float = 1
    train_freq: bool = True
    layer_norm_epsilon: float = 1e-5
    tie_word_embeddings: bool = True

    @property
    def inner(self) -> int:
        """Channels within the feed-forward."""
        return self.d_inner or 4 * self.d_model

    @property
    def columns(self) -> int:
        """Size of the vocabulary, filled up to a multiple."""
        return -(-self.vocab_size // self.pad_vocab_size_multiple) * self.pad_vocab_size_multiple

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> HyenaOptions:
        """Return the options of a config.json.

        Raises
        ------
        ValueError
            If one has a value of another kind or out of range, or makes no causal model.
        """
        names = {option.name for option in fields(cls)}
        options = cls(**{name: config[name] for name in names if name in config})
        sizes = {name: getattr(options, name) for name in _SIZES}
        sizes |= {"d_inner": options.inner, "num_inner_mlps": options.num_inner_mlps + 1}
        for name, value in sizes.items():
            if type(value) is not int or not 1 <= value <= _MOST:
                raise ValueError(f"{name} is {value!r}, expected a whole number up to {_MOST}")
        if options.hyena_order != 2:
            raise ValueError(f"hyena_order is {options.hyena_order}; only 2 exists")
        if options.short_filter_order > 3:
            raise ValueError(
                f"short_filter_order is {options.short_filter_order}: the filter, which the "
                "model begins two bases before each, would read what comes after it; expected 3"
            )
        return options


class FeedForward(nn.Module):
    """Two linear layers with a GELU between them."""

    def __init__(self, width: int, inner: int):
        super().__init__()
        self.fc1 = nn.Linear(width, inner, device=_META)
        self.fc2 = nn.Linear(inner, width, device=_META)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(…, width) → (…, width)."""
        inner = linear_gelu(x, self.fc1.weight, self.fc1.bias)
        return linear(inner, self.fc2.weight, self.fc2.bias)


class Block(nn.Module):
    """A layer: the operator and a feed-forward, each after a norm and added to its input."""

    def __init__(self, options: HyenaOptions):
        super().__init__()
        width = options.d_model
        long = LongFilter(
            channels=width,
            width=options.filter_order,
            embedding=options.emb_dim,
            layers=options.num_inner_mlps,
            length=options.max_seq_len,
            freq=None if options.train_freq else options.activation_freq,
        )
        self.mixer = Operator(width, options.short_filter_order, long)
        self.norm1 = nn.LayerNorm(width, device=_META)
        self.norm2 = nn.LayerNorm(width, device=_META)
        self.mlp = FeedForward(width, options.inner)

    def begin(self, x: torch.Tensor) -> tuple[torch.Tensor, Read]:
        """(rows, length, channels) → the same, and what `resume` needs."""
        mixed, read = self.mixer.begin(self.norm1(x))
        return self._fed(mixed.add_(x)), read

    def resume(self, x: torch.Tensor, before: Read) -> torch.Tensor:
        """Read what comes after: see `Operator.resume`."""
        return self._fed(self.mixer.resume(self.norm1(x), before).add_(x))

    def _fed(self, x: torch.Tensor) -> torch.Tensor:
        fed: torch.Tensor = self.mlp(self.norm2(x))
        return fed.add_(x)


class Backbone(nn.Module):
    """Embedding, layers and a last norm."""

    def __init__(self, options: HyenaOptions):
        super().__init__()
        width = options.d_model
        self.embeddings = Part(word_embeddings=Table(options.columns, width))
        self._blocks = [Block(options) for _ in range(options.n_layer)]
        self.layers = nn.ModuleList(self._blocks)
        self.ln_f = nn.LayerNorm(width, eps=options.layer_norm_epsilon, device=_META)

    @property
    def words(self) -> nn.Parameter:
        """Vectors of the tokens."""
        return self.embeddings.get_parameter("word_embeddings.weight")

    def begin(self, ids: torch.Tensor) -> tuple[torch.Tensor, list[Read]]:
        """Int64 (rows, length) → last hidden states (rows, length, channels), and a `Read` a layer.

        The hidden states are after the last norm.
        """
        x = F.embedding(ids, self.words)
        reads = []
        for layer in self._blocks:
            x, read = layer.begin(x)
            reads.append(read)
        return self.ln_f(x), reads

    def resume(self, ids: torch.Tensor, reads: Sequence[Read]) -> torch.Tensor:
        """Int64 (rows · ways, length) that come after `reads` → last hidden states."""
        x = F.embedding(ids, self.words)
        for layer, read in zip(self._blocks, reads, strict=True):
            x = layer.resume(x, read)
        hidden: torch.Tensor = self.ln_f(x)
        return hidden


class HyenaNetwork(nn.Module):
    """The modules of a checkpoint, under its names, on the meta device: shapes, no values."""

    def __init__(self, options: HyenaOptions):
        super().__init__()
        backbone = Backbone(options)
        self.hyena = Part(backbone=backbone)
        self.lm_head = nn.Linear(options.d_model, options.columns, bias=False, device=_META)
        if options.tie_word_embeddings:
            self.lm_head.weight = backbone.words


@dataclass(frozen=True)
class Prefix:
    """What was read of some rows: their number, and a `Read` of each layer."""

    rows: int
    reads: list[Read]

    def split(self, rows: int) -> Iterator[Prefix]:
        """Yield it in parts of at most so many rows."""
        for start in range(0, self.rows, rows):
            part = slice(start, min(start + rows, self.rows))
            reads = [Read(read.end[:, part], read.values[:, part]) for read in self.reads]
            yield Prefix(part.stop - part.start, reads)


class HyenaDNA(CausalModel):
    """A loaded HyenaDNA.

    Parameters
    ----------
    network : HyenaNetwork
        With the checkpoint's tensors, in float32.
    options : HyenaOptions
    tokeniser : KmerTokeniser
    device : torch.device
    counted : str
        See `CausalModel`.
    """

    def __init__(
        self,
        network: HyenaNetwork,
        options: HyenaOptions,
        tokeniser: KmerTokeniser,
        device: torch.device,
        counted: str,
    ):
        self.tokeniser, self.counted = tokeniser, counted
        self.device, self.mode = device, "float32"
        network = network.to(device)
        backbone = network.hyena.get_submodule("backbone")
        assert isinstance(backbone, Backbone)
        self._backbone, self._head = backbone, network.lm_head.weight
        self._parameters = sum(parameter.numel() for parameter in network.parameters())
        self.channels = 4 * options.d_model  # four suffixes for each site
        self.max_window = options.max_seq_len - tokeniser.tokens(1) + 1

    def describe(self) -> str:
        """Return the family and the number of parameters."""
        return f"HyenaDNA, {self._parameters / 1e6:.3g} M parameters"

    @torch.inference_mode()
    def hidden(self, ids: torch.Tensor, at: Sequence[int] | None = None) -> torch.Tensor:
        """Last hidden states at tokens: see `TokenModel`. What comes after them is not read."""
        if at is None:
            return torch.cat([self._backbone.begin(part)[0] for part in self._parts(ids)])
        ids, places = ids[:, : max(at) + 1], list(at)
        return torch.cat([self._backbone.begin(part)[0][:, places] for part in self._parts(ids)])

    @torch.inference_mode()
    def logits(self, ids: torch.Tensor, at: Sequence[int] | None = None) -> torch.Tensor:
        """Logits of the token after each: see `TokenModel`."""
        return F.linear(self.hidden(ids, at), self._head)

    @torch.inference_mode()
    def prefix(self, ids: torch.Tensor) -> tuple[list[Prefix], torch.Tensor]:
        """Read the first tokens: see `CausalModel`."""
        states, last = [], []
        for part in self._parts(ids):
            hidden, reads = self._backbone.begin(part)
            states.append(Prefix(len(part), reads))
            last.append(hidden[:, -1])
        return states, F.linear(torch.cat(last), self._head)

    @torch.inference_mode()
    def suffixes(self, state: list[Prefix], ids: torch.Tensor) -> torch.Tensor:
        """Go on in several ways: see `CausalModel`."""
        _, ways, tokens = ids.shape
        parts = [
            part
            for prefix in state
            for part in prefix.split(self._rows(prefix.rows, ways * tokens))
        ]
        sizes = [part.rows for part in parts]
        hidden = [
            self._resumed(part, some)
            for part, some in zip(parts, torch.split(ids, sizes), strict=True)
        ]
        return F.linear(torch.cat(hidden), self._head)

    def _resumed(self, part: Prefix, ids: torch.Tensor) -> torch.Tensor:
        """Int64 (rows, ways, length) → hidden states; of long windows, a few ways at once."""
        some = torch.split(ids, self._rows(*ids.shape[1:]), dim=1)
        hidden = [self._backbone.resume(few.flatten(0, 1), part.reads) for few in some]
        return torch.cat([x.view(*few.shape, -1) for x, few in zip(hidden, some, strict=True)], 1)

    def _parts(self, ids: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return torch.split(ids, self._rows(*ids.shape))

    def _rows(self, rows: int, tokens: int) -> int:
        """Return how many of so many rows of so many tokens to read at once: a divisor.

        All parts have the same shape, so that a row's numbers do not depend on its place.
        """
        most = max(_GROUP // tokens, 1) if self.device.type == "cpu" else rows
        return next(number for number in range(min(most, rows), 0, -1) if rows % number == 0)


def load(
    folder: Path,
    device: torch.device,
    expected: Mapping[str, str] | None = None,
    options: Mapping[str, str] | None = None,
) -> HyenaDNA:
    """Load the checkpoint in `folder`, its weights checked against their `expected` SHA-256.

    Parameters
    ----------
    options : mapping, optional
        `counted`: see `CausalModel`.

    Raises
    ------
    UserError
        If a file is missing or damaged, or the tensors are not exactly those that config.json
        asks for. Of a filter's frequencies, that all its layers share, one copy is enough.
    """
    settings = options or {}
    config = checkpoint.read_config(folder)
    tokeniser = read_tokeniser(folder, config, settings)
    try:
        of_network = HyenaOptions.read(config)
    except (TypeError, ValueError) as error:
        raise UserError(
            f"{folder / 'config.json'}: does not describe a HyenaDNA ({error})"
        ) from error
    if of_network.columns < tokeniser.size:
        raise UserError(
            f"{folder}: the tokeniser has ids up to {tokeniser.size - 1}, but the model knows only "
            f"{of_network.columns}; one of the files belongs to another model"
        )
    network = HyenaNetwork(of_network)
    weights.fill_built(network, weights.read_tensors(folder, expected), folder)
    return HyenaDNA(network, of_network, tokeniser, device, settings.get("counted", "all"))

"""The options of a GPN checkpoint's config.json, with the defaults of `gpn` 0.9.0a1.

Defaults are those of `gpn.model.GPNConfig`, `gpn.legacy.ConvNetConfig` and
`gpn.legacy.GPNRoFormerConfig`, which take some from `transformers.RoFormerConfig` (5.23.0). Only
options that change what the model computes are here; all others (how it was trained, other
tasks, what the writer of the file left in it) are ignored, as `gpn` ignores them. Values that
`gpn` refuses, and some that it builds a senseless model of, are errors. No torch here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

_MOST = 2**31 - 1
_ENCODERS = ("convnet", "bytenet", "roformer")
_EMBEDDINGS = ("one_hot", "embedding")

# They change what transformers makes of the other options, and no checkpoint of gpn has them.
_REFUSED = ("per_layer_config", "attribute_map")


@dataclass(frozen=True)
class _Rule:
    """Which values an option may have, and how a message says so."""

    expected: str
    holds: Callable[[Any], bool]


def _option(default: Any, rule: _Rule) -> Any:
    return field(default=default, metadata={"rule": rule})


def _count(default: int | None, least: int = 1) -> Any:
    """Declare a whole number; null only where the default is. (True is an int in Python.)"""

    def holds(value: object) -> bool:
        if value is None:
            return default is None
        return isinstance(value, int) and not isinstance(value, bool) and least <= value <= _MOST

    return _option(default, _Rule(f"a whole number, {least} or more", holds))


def _flag(default: bool) -> Any:
    return _option(default, _Rule("true or false", lambda value: isinstance(value, bool)))


def _choice(default: str, names: tuple[str, ...]) -> Any:
    return _option(default, _Rule(f"one of {', '.join(names)}", lambda value: value in names))


def _text(default: str) -> Any:
    return _option(default, _Rule("a text", lambda value: isinstance(value, str)))


def _probability(default: float) -> Any:
    def holds(value: object) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1

    return _option(default, _Rule("a number from 0 to 1", holds))


def _floating(default: float) -> Any:
    """Declare a number with a decimal point or an exponent, as RoFormerConfig asks for."""

    def holds(value: object) -> bool:
        return isinstance(value, float) and math.isfinite(value) and value >= 0

    return _option(default, _Rule("a floating-point number, 0.0 or more", holds))


@dataclass(frozen=True, kw_only=True)
class Options:
    """What every family has. Sizes are in tokens, channels or features."""

    model_type: ClassVar[str]

    vocab_size: int = _count(7)
    hidden_size: int = _count(512)
    n_aux_features: int = _count(0, least=0)

    @property
    def name(self) -> str:
        """The family, and the encoder where there is a choice."""
        return self.model_type

    def check(self) -> None:
        """Raise `ValueError` if options do not go together."""
        self._check_one_hot()

    def _check_one_hot(self) -> None:
        if self.vocab_size > self.hidden_size:
            raise ValueError(
                f"hidden_size is {self.hidden_size}, expected at least vocab_size, "
                f"{self.vocab_size}, as each token has a channel of its own"
            )


@dataclass(frozen=True, kw_only=True)
class _Dilated(Options):
    """Stacked convolutions whose dilation grows by powers of a base and starts again."""

    dilation_double_every: int = _count(1)
    dilation_max: int = _count(9999)
    dilation_cycle: int = _count(8)
    dilation_base: int = _count(2)

    def dilation(self, layer: int) -> int:
        """Return the dilation of a layer, counted from 0."""
        power = (layer % self.dilation_cycle) // self.dilation_double_every
        return min(self.dilation_max, int(self.dilation_base**power))


@dataclass(frozen=True, kw_only=True)
class RoFormerOptions(Options):
    """The options of `transformers`' RoFormerEncoder."""

    num_hidden_layers: int = _count(12, least=0)
    hidden_size: int = _count(768)
    intermediate_size: int = _count(3072)
    num_attention_heads: int = _count(12)
    max_position_embeddings: int = _count(1536)
    hidden_act: str = _text("gelu")
    hidden_dropout_prob: float = _probability(0.1)
    attention_probs_dropout_prob: float = _probability(0.1)
    layer_norm_eps: float = _floating(1e-12)
    rotary_value: bool = _flag(False)
    add_cross_attention: bool = _flag(False)

    @property
    def head_width(self) -> int:
        """Channels of an attention head."""
        return self.hidden_size // self.num_attention_heads

    def _check_attention(self) -> None:
        if self.hidden_size % self.num_attention_heads or self.head_width % 2:
            raise ValueError(
                f"hidden_size is {self.hidden_size} and num_attention_heads "
                f"{self.num_attention_heads}; expected heads of an even, whole number of channels"
            )
        if self.add_cross_attention:
            raise ValueError(
                "add_cross_attention is true: a decoder reads a second sequence; expected an "
                "encoder of one sequence"
            )


@dataclass(frozen=True, kw_only=True)
class GPNOptions(RoFormerOptions, _Dilated):
    """`gpn.model`: one of three encoders."""

    model_type: ClassVar[str] = "GPN"

    vocab_size: int = _count(7)
    hidden_size: int = _count(512)
    num_hidden_layers: int = _count(25, least=0)
    intermediate_size: int = _count(2048)
    hidden_dropout_prob: float = _probability(0.0)
    embedding: str = _choice("one_hot", _EMBEDDINGS)
    encoder: str = _choice("convnet", _ENCODERS)
    bias: bool = _flag(False)
    tie_word_embeddings: bool = _flag(False)
    mlm_head_transform: bool = _flag(True)
    slim: bool = _flag(False)
    first_kernel_size: int = _count(9)
    rest_kernel_size: int = _count(5)
    depthwise: bool = _flag(False)

    @property
    def name(self) -> str:
        """The family and the encoder."""
        return f"{self.model_type} {self.encoder}"

    def check(self) -> None:
        """Raise `ValueError` if options do not go together."""
        if self.embedding == "one_hot":
            self._check_one_hot()
        if self.encoder == "roformer":
            self._check_attention()
        elif self.num_hidden_layers == 0:
            raise ValueError(f"num_hidden_layers is 0, expected a {self.encoder} of 1 or more")
        if self.encoder == "bytenet" and self.slim:
            if self.hidden_size < 2:
                raise ValueError("hidden_size is 1, expected 2 or more where slim is true")
            if self.depthwise and self.num_hidden_layers > 1:
                raise ValueError(
                    "depthwise and slim are both true; expected one of them, as gpn cannot build "
                    "a bytenet of both"
                )


@dataclass(frozen=True, kw_only=True)
class ConvNetOptions(_Dilated):
    """`gpn.legacy`: the ConvNet of the first GPN."""

    model_type: ClassVar[str] = "ConvNet"

    n_layers: int = _count(25)
    kernel_size: int = _count(9)
    dilation_max: int = _count(32)
    dilation_cycle: int = _count(6)


@dataclass(frozen=True, kw_only=True)
class GPNRoFormerOptions(RoFormerOptions):
    """`gpn.legacy`: the RoFormer with a one-hot embedding and RoFormer's own head."""

    model_type: ClassVar[str] = "GPNRoFormer"

    vocab_size: int = _count(6)
    embedding_size: int | None = _count(None)  # null: hidden_size

    def check(self) -> None:
        """Raise `ValueError` if options do not go together."""
        self._check_one_hot()
        self._check_attention()


FAMILIES: dict[str, type[Options]] = {
    family.model_type: family for family in (GPNOptions, ConvNetOptions, GPNRoFormerOptions)
}


def read_options(config: Mapping[str, Any]) -> Options:
    """Return the options of a config.json, checked; `model_type` names the family.

    Raises
    ------
    ValueError
        If an option has a value of another kind or out of range, or options do not go together.
    """
    family = FAMILIES[config["model_type"]]
    for name in _REFUSED:
        if config.get(name):
            raise ValueError(f"{name} is {config[name]!r}, expected none; varlm does not know it")
    values = {}
    for option in fields(family):
        if option.name not in config:
            continue
        value, rule = config[option.name], option.metadata["rule"]
        if not rule.holds(value):
            raise ValueError(f"{option.name} is {value!r}, expected {rule.expected}")
        values[option.name] = value
    options = family(**values)
    options.check()
    return options

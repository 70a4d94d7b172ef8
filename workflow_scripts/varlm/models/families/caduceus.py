"""Caduceus and PlantCaduceus: one token a base, windows of any length, config.json's options.

The options are those of the authors' `CaduceusConfig` and of `mamba_ssm`'s Mamba, with their
defaults. Those that only say how a new model is drawn, or which of two equal ways computes it, are
ignored.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from varlm.errors import UserError
from varlm.genome.bases import BASES, COMPLEMENT
from varlm.models.families import characters
from varlm.models.tokens import KmerTokeniser

FILES = characters.FILES

_MOST = 1 << 16  # of any size: a mistyped one is an error, not a lack of memory
_STRATEGIES = ("add", "ew_multiply")
_OF_MAMBA = ("d_state", "d_conv", "expand", "dt_rank", "conv_bias", "bias")
_OF_DRAWING = ("dt_min", "dt_max", "dt_init", "dt_scale", "dt_init_floor", "use_fast_path")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What makes a Caduceus. Sizes are in tokens, layers, channels or steps.

    Attributes
    ----------
    vocab_size : int
        With the rows that fill it up to a multiple of `pad_vocab_size_multiple`.
    d_inner : int
        Channels within a Mamba.
    d_state : int
        States of each.
    d_conv : int
        Steps that its convolution reads.
    dt_rank : int
    conv_bias, bias : bool
        Whether the convolution, and the projections in and out, have a bias.
    rms_norm : bool
        Else LayerNorm.
    fused_add_norm : bool
        Where `rcps`, the function depends on it: see `varlm.models.networks.caduceus`.
    bidirectional, bidirectional_weight_tie : bool
        Whether there is a Mamba against the sequence, with the same projections in and out.
    bidirectional_strategy : str
        add or ew_multiply.
    rcps : bool
        Whether both strands are read with the same parameters (PS; else PH).
    tie_word_embeddings : bool
        Whether the head is the embedding.
    complement : tuple of int
        Token id → id of its complement, of all the vocabulary; empty unless `rcps`.
    """

    d_model: int
    n_layer: int
    vocab_size: int
    d_inner: int
    d_state: int
    d_conv: int
    dt_rank: int
    conv_bias: bool
    bias: bool
    rms_norm: bool
    norm_epsilon: float
    fused_add_norm: bool
    bidirectional: bool
    bidirectional_strategy: str
    bidirectional_weight_tie: bool
    rcps: bool
    tie_word_embeddings: bool
    complement: tuple[int, ...]

    @property
    def strands(self) -> int:
        """Of a window, that a pass reads."""
        return 2 if self.rcps else 1


def read_options(config: Mapping[str, Any], folder: Path) -> Options:
    """Return the options of the config.json in `folder`, checked.

    Raises
    ------
    UserError
        If an option has a value of another kind or out of range, or makes no sensible model.
    """
    try:
        return _options(config)
    except ValueError as error:
        raise UserError(
            f"{folder / 'config.json'}: does not describe a Caduceus ({error})"
        ) from error


def _options(config: Mapping[str, Any]) -> Options:
    mamba = config.get("ssm_cfg") or {}
    _check_mamba(mamba)
    d_model = _count(config, "d_model", 2560)
    rows, step = _count(config, "vocab_size", 50277), _count(config, "pad_vocab_size_multiple", 8)
    rows = math.ceil(rows / step) * step
    rank = mamba.get("dt_rank", "auto")
    rcps = _flag(config, "rcps", False)
    return Options(
        d_model=d_model,
        n_layer=_count(config, "n_layer", 64),
        vocab_size=rows,
        d_inner=_inner(mamba.get("expand", 2), d_model),
        d_state=_count(mamba, "d_state", 16),
        d_conv=_count(mamba, "d_conv", 4),
        dt_rank=math.ceil(d_model / 16) if rank == "auto" else _count(mamba, "dt_rank", 1),
        conv_bias=_flag(mamba, "conv_bias", True),
        bias=_flag(mamba, "bias", False),
        rms_norm=_flag(config, "rms_norm", True),
        norm_epsilon=_epsilon(config.get("norm_epsilon", 1e-5)),
        fused_add_norm=_flag(config, "fused_add_norm", True),
        bidirectional=_flag(config, "bidirectional", True),
        bidirectional_strategy=_strategy(config.get("bidirectional_strategy")),
        bidirectional_weight_tie=_flag(config, "bidirectional_weight_tie", True),
        rcps=rcps,
        # The authors' PS ties them whatever this says.
        tie_word_embeddings=_flag(config, "tie_word_embeddings", True) or rcps,
        complement=_complement(config.get("complement_map"), rows) if rcps else (),
    )


def _check_mamba(options: object) -> None:
    if not isinstance(options, Mapping):
        raise ValueError(f"ssm_cfg is {options!r}, expected the options of a Mamba")
    unknown = [
        f"{name} ({options[name]!r})"
        for name in options
        if name not in (*_OF_MAMBA, *_OF_DRAWING) and (name, options[name]) != ("layer", "Mamba1")
    ]
    if unknown:
        raise ValueError(
            f"ssm_cfg has {', '.join(unknown)}; expected {', '.join(_OF_MAMBA)}, those of the "
            "first Mamba: varlm computes no other (PlantCAD2, for instance, has Mamba-2)"
        )


def _count(options: Mapping[str, Any], name: str, default: int) -> int:
    value = options.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _MOST:
        raise ValueError(f"{name} is {value!r}, expected a whole number from 1 to {_MOST}")
    return value


def _flag(options: Mapping[str, Any], name: str, default: bool) -> bool:
    value = options.get(name, default)
    if not isinstance(value, bool):
        raise ValueError(f"{name} is {value!r}, expected true or false")
    return value


def _is_number(value: object, holds: Callable[[float], bool]) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and holds(value)


def _inner(expand: Any, d_model: int) -> int:
    if not _is_number(expand, lambda times: 1 <= times * d_model < _MOST + 1):
        raise ValueError(
            f"expand is {expand!r}, expected a number that makes 1 to {_MOST} channels of the "
            f"{d_model} of d_model"
        )
    return int(expand * d_model)


def _epsilon(value: Any) -> float:
    if not _is_number(value, lambda epsilon: 0 <= epsilon <= 1):
        raise ValueError(f"norm_epsilon is {value!r}, expected a number from 0 to 1")
    return float(value)


def _strategy(value: Any) -> str:
    strategy: str = "add" if value is None else value
    if strategy not in _STRATEGIES:
        raise ValueError(
            f"bidirectional_strategy is {value!r}, expected one of {', '.join(_STRATEGIES)}"
        )
    return strategy


def _complement(pairs: Any, rows: int) -> tuple[int, ...]:
    """Return id → id of the complement; ids that fill the vocabulary up are their own."""
    if not isinstance(pairs, Mapping):
        raise ValueError(
            f"complement_map is {pairs!r}; where rcps is true, expected token id: id of its "
            "complement"
        )
    try:
        # JSON's keys are texts, in whatever order they were written.
        table = {int(token): other for token, other in pairs.items()}
    except ValueError as error:
        raise ValueError(f"complement_map has a key that is no token id ({error})") from error
    table = {token: token for token in range(rows)} | table
    ids = range(rows)
    if set(table) != set(ids) or any(
        type(other) is not int or other not in ids or table[other] != token
        for token, other in table.items()
    ):
        raise ValueError(
            f"complement_map is {pairs!r}, expected pairs of the {rows} token ids, each of them "
            "the other's complement"
        )
    return tuple(table[token] for token in ids)


def read_tokeniser(
    folder: Path, config: Mapping[str, Any], options: Mapping[str, str]
) -> KmerTokeniser:
    """Return the ids of the nucleotides and of what stands around them.

    Raises
    ------
    UserError
        As `characters.read_characters` and `read_options`, or if tokeniser and config.json do not
        fit together.
    """
    del options  # the family has none
    tokeniser = characters.read_characters(folder)
    model = read_options(config, folder)
    if tokeniser.mask is None:
        raise UserError(
            f"{folder}: the tokeniser has no mask token; Caduceus is a masked language model"
        )
    if tokeniser.size > model.vocab_size:
        raise UserError(
            f"{folder}: the tokeniser has ids up to {tokeniser.size - 1}, but the model knows only "
            f"{model.vocab_size} (vocab_size in config.json); one of the files belongs to another "
            "model"
        )
    if model.rcps:
        _check_complement(folder, model, tokeniser)
    return tokeniser


def _check_complement(folder: Path, model: Options, tokeniser: KmerTokeniser) -> None:
    for base in BASES:
        other = chr(COMPLEMENT[ord(base)])
        token, expected = tokeniser.ids[base], tokeniser.ids[other]
        if model.complement[token] != expected:
            raise UserError(
                f"{folder}: the tokeniser gives {base} the id {token} and its complement {other} "
                f"{expected}, but complement_map in config.json has {token} → "
                f"{model.complement[token]}; one of the files belongs to another model"
            )


def window_problem(window: int, config: Mapping[str, Any], tokeniser: KmerTokeniser) -> str | None:
    """Return why a window of so many bp cannot be scored: never, as the model has no positions."""
    del window, config, tokeniser
    return None

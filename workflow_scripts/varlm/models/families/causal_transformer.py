"""GPT-2, Llama and Mistral over nucleotides: a token of its own for each base.

Nothing is published that all such checkpoints have in common, so that tokenizer.json is asked: what
it makes of one base and of several tells the ids, and what it puts before and after them. It is
never asked for a genome.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from varlm.errors import UserError
from varlm.genome.bases import BASES
from varlm.models.checkpoint import read_object, token_text
from varlm.models.tokens import KmerTokeniser

FILES = ("tokenizer.json", "tokenizer_config.json")

_FOREIGN = "\N{SNOWMAN}"  # no vocabulary of nucleotides has it

# Holds all words of four bases, so that a tokeniser that makes one token of any shows it.
_TEXT = "".join(itertools.chain.from_iterable(itertools.product(BASES, repeat=4)))

# model_type → key of config.json that has the number of positions, and transformers' default.
_POSITIONS = {
    "gpt2": ("n_positions", 1024),
    "llama": ("max_position_embeddings", 2048),
    "mistral": ("max_position_embeddings", 131072),
}


@dataclass(frozen=True)
class _Text:
    """The tokeniser of a checkpoint, as text goes through it."""

    path: Path
    encoder: Any  # tokenizers.Tokenizer
    settings: Mapping[str, Any]  # of tokenizer_config.json

    def ids(self, text: str) -> list[int]:
        """Ids of a text, those put around it included."""
        ids: list[int] = self.encoder.encode(text).ids
        return ids

    def special(self, name: str) -> int | None:
        """Id of a special token that tokenizer_config.json names."""
        token = token_text(self.settings.get(name))
        return None if token is None else self.encoder.token_to_id(token)


def read_tokeniser(
    folder: Path, config: Mapping[str, Any], options: Mapping[str, str]
) -> KmerTokeniser:
    """Return the ids of the nucleotides and of what stands around a sequence.

    Raises
    ------
    UserError
        If tokenizer.json is missing or unreadable, or does not give each base a token of its own.
    """
    del config, options
    text = _read_text(folder)
    for letters in (BASES, BASES.lower()):
        bases = _bases(text, letters)
        if bases is not None:
            break
    else:
        raise UserError(
            f"{text.path}: A, C, G, T become "
            f"{', '.join(str(text.ids(letter)) for letter in BASES)}, and the lower-case letters "
            f"{', '.join(str(text.ids(letter)) for letter in BASES.lower())} (a letter of no "
            f"vocabulary {text.ids(_FOREIGN)}); expected one token for each base, four ids of "
            "their own, in one of the cases: tokenisers of words or k-mers do not belong to this "
            "model family"
        )
    place, ids = bases
    around = text.ids(letters[0])
    prefix, suffix = around[:place], around[place + 1 :]
    _check_text(text, letters, ids, prefix, suffix)
    prefix, suffix = _with_ends(text, prefix, suffix)
    vocabulary = text.encoder.get_vocab(with_added_tokens=True)
    return KmerTokeniser(
        k=1,
        stride=1,
        ids=dict(zip(BASES, ids, strict=True)),
        unknown=_unknown(text, "N" if letters == BASES else "n", around, place, ids),
        size=max(vocabulary.values()) + 1,
        prefix=tuple(prefix),
        suffix=tuple(suffix),
    )


def _read_text(folder: Path) -> _Text:
    path, settings_path = folder / "tokenizer.json", folder / "tokenizer_config.json"
    if not path.is_file():
        raise UserError(
            f"{path}: not found; a checkpoint of this model family needs the tokenizer.json of the "
            "Hugging Face layout: save the tokeniser again as a fast one"
        )
    import tokenizers

    try:
        encoder = tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises the bare class
        raise UserError(
            f"{path}: not a readable tokeniser ({error}); copy or download the file again"
        ) from error
    settings = read_object(settings_path, needed=False)
    encoder.no_padding()
    encoder.no_truncation()
    return _Text(path, encoder, settings)


def _bases(text: _Text, letters: str) -> tuple[int, tuple[int, ...]] | None:
    """Return at which token a base stands, and the four bases' ids; None: one has none.

    It is the one place at which the ids of two bases differ.
    """
    ids = [text.ids(letter) for letter in letters]
    if len({len(row) for row in ids}) > 1 or text.ids(_FOREIGN) in ids:
        return None
    columns = list(zip(*ids, strict=True))
    places = [place for place, column in enumerate(columns) if len(set(column)) > 1]
    if len(places) != 1 or len(set(columns[places[0]])) < len(letters):
        return None
    return places[0], columns[places[0]]


def _check_text(
    text: _Text, letters: str, ids: tuple[int, ...], prefix: list[int], suffix: list[int]
) -> None:
    """Raise `UserError` unless a longer sequence is its bases, one by one, between the same."""
    shown = _TEXT if letters == BASES else _TEXT.lower()
    expected = [*prefix, *(ids[letters.index(letter)] for letter in shown), *suffix]
    encoded = text.ids(shown)
    if encoded != expected:
        pairs = enumerate(zip(encoded, expected, strict=False))
        first = next((i for i, (own, other) in pairs if own != other), len(prefix))
        start = max(first - len(prefix), 0)
        raise UserError(
            f"{text.path}: {shown[start : start + 4]!r} within a sequence becomes "
            f"{encoded[first : first + 4]}, expected one token a base, "
            f"{expected[first : first + 4]}; tokenisers with merges, k-mers or spaces do not "
            "belong to this model family"
        )


def _with_ends(text: _Text, prefix: list[int], suffix: list[int]) -> tuple[list[int], list[int]]:
    """Obey `add_bos_token` and `add_eos_token`, by which transformers goes beside the file's own.

    They add what is not there in any class of tokeniser; in Llama's they also take away.
    """
    bos, eos = text.special("bos_token"), text.special("eos_token")
    takes = str(text.settings.get("tokenizer_class", "")).startswith(("Llama", "CodeLlama"))
    add_bos, add_eos = (text.settings.get(f"add_{name}_token") for name in ("bos", "eos"))
    if bos is not None:
        if add_bos is True and bos not in prefix:
            prefix = [bos, *prefix]
        elif add_bos is False and takes:
            prefix = [token for token in prefix if token != bos]
    if eos is not None:
        if add_eos is True and eos not in suffix:
            suffix = [*suffix, eos]
        elif add_eos is False and takes:
            suffix = [token for token in suffix if token != eos]
    return prefix, suffix


def _unknown(
    text: _Text, letter: str, around: list[int], place: int, bases: tuple[int, ...]
) -> int:
    """Return the id of N: its own, or that of an unknown token."""
    ids = text.ids(letter)
    whole = len(ids) == len(around) and ids[:place] == around[:place]
    own = ids[place] if whole and ids[place + 1 :] == around[place + 1 :] else None
    unknown = text.special("unk_token") if own is None else own
    if unknown is None or unknown in bases:
        raise UserError(
            f"{text.path}: {letter!r} becomes {ids}, and there is no unk_token in "
            "tokenizer_config.json; expected one token that no base has, for what is not known: "
            "add N or an unknown token"
        )
    return unknown


def positions(config: Mapping[str, Any]) -> int:
    """Return how many tokens a model of config.json can read."""
    key, default = _POSITIONS.get(str(config.get("model_type")), ("max_position_embeddings", 2048))
    count = config.get(key, default)
    return count if isinstance(count, int) else default


def window_problem(window: int, config: Mapping[str, Any], tokeniser: KmerTokeniser) -> str | None:
    """Return why a window of so many bp cannot be scored, or None."""
    longest = positions(config) - tokeniser.tokens(1) + 1
    if window > longest:
        return (
            f"the model reads at most {longest} bp ({positions(config)} positions in its "
            f"config.json, {tokeniser.tokens(1) - 1} of them for special tokens): set {longest} or "
            "less"
        )
    return None

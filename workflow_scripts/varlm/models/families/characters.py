"""One token a base by a list of characters: the tokeniser of HyenaDNA and of Caduceus.

Its class is remote code, which is never run. What it does follows from tokenizer_config.json: seven
special tokens, then the characters in their order, and [SEP] after every sequence. A checkpoint
that brings a `tokenizer.json` (PlantCaduceus) is asked itself.

The authors feed one case of letters, which the characters are in; here windows are upper case and
become ids through a table, so that either case serves.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from varlm.errors import UserError
from varlm.genome.bases import BASES
from varlm.models.checkpoint import read_object, token_text
from varlm.models.tokens import KmerTokeniser

FILES = ("tokenizer_config.json", "tokenizer.json", "vocab.json")

_SPECIAL = ("[CLS]", "[SEP]", "[BOS]", "[MASK]", "[PAD]", "[RESERVED]", "[UNK]")
_CHARACTERS = ("A", "C", "G", "T", "N")  # the class's own, where the file names none
_AGAIN = "copy or download the file again"


def read_characters(folder: Path) -> KmerTokeniser:
    """Return the ids of the nucleotides and of what stands around them.

    Ids are, the first that there is: those of tokenizer.json, of vocab.json, or by the rule of the
    class, unless `added_tokens_decoder` of tokenizer_config.json gives a token another one.

    Raises
    ------
    UserError
        If a file is missing or unreadable, or A, C, G, T have no ids of their own.
    """
    if (folder / "tokenizer.json").is_file():
        return _of_tokenizer(folder)
    settings = read_object(folder / "tokenizer_config.json")
    path = folder / "vocab.json"
    if path.is_file():
        vocabulary = _ids(path, read_object(path).items())
    else:
        path = folder / "tokenizer_config.json"
        vocabulary = _by_rule(path, settings)
    letters = _letters(vocabulary)
    suffix = vocabulary.get(token_text(settings.get("sep_token")) or "[SEP]")
    if suffix is None:
        raise UserError(f"{path}: has no id for the separator after a sequence; {_AGAIN}")
    unknown = vocabulary.get(token_text(settings.get("unk_token")) or "[UNK]")
    mask = vocabulary.get(token_text(settings.get("mask_token")) or "[MASK]")
    _check(path, letters, (unknown, mask, suffix))
    other = letters.get("N", unknown)
    if other is None:
        raise UserError(f"{path}: has an id neither for N nor for unknown letters; {_AGAIN}")
    return KmerTokeniser(
        k=1,
        stride=1,
        ids={base: letters[base] for base in BASES},
        unknown=other,
        size=max(vocabulary.values()) + 1,
        suffix=(suffix,),
        mask=mask,
    )


def _by_rule(path: Path, settings: Mapping[str, Any]) -> dict[str, int]:
    """Return token → id: the special tokens, then the characters."""
    characters = settings.get("characters", _CHARACTERS)
    if (
        not isinstance(characters, list | tuple)
        or not all(isinstance(letter, str) and len(letter) == 1 for letter in characters)
        or len(set(characters)) < len(characters)
    ):
        raise UserError(
            f"{path}: characters: found {characters!r}, expected a list of different letters, such "
            f"as {list(_CHARACTERS)}; {_AGAIN}"
        )
    vocabulary = {token: place for place, token in enumerate((*_SPECIAL, *characters))}
    added = settings.get("added_tokens_decoder", {})
    if not isinstance(added, Mapping):
        raise UserError(f"{path}: added_tokens_decoder: found no JSON object; {_AGAIN}")
    pairs = [
        (entry.get("content") if isinstance(entry, Mapping) else entry, int(key))
        for key, entry in added.items()
        if key.isdecimal()
    ]
    return vocabulary | _ids(path, pairs)


def _ids(path: Path, pairs: Any) -> dict[str, int]:
    vocabulary = dict(pairs)
    for token, number in vocabulary.items():
        if not isinstance(token, str) or type(number) is not int or number < 0:
            raise UserError(
                f"{path}: the token {token!r} has the id {number!r}, expected text and a number; "
                f"{_AGAIN}"
            )
    return vocabulary


def _letters(vocabulary: Mapping[str, int]) -> dict[str, int]:
    """Return A, C, G, T, N → id, of upper case where the vocabulary has both."""
    return {
        letter: vocabulary[written]
        for letter in BASES + "N"
        for written in (letter.lower(), letter)
        if written in vocabulary
    }


def _check(path: Path, letters: Mapping[str, int], special: tuple[int | None, ...]) -> None:
    bases = [letters.get(base) for base in BASES]
    others = {*special, letters.get("N")}
    if None in bases or len(set(bases)) < len(BASES) or others & set(bases) - {None}:
        raise UserError(
            f"{path}: A, C, G, T have the ids {bases} (N {letters.get('N')}; unknown, mask and "
            f"separator {list(special)}); expected four ids of their own: does the file belong to "
            "a model of single nucleotides?"
        )


def _of_tokenizer(folder: Path) -> KmerTokeniser:
    """Ask tokenizer.json: a letter at a time, and what it puts around a text."""
    import tokenizers

    path = folder / "tokenizer.json"
    try:
        tokeniser = tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises the bare class
        raise UserError(f"{path}: not a readable tokeniser ({error}); {_AGAIN}") from error
    settings_path = folder / "tokenizer_config.json"
    settings = read_object(settings_path, needed=False)
    vocabulary = tokeniser.get_vocab(with_added_tokens=True)
    unknown = vocabulary.get(token_text(settings.get("unk_token")) or "[UNK]")
    mask = vocabulary.get(token_text(settings.get("mask_token")) or "[MASK]")
    letters = _asked(path, tokeniser, unknown)
    text = "ACGTNNGATTACA"
    cased = text if _knows(tokeniser, "A", unknown) else text.lower()
    ids, expected = tokeniser.encode(cased).ids, [letters[letter] for letter in text]
    start = next((at for at in range(len(ids)) if ids[at : at + len(expected)] == expected), None)
    if start is None:
        raise UserError(
            f"{path}: {cased!r} becomes {ids}, expected one token a base, {expected}, between "
            "special ones; tokenisers with merges or k-mers do not belong to this model family"
        )
    prefix, suffix = ids[:start], ids[start + len(expected) :]
    _check(path, letters, (unknown, mask, *prefix, *suffix))
    return KmerTokeniser(
        k=1,
        stride=1,
        ids={base: letters[base] for base in BASES},
        unknown=letters["N"],
        size=max(vocabulary.values()) + 1,
        prefix=tuple(prefix),
        suffix=tuple(suffix),
        mask=mask,
    )


def _knows(tokeniser: Any, letter: str, unknown: int | None) -> bool:
    ids = tokeniser.encode(letter, add_special_tokens=False).ids
    return len(ids) == 1 and ids[0] != unknown


def _asked(path: Path, tokeniser: Any, unknown: int | None) -> dict[str, int]:
    """Return A, C, G, T, N → id; an N that it does not know is unknown."""
    letters = {}
    for letter in BASES + "N":
        cased = [form for form in (letter, letter.lower()) if _knows(tokeniser, form, unknown)]
        ids = tokeniser.encode((cased or [letter])[0], add_special_tokens=False).ids
        if len(ids) != 1:
            raise UserError(
                f"{path}: {letter!r} becomes {len(ids)} tokens {ids}, expected 1; {_AGAIN}"
            )
        letters[letter] = ids[0]
    return letters

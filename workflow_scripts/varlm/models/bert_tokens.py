"""What BERTs over nucleotides have in common: [CLS] … k-mers … [SEP], by a vocabulary's files.

The vocabulary is vocab.txt with added_tokens.json beside it, or tokenizer.json, or several of them,
which then have to agree: species are added tokens in some checkpoints. No torch here.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from varlm.errors import UserError, first_few
from varlm.genome.bases import BASES
from varlm.models.checkpoint import read_object, token_text
from varlm.models.tokens import KmerTokeniser

FILES = ("vocab.txt", "added_tokens.json", "tokenizer.json", "tokenizer_config.json")

_AGAIN = "copy or download the checkpoint's files again"
_NUCLEOTIDES = re.compile(r"[ACGTUN]+", re.IGNORECASE)
_SPECIAL = re.compile(r"\[.*\]|<.*>|##.*")
_POSITIONS = 512  # BERT's, of a config.json that does not say


@dataclass(frozen=True)
class Vocabulary:
    """A checkpoint's tokens.

    Attributes
    ----------
    folder : Path
        For messages.
    ids : mapping
        Token → id.
    renamed : mapping
        Role, such as `mask_token`, → token, of tokenizer_config.json.
    """

    folder: Path
    ids: Mapping[str, int]
    renamed: Mapping[str, str]

    def special(self, role: str, usual: str) -> int:
        """Return the id of a special token: of `mask_token`, usually `[MASK]`."""
        token = self.renamed.get(role, usual)
        if token not in self.ids:
            raise UserError(
                f"{self.folder}: no {token} among the {len(self.ids)} tokens of its vocabulary "
                f"({first_few(self.ids, 8)}); expected that of a BERT: {_AGAIN}"
            )
        return self.ids[token]

    @cached_property
    def kmers(self) -> dict[str, int]:
        """Id of every k-mer of A, C, G, T (as upper case), in the order of letters.

        Raises
        ------
        UserError
            Unless the tokens of these letters are all 4^k of one k.
        """
        missing: list[str] = []
        for letters in (BASES, BASES.lower()):
            kmers = [token for token in self.ids if token and set(token) <= set(letters)]
            sizes = {len(kmer) for kmer in kmers}
            if len(sizes) == 1:
                names = ["".join(kmer) for kmer in itertools.product(letters, repeat=min(sizes))]
                missing = [name for name in names if name not in self.ids]
                if not missing:
                    return {name.upper(): self.ids[name] for name in names}
        tokens = [token for token in self.ids if _NUCLEOTIDES.fullmatch(token)]
        lacks = f" and lacks {first_few(missing, 4)}" if missing else ""
        raise UserError(
            f"{self.folder}: its vocabulary has {first_few(tokens, 8) or 'no tokens'} of "
            f"nucleotides{lacks}; expected all 4^k k-mers of A, C, G, T of one length: does the "
            "vocabulary belong to this model?"
        )

    def names(self) -> list[str]:
        """Return the tokens that are neither special nor nucleotides: the species."""
        k = len(next(iter(self.kmers)))
        nucleotides = {*self.kmers, "N", "N" * k}
        return [
            token
            for token in self.ids
            if token.strip() and not _SPECIAL.fullmatch(token) and token.upper() not in nucleotides
        ]


def read_vocabulary(folder: Path) -> Vocabulary:
    """Read what a checkpoint's files say of its tokens.

    Raises
    ------
    UserError
        If there is none, a file is unreadable, files disagree, or two tokens have one id.
    """
    ids: dict[str, int] = {}
    of_settings, added = folder / "tokenizer_config.json", folder / "added_tokens.json"
    settings = read_object(of_settings, needed=False)
    for source, tokens in (
        ("vocab.txt", _lines(folder / "vocab.txt")),
        ("tokenizer.json", _tokenizer_json(folder / "tokenizer.json")),
        ("added_tokens.json", _checked(added, read_object(added, needed=False))),
        ("tokenizer_config.json", _added_tokens_decoder(of_settings, settings)),
    ):
        for token, number in tokens.items():
            if ids.setdefault(token, number) != number:
                raise UserError(
                    f"{folder / source}: the token {token!r} has the id {number}, but "
                    f"{ids[token]} in another of the tokeniser's files; {_AGAIN}"
                )
    if not any((folder / name).is_file() for name in ("vocab.txt", "tokenizer.json")):
        raise UserError(
            f"{folder / 'vocab.txt'}: not found, nor a tokenizer.json; one of them has to hold the "
            f"vocabulary: {_AGAIN}"
        )
    by_id: dict[int, str] = {}
    for token, number in ids.items():
        if by_id.setdefault(number, token) != token:
            raise UserError(
                f"{folder}: the tokens {by_id[number]!r} and {token!r} of its vocabulary both have "
                f"the id {number}; {_AGAIN}"
            )
    renamed = {
        role: token_text(token) or "" for role, token in settings.items() if role.endswith("_token")
    }
    return Vocabulary(folder, ids, {role: token for role, token in renamed.items() if token})


def tokeniser(
    vocabulary: Vocabulary,
    config: Mapping[str, Any],
    *,
    after_cls: tuple[int, ...] = (),
    unknown: int | None = None,
) -> KmerTokeniser:
    """Return what makes windows [CLS] … k-mers … [SEP].

    Parameters
    ----------
    vocabulary : Vocabulary
    config : mapping
        Of config.json.
    after_cls : tuple of int
        Ids between [CLS] and the k-mers.
    unknown : int, optional
        Id of a k-mer with another letter; [UNK] without it.
    """
    kmers = vocabulary.kmers
    if unknown is None:
        unknown = vocabulary.special("unk_token", "[UNK]")
    prefix = (vocabulary.special("cls_token", "[CLS]"), *after_cls)
    suffix = (vocabulary.special("sep_token", "[SEP]"),)
    mask = vocabulary.special("mask_token", "[MASK]")
    highest = max(*kmers.values(), *prefix, *suffix, mask, unknown)
    positions = config.get("max_position_embeddings", _POSITIONS)
    if type(positions) is not int:
        raise UserError(
            f"{vocabulary.folder / 'config.json'}: max_position_embeddings is {positions!r}, "
            f"expected a whole number; {_AGAIN}"
        )
    size = config.get("vocab_size")
    if isinstance(size, int) and highest >= size:
        raise UserError(
            f"{vocabulary.folder}: ids of its vocabulary reach {highest}, but the model has "
            f"{size} (vocab_size in config.json): one of the files belongs to another model"
        )
    return KmerTokeniser(
        k=len(next(iter(kmers))),
        stride=1,
        ids=kmers,
        unknown=unknown,
        size=max(vocabulary.ids.values()) + 1,
        prefix=prefix,
        suffix=suffix,
        mask=mask,
    )


def longest_window(config: Mapping[str, Any], tokens: KmerTokeniser) -> int:
    """Return how many bp the model can read."""
    positions = config.get("max_position_embeddings", _POSITIONS)
    return int(positions) - len(tokens.prefix) - len(tokens.suffix) + tokens.k - 1


def window_problem(window: int, config: Mapping[str, Any], tokeniser: KmerTokeniser) -> str | None:
    """Return why a window of so many bp cannot be scored, or None."""
    longest = longest_window(config, tokeniser)
    if window > longest:
        return (
            f"the model reads at most {longest} bp: max_position_embeddings in its config.json is "
            f"{config.get('max_position_embeddings', _POSITIONS)}, and a window of {window} bp has "
            f"{tokeniser.tokens(window)} tokens with the special ones: set {longest} or less"
        )
    if window < tokeniser.k:
        return f"a token is a k-mer of {tokeniser.k} bp: set {tokeniser.k} or more"
    return None


def _lines(path: Path) -> dict[str, int]:
    """Return the tokens of a vocab.txt, one a line; of a token that comes twice, the last."""
    if not path.is_file():
        return {}
    try:
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not readable as UTF-8 text ({error}); {_AGAIN}") from error
    return {token: number for number, token in enumerate(lines)}


def _tokenizer_json(path: Path) -> dict[str, int]:
    document = read_object(path, needed=False)
    model = document.get("model")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    ids = dict(vocabulary) if isinstance(vocabulary, dict) else {}
    added = document.get("added_tokens") or []
    try:
        return _checked(path, ids | {token["content"]: token["id"] for token in added})
    except (TypeError, KeyError) as error:
        raise UserError(
            f"{path}: added_tokens is not a list of tokens with their ids; {_AGAIN}"
        ) from error


def _added_tokens_decoder(path: Path, settings: Mapping[str, Any]) -> dict[str, int]:
    decoder = settings.get("added_tokens_decoder") or {}
    if not isinstance(decoder, dict) or not all(number.isdecimal() for number in decoder):
        raise UserError(
            f"{path}: added_tokens_decoder is not token ids with their tokens; {_AGAIN}"
        )
    return {token_text(token) or "": int(number) for number, token in decoder.items()}


def _checked(path: Path, tokens: dict[str, Any]) -> dict[str, int]:
    """Return tokens whose ids are numbers."""
    for token, number in tokens.items():
        if type(number) is not int or number < 0:
            raise UserError(
                f"{path}: the token {token!r} has the id {number!r}, expected a number; {_AGAIN}"
            )
    return tokens

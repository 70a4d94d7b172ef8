"""Byte-pair encoding of nucleotides: tokens of one to many letters, by `tokenizer.json`.

One other base changes the segmentation around it, so that windows of one length have different
numbers of tokens. Here alone windows go through a text tokeniser (the package `tokenizers`): it
has rules of its own for what it does with letters that it does not know. No torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from varlm.errors import UserError
from varlm.genome.bases import BASES

if TYPE_CHECKING:
    from tokenizers import Tokenizer

FILE = "tokenizer.json"

_UNKNOWN = ("N", "\N{SNOWMAN}")  # what no base may be the same token as

# Bases, a run of unknown ones, and of positions past a contig's end.
_PROBE = "GATTACANNNNCATTAGRACGT---"


@dataclass(frozen=True)
class Pieces:
    """A window as tokens.

    Attributes
    ----------
    ids : int64, shape (T,)
        Special tokens included.
    spans : int64, shape (T, 2)
        First letter of each token and the one after its last, 0-based in the window; the two are
        equal for special tokens. The others lie end to end.
    """

    ids: NDArray[np.int64]
    spans: NDArray[np.int64]

    def token_at(self, index: int) -> int:
        """Return the token that holds the letter at `index`, 0-based in `ids`."""
        start, end = self.spans.T
        return int(np.flatnonzero((start <= index) & (index < end))[0])

    @property
    def tokens_of_letters(self) -> NDArray[np.int64]:
        """The token of each letter, 0-based in `ids`: int64, shape (W,)."""
        return np.repeat(np.arange(len(self.ids)), np.diff(self.spans, axis=1)[:, 0])


@dataclass(frozen=True)
class BpeTokeniser:
    """Windows → token ids, of which there are as many as it takes.

    Attributes
    ----------
    tokeniser : tokenizers.Tokenizer
        Without truncation or padding.
    prefix, suffix : tuple of int
        Ids of the special tokens before and after the sequence's.
    size : int
        One more than the highest id of the vocabulary.
    digest : str
        SHA-256 of what of tokenizer.json decides how letters become tokens.
    """

    tokeniser: Tokenizer
    prefix: tuple[int, ...]
    suffix: tuple[int, ...]
    size: int
    digest: str

    def encode(self, windows: NDArray[np.uint8]) -> list[Pieces]:
        """ASCII windows, shape (n, W) → tokens of each.

        Raises
        ------
        ValueError
            If a letter belongs to no token, or to several.
        """
        texts = [window.tobytes().decode("ascii") for window in windows]
        encodings = self.tokeniser.encode_batch(texts, add_special_tokens=False)
        width = windows.shape[1]
        return [self._pieces(code.ids, code.offsets, width) for code in encodings]

    def mapping(self) -> dict[str, Any]:
        """Return what identifies it, as JSON values; part of the model key."""
        return {
            "bpe": self.digest,
            "prefix": list(self.prefix),
            "suffix": list(self.suffix),
            "size": self.size,
        }

    def _pieces(self, ids: list[int], offsets: list[tuple[int, int]], width: int) -> Pieces:
        own = np.array(offsets, np.int64).reshape(-1, 2)
        edges = np.append(own[:, 0], width)
        if edges[0] != 0 or (own[:, 1] != edges[1:]).any() or (np.diff(edges) <= 0).any():
            raise ValueError(f"its tokens {offsets} do not hold each of {width} letters once")
        before = np.zeros((len(self.prefix), 2), np.int64)
        after = np.full((len(self.suffix), 2), width)
        spans = np.concatenate([before, own, after])
        return Pieces(np.array([*self.prefix, *ids, *self.suffix], np.int64), spans)


def read_bpe(folder: Path, vocabulary: int) -> BpeTokeniser:
    """Read `tokenizer.json` in `folder`.

    Parameters
    ----------
    folder : Path
        Of a checkpoint.
    vocabulary : int
        Tokens that the model knows, by its config.json.

    Raises
    ------
    UserError
        If the file is missing, unreadable or no byte-pair encoding, if two bases share an id or
        one is unknown, if letters get lost, or if ids go past the model's vocabulary.
    """
    path = folder / FILE
    document, tokeniser = _read(path)
    ids = {letter: tokeniser.encode(letter, add_special_tokens=False).ids for letter in BASES + "N"}
    known = {tuple(ids[base]) for base in BASES}
    unknown = {tuple(tokeniser.encode(text, add_special_tokens=False).ids) for text in _UNKNOWN}
    if len(known) < len(BASES) or any(len(one) != 1 for one in known) or known & unknown:
        raise UserError(
            f"{path}: {', '.join(ids)} become {[*ids.values()]}, expected one id for each, of "
            "their own for A, C, G, T; is it a tokeniser of lower-case letters, or of text?"
        )
    size = max(tokeniser.get_vocab(with_added_tokens=True).values()) + 1
    if size > vocabulary:
        raise UserError(
            f"{path}: has ids up to {size - 1}, but the model knows only {vocabulary} tokens "
            "(vocab_size in its config.json); one of the files belongs to another model"
        )
    prefix, suffix = _special(tokeniser)
    bpe = BpeTokeniser(tokeniser, prefix, suffix, size, _digest(document))
    try:
        bpe.encode(np.frombuffer(_PROBE.encode(), np.uint8)[None])
    except ValueError as error:
        raise UserError(
            f"{path}: of {_PROBE!r}, {error}; expected a tokeniser of nucleotides that gives "
            "letters that it does not know a token of their own"
        ) from error
    return bpe


def _read(path: Path) -> tuple[dict[str, Any], Tokenizer]:
    """Return a tokenizer.json as it is written, and what it makes; always the same of one text."""
    if not path.is_file():
        raise UserError(
            f"{path}: not found; a checkpoint needs the tokenizer.json of the Hugging Face layout"
        )
    import tokenizers

    try:
        tokeniser = tokenizers.Tokenizer.from_file(str(path))
        document = json.loads(path.read_text(encoding="utf-8"))
    except Exception as error:  # tokenizers raises the bare class
        raise UserError(
            f"{path}: not a readable tokeniser ({error}); copy or download the file again"
        ) from error
    kind, dropout = document["model"].get("type", "BPE"), document["model"].get("dropout")
    if kind != "BPE" or dropout:
        raise UserError(
            f"{path}: found a model of the type {kind}{' with dropout' if dropout else ''}, "
            "expected BPE without: the file belongs to another model, or to its training"
        )
    # A file may carry those of the run that saved it.
    tokeniser.no_truncation()
    tokeniser.no_padding()
    return document, tokeniser


def _special(tokeniser: Tokenizer) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the ids that the file's post-processor puts before and after a sequence."""
    encoding = tokeniser.encode(BASES)
    own = np.flatnonzero(np.array(encoding.special_tokens_mask) == 0)
    return tuple(encoding.ids[: own[0]]), tuple(encoding.ids[own[-1] + 1 :])


def _digest(document: Mapping[str, Any]) -> str:
    """Hash what decides how letters become tokens, however the file writes it."""
    model = dict(document["model"])
    # "A C" in older files, ["A", "C"] in newer ones.
    merges = [pair.split(" ") if isinstance(pair, str) else pair for pair in model["merges"]]
    parts = {
        "model": {**model, "merges": merges},
        "added": sorted((token["content"], token["id"]) for token in document["added_tokens"]),
        "normalizer": document.get("normalizer"),
        "pre_tokenizer": document.get("pre_tokenizer"),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

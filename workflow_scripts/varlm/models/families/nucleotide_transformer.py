"""Nucleotide Transformer and AgroNT: 6-mers, one after the other, by `vocab.txt`."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from varlm.errors import UserError, first_few
from varlm.genome.bases import BASES
from varlm.models.checkpoint import read_object, token_text
from varlm.models.tokens import KmerTokeniser

K = 6

VOCABULARY = "vocab.txt"
FILES = (VOCABULARY, "tokenizer_config.json", "special_tokens_map.json")

# The site's place in its 6-mer is the published one, 3 on the forward strand and 2 on the reverse,
# where half of the window holds whole 6-mers and half a one.
_PERIOD, _PHASE = 2 * K, K


def read_tokeniser(
    folder: Path, config: Mapping[str, Any], options: Mapping[str, str]
) -> KmerTokeniser:
    """Return the ids of the 6-mers: the numbers of their lines in vocab.txt, from 0.

    <cls> goes first; a 6-mer with another letter than A, C, G, T is one token N.

    Raises
    ------
    UserError
        If vocab.txt is missing or unreadable, lacks one of these tokens or the mask's, has one
        twice, or has more than the model knows.
    """
    del options  # there are none
    path = folder / VOCABULARY
    lines = _lines(path)
    kmers = ["".join(letters) for letters in itertools.product(BASES, repeat=K)]
    special = {name: _special(folder, name) for name in ("cls_token", "mask_token", "eos_token")}
    first, mask = special["cls_token"] or "<cls>", special["mask_token"] or "<mask>"
    last = (special["eos_token"],) if special["eos_token"] else ()
    needed = (*kmers, "N", first, mask, *last)
    places: dict[str, list[int]] = {token: [] for token in needed}
    for number, line in enumerate(lines):
        if line in places:
            places[line].append(number)
    _refuse(path, "lacks", [token for token, lines in places.items() if not lines])
    _refuse(path, "has twice", [token for token, lines in places.items() if len(lines) > 1])
    known = config.get("vocab_size")
    if isinstance(known, int) and len(lines) > known:
        raise UserError(
            f"{path}: {len(lines)} tokens, but vocab_size in config.json is {known}; one of the "
            "files belongs to another model"
        )
    ids = {token: numbers[0] for token, numbers in places.items()}
    return KmerTokeniser(
        k=K,
        stride=K,
        ids={kmer: ids[kmer] for kmer in kmers},
        unknown=ids["N"],
        size=len(lines),
        prefix=(ids[first],),
        suffix=tuple(ids[token] for token in last),
        mask=ids[mask],
    )


def window_problem(window: int, config: Mapping[str, Any], tokeniser: KmerTokeniser) -> str | None:
    """Return why a window of so many bp cannot be scored, or None."""
    longest = None
    positions, pad = config.get("max_position_embeddings", 1026), config.get("pad_token_id", 1)
    if isinstance(positions, int) and isinstance(pad, int):
        longest = longest_window(positions - pad - 1, tokeniser)
    if longest is not None and window > longest:
        most = longest - (longest - _PHASE) % _PERIOD
        return (
            f"the model reads at most {longest} bp (max_position_embeddings in its config.json, "
            f"{K} bp a token): set {most}, or less by a multiple of {_PERIOD}"
        )
    if window % _PERIOD == _PHASE:
        return None
    below = window - (window - _PHASE) % _PERIOD
    near = [width for width in (below, below + _PERIOD) if 0 < width <= (longest or width)]
    return (
        f"expected {_PHASE} more than a multiple of {_PERIOD}, so that the site has the same place "
        f"in its {K}-mer as in the published scores: set {' or '.join(map(str, near))}"
    )


def longest_window(tokens: int, tokeniser: KmerTokeniser) -> int:
    """Return the longest window in bp that makes at most so many tokens."""
    return K * (tokens - len(tokeniser.prefix) - len(tokeniser.suffix))


def _refuse(path: Path, what: str, tokens: list[str]) -> None:
    if tokens:
        raise UserError(
            f"{path}: {what} {first_few(tokens, 4)}; expected each of the {4**K} {K}-mers of A, C, "
            "G, T, the token N, <cls> and <mask> on one line of its own: copy or download the file "
            "again"
        )


def _lines(path: Path) -> list[str]:
    """Return the tokens of vocab.txt, one a line."""
    if not path.is_file():
        raise UserError(
            f"{path}: not found; a Nucleotide Transformer's tokens are there, one a line: copy or "
            "download the checkpoint again"
        )
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: not readable as text ({error}); copy or download the file again"
        ) from error


def _special(folder: Path, name: str) -> str | None:
    """Return the text of a special token, by the first file that names it; null there: none."""
    for file in FILES[1:]:
        settings = read_object(folder / file, needed=False)
        if name in settings:
            return token_text(settings[name])
    return None

"""One token a base: the ids that a checkpoint's `tokenizer.json` gives to nucleotides.

The tokeniser is asked once, for a dozen letters; windows become ids through a table of 256
entries. Genomes never go through a text tokeniser: that is slow, and a tokeniser that knows
only the other case maps every base to [UNK], which gives plausible numbers. No torch here.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from varlm.errors import UserError
from varlm.genome.bases import BASES
from varlm.models import checkpoint


@dataclass(frozen=True)
class Tokens:
    """What a checkpoint's tokeniser makes of nucleotides.

    Attributes
    ----------
    bases : tuple of 4 int
        Ids of A, C, G, T.
    n : int
        Id of N, and of every other code that is not A, C, G or T ([UNK] for GPN).
    mask : int
        Id of the mask token.
    size : int
        One more than the highest id of the vocabulary.
    vocabulary : str
        SHA-256 of the sorted (token, id) pairs.
    """

    bases: tuple[int, int, int, int]
    n: int
    mask: int
    size: int
    vocabulary: str

    def table(self) -> NDArray[np.uint8]:
        """ASCII byte → id, shape (256,); A, C, G, T in either case, everything else is N."""
        table = np.full(256, self.n, dtype=np.uint8)
        for base, token in zip(BASES, self.bases, strict=True):
            table[[ord(base), ord(base.lower())]] = token
        return table

    def mapping(self) -> dict[str, Any]:
        """Return the attributes as JSON-ready values; part of the model key."""
        return asdict(self)


def read_tokens(folder: Path) -> Tokens:
    """Read `tokenizer.json` in `folder` and return the ids of the nucleotides.

    Raises
    ------
    UserError
        If the file is missing or unreadable, if two bases share an id or one of them is unknown,
        if text gains tokens (a prefix, a suffix) or loses some (merges, k-mers), or if there is
        no mask token.
    """
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise UserError(
            f"{path}: not found; a checkpoint needs the tokenizer.json of the Hugging Face layout"
        )
    import tokenizers

    try:
        tokeniser = tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises the bare class
        raise UserError(
            f"{path}: not a readable tokeniser ({error}); copy or download the file again"
        ) from error
    vocabulary = tokeniser.get_vocab(with_added_tokens=True)
    unknown = vocabulary.get(_special(folder, "unk_token", "[UNK]"))
    mask_token = _special(folder, "mask_token", "[MASK]")
    mask = vocabulary.get(mask_token)
    if mask is None:
        raise UserError(
            f"{path}: no {mask_token} token in the vocabulary ({', '.join(sorted(vocabulary))}); "
            "varlm masks the site that it scores: use a masked language model's tokeniser"
        )
    ids = {}
    for letter in BASES + "N":
        ids_of_letter = tokeniser.encode(letter).ids
        if len(ids_of_letter) != 1:
            raise UserError(
                f"{path}: {letter!r} becomes {len(ids_of_letter)} tokens {ids_of_letter}, "
                "expected 1; tokenisers that add special tokens or use k-mers do not belong to "
                "this model family"
            )
        ids[letter] = ids_of_letter[0]
    bases = (ids["A"], ids["C"], ids["G"], ids["T"])
    if unknown in bases or mask in bases or ids["N"] in bases or len(set(bases)) != 4:
        raise UserError(
            f"{path}: A, C, G, T, N become the ids {[*bases, ids['N']]} ([UNK] is {unknown}, "
            f"{mask_token} is {mask}); expected four ids of their own for A, C, G, T: does the "
            "file lack the normaliser that lower-cases?"
        )
    text = "ACGTNNGATTACA"
    expected = [ids[letter] for letter in text]
    ids_of_text = tokeniser.encode(text).ids
    if ids_of_text != expected:
        raise UserError(
            f"{path}: {text!r} becomes {ids_of_text}, expected one token a base, {expected}; "
            "tokenisers with merges, k-mers or special tokens do not belong to this model family"
        )
    size = max(vocabulary.values()) + 1
    if size > 256:
        raise UserError(
            f"{path}: ids reach {size - 1}, expected at most 255; tokenisers of words or k-mers "
            "do not belong to this model family"
        )
    digest = hashlib.sha256(json.dumps(sorted(vocabulary.items())).encode()).hexdigest()
    return Tokens(bases, ids["N"], mask, size, digest)


def _special(folder: Path, name: str, default: str) -> str:
    """Return the text of a special token that tokenizer_config.json may rename."""
    settings = checkpoint.read_object(folder / "tokenizer_config.json", needed=False)
    return checkpoint.token_text(settings.get(name)) or default

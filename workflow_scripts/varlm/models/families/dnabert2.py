"""DNABERT-2: byte-pair encoding by `tokenizer.json`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from varlm.errors import UserError
from varlm.models.bpe import FILE, BpeTokeniser, read_bpe

FILES = (FILE,)


def read_tokeniser(
    folder: Path, config: Mapping[str, Any], options: Mapping[str, str]
) -> BpeTokeniser:
    """Return what the checkpoint makes of nucleotides; errors as `read_bpe`."""
    del options  # there are none
    size = config.get("vocab_size")
    if not isinstance(size, int):
        raise UserError(
            f"{folder / 'config.json'}: vocab_size is {size!r}, expected a number of tokens; copy "
            "or download the file again"
        )
    return read_bpe(folder, size)


def window_problem(window: int, config: Mapping[str, Any], tokeniser: BpeTokeniser) -> str | None:
    """Return None: attention by distance (ALiBi) reads windows of any length."""
    del window, config, tokeniser
    return None

"""HyenaDNA: a token a base, [SEP] after the sequence, and a longest sequence."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from varlm.models.families import characters
from varlm.models.tokens import KmerTokeniser

FILES = characters.FILES

LONGEST = 1024  # max_seq_len where config.json has none, as HyenaConfig


def read_tokeniser(
    folder: Path, config: Mapping[str, Any], options: Mapping[str, str]
) -> KmerTokeniser:
    """Return the ids of the nucleotides; errors as `read_characters`."""
    del config, options  # the tokeniser's files tell all
    return characters.read_characters(folder)


def window_problem(window: int, config: Mapping[str, Any], tokeniser: KmerTokeniser) -> str | None:
    """Return why a window of so many bp cannot be scored, or None."""
    longest = config.get("max_seq_len", LONGEST)
    tokens = tokeniser.tokens(window)
    if isinstance(longest, int) and tokens > longest:
        return (
            f"that is {tokens} tokens, and the model reads at most {longest} (max_seq_len in its "
            f"config.json), at most {longest - tokeniser.tokens(1) + 1} bp: set so many or less"
        )
    return None

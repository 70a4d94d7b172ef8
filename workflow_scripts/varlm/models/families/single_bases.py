"""One token a base by `tokenizer.json`: GPN, and the models that varlm trains."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from varlm.models.tokeniser import Tokens, read_tokens

FILES = ("tokenizer.json", "tokenizer_config.json")


def read_tokeniser(folder: Path, config: Mapping[str, Any], options: Mapping[str, str]) -> Tokens:
    """Return the ids of the nucleotides; errors as `read_tokens`."""
    del config, options  # tokenizer.json tells all
    return read_tokens(folder)


def window_problem(window: int, config: Mapping[str, Any], tokeniser: Tokens) -> str | None:
    """Return why a window of so many bp cannot be scored, or None."""
    del tokeniser
    encoder = config.get("encoder") == "roformer" or config.get("model_type") == "GPNRoFormer"
    longest = config.get("max_position_embeddings", 1536)
    if encoder and isinstance(longest, int) and window > longest:
        return f"the model reads at most {longest} bp (max_position_embeddings in its config.json)"
    return None

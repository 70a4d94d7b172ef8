"""SpliceBERT: [CLS], a token a base, [SEP]; N is a token of its own.

chenkenbio/SpliceBERT, its README and examples/scripts/analyze_vexseq_mfass.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from varlm.errors import UserError
from varlm.models import bert_tokens
from varlm.models.tokens import KmerTokeniser

FILES = bert_tokens.FILES
window_problem = bert_tokens.window_problem


def read_tokeniser(
    folder: Path, config: Mapping[str, Any], options: Mapping[str, str]
) -> KmerTokeniser:
    """Return the ids of the nucleotides.

    Raises
    ------
    UserError
        If the vocabulary is unreadable, or is one of k-mers.
    """
    del options
    vocabulary = bert_tokens.read_vocabulary(folder)
    tokens = bert_tokens.tokeniser(vocabulary, config, unknown=vocabulary.ids.get("N"))
    if tokens.k > 1:
        raise UserError(
            f"{folder}: its vocabulary has {tokens.k}-mers; SpliceBERT has a token a base: is the "
            "model's family species_lm?"
        )
    return tokens

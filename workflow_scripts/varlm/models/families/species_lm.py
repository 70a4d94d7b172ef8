"""SpeciesLM: [CLS], a token of the species, k-mers from base to base, [SEP].

Karollus et al. 2024; gagneurlab/SpeciesLM, ModelUsage.ipynb, and gagneurlab/dependencies_DNALM,
manuscript_code/model_wrappers.py. Those trained without species (their agnostic ones, DNABERT) have
no such token.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from varlm.errors import UserError, first_few
from varlm.models import bert_tokens
from varlm.models.tokens import KmerTokeniser

FILES = bert_tokens.FILES
WITHOUT = "none"  # the option `species` of a model that has none
window_problem = bert_tokens.window_problem


def read_tokeniser(
    folder: Path, config: Mapping[str, Any], options: Mapping[str, str]
) -> KmerTokeniser:
    """Return the ids of the k-mers, and of the species of the option `species`.

    Raises
    ------
    UserError
        If the vocabulary is unreadable, or the species is not in it.
    """
    vocabulary = bert_tokens.read_vocabulary(folder)
    species = _species(vocabulary, options.get("species"))
    return bert_tokens.tokeniser(vocabulary, config, after_cls=species)


def _species(vocabulary: bert_tokens.Vocabulary, name: str | None) -> tuple[int, ...]:
    """Return the id of a species' token; none of a model that was trained without."""
    known = vocabulary.names()
    where = f"{vocabulary.folder}: models.NAME.species: " + (
        "missing" if name is None else f"found {name!r}"
    )
    if not known:
        if name == WITHOUT:
            return ()
        raise UserError(
            f"{where}; the checkpoint's vocabulary has no species, only k-mers: of a BERT that was "
            f"trained without (DNABERT, for example), set it to {WITHOUT}; of SpliceBERT, set "
            "models.NAME.family to splicebert"
        )
    if name not in known:
        close = difflib.get_close_matches(_plain(name or ""), known, n=5, cutoff=0.5)
        likely = f"the closest are {', '.join(close)}" if close else first_few(known)
        raise UserError(
            f"{where}; expected one of the {len(known)} species that the checkpoint's vocabulary "
            f"names: {likely}"
        )
    return (vocabulary.ids[name],)


def _plain(name: str) -> str:
    """Return a species' name as vocabularies write it: Homo sapiens is homo_sapiens."""
    return name.strip().lower().replace(" ", "_")

"""Which models of a config have dense scores that stand for masked ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from varlm.run.model_families import FAMILIES
from varlm.run.model_settings import family_of, kind_of


def may_be_dense(config: Mapping[str, Any], model: Mapping[str, Any]) -> bool | None:
    """Return whether a model's scores are dense ones, of a family that also masks.

    Parameters
    ----------
    config : mapping
        Whole, with its defaults.
    model : mapping
        An entry of its key `models`.

    Returns
    -------
    bool or None
        None where nothing here tells: of a hub's, before the step prepare_model.
    """
    kind, family = kind_of(config, model), family_of(config, model)
    if kind is not None and kind.name != "dense":
        return False
    return None if family is None else "masked" in family.scores


def any_dense(config: Mapping[str, Any]) -> bool:
    """Return whether a model of the config has dense scores that stand for masked ones, or may."""
    return any(may_be_dense(config, model) is not False for model in config["models"].values())


def prepared_dense(prepared: Path) -> bool:
    """Return as `may_be_dense` what prepare_model wrote of a model; False where it did not yet."""
    if not prepared.is_file():
        return False
    document = json.loads(prepared.read_text("utf-8"))
    family = FAMILIES.get(document.get("family"))
    return document.get("score") == "dense" and family is not None and "masked" in family.scores

"""How a model of a config is scored: its own keys, the key `scoring`, its family's defaults.

What a checkpoint is, its config.json tells; where that cannot be read yet (a hub's), the key
`family` may, and else what is not set stays open until the step prepare_model has fetched it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from varlm.run.model_families import (
    FAMILIES,
    OPTION_VALUES,
    Family,
    families_like,
    family_problem,
)
from varlm.tables.columns import score_names
from varlm.tables.score_kinds import SCORE_KINDS, ScoreKind, Strands

# What stands for a setting that is the family's, as an option of the step prepare_model.
PUBLISHED = "published"

_UNKNOWN_WINDOW = 512  # bp; of a checkpoint that is not here, for a check: GPN's


def family_of(config: Mapping[str, Any], model: Mapping[str, Any]) -> Family | None:
    """Return the family of a model; None where nothing here tells.

    Parameters
    ----------
    config : mapping
        Whole, with its defaults.
    model : mapping
        An entry of its key `models`.
    """
    if model["family"] is not None:
        return FAMILIES[model["family"]]
    training = config["train"].get(model["train"])
    if training is not None:
        return FAMILIES[training["model"]["family"]]
    likely = families_like(_document(model["path"])) if model["path"] is not None else []
    return likely[0] if len(likely) == 1 else None


def answers_bases(family: Family) -> bool:
    """Whether one pass over a window, nothing masked, answers each of its bases."""
    return family.tile is None and not {"dense", "likelihood"}.isdisjoint(family.scores)


@cache
def _document(folder: str) -> dict[str, Any]:
    """Return the config.json of the checkpoint in a folder; empty where none is there."""
    try:
        document = json.loads(Path(folder, "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # the step prepare_model says what is wrong with it
    return document if isinstance(document, dict) else {}


def _checkpoint_problem(model: Mapping[str, Any]) -> str | None:
    """Return what is wrong between a model's family and the checkpoint that is here, if any."""
    document = _document(model["path"]) if model["path"] is not None else {}
    problem = family_problem(document, model["family"]) if document else None
    return None if problem is None else f"models.NAME.path: {model['path']}/config.json: {problem}"


def window_of(config: Mapping[str, Any], model: Mapping[str, Any]) -> int | None:
    """Return the window in bp that a model scores with; None where nothing here tells.

    Its own, that of its training, that of all models, or that of its family.
    """
    training = config["train"].get(model["train"])
    trained_with = training["windows"]["length"] if training else None
    family = family_of(config, model)
    published = None if family is None else family.window
    window: int | None = model["window"] or trained_with or config["scoring"]["window"] or published
    return window


def strands_of(config: Mapping[str, Any], model: Mapping[str, Any]) -> Strands | None:
    """Return the strands that a model scores; None where nothing here tells."""
    family = family_of(config, model)
    published = None if family is None else family.strands
    strands: Strands | None = model["strands"] or config["scoring"]["strands"] or published
    return strands


def kind_of(config: Mapping[str, Any], model: Mapping[str, Any]) -> ScoreKind | None:
    """Return the kind of a model's score; None where nothing here tells."""
    family = family_of(config, model)
    if model["score"] is None and family is None:
        return None
    kind = SCORE_KINDS[model["score"] or (family.scores[0] if family else "")]
    kind = replace(kind, strands=strands_of(config, model) or kind.strands)
    return kind if family is None or family.alleles else kind.of_bases()


def model_kinds(config: Mapping[str, Any]) -> dict[str, ScoreKind | None]:
    """Return model → kind of its score; None: not known before its checkpoint is."""
    kinds = {name: kind_of(config, model) for name, model in config["models"].items()}
    if not config["annotate"].get("calibrate"):
        return kinds
    return {name: kind and replace(kind, calibrated=kind.is_llr) for name, kind in kinds.items()}


def possible_kinds(kind: ScoreKind | None) -> list[ScoreKind]:
    """Return the kinds that a model's score may be of, on whichever strands, calibrated or not."""
    if kind is not None:
        return [kind]
    kinds = [*SCORE_KINDS.values()]
    kinds += [replace(possible, calibrated=True) for possible in kinds if possible.is_llr]
    return [*kinds, *(replace(possible, strands="transcript") for possible in kinds)]


def model_columns(kind: ScoreKind | None) -> list[str]:
    """Return the columns that a model makes or may make, after its name."""
    names = (name for possible in possible_kinds(kind) for name in score_names(possible))
    return list(dict.fromkeys(names))


def indels_of(config: Mapping[str, Any]) -> str:
    """Return what becomes of indels and MNVs: score, skip, or undefined: by no model's score.

    Without a model they are taken, for other steps tell of them.
    """
    if config["scoring"]["indels"] == "skip":
        return "skip"
    if not config["models"]:
        return "score"
    kinds = model_kinds(config).values()
    return "score" if any(kind is None or kind.alleles for kind in kinds) else "undefined"


def prepare_flags(model: Mapping[str, Any]) -> list[str]:
    """Return what a model's own keys say, as options of the step prepare_model."""
    options = [f"{name}={value}" for name, value in _options(model).items()]
    return [
        *(word for option in options for word in ("--option", option)),
        *(["--family", model["family"]] if model["family"] is not None else []),
        *(["--score", model["score"]] if model["score"] is not None else []),
    ]


def _options(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that a model's own keys set."""
    return {name: model[name] for name in OPTION_VALUES if model[name] is not None}


def model_errors(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong between the keys of a model, its family and the alleles' lengths."""
    longest = config["normalise"]["max_allele_length"]
    for name, model in config["models"].items():
        problem = _checkpoint_problem(model)
        if problem is not None:
            yield problem.replace("models.NAME", f"models.{name}")
        elif (family := family_of(config, model)) is not None:
            problems = family.problems(model["score"] or family.scores[0], _options(model))
            yield from (f"models.{name}.{key}: {text}" for key, text in problems)
        kind = kind_of(config, model)
        window = window_of(config, model) or _UNKNOWN_WINDOW
        is_scored = config["scoring"]["indels"] == "score" and (kind is None or kind.alleles)
        if is_scored and longest > window // 4:
            yield (
                f"normalise.max_allele_length: {longest} is more than a quarter of the window of "
                f"model {name} ({window} bp), which leaves too little context; lower it to "
                f"{window // 4} or less, set models.{name}.window to {4 * longest} or more, or set "
                "scoring.indels: skip"
            )

"""The config key `probe`: which models it is of, what is wrong in it, what its steps are told."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from varlm.run.combinations import unknown
from varlm.run.model_settings import family_of

# Keys that say what is embedded, but for the table: its file is told by itself.
_EMBEDDED = ("label", "absolute", "positive", "negative", "length", "positions", "folds")
_FITTED = ("probes", "folds", "folds_at_most", "kmers", "cnn", "seed")


def probed_models(config: Mapping[str, Any], probe: str) -> list[str]:
    """Return the models whose embeddings a probe is of, in the order of the config.

    Without a list, all that have embeddings, or may: of a hub's model nothing tells before it is
    fetched.
    """
    models, named = config["models"], config["probe"][probe]["models"]
    if named is not None:
        return [name for name in models if name in named]
    return [name for name, model in models.items() if _may_embed(config, model)]


def passed_over(config: Mapping[str, Any], probe: str) -> list[str]:
    """Return the models that a probe without a list passes over: they have no embeddings."""
    if config["probe"][probe]["models"] is not None:
        return []
    probed = probed_models(config, probe)
    return [name for name in config["models"] if name not in probed]


def _may_embed(config: Mapping[str, Any], model: Mapping[str, Any]) -> bool:
    family = family_of(config, model)
    return family is None or family.embeddings


def embed_settings(config: Mapping[str, Any], probe: str) -> str:
    """Return what the step embed needs of a probe, JSON.

    Of configs of before the text is that of before: `flanks` is told where it is not the default.
    """
    settings = {key: config["probe"][probe][key] for key in _EMBEDDED}
    if not config["probe"][probe]["flanks"]:
        settings["flanks"] = False
    return json.dumps(settings, sort_keys=True)


def probe_settings(config: Mapping[str, Any], probe: str) -> str:
    """Return what the step probe needs of a probe, JSON."""
    settings = config["probe"][probe]
    label = f"|{settings['label']}|" if settings["absolute"] else settings["label"]
    fitted = {key: settings[key] for key in _FITTED}
    return json.dumps(
        {"label": label, "classes": bool(settings["positive"]), **fitted}, sort_keys=True
    )


def probe_errors(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong in the key `probe` that its schema cannot tell."""
    for name, probe in config["probe"].items():
        key = f"probe.{name}"
        yield from _model_errors(config, name, key)
        if bool(probe["positive"]) != bool(probe["negative"]):
            there, other = ("positive", "negative")[:: 1 if probe["positive"] else -1]
            yield (
                f"{key}: {there} is given without {other}; give the values of both classes, or "
                "neither where the label is a number"
            )
        if both := [value for value in probe["positive"] if value in probe["negative"]]:
            yield f"{key}: {both[0]!r} is both positive and negative; keep one"
        if probe["absolute"] and probe["positive"]:
            yield f"{key}.absolute: is for numbers, not for classes; remove it"


def _model_errors(config: Mapping[str, Any], name: str, key: str) -> Iterator[str]:
    models, named = config["models"], config["probe"][name]["models"]
    if named is None and not probed_models(config, name):
        there = ", ".join(models) or "none"
        yield f"{key}: no model has embeddings to probe (models: {there}); name one in models"
    for model in named or ():
        if model not in models:
            yield from unknown(f"{key}.models", "model", model, list(models))
        elif not _may_embed(config, models[model]):
            family = family_of(config, models[model])
            title = "" if family is None else family.title
            yield (
                f"{key}.models: {model} is a {title}, which has no embeddings; leave it out of the "
                "list"
            )

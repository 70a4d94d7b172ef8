"""What a store knows of its models: the model dicts of the commits, for humans and for archives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

ALSO_NAMED = "also_named"  # other names of one key, where several commits became one


def names(models: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the names under which runs stored a model's scores, sorted."""
    every_name: set[str] = set()
    for model in models:
        every_name.update([model["name"]] if "name" in model else [], model.get(ALSO_NAMED, []))
    return sorted(every_name)


def one_model(models: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the first model dict, with the names of the others in it.

    One key is one model; runs may differ in what they call it and where their copy of it lies. A
    repair of a model whose commits were all lost left an empty dict, which says nothing.
    """
    every = [model for model in models if model]
    if not every:
        return {}
    model = {name: value for name, value in every[0].items() if name != ALSO_NAMED}
    others = [name for name in names(every) if name != model.get("name")]
    return model | ({ALSO_NAMED: others} if others else {})


def portable(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return a model dict without the places on this machine.

    `folder` is left out (where the files lay), and so is any text that is an absolute path, begins
    with `~` or climbs with `..`; a hub id or a path inside the project stays.
    """
    return {
        name: value
        for name, value in model.items()
        if name != "folder" and not (isinstance(value, str) and _is_local(value))
    }


def _is_local(text: str) -> bool:
    return text.startswith(("/", "~", "\\", "file:")) or ".." in PurePosixPath(text).parts

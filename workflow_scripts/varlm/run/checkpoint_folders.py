"""Folders of checkpoints, by the names and the first bytes of their files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from varlm.files.sniff import pointer

# What a checkpoint that is trained by the workflow consists of.
TRAINED = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")

# One of these holds or lists the weights, as `varlm.models.checkpoint.weight_files` takes them.
WEIGHTS = (
    *("model.safetensors", "model.safetensors.index.json"),
    *("pytorch_model.bin", "pytorch_model.bin.index.json"),
)

# Those of a tokeniser; each family has some of them.
TOKENISER = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"),
    *("added_tokens.json", "vocab.txt", "vocab.json"),
)

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
COMMIT = re.compile(r"[0-9a-f]{40}")
_SUFFIXES = {".json", ".safetensors", ".bin"}

# How a training hid bases (`varlm.models.corruption`): no part of what masked scores are made of.
CORRUPTION = "corruption.json"


def files_of(folder: str) -> list[str]:
    """Return the files that count of a checkpoint folder; none where none is (a hub id)."""
    return sorted(
        str(file)
        for file in Path(folder).glob("*")
        if (file.suffix in _SUFFIXES or file.name in TOKENISER)
        and file.name != CORRUPTION
        and file.is_file()
    )


def trained_folder(results: str, training: str) -> str:
    """Return the folder of the checkpoint that a training of the config makes."""
    return f"{results}/training/{training}/checkpoint"


def trained_files(results: str, training: str) -> list[str]:
    """Return the files of the checkpoint that a training of the config makes."""
    return [f"{trained_folder(results, training)}/{file}" for file in TRAINED]


def start_folder(trainings: Mapping[str, Any], name: str, results: str) -> str | None:
    """Return the checkpoint folder that a training starts from, or None.

    Parameters
    ----------
    trainings : mapping
        The config key `train`.
    name : str
        One of its names.
    results : str
        Folder of the results.
    """
    start: str | None = trainings[name]["start"]
    if start is None or start not in trainings:
        return start
    return trained_folder(results, start)


def folder_problem(folder: str) -> str | None:
    """Return what a folder lacks of a checkpoint; None if nothing."""
    path = Path(folder)
    if not path.is_dir():
        return f"found {folder!r}, but there is no such folder (relative to {Path.cwd()})"
    if not (path / "config.json").is_file():
        return f"{folder}: no checkpoint, since it has no config.json; correct the path"
    if not any((path / name).is_file() for name in WEIGHTS):
        return f"{folder}: no checkpoint, since it has no weights ({', '.join(WEIGHTS)})"
    return next(filter(None, (pointer(Path(file)) for file in files_of(folder))), None)


def model_problem(path: str, revision: object) -> str | None:
    """Return why `models.<name>` names no checkpoint: neither a folder nor a hub id with a commit.

    Whether the hub has it is not asked.
    """
    if Path(path).is_dir():
        return folder_problem(path)
    if Path(path).exists() or not HUB_ID.fullmatch(path):
        return f"{folder_problem(path)} and it is no hub id (owner/name); correct it"
    if not isinstance(revision, str) or not COMMIT.fullmatch(revision):
        return (
            f"found {path!r}, but there is no such folder (relative to {Path.cwd()}); for a model "
            "of the hub, give its revision too, the 40 hexadecimal digits of a commit"
        )
    return None

"""What a checkpoint is and how it is scored: its family, tokeniser, digests, settings and key.

`prepare_model` and `plan` need a checkpoint's identity, not its weights, so that this module
imports neither torch nor transformers (seconds of start-up).
"""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from varlm.errors import UserError
from varlm.files.whole import sha256
from varlm.genome.tiles import Tiles
from varlm.models.checkpoint import check_headers, read_config, refuse_others, weight_files
from varlm.models.prepared import SCORING_VERSION, Precision, PreparedModel, Strands
from varlm.run.model_families import FAMILIES, Family, families_like, family_problem

_NONE: Mapping[str, str] = MappingProxyType({})


class Tokeniser(Protocol):
    """What a checkpoint makes of nucleotides, as far as its identity goes."""

    def mapping(self) -> dict[str, Any]:
        """Return what identifies it, as JSON values."""
        ...


class Identity(Protocol):
    """A module of `varlm.models.families`."""

    FILES: tuple[str, ...]
    """Files of the tokeniser; those that are there count."""

    def read_tokeniser(
        self, folder: Path, config: Mapping[str, Any], options: Mapping[str, str]
    ) -> Tokeniser:
        """Return what the checkpoint makes of nucleotides; `UserError` if that is senseless."""
        ...

    def window_problem(self, window: int, config: Mapping[str, Any], tokeniser: Any) -> str | None:
        """Return why a window of so many bp cannot be scored, or None."""
        ...


@dataclass(frozen=True)
class ModelFiles:
    """A checkpoint's identity.

    Attributes
    ----------
    folder : Path
    family : Family
    config : dict
        Of config.json.
    files : dict
        File name → SHA-256 (hexadecimal) of config.json, the tokeniser's files and the weights.
    weights : tuple of str
        The files with tensors, safetensors where there is a choice.
    tokens : Tokeniser
        What the tokeniser makes of nucleotides.
    """

    folder: Path
    family: Family
    config: dict[str, Any]
    files: dict[str, str]
    weights: tuple[str, ...]
    tokens: Tokeniser


def describe(
    folder: Path, family: str | None = None, options: Mapping[str, str] = _NONE
) -> ModelFiles:
    """Return the identity of the checkpoint in `folder`, reading every file once.

    Parameters
    ----------
    folder : Path
    family : str, optional
        A key of `varlm.run.model_families.FAMILIES`; without it, config.json has to tell.
    options : mapping
        Of the family: which species, for example.

    Raises
    ------
    UserError
        If a file is missing or unreadable, or the model family is not known.
    """
    config = read_config(folder)
    row = recognised(folder, config, family)
    weights, index = weight_files(folder)
    identity = identity_of(row)
    of_tokeniser = [name for name in identity.FILES if (folder / name).is_file()]
    names = ["config.json", *of_tokeniser, *index, *weights]
    for name in names:
        refuse_others(folder / name)
    check_headers(folder, weights, index)
    tokens = identity.read_tokeniser(folder, config, options)
    return ModelFiles(
        folder=folder,
        family=row,
        config=config,
        files={name: sha256(folder / name) for name in names},
        weights=weights,
        tokens=tokens,
    )


def identity_of(family: Family) -> Identity:
    """Return what reads the tokeniser of a family."""
    name = family.identity or family.name
    module: Any = importlib.import_module(f"varlm.models.families.{name}")
    identity: Identity = module
    return identity


def recognised(folder: Path, config: Mapping[str, Any], family: str | None = None) -> Family:
    """Return the family of a checkpoint.

    Parameters
    ----------
    folder : Path
        For messages.
    config : mapping
        Of its config.json.
    family : str, optional
        What the config key `models.NAME.family` says.

    Raises
    ------
    UserError
        If config.json belongs to another family than that, to none that is known, or to several.
    """
    problem = family_problem(config, family)
    if problem is not None:
        raise UserError(f"{folder / 'config.json'}: {problem}")
    return families_like(config)[0] if family is None else FAMILIES[family]


def model_key(
    files: ModelFiles,
    *,
    window: int,
    strands: Strands,
    precision: str,
    version: int | None = None,
    score: str | None = None,
    options: Mapping[str, str] | None = None,
) -> str:
    """Return the key of the store's rows: 32 hexadecimal digits.

    A hash of everything that changes a number: the weights' and the config's bytes, the
    tokeniser's mapping, window, strands, the precision setting, the kind of score and its options,
    `SCORING_VERSION` and the family's version. The names of the weight files do not count.
    """
    index = {name for name in files.files if name.endswith(".index.json")}
    parts: dict[str, Any] = {
        "weights": sorted(files.files[name] for name in (*files.weights, *index)),
        "config": files.files["config.json"],
        "tokens": files.tokens.mapping(),
        "window": window,
        # The annotation chooses between the strands afterwards.
        "strands": "both" if strands == "transcript" else strands,
        "precision": precision,
        "version": SCORING_VERSION if version is None else version,
    }
    if score is not None:  # those of before there were several kinds have none
        parts["score"] = score
        parts["family"] = [files.family.name, files.family.version]
        parts["options"] = dict(options or {})
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def prepare(
    folder: Path,
    *,
    name: str,
    path: str,
    revision: str | None,
    precision: Precision,
    window: int | None = None,
    strands: Strands | None = None,
    family: str | None = None,
    score: str | None = None,
    options: Mapping[str, str] = _NONE,
) -> PreparedModel:
    """Hash the files of the checkpoint in `folder` and derive its key; no weight is loaded.

    Parameters
    ----------
    window : int, optional
        bp; None: the family's.
    strands, score : str, optional
        None: the family's.
    family : str, optional
        None: as config.json has it.
    options : mapping
        Of the family and the kind of score.

    Raises
    ------
    UserError
        As `describe`, or if the family has no such score, option or window.
    """
    where = f"models.{name}"
    try:
        files = describe(folder, family, options)
    except UserError as error:  # what reads checkpoints does not know what the config calls them
        raise UserError(str(error).replace("models.NAME", where)) from error
    row = files.family
    kind = score or row.scores[0]
    for key, problem in row.problems(kind, options):
        raise UserError(f"{where}.{key}: {problem}")
    width = window or row.window
    unfit = identity_of(row).window_problem(width, files.config, files.tokens)
    if unfit is not None:
        raise UserError(
            f"{where}.window: found {width}; {unfit} (without this key, scoring.window counts, "
            f"else the {row.window} bp that are published)"
        )
    defaults = row.option_defaults(kind)
    settings = {option: str(options.get(option, default)) for option, default in defaults.items()}
    if kind == "dense" and row.tile is None:  # where the grid lies changes the numbers
        settings["tile"] = str(Tiles.within(width).size)
    is_bare = row.bare_key and kind == "masked"
    shown = (None, None) if is_bare else (kind, settings)
    sides = strands or row.strands
    return PreparedModel(
        name=name,
        path=path,
        revision=revision,
        folder=folder.resolve(),
        model_type=str(files.config.get("model_type")),
        files=files.files,
        window=width,
        strands=sides,
        precision=precision,
        scoring_version=SCORING_VERSION,
        key=model_key(
            files,
            window=width,
            strands=sides,
            precision=precision,
            score=shown[0],
            options=shown[1],
        ),
        family=None if is_bare else row.name,
        score=shown[0],
        options=shown[1],
    )

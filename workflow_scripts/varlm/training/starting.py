"""Training on from a checkpoint: its tensors as a network's first values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from varlm.errors import UserError
from varlm.models import causal, checkpoint, weights
from varlm.models.gpn import options
from varlm.models.tokeniser import read_tokens
from varlm.training.batches import FIRST_BASE, MASK
from varlm.training.checkpoints import TOKENS
from varlm.training.families import NewModel

_MAY_DIFFER = ("hidden_dropout_prob", "attention_probs_dropout_prob")


def start_from(model: NewModel, folder: Path) -> list[str]:
    """Give a network the tensors of a checkpoint.

    Parameters
    ----------
    model : NewModel
        Its network is changed in place.
    folder : Path
        A checkpoint of the same family and options; dropout may differ.

    Returns
    -------
    list of str
        SHA-256 of the files with weights.

    Raises
    ------
    UserError
        If the checkpoint is missing or damaged, of another family or other options, or has
        another vocabulary.
    """
    if not folder.is_dir():
        raise UserError(
            f"{folder}: no such folder; train.<name>.start must name a checkpoint, or another of "
            "the key train"
        )
    config = checkpoint.read_config(folder)
    if config["model_type"] != model.config["model_type"]:
        raise UserError(
            f"{folder / 'config.json'}: model_type is {config['model_type']!r}, expected "
            f"{model.config['model_type']!r} as train.<name>.model says; a training starts from a "
            "model of its own family"
        )
    try:
        theirs, ours = _shape(config), _shape(model.config)
    except ValueError as error:
        raise UserError(f"{folder / 'config.json'}: {error}") from error
    differing = [
        f"{name} {theirs[name]!r} (here {ours[name]!r})"
        for name in ours
        if theirs[name] != ours[name] and name not in _MAY_DIFFER
    ]
    if differing:
        raise UserError(
            f"{folder / 'config.json'}: has {', '.join(differing)}; a training starts from a model "
            "of the same options: set them so in train.<name>.model"
        )
    tokens = read_tokens(folder)
    if (tokens.bases, tokens.mask) != (tuple(range(FIRST_BASE, FIRST_BASE + 4)), MASK):
        raise UserError(
            f"{folder / 'tokenizer.json'}: A, C, G, T and the mask are {tokens.bases} and "
            f"{tokens.mask}, expected the vocabulary {' '.join(TOKENS)}"
        )
    stored = weights.read_weights(folder)
    tensors = stored.tensors
    own_tensors = model.network.tensors()
    wrong = sorted(
        name
        for name in {*tensors, *own_tensors}
        if name not in tensors
        or name not in own_tensors
        or tensors[name].shape != own_tensors[name].shape
    )
    if wrong:
        raise UserError(
            f"{folder}: the tensors {', '.join(wrong[:4])}{' …' if len(wrong) > 4 else ''} are not "
            "those that config.json asks for; copy or download the checkpoint again"
        )
    with torch.no_grad():
        for name, tensor in own_tensors.items():
            tensor.copy_(tensors[name])
    return list(stored.digests.values())


def _shape(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a config.json, with their defaults."""
    if config["model_type"] in causal.KINDS:
        return asdict(causal.read_options(config))
    return asdict(options.read_options(config))

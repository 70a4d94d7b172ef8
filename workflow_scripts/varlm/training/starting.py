"""Training on from a checkpoint: its tensors as a network's first values.

A convnet may have more layers than the checkpoint it starts from. The layers beyond are residual
ones whose last weights are 0, so that the first logits are the checkpoint's (identity layers:
Chen, Goodfellow and Shlens 2016, Net2Net, arXiv 1511.05641).
"""

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
from varlm.training.networks import ConvolutionalGPN

_MAY_DIFFER = ("hidden_dropout_prob", "attention_probs_dropout_prob")
_LAYERS = "num_hidden_layers"


def start_from(model: NewModel, folder: Path) -> list[str]:
    """Give a network the tensors of a checkpoint.

    Parameters
    ----------
    model : NewModel
        Its network is changed in place.
    folder : Path
        A checkpoint of the same family and options; dropout may differ, and a GPN convnet may
        have fewer layers.

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
    new_layers = _layers_beyond(theirs, ours)
    may_differ = (*_MAY_DIFFER, _LAYERS) if new_layers else _MAY_DIFFER
    differing = [
        f"{name} {theirs[name]!r} (here {ours[name]!r})"
        for name in ours
        if theirs[name] != ours[name] and name not in may_differ
    ]
    if differing:
        raise UserError(
            f"{folder / 'config.json'}: has {', '.join(differing)}; a training starts from a model "
            "of the same options (a convnet may have fewer layers): set them so in "
            "train.<name>.model"
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
    beyond = tuple(f"model.encoder.layer.{layer}." for layer in new_layers)
    own_tensors = {n: tensor for n, tensor in own_tensors.items() if not n.startswith(beyond)}
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
    _add_nothing(model, new_layers)
    return list(stored.digests.values())


def _layers_beyond(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> range:
    """Return the layers of a convnet that a checkpoint of that shape lacks."""
    if theirs.get("encoder") != "convnet":
        return range(0)
    return range(theirs[_LAYERS], ours[_LAYERS])


def _add_nothing(model: NewModel, layers: range) -> None:
    """Set the last weights of residual layers to 0: what comes in goes out."""
    if not layers:
        return
    assert isinstance(model.network, ConvolutionalGPN)
    residual = model.network.skeleton.layers()
    with torch.no_grad():
        for layer in layers:
            for part in (residual[layer].post, residual[layer].ffn):
                for parameter in part[-1].parameters():
                    parameter.zero_()


def _shape(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a config.json, with their defaults."""
    if config["model_type"] in causal.KINDS:
        return asdict(causal.read_options(config))
    return asdict(options.read_options(config))

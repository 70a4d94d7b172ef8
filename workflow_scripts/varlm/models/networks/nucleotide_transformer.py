"""Nucleotide Transformer 1 and 2, and AgroNT (InstaDeep): an ESM over 6-mers.

Sources: Dalla-Torre et al. 2024, Mendoza-Revilla et al. 2024; the classes are those of
transformers' `modeling_esm` and of the file of that name beside the weights of version 2, which is
never run.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from varlm.errors import UserError
from varlm.models import checkpoint, weights
from varlm.models.families import nucleotide_transformer as family
from varlm.models.networks import esm
from varlm.models.networks.network_model import NetworkModel

_FREQUENCIES = "esm.rotary_embeddings.inv_freq"
_OF_A_LAYER = ".attention.self.rotary_embeddings.inv_freq"

# What the files hold and a prediction of tokens does not read.
_UNREAD = (
    r"esm\.embeddings\.position_ids",
    r"esm\.contact_head\.regression\.(weight|bias)",
    r"esm\.pooler\.dense\.(weight|bias)",
)
_UNREAD_IF_ROTARY = r"esm\.embeddings\.position_embeddings\.weight"


def load(
    folder: Path, device: torch.device, expected: Mapping[str, str] | None = None
) -> NetworkModel:
    """Load the checkpoint in `folder`, its weights checked against their `expected` SHA-256.

    Raises
    ------
    UserError
        If a file is missing or damaged, or the tensors are not exactly those that config.json
        asks for.
    """
    config = checkpoint.read_config(folder)
    tokeniser = family.read_tokeniser(folder, config, {})
    network = build(config, folder)
    options = network.options
    if options.token_dropout and options.mask_token_id != tokeniser.mask:
        raise UserError(
            f"{folder / 'config.json'}: mask_token_id is {options.mask_token_id}, but the mask "
            f"token's line in {family.VOCABULARY} is {tokeniser.mask} (from 0); one of the files "
            "belongs to another model"
        )
    tensors = weights.read_tensors(folder, expected)
    if options.rotary:
        tensors = _with_frequencies(tensors, esm.frequencies(options), folder)
    unread = (*_UNREAD, _UNREAD_IF_ROTARY) if options.rotary else _UNREAD
    weights.fill_built(network, tensors, folder, unread)
    network.settle()
    return NetworkModel(
        network,
        tokeniser,
        device,
        title=f"Nucleotide Transformer ({'rotary' if options.rotary else 'learned'} positions)",
        channels=-(-options.hidden_size // family.K),  # a bp, not a token
        max_window=family.longest_window(options.longest, tokeniser),
    )


def build(config: Mapping[str, Any], folder: Path) -> esm.Esm:
    """Return the network of `config` on the meta device: shapes, no values.

    Raises
    ------
    UserError
        If the config does not make one.
    """
    try:
        with torch.device("meta"):
            return esm.Esm(esm.read_options(config))
    # RuntimeError: torch, of shapes with more elements than it can count.
    except (ValueError, TypeError, RuntimeError) as error:
        raise UserError(
            f"{folder / 'config.json'}: does not describe a Nucleotide Transformer ({error})"
        ) from error


def _with_frequencies(
    tensors: Mapping[str, torch.Tensor], usual: torch.Tensor, folder: Path
) -> dict[str, torch.Tensor]:
    """Return the tensors with the rotary frequencies once, rather than once a layer.

    The file's go first, as in the authors' class: where they were rounded to 16 bits, far positions
    are other ones.
    """
    kept = {name: value for name, value in tensors.items() if not name.endswith(_OF_A_LAYER)}
    stored = [value for name, value in tensors.items() if name.endswith(_OF_A_LAYER)]
    if any(not torch.equal(value, stored[0]) for value in stored[1:]):
        raise UserError(
            f"{folder}: the rotary frequencies (*{_OF_A_LAYER}) differ from layer to layer, "
            "expected the same in all; the file is damaged, or of another model"
        )
    return {_FREQUENCIES: stored[0] if stored else usual, **kept}

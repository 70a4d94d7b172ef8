"""SpeciesLM: a native BERT."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from varlm.models.checkpoint import read_config
from varlm.models.families.species_lm import read_tokeniser
from varlm.models.networks import bert
from varlm.models.networks.network_model import NetworkModel
from varlm.run.model_families import FAMILIES


def load(
    folder: Path,
    device: torch.device,
    expected: Mapping[str, str] | None = None,
    options: Mapping[str, str] | None = None,
) -> NetworkModel:
    """Load a checkpoint, of the species of the options; errors as `bert.load`."""
    tokeniser = read_tokeniser(folder, read_config(folder), options or {})
    return bert.load(folder, device, expected, tokeniser, FAMILIES["species_lm"].title)

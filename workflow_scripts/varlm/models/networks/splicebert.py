"""SpliceBERT: a native BERT."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from varlm.models.checkpoint import read_config
from varlm.models.families.splicebert import read_tokeniser
from varlm.models.networks import bert
from varlm.models.networks.network_model import NetworkModel
from varlm.run.model_families import FAMILIES


def load(
    folder: Path, device: torch.device, expected: Mapping[str, str] | None = None
) -> NetworkModel:
    """Load a checkpoint; errors as `bert.load`."""
    tokeniser = read_tokeniser(folder, read_config(folder), {})
    return bert.load(folder, device, expected, tokeniser, FAMILIES["splicebert"].title)

"""Loading a checkpoint: the class of its family, with its weights."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from varlm.models import checkpoint

if TYPE_CHECKING:
    import torch

    from varlm.models.language_model import MaskedModel


def load_model(
    folder: Path, expected: Mapping[str, str] | None = None, device: torch.device | str = "cpu"
) -> MaskedModel:
    """Load the checkpoint in `folder`, in the mode float32.

    Parameters
    ----------
    folder : Path
        Hugging Face layout: config.json, tokenizer.json, weights.
    expected : file name → SHA-256, optional
        As `checkpoint.describe` gave them; each file is checked before anything of it is used.
    device : torch.device or str

    Raises
    ------
    UserError
        If the files are not those expected, are missing or damaged, do not fit together, or
        belong to no known family.
    """
    import torch

    config = checkpoint.read_config(folder)
    if expected is not None:
        checkpoint.verify(folder, expected)
    family = importlib.import_module(f"varlm.models.{checkpoint.FAMILIES[config['model_type']]}")
    model: MaskedModel = family.load(folder, torch.device(device), expected)
    return model

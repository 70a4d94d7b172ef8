"""Loading a checkpoint: the class of its family, with its weights."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from varlm.models import checkpoint
from varlm.models.preparing import recognised

if TYPE_CHECKING:
    import torch

    from varlm.models.language_model import LanguageModel


def load_model(
    folder: Path,
    expected: Mapping[str, str] | None = None,
    device: torch.device | str = "cpu",
    family: str | None = None,
    options: Mapping[str, str] | None = None,
) -> LanguageModel:
    """Load the checkpoint in `folder`, in the mode float32.

    Parameters
    ----------
    folder : Path
        Hugging Face layout: config.json, a tokeniser's files, weights.
    expected : file name → SHA-256, optional
        As `preparing.describe` gave them; each file is checked before anything of it is used.
    device : torch.device or str
    family : str, optional
        A key of `varlm.run.model_families.FAMILIES`; without it, config.json has to tell.
    options : mapping, optional
        Of the family, such as the species.

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
    row = recognised(folder, config, family)
    module = importlib.import_module(f"varlm.models.{row.module}")
    more: dict[str, Any] = {"options": options or {}} if row.options else {}
    model: LanguageModel = module.load(folder, torch.device(device), expected, **more)
    return model

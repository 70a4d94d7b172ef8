"""Classes of `transformers`, built without values; imported by the families that have one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from varlm.errors import UserError


def build(class_name: str, config: Mapping[str, Any], folder: Path) -> nn.Module:
    """Return a model of `transformers` on the CPU, its weights not drawn yet.

    Its buffers that no checkpoint stores are as the class makes them (on the meta device they
    would have no values).

    Parameters
    ----------
    class_name : str
        Such as BertForMaskedLM.
    config : mapping
        Of config.json, with what the family sets.
    folder : Path
        For messages.

    Raises
    ------
    UserError
        If the config makes no model of that class.
    """
    import transformers
    from transformers.initialization import no_init_weights

    transformers.logging.set_verbosity_error()
    model_class = getattr(transformers, class_name)
    try:
        settings = model_class.config_class(**config)
        with no_init_weights():
            model = model_class(settings)
        model.tie_weights()  # which a class does only where it draws its weights
    except Exception as error:  # transformers raises whatever its checks of a config come upon
        raise UserError(
            f"{folder / 'config.json'}: does not describe a {class_name} "
            f"({type(error).__name__}: {' '.join(str(error).split())[:300]}); correct or copy the "
            "file again"
        ) from error
    built: nn.Module = model
    return built

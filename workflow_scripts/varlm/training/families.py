"""What can be trained: a config's `model` → a network with its first values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from varlm.errors import UserError
from varlm.models.options import GPNOptions, read_options
from varlm.training.networks import ConvolutionalGPN, Network


@dataclass(frozen=True)
class NewModel:
    """A network to train.

    Attributes
    ----------
    name : str
    config : dict
        config.json of its checkpoint.
    network : Network
    """

    name: str
    config: dict[str, Any]
    network: Network


def new_network(model: Mapping[str, Any]) -> NewModel:
    """Return the network of a config's `model`, with first values from torch's generator.

    Raises
    ------
    UserError
        If an option has a value that the family does not take.
    """
    given = {key: value for key, value in model.items() if key != "family"}
    try:
        options = read_options({"model_type": "GPN", **given})
    except ValueError as error:
        raise UserError(f"train.<name>.model: {error}") from error
    assert isinstance(options, GPNOptions)
    config = {
        "architectures": ["GPNForMaskedLM"],
        "model_type": "GPN",
        **asdict(options),
        "pad_token_id": 0,
        "initializer_range": 0.02,
    }
    return NewModel(options.name, config, ConvolutionalGPN(options))

"""What can be trained: the `model` of a config block → a network with its first values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from varlm.errors import UserError
from varlm.models import causal
from varlm.models.causal import CausalNetwork
from varlm.models.gpn.options import GPNOptions, read_options
from varlm.training.networks import ConvolutionalGPN, Network

# family of the config → model_type of the checkpoint.
FAMILIES = {"gpn": "GPN", "lstm": "VarlmLSTM", "gpt": "VarlmGPT", "markov": "VarlmMarkov"}

_DEVIATION = 0.02  # of first values, as in GPN and GPT-2


@dataclass(frozen=True)
class NewModel:
    """A network to train.

    Attributes
    ----------
    name : str
        For the log.
    config : dict
        config.json of its checkpoint.
    network : Network
    """

    name: str
    config: dict[str, Any]
    network: Network


def new_network(model: Mapping[str, Any], window: int) -> NewModel:
    """Return the network of a config's `model`, with first values from torch's generator.

    Parameters
    ----------
    model : mapping
        `family` and the options of that family; those of `gpn.model.GPNConfig` for gpn.
    window : int
        Length of the training windows, bp.

    Raises
    ------
    UserError
        If an option is not known, or has a value that the family does not take.
    """
    chosen = {key: value for key, value in model.items() if key != "family"}
    model_type = FAMILIES[model["family"]]
    try:
        if model_type == "GPN":
            return _gpn(chosen, window)
        return _causal(model_type, chosen)
    except ValueError as error:
        raise UserError(f"train.<name>.model: {error}") from error


def _gpn(chosen: Mapping[str, Any], window: int) -> NewModel:
    positions = {"max_position_embeddings": window} if chosen.get("encoder") == "roformer" else {}
    options = read_options({"model_type": "GPN", **positions, **chosen})
    assert isinstance(options, GPNOptions)
    _check_known(chosen, asdict(options))
    if options.n_aux_features:
        raise ValueError("n_aux_features: expected 0; varlm trains on the sequence alone")
    config = {
        "architectures": ["GPNForMaskedLM"],
        "model_type": "GPN",
        **asdict(options),
        "pad_token_id": 0,
        "initializer_range": _DEVIATION,
    }
    if options.encoder == "roformer":
        return NewModel(options.name, config, RoFormerGPN(config))
    return NewModel(options.name, config, ConvolutionalGPN(options, _DEVIATION))


def _causal(model_type: str, chosen: Mapping[str, Any]) -> NewModel:
    options = causal.read_options({"model_type": model_type, **chosen})
    config = causal.config_of(model_type, options)
    _check_known(chosen, config)
    network = CausalTraining(causal.KINDS[model_type][1](options))
    return NewModel(model_type.removeprefix("Varlm"), config, network)


def _check_known(chosen: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    for name in chosen:
        if name not in known:
            raise ValueError(f"{name} is no option of this family; known: {', '.join(known)}")


class CausalTraining(Network):
    """An LSTM or a GPT in training: each base is predicted from those before it."""

    causal = True

    def __init__(self, network: CausalNetwork):
        super().__init__()
        self.network = network
        for module in network.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=_DEVIATION)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def at(self, inputs: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """Return logits at some positions: see `Network`."""
        return self.network.logits(self.network.hidden(inputs).flatten(0, 1)[places])

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the tensors of the checkpoint, by their names there."""
        return dict(self.network.state_dict())


class RoFormerGPN(Network):
    """GPN's RoFormer, as the package `gpn` has it: its encoder is `transformers`' own."""

    def __init__(self, config: Mapping[str, Any]):
        super().__init__()
        from gpn.model import GPNConfig, GPNForMaskedLM

        from varlm.models.gpn.model import sinusoids

        self.model = GPNForMaskedLM(GPNConfig(**config))
        positions = self.model.model.encoder.embed_positions.weight
        with torch.no_grad():  # gpn under transformers 5 leaves them random
            positions.copy_(sinusoids(*positions.shape))
        positions.requires_grad_(False)

    def at(self, inputs: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """Return logits at some positions: see `Network`."""
        hidden = self.model.model(input_ids=inputs).last_hidden_state
        logits: torch.Tensor = self.model.cls(hidden.flatten(0, 1)[places])
        return logits

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the tensors of the checkpoint, by their names there."""
        return dict(self.model.state_dict())

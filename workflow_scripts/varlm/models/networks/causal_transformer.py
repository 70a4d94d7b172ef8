"""GPT-2, Llama and Mistral over nucleotides: the classes of transformers."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from varlm.errors import UserError
from varlm.models import checkpoint, weights
from varlm.models.causal_model import CausalModel
from varlm.models.families.causal_transformer import positions, read_tokeniser
from varlm.models.networks import native
from varlm.models.networks.network_model import Network, NetworkModel, pick
from varlm.models.tokens import KmerTokeniser

_NONE: Mapping[str, str] = MappingProxyType({})

# model_type → class of transformers, and how the log calls it.
_CLASSES = {
    "gpt2": ("GPT2LMHeadModel", "GPT-2"),
    "llama": ("LlamaForCausalLM", "Llama"),
    "mistral": ("MistralForCausalLM", "Mistral"),
}

# Tensors that older files hold and that follow from the config: masks and frequencies.
_IGNORED = (
    r"transformer\.h\.\d+\.attn\.(bias|masked_bias)",
    r"model\.(layers\.\d+\.self_attn\.)?rotary_emb\.inv_freq",
)


class CausalTransformerNetwork(Network):
    """A causal class of transformers.

    Parameters
    ----------
    module : nn.Module
        Of `native.build`.
    """

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module

    def logits(self, ids: torch.Tensor, at: Sequence[int] | None = None) -> torch.Tensor:
        """Logits over the vocabulary of the token after each: see `Network`."""
        return self.head(self.hidden(ids, at))

    def hidden(self, ids: torch.Tensor, at: Sequence[int] | None = None) -> torch.Tensor:
        """Last hidden states at tokens: see `Network`."""
        return pick(self.read(ids, None)[0], at)

    def head(self, hidden: torch.Tensor) -> torch.Tensor:
        """Hidden states → logits over the vocabulary."""
        logits: torch.Tensor = self.module.lm_head(hidden)  # type: ignore[operator]
        return logits

    def read(self, ids: torch.Tensor, cache: Any, keep: bool = False) -> tuple[torch.Tensor, Any]:
        """Read tokens, after those whose keys and values are in a cache.

        Parameters
        ----------
        ids : int64, shape (n, T)
        cache : transformers.Cache or None
            Of n rows; filled further where it is given.
        keep : bool
            Whether a new cache is made where none is given.

        Returns
        -------
        hidden : shape (n, T, C)
        cache
        """
        body: Any = self.module.base_model
        output = body(ids, past_key_values=cache, use_cache=keep or cache is not None)
        return output.last_hidden_state, output.past_key_values


class CausalTransformer(NetworkModel, CausalModel):
    """A loaded GPT-2, Llama or Mistral.

    Parameters
    ----------
    network, tokeniser, device
        As in `NetworkModel`.
    counted : str
        `nucleotides` or `all`: see `CausalModel`.
    title, channels, max_window
        As in `NetworkModel`.
    """

    network: CausalTransformerNetwork

    def __init__(
        self,
        network: CausalTransformerNetwork,
        tokeniser: KmerTokeniser,
        device: torch.device,
        *,
        counted: str,
        **described: Any,
    ):
        super().__init__(network, tokeniser, device, **described)
        self.counted = counted

    @torch.inference_mode()
    def prefix(self, ids: torch.Tensor) -> tuple[Any, torch.Tensor]:
        """Read the first tokens: see `CausalModel`. The state: keys and values of each layer."""
        hidden, cache = self.network.read(ids, None, keep=True)
        return cache, self.network.head(hidden[:, -1]).float()

    @torch.inference_mode()
    def suffixes(self, state: Any, ids: torch.Tensor) -> torch.Tensor:
        """Go on from keys and values in several ways: see `CausalModel`."""
        hidden, _ = self.network.read(ids.flatten(0, 1), _repeated(state, ids.shape[1]))
        logits = self.network.head(hidden).float()
        return logits.view(*ids.shape, -1)


def _repeated(cache: Any, times: int) -> Any:
    """Return a cache with each row several times, one after the other; the old one stays."""
    repeated = copy.copy(cache)
    repeated.layers = [copy.copy(layer) for layer in cache.layers]
    repeated.batch_repeat_interleave(times)
    return repeated


def load(
    folder: Path,
    device: torch.device,
    expected: Mapping[str, str] | None = None,
    options: Mapping[str, str] = _NONE,
) -> CausalTransformer:
    """Load the checkpoint in `folder`, its weights checked against their `expected` SHA-256.

    Parameters
    ----------
    folder, device, expected
        As in `varlm.models.loading.load_model`.
    options : mapping
        `counted`.

    Raises
    ------
    UserError
        If a file is missing or damaged, or the tensors are not exactly those that config.json
        asks for.
    """
    config = checkpoint.read_config(folder)
    model_type = config.get("model_type")
    if model_type not in _CLASSES:
        raise UserError(
            f"{folder / 'config.json'}: model_type is {model_type!r}, expected one of "
            f"{', '.join(_CLASSES)}: add it"
        )
    class_name, title = _CLASSES[model_type]
    tokeniser = read_tokeniser(folder, config, options)
    settings = {**config, "attn_implementation": "sdpa", "dtype": "float32"}
    module: Any = native.build(class_name, settings, folder)
    known, highest = module.config.vocab_size, _highest(tokeniser)
    if known <= highest:
        raise UserError(
            f"{folder}: tokenizer.json gives nucleotides ids up to {highest}, but the model knows "
            f"only {known}; one of the files belongs to another model"
        )
    tensors = _named(weights.read_tensors(folder, expected), module.base_model_prefix)
    weights.fill_built(module, tensors, folder, _IGNORED)
    _use_plain_layers(module)
    return CausalTransformer(
        CausalTransformerNetwork(module),
        tokeniser,
        device,
        counted=options.get("counted", "nucleotides"),
        title=title,
        channels=4 * module.config.hidden_size,  # four windows for each site
        max_window=positions(config) - tokeniser.tokens(1) + 1,
    )


def _use_plain_layers(module: Any) -> None:
    """Make torch's layers of GPT-2's: of `Conv1D`, a linear one with the matrix transposed.

    And of the GELU that is written out in eight steps.
    """
    from transformers.activations import NewGELUActivation
    from transformers.pytorch_utils import Conv1D

    for name, layer in list(module.named_modules()):
        if isinstance(layer, Conv1D):
            linear = nn.Linear(layer.nx, layer.nf, device="meta")
            linear.weight = nn.Parameter(layer.weight.detach().t(), requires_grad=False)
            linear.bias = layer.bias
            module.set_submodule(name, linear)
        elif isinstance(layer, NewGELUActivation):
            module.set_submodule(name, nn.GELU(approximate="tanh"))


def _highest(tokeniser: KmerTokeniser) -> int:
    """Return the highest id of a window's; a vocabulary may have more, such as a late [PAD]."""
    return max(*tokeniser.ids.values(), tokeniser.unknown, *tokeniser.prefix, *tokeniser.suffix)


def _named(tensors: dict[str, torch.Tensor], base: str) -> dict[str, torch.Tensor]:
    """Return the tensors as the class names them; the first GPT-2 files leave out the prefix."""
    if any(name.startswith(f"{base}.") for name in tensors):
        return tensors
    return {
        name if name.startswith("lm_head.") else f"{base}.{name}": tensor
        for name, tensor in tensors.items()
    }

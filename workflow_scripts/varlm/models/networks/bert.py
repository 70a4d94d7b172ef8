"""`BertForMaskedLM` of transformers: SpeciesLM and SpliceBERT.

The layers of the native class, without its masks; the head, and the last layer but for its keys and
values, at the tokens that are asked for alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from varlm.errors import UserError
from varlm.models.bert_tokens import longest_window
from varlm.models.checkpoint import read_config
from varlm.models.networks import native
from varlm.models.networks.network_model import Network, NetworkModel, pick
from varlm.models.tokens import KmerTokeniser
from varlm.models.weights import fill_built, read_tensors

# What files hold and the class has not: its buffers (of before transformers 4.31), and the heads
# for pairs of sentences of those that were trained as BertForPreTraining.
IGNORED = (
    r"bert\.embeddings\.(position_ids|token_type_ids)",
    r"bert\.pooler\.dense\.(weight|bias)",
    r"cls\.seq_relationship\.(weight|bias)",
)
_BIASES = ("cls.predictions.bias", "cls.predictions.decoder.bias")


class Bert(Network):
    """A BERT.

    Parameters
    ----------
    model : nn.Module
        `BertForMaskedLM`.
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model: Any = model

    def logits(self, ids: torch.Tensor, at: Sequence[int] | None = None) -> torch.Tensor:
        """Logits over the vocabulary at tokens: see `Network`."""
        return cast(torch.Tensor, self.model.cls(self.hidden(ids, at)))

    def hidden(self, ids: torch.Tensor, at: Sequence[int] | None = None) -> torch.Tensor:
        """Last hidden states at tokens: see `Network`."""
        *layers, last = self.model.bert.encoder.layer
        states: torch.Tensor = self.model.bert.embeddings(ids)
        for layer in layers:
            states = layer(states)
        if at is not None:
            return _layer_at(last, states, pick(states, at))
        return cast(torch.Tensor, last(states))


def _layer_at(layer: Any, states: torch.Tensor, asked: torch.Tensor) -> torch.Tensor:
    """Return what a layer makes of some of its tokens: `asked`, (n, m, C), of (n, T, C)."""
    attention = layer.attention.self

    def heads(values: torch.Tensor) -> torch.Tensor:
        split = values.reshape(*values.shape[:2], attention.num_attention_heads, -1)
        return split.transpose(1, 2)

    seen = nn.functional.scaled_dot_product_attention(
        heads(attention.query(asked)), heads(attention.key(states)), heads(attention.value(states))
    )
    context = layer.attention.output(seen.transpose(1, 2).flatten(2), asked)
    return cast(torch.Tensor, layer.feed_forward_chunk(context))


def load(
    folder: Path,
    device: torch.device,
    expected: Mapping[str, str] | None,
    tokeniser: KmerTokeniser,
    title: str,
) -> NetworkModel:
    """Load a checkpoint of `BertForMaskedLM`.

    Parameters
    ----------
    folder : Path
    device : torch.device
    expected : file name → SHA-256, optional
        Of the weights, as they were described.
    tokeniser : KmerTokeniser
    title : str
        The family, for the log.

    Raises
    ------
    UserError
        If the weights are not those expected, are damaged, or do not fit config.json.
    """
    config = read_config(folder)
    kind = config.get("position_embedding_type", "absolute")
    if kind != "absolute":
        raise UserError(
            f"{folder / 'config.json'}: position_embedding_type is {kind!r}; transformers reads "
            "absolute ones only: another class than its BertForMaskedLM made the checkpoint"
        )
    tensors = read_tensors(folder, expected)
    model: Any = native.build("BertForMaskedLM", config | {"attn_implementation": "sdpa"}, folder)
    if any(name not in tensors for name in _BIASES):
        # One tensor in every version of transformers but 5, which frees it with the embeddings.
        model.cls.predictions.decoder.bias = model.cls.predictions.bias
    fill_built(model, tensors, folder, IGNORED)
    return NetworkModel(
        Bert(model),
        tokeniser,
        device,
        title=title,
        channels=model.config.hidden_size,
        max_window=longest_window(config, tokeniser),
    )

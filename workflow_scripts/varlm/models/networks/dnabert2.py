"""DNABERT-2: embeddings of bases, of windows that have different numbers of tokens.

Byte-pair encoding gives a window with another base other tokens, not one other token: no masked
token says what the model expects of a base, and a score compares embeddings.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray

from varlm.errors import UserError
from varlm.models import checkpoint, weights
from varlm.models.bpe import BpeTokeniser, Pieces
from varlm.models.families.dnabert2 import read_tokeniser
from varlm.models.language_model import LanguageModel, Place
from varlm.models.networks.mosaic_bert import MosaicBert, read_options
from varlm.models.tf32 import allow

# Windows of one number of tokens that are computed at once, by device; a last few are filled up.
# Where a row lies in a matrix changes its rounding on a processor, which gains little by more
# than one: a window's numbers must not depend on which others it came with.
_AT_ONCE = {"cpu": 1, "cuda": 16}

# In files of other classes of the authors' code; the masked language model has none.
_IGNORED = (r"bert\.pooler\..*",)


class DnaBert2(LanguageModel):
    """A loaded DNABERT-2.

    Parameters
    ----------
    network : MosaicBert
    tokeniser : BpeTokeniser
    device : torch.device

    Attributes
    ----------
    at_once : int
        Windows in one forward pass, of those that have the same number of tokens.
    """

    def __init__(self, network: MosaicBert, tokeniser: BpeTokeniser, device: torch.device):
        self.network = network.to(device)
        self.tokeniser = tokeniser
        self.device = device
        self.mode = "float32"
        self.channels = network.options.hidden_size
        self.at_once = _AT_ONCE.get(device.type, 1)

    def describe(self) -> str:
        """Return the family, the layers and the number of parameters."""
        count = sum(parameter.numel() for parameter in self.network.parameters())
        layers = self.network.options.num_hidden_layers
        return f"DNABERT-2, {layers} layers, {count / 1e6:.3g} M parameters"

    def encode(self, windows: NDArray[np.uint8]) -> NoReturn:
        """Raise ValueError: windows have different numbers of tokens."""
        raise ValueError(f"{len(windows)} windows of DNABERT-2 are no array of tokens")

    def site_logits(self, ids: torch.Tensor, index: int) -> NoReturn:
        """Raise ValueError: no token is a base."""
        raise ValueError(f"DNABERT-2 has no logits of bases (at {index} of {tuple(ids.shape)})")

    def base_logits(self, ids: torch.Tensor) -> NoReturn:
        """Raise ValueError: no token is a base."""
        raise ValueError(f"DNABERT-2 has no logits of bases ({tuple(ids.shape)})")

    @torch.inference_mode()
    def variant_embeddings(
        self, windows: NDArray[np.uint8], index: int, place: Place
    ) -> torch.Tensor:
        """Last hidden state of the token that holds a base: see `LanguageModel`.

        Windows that are the same are computed once.
        """
        different, row_of = np.unique(windows, axis=0, return_inverse=True)
        pieces = self.tokeniser.encode(different)
        states = torch.empty((len(pieces), self.channels), device=self.device)
        for rows in _batches([len(window.ids) for window in pieces], self.at_once):
            batch = [pieces[row] for row in rows]
            batch += batch[-1:] * (self.at_once - len(batch))
            tokens = [window.token_at(index if place == "variant" else 0) for window in batch]
            states[rows] = self._hidden(batch, tokens)[: len(rows)]
        return states[torch.from_numpy(row_of.ravel()).to(self.device)]

    @torch.inference_mode()
    def base_embeddings(self, windows: NDArray[np.uint8], start: int, stop: int) -> torch.Tensor:
        """Last hidden states of the tokens that hold bases: see `LanguageModel`."""
        pieces = self.tokeniser.encode(windows)
        states = torch.empty((len(pieces), stop - start, self.channels), device=self.device)
        for rows in _batches([len(window.ids) for window in pieces], self.at_once):
            batch = [pieces[row] for row in rows]
            hidden = self._hidden(batch + batch[-1:] * (self.at_once - len(batch)))
            for place, row in enumerate(rows):
                states[row] = hidden[place, pieces[row].tokens_of_letters[start:stop]]
        return states

    def set_mode(self, mode: str) -> None:
        """Compute in `mode` from now on."""
        if mode not in ("float32", "tf32", "bfloat16", "float16"):
            raise ValueError(f"DNABERT-2 has no mode {mode!r}")
        allow(mode, self.device)
        self.mode = mode

    def _hidden(self, batch: list[Pieces], tokens: list[int] | None = None) -> torch.Tensor:
        ids = torch.from_numpy(np.stack([window.ids for window in batch])).to(self.device)
        at = None if tokens is None else torch.tensor(tokens, device=self.device)
        reduced = getattr(torch, self.mode) if self.mode in ("bfloat16", "float16") else None
        with torch.autocast(self.device.type, reduced, enabled=reduced is not None):
            return self.network.hidden(ids, at).float()


def load(folder: Path, device: torch.device, expected: Mapping[str, str] | None = None) -> DnaBert2:
    """Load the checkpoint in `folder`, its weights checked against their `expected` SHA-256.

    Raises
    ------
    UserError
        If a file is missing or damaged, or the tensors are not exactly those that config.json
        asks for.
    """
    config = checkpoint.read_config(folder)
    tokeniser = read_tokeniser(folder, config, {})
    network = build(config, folder)
    weights.fill_built(network, weights.read_tensors(folder, expected), folder, _IGNORED)
    network.tie()
    for parameter in network.parameters():
        # Where a tensor begins in its file shows in the rounding of products with it.
        parameter.data = parameter.data.clone()
    return DnaBert2(network, tokeniser, device)


def build(config: Mapping[str, Any], folder: Path) -> MosaicBert:
    """Return the network of `config` on the meta device: shapes, no values.

    Raises
    ------
    UserError
        If the config does not make one.
    """
    try:
        with torch.device("meta"):
            return MosaicBert(read_options(config))
    except (ValueError, RuntimeError) as error:  # RuntimeError: shapes past what torch can count
        raise UserError(
            f"{folder / 'config.json'}: does not describe a DNABERT-2 ({error})"
        ) from error


def _batches(lengths: list[int], most: int) -> list[list[int]]:
    """Return rows of equal length in turn, at most so many at a time."""
    groups: dict[int, list[int]] = {}
    for row, length in enumerate(lengths):
        groups.setdefault(length, []).append(row)
    return [
        rows[start : start + most]
        for rows in groups.values()
        for start in range(0, len(rows), most)
    ]

"""What scoring needs of a model, whatever its family."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from varlm.models.kmers import base_log_p
from varlm.models.tokens import KmerTokeniser

# How a model may compute. float32: plain float32 sums, the reference. winograd: float32 with
# fewer multiplications and more rounding. The others: matrix products in that type, of which tf32
# is float32 to all but the GPU's multiplications (`varlm.models.tf32`); fused: bfloat16, compiled
# (`varlm.models.gpn.fused`).
MODES = ("float32", "winograd", "tf32", "bfloat16", "float16", "fused")

Place = Literal["variant", "first"]
"""Of which base an embedding is: the variant, or the window's first."""


class LanguageModel(ABC):
    """A language model of nucleotides, on a device, in one of its modes.

    Attributes
    ----------
    device : torch.device
    mode : str
        One of `MODES`; set with `set_mode`.
    channels : int
        Values per position between the layers; what a batch's memory goes with.
    max_window : int or None
        The longest window in bp that it can read.
    causal : bool
        Whether `base_logits` sees only what is before each base.
    """

    device: torch.device
    mode: str
    channels: int
    max_window: int | None = None
    causal: bool = False

    @abstractmethod
    def describe(self) -> str:
        """Say in a few words what the model is, for the log."""

    @abstractmethod
    def encode(self, windows: NDArray[np.uint8]) -> NDArray[Any]:
        """ASCII windows, shape (batch, length) → token ids, an integer array."""

    @abstractmethod
    def site_logits(self, ids: torch.Tensor, index: int) -> torch.Tensor:
        """Mask the base at `index` of each window and return its logits.

        Parameters
        ----------
        ids : from `encode`, on the device
        index : int
            0-based position in the windows (not in the ids, which may have a prefix).

        Returns
        -------
        float32, shape (batch, 4)
            Logits of A, C, G, T as written in the window.
        """

    @abstractmethod
    def base_logits(self, ids: torch.Tensor) -> torch.Tensor:
        """Logits of A, C, G, T at every base, nothing masked: float32, (batch, length, 4)."""

    def tile_logits(self, ids: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        """Logits of A, C, G, T at the bases from `start` to before `stop`, nothing masked.

        0-based in the windows; float32, shape (batch, stop − start, 4).
        """
        return self.base_logits(ids)[:, start:stop]

    def site_probabilities(self, ids: torch.Tensor, index: int) -> torch.Tensor:
        """Mask the base at `index` and return P of A, C, G, T: float32, (batch, 4)."""
        return self.site_logits(ids, index).softmax(-1)

    def variant_embeddings(
        self, windows: NDArray[np.uint8], index: int, place: Place
    ) -> torch.Tensor:
        """Last hidden state of the base at `index` of each window, or of the first one.

        Parameters
        ----------
        windows : uint8 ASCII, shape (n, W)
        index : int
            0-based.
        place : str
            `variant`: the base at `index`; `first`: the base at 0, special tokens not counted.

        Returns
        -------
        float32, shape (n, C), on the device
            Of the token that holds the base; the mean over the tokens where several hold it.

        Raises
        ------
        ValueError
            If the family has no embeddings.
        """
        del windows, index, place
        raise ValueError(f"{type(self).__name__} has no embeddings: it has other kinds of score")

    def base_embeddings(self, windows: NDArray[np.uint8], start: int, stop: int) -> torch.Tensor:
        """Last hidden states of the bases from `start` to before `stop` of each window.

        Parameters
        ----------
        windows : uint8 ASCII, shape (n, W)
        start, stop : int
            0-based, half-open.

        Returns
        -------
        float32, shape (n, stop − start, C), on the device
            Of the token that holds the base, so that the bases of one token have the same; the
            mean over the tokens where several hold it. Of a causal model, of the base and those
            before it.

        Raises
        ------
        ValueError
            If the family has no hidden states (`varlm.run.model_families.Family.embeddings`).
        """
        del windows, start, stop
        raise ValueError(f"{type(self).__name__} has no embeddings: it has no hidden states")

    def modes(self) -> tuple[str, ...]:
        """Modes worth trying on this device, the reference first."""
        return ("float32",)

    def set_mode(self, mode: str) -> None:
        """Compute in `mode` from now on."""
        if mode != "float32":
            raise ValueError(f"{type(self).__name__} has no mode {mode!r}")
        self.mode = mode


class TokenModel(LanguageModel):
    """A model over a vocabulary, of which a family gives logits and hidden states by token.

    What that means for bases follows from its tokeniser. A base has one token where k is 1; else
    its four numbers are the marginals of the k-mers over it (`base_logits`).

    Attributes
    ----------
    tokeniser : KmerTokeniser
    """

    tokeniser: KmerTokeniser

    @abstractmethod
    def logits(self, ids: torch.Tensor, at: Sequence[int] | None = None) -> torch.Tensor:
        """Logits over the vocabulary at tokens.

        Parameters
        ----------
        ids : int64, shape (n, T), on the device
        at : tokens, 0-based in the ids; None: all of them

        Returns
        -------
        float32, shape (n, len(at) or T, V)
            What the model says of the token there; of a causal model, of the one after it.
        """

    @abstractmethod
    def hidden(self, ids: torch.Tensor, at: Sequence[int] | None = None) -> torch.Tensor:
        """Last hidden states at tokens: float32, (n, len(at) or T, C)."""

    def encode(self, windows: NDArray[np.uint8]) -> NDArray[np.int64]:
        """ASCII windows (batch, length) → token ids, int64 (batch, tokens)."""
        return self.tokeniser.encode(windows)

    @torch.inference_mode()
    def site_logits(self, ids: torch.Tensor, index: int) -> torch.Tensor:
        """Mask the base at `index` and return its logits: see `LanguageModel`; k = 1 only."""
        return self._masked_token(ids, index)[:, self.kmer_ids]

    @torch.inference_mode()
    def site_probabilities(self, ids: torch.Tensor, index: int) -> torch.Tensor:
        """Mask the base at `index` and return the probabilities of A, C, G, T; k = 1 only.

        Of the softmax over the whole vocabulary, so that the four do not add up to 1. Parameters
        as of `site_logits`; float32, shape (batch, 4).
        """
        return self._masked_token(ids, index).softmax(-1)[:, self.kmer_ids]

    @torch.inference_mode()
    def base_logits(self, ids: torch.Tensor) -> torch.Tensor:
        """Logits at every base, nothing masked: see `LanguageModel`."""
        return self.tile_logits(ids, 0, self.tokeniser.width(ids.shape[1]))

    @torch.inference_mode()
    def tile_logits(self, ids: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        """Logits at bases, nothing masked: see `LanguageModel`."""
        tokens, begin = self.tokeniser.over(start, stop, self.tokeniser.width(ids.shape[1]))
        kmers = self.logits(ids, tokens)[:, :, self.kmer_ids]
        if self.tokeniser.k == 1:
            return kmers
        return base_log_p(kmers, self.tokeniser)[:, begin : begin + stop - start]

    @torch.inference_mode()
    def variant_embeddings(
        self, windows: NDArray[np.uint8], index: int, place: Place
    ) -> torch.Tensor:
        """Last hidden state of a base of each window: see `LanguageModel`."""
        base = index if place == "variant" else 0
        tokens = [token for token, _ in self.tokeniser.cover(base, windows.shape[1])]
        ids = torch.from_numpy(self.encode(windows)).to(self.device)
        return self.hidden(ids, tokens).float().mean(1)

    @torch.inference_mode()
    def base_embeddings(self, windows: NDArray[np.uint8], start: int, stop: int) -> torch.Tensor:
        """Last hidden states of bases: see `LanguageModel`."""
        tokens, begin = self.tokeniser.over(start, stop, windows.shape[1])
        ids = torch.from_numpy(self.encode(windows)).to(self.device)
        hidden = self.hidden(ids, tokens).float()
        if self.tokeniser.k == 1:
            return hidden
        shares = torch.from_numpy(self.tokeniser.shares(len(tokens), begin, stop - start))
        return torch.einsum("bt,ntc->nbc", shares.to(self.device), hidden)

    @cached_property
    def kmer_ids(self) -> torch.Tensor:
        """Ids of the 4^k k-mers in the order of their letters."""
        return torch.from_numpy(self.tokeniser.kmer_ids).to(self.device)

    def _masked_token(self, ids: torch.Tensor, index: int) -> torch.Tensor:
        """Mask the base at `index` and return the logits of its token: float32, (batch, V)."""
        if self.tokeniser.k > 1:
            raise ValueError("k-mers have no single base to mask: see varlm.models.kmers")
        token = index + len(self.tokeniser.prefix)
        ids = ids.clone()
        ids[:, token] = self._mask
        return self.logits(ids, [token])[:, 0]

    @property
    def _mask(self) -> int:
        if self.tokeniser.mask is None:
            raise ValueError("a causal model has no mask token")
        return self.tokeniser.mask

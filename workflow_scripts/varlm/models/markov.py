"""Markov chains of order k with back-off: the n-gram of generative gene models.

A causal model gives each base a probability from those before it. What it says of a site, given
both sides, follows exactly: the probability of the window with each of the four bases there. So the
logits of a site are log-likelihoods of the window, and an SNV's ratio is a difference of two.

The four bases may share their probability with other tokens, as in published n-grams, where one of
them is the end of a sequence. Ratios of bases are as right then as where there are only four.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from varlm.errors import UserError
from varlm.genome.bases import CODES
from varlm.models import checkpoint, weights
from varlm.models.language_model import LanguageModel
from varlm.models.tokeniser import Tokens, read_tokens

MODEL_TYPE = "VarlmMarkov"

MOST = 12  # order: 4^13 numbers, 268 MB


def table_name(order: int) -> str:
    """Return the name of an order's tensor: log p of each base (4^order, 4), in nats.

    A context's row is its bases as a number to the base of 4, the oldest first (A 0 … T 3).
    """
    return f"log_p.{order}"


def end_name(order: int) -> str:
    """Return the name of an order's other tensor, if any: log p of the end, (4^order,), nats."""
    return f"end.{order}"


class Markov(LanguageModel):
    """A Markov chain; reads at most `order` bases, and fewer where one of them is unknown.

    Parameters
    ----------
    tables : sequence of tensor
        Order 0, 1, … : float32, shape (4^order, 4).
    tokens : Tokens
    device : torch.device
    vocabulary : int
        Tokens that share a context's probability, A, C, G and T among them.
    ends : sequence of tensor, optional
        Order 0, 1, … : float32, shape (4^order,): log p that the sequence ends there.
    """

    causal = True

    def __init__(
        self,
        tables: list[torch.Tensor],
        tokens: Tokens,
        device: torch.device,
        vocabulary: int = 4,
        ends: list[torch.Tensor] | None = None,
    ):
        self.tables = [table.to(device) for table in tables]
        self.ends = None if ends is None else [end[:, None].to(device) for end in ends]
        self.vocabulary = vocabulary
        self.order = len(tables) - 1
        self.device, self.mode = device, "float32"
        self.channels = 4 * (self.order + 1)
        self.tokens = tokens

    def describe(self) -> str:
        """Return the order, and what shares the probability with the bases."""
        shared = f", its probabilities shared among {self.vocabulary} tokens, not the bases alone"
        return f"Markov chain of order {self.order}{shared if self.vocabulary > 4 else ''}"

    def encode(self, windows: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """ASCII windows (batch, length) → 0 to 3 for A, C, G, T, 4 for anything else."""
        return np.take(CODES, windows)

    @torch.inference_mode()
    def site_logits(self, ids: torch.Tensor, index: int) -> torch.Tensor:
        """Log-likelihood of the window with each base at `index`: see `LanguageModel`.

        Less what all four have in common: only the base and the `order` after it differ.
        """
        low = max(0, index - self.order)
        near = ids[:, low : index + self.order + 1].long()
        variants = near[:, None].repeat(1, 4, 1)
        variants[:, :, index - low] = torch.arange(4, device=ids.device)
        flat = variants.flatten(0, 1)
        log_p = self._of_own_base(flat, self._conditional(flat, self.tables))
        return log_p[:, index - low :].sum(1).view(-1, 4)

    @torch.inference_mode()
    def base_logits(self, ids: torch.Tensor) -> torch.Tensor:
        """Log p of each base, given those before it: see `LanguageModel`."""
        return self._conditional(ids.long(), self.tables)

    @torch.inference_mode()
    def log_likelihood(self, ids: torch.Tensor) -> torch.Tensor:
        """Log-likelihood of whole windows, over their A, C, G, T: float64, (n,)."""
        codes = ids.long()
        return self._of_own_base(codes, self._conditional(codes, self.tables)).double().sum(-1)

    @torch.inference_mode()
    def end_log_p(self, ids: torch.Tensor) -> torch.Tensor:
        """Log p that sequences end after their last base: float64, (n,).

        Apart from `log_likelihood`, since a window of a genome is no whole sequence.

        Raises
        ------
        ValueError
            If the checkpoint has no `end_name`.
        """
        if self.ends is None:
            raise ValueError("this Markov chain knows no end of a sequence")
        last = ids[:, max(ids.shape[1] - self.order, 0) :].long()
        behind = torch.full_like(ids[:, :1], 4).long()
        log_p = self._conditional(torch.cat([last, behind], 1), self.ends)
        return log_p[:, -1, 0].double()

    def counts(self, ids: torch.Tensor) -> torch.Tensor:
        """Return how many bases count in a likelihood: int64, (n,)."""
        return (ids < 4).sum(-1)

    def _conditional(self, ids: torch.Tensor, tables: list[torch.Tensor]) -> torch.Tensor:
        """(batch, length) → each position's row of the tables, which are (4^order, columns)."""
        known = ids < 4
        bases = torch.where(known, ids, 0)
        result = tables[0][0].expand(*ids.shape, -1).clone()
        context = torch.zeros_like(ids)
        whole = torch.ones_like(known)
        for order in range(1, self.order + 1):
            before = torch.zeros_like(ids)
            before[:, order:] = bases[:, :-order]
            is_base_before = torch.zeros_like(known)
            is_base_before[:, order:] = known[:, :-order]
            whole = whole & is_base_before
            context = context + before * 4 ** (order - 1)
            log_p = tables[order][torch.where(whole, context, 0)]
            result = torch.where(whole[..., None], log_p, result)
        return result

    @staticmethod
    def _of_own_base(ids: torch.Tensor, log_p: torch.Tensor) -> torch.Tensor:
        """Pick each position's own base; 0 where it is not known."""
        known = ids < 4
        own = log_p.gather(-1, torch.where(known, ids, 0)[..., None])[..., 0]
        return torch.where(known, own, torch.zeros_like(own))


def load(folder: Path, device: torch.device, expected: Mapping[str, str] | None = None) -> Markov:
    """Load the checkpoint in `folder`, its weights checked against their `expected` SHA-256.

    Raises
    ------
    UserError
        If a file is missing or damaged, or the tables are not those that config.json asks for.
    """
    config = checkpoint.read_config(folder)
    order = order_of(config, folder)
    vocabulary = _vocabulary(config, folder)
    tokens = read_tokens(folder)
    tensors = weights.read_tensors(folder, expected)
    orders = range(order + 1)
    expected_shapes: dict[str, tuple[int, ...]] = {table_name(k): (4**k, 4) for k in orders}
    if config.get("end", False):
        expected_shapes |= {end_name(k): (4**k,) for k in orders}
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if expected_shapes != shapes:
        raise UserError(
            f"{folder}: the weights do not hold the tables of order 0 to {order} and nothing "
            "else; copy or make the checkpoint again"
        )
    tables = [tensors[table_name(k)].float() for k in orders]
    ends = [tensors[end_name(k)].float() for k in orders] if config.get("end", False) else None
    for k in orders:
        p = tables[k].exp().sum(1) + (ends[k].exp() if ends else 0)
        _check_sums(p, k, vocabulary, folder)
    return Markov(tables, tokens, device, vocabulary, ends)


def _check_sums(p: torch.Tensor, order: int, vocabulary: int, folder: Path) -> None:
    """Raise unless the probabilities of each context add up to 1, or to less where some lack."""
    whole = torch.ones_like(p)
    right = torch.allclose(p, whole, atol=1e-3)
    if vocabulary > 4:
        right = bool(((p > 0) & (p < 1 + 1e-3)).all())
    if not right:
        raise UserError(
            f"{folder}: the probabilities of order {order} do not add up to 1; the file is "
            "damaged: copy or make it again"
        )


def _vocabulary(config: dict[str, Any], folder: Path) -> int:
    """Return how many tokens share a context's probability, by config.json: 4 if it is silent."""
    size = config.get("vocabulary", 4)
    least = 5 if config.get("end", False) else 4
    if not isinstance(size, int) or isinstance(size, bool) or size < least:
        raise UserError(
            f"{folder / 'config.json'}: vocabulary is {size!r}, expected a whole number from "
            f"{least} up: A, C, G, T and what shares their probability"
        )
    return size


def order_of(config: dict[str, Any], folder: Path) -> int:
    """Return the order that config.json names.

    Raises
    ------
    UserError
        If it is no whole number from 0 to `MOST`.
    """
    order = config.get("order")
    if not isinstance(order, int) or isinstance(order, bool) or not 0 <= order <= MOST:
        raise UserError(
            f"{folder / 'config.json'}: order is {order!r}, expected a whole number from 0 to "
            f"{MOST}"
        )
    return order

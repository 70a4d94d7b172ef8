"""Markov chains of order k with back-off: the n-gram of generative gene models.

A causal model gives each base a probability from those before it. What it says of a site, given
both sides, follows exactly: the probability of the window with each of the four bases there. So the
logits of a site are log-likelihoods of the window, and an SNV's ratio is a difference of two.
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


class Markov(LanguageModel):
    """A Markov chain; reads at most `order` bases, and fewer where one of them is unknown.

    Parameters
    ----------
    tables : sequence of tensor
        Order 0, 1, … : float32, shape (4^order, 4).
    tokens : Tokens
    device : torch.device
    """

    causal = True

    def __init__(self, tables: list[torch.Tensor], tokens: Tokens, device: torch.device):
        self.tables = [table.to(device) for table in tables]
        self.order = len(tables) - 1
        self.device, self.mode = device, "float32"
        self.channels = 4 * (self.order + 1)
        self.tokens = tokens

    def describe(self) -> str:
        """Return the order."""
        return f"Markov chain of order {self.order}"

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
        log_p = self._of_own_base(flat, self._conditional(flat))
        return log_p[:, index - low :].sum(1).view(-1, 4)

    @torch.inference_mode()
    def base_logits(self, ids: torch.Tensor) -> torch.Tensor:
        """Log p of each base, given those before it: see `LanguageModel`."""
        return self._conditional(ids.long())

    @torch.inference_mode()
    def log_likelihood(self, ids: torch.Tensor) -> torch.Tensor:
        """Log-likelihood of whole windows, over their A, C, G, T: float64, (n,)."""
        codes = ids.long()
        return self._of_own_base(codes, self._conditional(codes)).double().sum(-1)

    def counts(self, ids: torch.Tensor) -> torch.Tensor:
        """Return how many bases count in a likelihood: int64, (n,)."""
        return (ids < 4).sum(-1)

    def _conditional(self, ids: torch.Tensor) -> torch.Tensor:
        """(batch, length) → log p of each base at each position: (batch, length, 4)."""
        known = ids < 4
        bases = torch.where(known, ids, 0)
        result = self.tables[0][0].expand(*ids.shape, 4).clone()
        context = torch.zeros_like(ids)
        whole = torch.ones_like(known)
        for order in range(1, self.order + 1):
            before = torch.zeros_like(ids)
            before[:, order:] = bases[:, :-order]
            is_base_before = torch.zeros_like(known)
            is_base_before[:, order:] = known[:, :-order]
            whole = whole & is_base_before
            context = context + before * 4 ** (order - 1)
            log_p = self.tables[order][torch.where(whole, context, 0)]
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
    tokens = read_tokens(folder)
    tensors = weights.read_tensors(folder, expected)
    expected_shapes = {table_name(k): (4**k, 4) for k in range(order + 1)}
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if expected_shapes != shapes:
        raise UserError(
            f"{folder}: the weights do not hold the tables of order 0 to {order} and nothing "
            "else; copy or make the checkpoint again"
        )
    tables = []
    for k in range(order + 1):
        table = tensors[table_name(k)].float()
        sums = table.exp().sum(1)
        if not torch.allclose(sums, torch.ones_like(sums), atol=1e-3):
            raise UserError(
                f"{folder}: the probabilities of order {k} do not add up to 1; the file is "
                "damaged: copy or make it again"
            )
        tables.append(table)
    return Markov(tables, tokens, device)


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

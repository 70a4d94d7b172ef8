"""Causal models over a vocabulary: what they say of a site, at the price of one prefix.

All four bases at a site have what is before it in common: its state is computed once, and goes on
with four suffixes. So a site's three SNVs, and its entropy, cost one prefix and four times the rest
of the window, not four windows.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch

from varlm.models.language_model import TokenModel


class CausalModel(TokenModel):
    """A model that reads from left to right.

    Attributes
    ----------
    counted : str
        Which predicted tokens count in a likelihood, as the family publishes it: `all` but the
        first, special ones too, or `nucleotides`: those of the sequence, an N among them. The
        softmax is over the vocabulary.
    """

    causal = True
    counted: str = "all"

    @abstractmethod
    def prefix(self, ids: torch.Tensor) -> tuple[Any, torch.Tensor]:
        """Read the first tokens, at least one.

        Parameters
        ----------
        ids : int64, shape (n, P)

        Returns
        -------
        state
            What `suffixes` needs of them.
        logits : float32, shape (n, V)
            Of the token after them.
        """

    @abstractmethod
    def suffixes(self, state: Any, ids: torch.Tensor) -> torch.Tensor:
        """Go on from a state in several ways.

        Parameters
        ----------
        state
            Of `prefix`, of n rows; not changed.
        ids : int64, shape (n, m, S)

        Returns
        -------
        float32, shape (n, m, S, V)
            Logits of the token after each.
        """

    @torch.inference_mode()
    def base_logits(self, ids: torch.Tensor) -> torch.Tensor:
        """Logits at every base, given those before it: float32, (n, W, 4); 0 where none is."""
        start, end = len(self.tokeniser.prefix), ids.shape[1] - len(self.tokeniser.suffix)
        logits = self.logits(ids, range(max(start - 1, 0), end - 1))[:, :, self.kmer_ids]
        if start:
            return logits
        return torch.cat([torch.zeros_like(logits[:, :1]), logits], 1)

    @torch.inference_mode()
    def site_logits(self, ids: torch.Tensor, index: int) -> torch.Tensor:
        """Log-likelihood of the window with each base at `index`, less what all four share.

        Float64, shape (n, 4): sums over the tokens that count, from the site on.
        """
        site = index + len(self.tokeniser.prefix)
        bases = self.kmer_ids
        variants = ids[:, None, site:].repeat(1, len(bases), 1)
        variants[:, :, 0] = bases
        if site == 0:  # nothing predicts the first token
            flat = ids[:, None].repeat(1, len(bases), 1)
            flat[:, :, 0] = bases
            logits = self.logits(flat.flatten(0, 1))
            logits = logits.reshape(len(ids), len(bases), *logits.shape[1:])
            own = torch.zeros(len(ids), len(bases), dtype=torch.float64, device=ids.device)
        else:
            state, before = self.prefix(ids[:, :site])
            logits = self.suffixes(state, variants)
            own = before.double().log_softmax(-1)[:, bases]
        return own + self._sum(logits[:, :, :-1], variants[:, :, 1:])

    @torch.inference_mode()
    def log_likelihood(self, ids: torch.Tensor) -> torch.Tensor:
        """Log-likelihood of whole sequences, over the tokens that count: float64, (n,)."""
        return self._sum(self.logits(ids)[:, :-1], ids[:, 1:])

    def counts(self, ids: torch.Tensor) -> torch.Tensor:
        """Return how many tokens count in a likelihood: int64, (n,)."""
        return self._is_counted(ids[:, 1:]).sum(-1)

    def _sum(self, logits: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        """Sum of log p of the tokens that count: (…, S, V) and (…, S) → float64 (…)."""
        log_p = logits.log_softmax(-1).gather(-1, ids[..., None])[..., 0].double()
        return (log_p * self._is_counted(ids)).sum(-1)

    def _is_counted(self, ids: torch.Tensor) -> torch.Tensor:
        if self.counted == "all":
            return torch.ones_like(ids, dtype=torch.bool)
        return torch.isin(ids, self.kmer_ids) | (ids == self.tokeniser.unknown)

"""A site's four numbers on one strand, for each kind of score.

What they mean is the kind's (`varlm.tables.score_kinds`): the score of an SNV is number[alt] −
number[ref], or number[alt]. Where alleles are compared by what the model makes of whole windows,
the window with each base is read, and the reference's own number is that of no change.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import log
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from varlm.genome.bases import BASES, CODES
from varlm.genome.tiles import Tiles
from varlm.models import kmers
from varlm.models.language_model import LanguageModel, TokenModel
from varlm.scoring.recipe import Recipe

Bytes = NDArray[np.uint8]

_LETTERS = np.frombuffer(BASES.encode(), np.uint8)
_EPSILON = 1e-10  # what Gagneur's definition of influence adds to each probability


def site_numbers(
    model: LanguageModel, recipe: Recipe, windows: Bytes, index: int, *, reverse: bool = False
) -> torch.Tensor:
    """Return the numbers of A, C, G, T at a site, as written in the windows: float, (n, 4).

    Of dense scores, which are of whole tiles, `tile_numbers` is asked.

    Parameters
    ----------
    model : LanguageModel
    recipe : Recipe
    windows : uint8 ASCII, shape (n, W)
        Of the strand that is read.
    index : int
        0-based, of the site.
    reverse : bool
        Whether that is the reverse strand.
    """
    return _NUMBERS[recipe.kind.name](_Strand(model, recipe, windows, index, reverse))


def tile_numbers(model: LanguageModel, tiles: Tiles, windows: Bytes) -> torch.Tensor:
    """Return the numbers of A, C, G, T at all positions of tiles, as written in the windows.

    Parameters
    ----------
    model : LanguageModel
    tiles : Tiles
    windows : uint8 ASCII, shape (n, tiles.window)
        Of the strand that is read.

    Returns
    -------
    float, shape (n, tiles.size, 4)
    """
    stop = tiles.context + tiles.size
    return model.tile_logits(token_ids(model, windows), tiles.context, stop)


def token_ids(model: LanguageModel, windows: Bytes) -> torch.Tensor:
    """Return the token ids of windows, on the model's device."""
    ids = torch.from_numpy(model.encode(windows))
    if model.device.type == "cuda":
        return ids.pin_memory().to(model.device, non_blocking=True)
    return ids.to(model.device)


@dataclass(frozen=True)
class _Strand:
    """What `site_numbers` is asked."""

    model: Any
    recipe: Recipe
    windows: Bytes
    index: int
    reverse: bool

    @cached_property
    def ids(self) -> torch.Tensor:
        """Token ids of the windows."""
        return token_ids(self.model, self.windows)

    def variants(self) -> Bytes:
        """Return the windows with each base at the site: (n · 4, W)."""
        variants = np.repeat(self.windows[:, None], len(BASES), axis=1)
        variants[:, :, self.index] = _LETTERS
        return variants.reshape(-1, self.windows.shape[1])

    def of_reference(self, by_base: torch.Tensor) -> torch.Tensor:
        """Return what belongs to the base that the windows have: (n, 4, …) → (n, 1, …)."""
        codes = torch.from_numpy(CODES[self.windows[:, self.index]] & 3).long().to(by_base.device)
        return by_base[torch.arange(len(by_base), device=by_base.device), codes][:, None]

    def predicted(self) -> torch.Tensor:
        """Return what is predicted at each base, nothing masked, with each base at the site.

        Float64, shape (n, 4, W, 4): base at the site, position, probability of each base there.
        """
        logits: torch.Tensor = self.model.base_logits(token_ids(self.model, self.variants()))
        return logits.double().softmax(-1).reshape(len(self.windows), len(BASES), *logits.shape[1:])


def _masked(strand: _Strand) -> torch.Tensor:
    model = strand.model
    if isinstance(model, TokenModel) and model.tokeniser.k > 1:
        # The k-mer with the base just left of its middle on the forward strand: the same k-mer,
        # and so just right of it, on the reverse one.
        k = model.tokeniser.k
        middle = k // 2 if strand.reverse else (k - 1) // 2
        return kmers.joint(model, strand.windows, strand.ids, strand.index, middle)
    logits: torch.Tensor = model.site_logits(strand.ids, strand.index)
    return logits


def _marginal(strand: _Strand) -> torch.Tensor:
    return kmers.marginal(strand.model, strand.ids, strand.index)


def _likelihood(strand: _Strand) -> torch.Tensor:
    totals: torch.Tensor = strand.model.site_logits(strand.ids, strand.index).double()
    return totals - totals.mean(1, keepdim=True)  # hundreds of nats, of which four lose digits


def _mean_likelihood(strand: _Strand) -> torch.Tensor:
    counts: torch.Tensor = strand.model.counts(strand.ids)
    return _likelihood(strand) / counts[:, None].clamp(min=1)


def _probability(strand: _Strand) -> torch.Tensor:
    p: torch.Tensor = strand.model.site_probabilities(strand.ids, strand.index)
    return p


def _embedded(
    compare: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
) -> Callable[[_Strand], torch.Tensor]:
    def numbers(strand: _Strand) -> torch.Tensor:
        place = strand.recipe.options.get("embedding", "variant")
        hidden = strand.model.variant_embeddings(strand.variants(), strand.index, place)
        by_base = hidden.double().reshape(len(strand.windows), len(BASES), -1)
        return compare(strand.of_reference(by_base), by_base)

    return numbers


def _cosine(reference: torch.Tensor, variants: torch.Tensor) -> torch.Tensor:
    return 1 - torch.cosine_similarity(reference, variants, dim=-1)


def _euclidean(reference: torch.Tensor, variants: torch.Tensor) -> torch.Tensor:
    distance: torch.Tensor = torch.linalg.vector_norm(reference - variants, dim=-1)
    return distance


def _inner_product(reference: torch.Tensor, variants: torch.Tensor) -> torch.Tensor:
    return (reference * variants).sum(-1)


def _influence(strand: _Strand) -> torch.Tensor:
    p = strand.predicted()
    if strand.recipe.options.get("definition", "gagneur") == "gagneur":
        p = p + _EPSILON
        p = p / p.sum(-1, keepdim=True)
        unit = log(2)
    else:  # songlab: natural logarithm, of the probabilities as they are
        unit = 1.0
    log_odds = p.log() - torch.log1p(-p)
    change = (log_odds - strand.of_reference(log_odds)).abs().amax(-1) / unit
    others = torch.arange(change.shape[-1], device=change.device) != strand.index
    return change[..., others].mean(-1)


def _divergence(strand: _Strand) -> torch.Tensor:
    p = strand.predicted()
    reference = strand.of_reference(p)
    divergence = (p * (p / reference).log()).sum(-1)
    flank = int(strand.recipe.options.get("flank", 50))
    distance = (torch.arange(divergence.shape[-1], device=p.device) - strand.index).abs()
    return divergence[..., (distance <= flank) & (distance > 0)].mean(-1)


_NUMBERS: dict[str, Callable[[_Strand], torch.Tensor]] = {
    "masked": _masked,
    "marginal": _marginal,
    "likelihood": _likelihood,
    "mean_likelihood": _mean_likelihood,
    "probability": _probability,
    "cosine": _embedded(_cosine),
    "euclidean": _embedded(_euclidean),
    "inner_product": _embedded(_inner_product),
    "influence": _influence,
    "divergence": _divergence,
}

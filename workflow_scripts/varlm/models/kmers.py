"""From what a model says of k-mers to what it says of bases.

Joint: a k-mer with the alternate base against the same k-mer with the reference's, at one token.
Marginal: the probabilities of all k-mers with a base at a place, added up; the mean over the tokens
that hold the place. Both are published, by different authors, and are different numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from varlm.genome.bases import CODES, UNKNOWN
from varlm.models.tokens import KmerTokeniser


class _Model(Protocol):
    """What is asked of a `varlm.models.language_model.TokenModel`."""

    tokeniser: KmerTokeniser

    @property
    def kmer_ids(self) -> torch.Tensor: ...

    def logits(self, ids: torch.Tensor, at: Sequence[int] | None = None) -> torch.Tensor: ...


def marginals(logits: torch.Tensor, k: int) -> torch.Tensor:
    """Return the probability of each base at each place of a k-mer: (…, 4^k) → (…, k, 4).

    Softmax over the k-mers alone.
    """
    p = logits.softmax(-1).reshape(*logits.shape[:-1], *(4,) * k)
    if k == 1:  # a sum over no dimension is one over all
        return p[..., None, :]
    first = p.dim() - k
    return torch.stack(
        [p.sum([first + other for other in range(k) if other != place]) for place in range(k)], -2
    )


def base_log_p(logits: torch.Tensor, tokeniser: KmerTokeniser) -> torch.Tensor:
    """Return log p of A, C, G, T at every base, the mean of p over the tokens that hold it.

    Parameters
    ----------
    logits : shape (n, T, 4^k)
        Of the sequence's tokens, without prefix and suffix.

    Returns
    -------
    shape (n, (T − 1) · stride + k, 4)
    """
    k, stride = tokeniser.k, tokeniser.stride
    p = marginals(logits, k)
    width = (p.shape[1] - 1) * stride + k
    total = p.new_zeros((len(p), width, 4))
    held = p.new_zeros((width, 1))
    for place in range(k):
        stop = width - k + place + 1
        total[:, place:stop:stride] += p[:, :, place]
        held[place:stop:stride] += 1
    return (total / held).log()


def marginal(model: _Model, ids: torch.Tensor, index: int) -> torch.Tensor:
    """Mask the tokens that hold a base; log p of A, C, G, T there, the mean of p over them: (n, 4).

    Parameters
    ----------
    ids : int64, shape (n, T), on the device
        Of the windows; not changed.
    index : int
        0-based in the windows.
    """
    tokeniser = model.tokeniser
    cover = tokeniser.cover(index, tokeniser.width(ids.shape[1]))
    logits = model.logits(_masked(ids, cover, tokeniser), [token for token, _ in cover])
    p = marginals(logits[:, :, model.kmer_ids], tokeniser.k)
    places = torch.tensor([offset for _, offset in cover], device=p.device)
    return p[:, torch.arange(len(cover), device=p.device), places].mean(1).log()


def joint(
    model: _Model, windows: NDArray[np.uint8], ids: torch.Tensor, index: int, middle: int
) -> torch.Tensor:
    """Mask the tokens that hold a base; the logits of one of them with each base there: (n, 4).

    Where another base of the k-mer is unknown, its four are added up (in probability).

    Parameters
    ----------
    windows : uint8 ASCII, shape (n, W)
    ids, index
        As in `marginal`.
    middle : int
        Offset of the base in the k-mer that is read, where several tokens hold it.
    """
    tokeniser = model.tokeniser
    cover = tokeniser.cover(index, windows.shape[1])
    token, offset = min(cover, key=lambda pair: abs(pair[1] - middle))
    logits = model.logits(_masked(ids, cover, tokeniser), [token])[:, 0]
    alternatives = tokeniser.alternatives(windows, index, offset)
    answers = logits.gather(1, torch.from_numpy(alternatives).to(logits.device))
    start = index - offset
    own = CODES[windows[:, start : start + tokeniser.k]]
    own[:, offset] = 0
    for row in np.flatnonzero((own == UNKNOWN).any(axis=1)):
        kmers = logits[row, model.kmer_ids].reshape((4,) * tokeniser.k)
        for place in range(tokeniser.k):
            if place == offset:
                continue
            code = int(own[row, place])
            kmers = (
                kmers.logsumexp(place, keepdim=True)
                if code == UNKNOWN
                else kmers.narrow(place, code, 1)
            )
        answers[row] = kmers.flatten()
    return answers


def _masked(
    ids: torch.Tensor, cover: Sequence[tuple[int, int]], tokeniser: KmerTokeniser
) -> torch.Tensor:
    if tokeniser.mask is None:
        raise ValueError("a tokeniser without a mask token")
    ids = ids.clone()
    ids[:, [token for token, _ in cover]] = tokeniser.mask
    return ids

"""Real sequence in its window against a control: in which does a model find the bases likelier?

The likelihood is that of the bases from `start` to before `stop` of each window alone, in which the
two differ. Of a causal model it is theirs given what is before them; a masked one has none, and two
things stand for it: what one pass says of each base, nothing hidden (pseudo), and what it says of
each base while that one is hidden, a pass a base (masked), as DART-Eval has it for masked models
(Patel et al. 2024, doi:10.48550/arXiv.2412.05430). DART-Eval adds up the whole window instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from varlm.genome.bases import CODES
from varlm.training.recognition import wilson

if TYPE_CHECKING:
    import torch

    from varlm.models.language_model import LanguageModel

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

# Differences of less than this many nats are ties: the same numbers, added up in another order.
_TIE = 1e-6


@dataclass(frozen=True)
class Contrasts:
    """Windows of n real sequences and of their controls.

    Attributes
    ----------
    real, control : uint8 ASCII, shape (n, length)
    start, stop : int64, shape (n,)
        The bases that count, 0-based half-open in the window: A, C, G, T alone.
    """

    real: Bytes
    control: Bytes
    start: Indices
    stop: Indices

    def __len__(self) -> int:
        return len(self.real)

    def first(self, count: int) -> Contrasts:
        """Return the first so many."""
        return Contrasts(
            self.real[:count], self.control[:count], self.start[:count], self.stop[:count]
        )


def differences(
    model: LanguageModel, contrasts: Contrasts, batch_size: int, masked: int
) -> dict[str, Floats]:
    """Return by how much the real bases are likelier than those of the control.

    Parameters
    ----------
    model : LanguageModel
    contrasts : Contrasts
    batch_size : int
        Windows a forward pass.
    masked : int
        Of so many of them, the first ones, a masked model reads each base hidden too.

    Returns
    -------
    dict
        Kind of likelihood (causal, or pseudo and maybe masked) → float64, shape (n,) or (masked,),
        nats.
    """
    by_kind = {"causal" if model.causal else "pseudo": _difference(model, contrasts, batch_size)}
    some = contrasts.first(masked)
    if len(some) and not model.causal and can_hide(model):
        by_kind["masked"] = _hidden_difference(model, some, batch_size)
    return by_kind


def can_hide(model: LanguageModel) -> bool:
    """Whether a model can hide a single base: not where its tokens are longer."""
    from varlm.models.language_model import TokenModel

    return not (isinstance(model, TokenModel) and model.tokeniser.k > 1)


def bases_left_over(model: LanguageModel, length: int) -> int:
    """Return how many bases at a window's end no token holds, where these have several."""
    from varlm.models.language_model import TokenModel

    if not isinstance(model, TokenModel):
        return 0
    return length - model.tokeniser.width(model.tokeniser.tokens(length))


def _difference(model: LanguageModel, contrasts: Contrasts, batch_size: int) -> Floats:
    real, control = (
        _in_one_pass(model, windows, contrasts, batch_size)
        for windows in (contrasts.real, contrasts.control)
    )
    return real - control


def _in_one_pass(
    model: LanguageModel, windows: Bytes, contrasts: Contrasts, batch_size: int
) -> Floats:
    """Return the log-likelihood of each window's bases that count, nothing hidden: nats, (n,)."""
    from varlm.scoring.numbers import token_ids

    total = np.empty(len(windows))
    for low in range(0, len(windows), batch_size):
        rows = slice(low, low + batch_size)
        own = _own(model.base_logits(token_ids(model, windows[rows])), windows[rows])
        at = np.arange(windows.shape[1])
        counts = (at >= contrasts.start[rows, None]) & (at < contrasts.stop[rows, None])
        total[rows] = np.where(counts, own, 0).sum(1)
    return total


def _hidden_difference(model: LanguageModel, contrasts: Contrasts, batch_size: int) -> Floats:
    real, control = (
        _hidden(model, windows, contrasts, batch_size)
        for windows in (contrasts.real, contrasts.control)
    )
    return real - control


def _hidden(model: LanguageModel, windows: Bytes, contrasts: Contrasts, batch_size: int) -> Floats:
    """Return the same with each base hidden while the model is asked for it: nats, (n,)."""
    from varlm.scoring.numbers import token_ids

    total = np.zeros(len(windows))
    for index in range(int(contrasts.start.min()), int(contrasts.stop.max())):
        counts = (contrasts.start <= index) & (index < contrasts.stop)
        rows = np.flatnonzero(counts)
        for low in range(0, rows.size, batch_size):
            part = rows[low : low + batch_size]
            logits = model.site_logits(token_ids(model, windows[part]), index)
            total[part] += _own(logits, windows[part, index])
    return total


def _own(logits: torch.Tensor, letters: Bytes) -> Floats:
    """Return log p of letters among the four bases: (…, 4) and (…) → float64 (…), nats.

    Of one that is none of them, that of T, which counts nowhere.
    """
    import torch

    codes = torch.from_numpy(CODES[letters]).long().clamp(max=3).to(logits.device)
    log_p = logits.double().log_softmax(-1).gather(-1, codes[..., None])[..., 0]
    own: Floats = log_p.cpu().numpy()
    return own


def summary(difference: Floats, bases: Indices) -> dict[str, float]:
    """Return how often, how much and how surely real bases are likelier than their controls.

    Parameters
    ----------
    difference : float64, shape (n,)
        Log-likelihood of the real bases less that of the control, nats; n is at least 1.
    bases : int64, shape (n,)
        How many bases it is a sum over.

    Returns
    -------
    dict
        `likelier` (ties half), `ties`, `share` with its 95 % interval `share_low`, `share_high`
        (Wilson's), `difference` (mean, nats a base), `p` (one-sided Wilcoxon, of nats a base).
    """
    difference = np.where(np.abs(difference) < _TIE, 0.0, difference)
    ties = int((difference == 0).sum())
    likelier = int((difference > 0).sum()) + ties / 2
    low, high = wilson(likelier, difference.size)
    by_base = difference / bases
    return {
        "likelier": likelier,
        "ties": ties,
        "share": likelier / difference.size,
        "share_low": low,
        "share_high": high,
        "difference": float(by_base.mean()),
        "p": _signed_rank(by_base),
    }


def _signed_rank(differences: Floats) -> float:
    """Return the p-value of Wilcoxon's test that differences are above zero, zeros left out."""
    from scipy.stats import wilcoxon  # type: ignore[import-untyped]

    other = differences[differences != 0]
    return float(wilcoxon(other, alternative="greater").pvalue) if other.size else 1.0

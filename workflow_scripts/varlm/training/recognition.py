"""How often a model finds a real sequence likelier than the same with mutations.

By the mean log-likelihood of its bases, as perplexity has it, or by their sum, which is that of the
whole sequence and favours the shorter one (decisions A and B of Ihtiyar & Özgür 2023).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.evaluation.resampling import CONFIDENCE
from varlm.genome.bases import CODES
from varlm.tables.model_schemas import MUTATED
from varlm.training.pairs import Bytes, Pairs

if TYPE_CHECKING:
    import torch

    from varlm.models.language_model import LanguageModel

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Likelihoods:
    """Of n sequences.

    Attributes
    ----------
    total : float64, shape (n,)
        Log-likelihood, nats.
    count : int64, shape (n,)
        Tokens that it is a sum over.
    """

    total: NDArray[np.float64]
    count: NDArray[np.int64]


def log_likelihoods(
    model: LanguageModel, sequences: Sequence[Bytes], batch_size: int, *, ends: bool = False
) -> Likelihoods:
    """Return the log-likelihoods of sequences, read as they are written.

    Of a causal model, each base's given those before it. A masked one has none: the logits of one
    pass over the whole sequence, nothing masked, stand for it (pseudo-log-likelihood), as in the
    scores of indels.

    Parameters
    ----------
    model : LanguageModel
    sequences : sequence of uint8 ASCII arrays
        Of any lengths; those of the same are read together, so that nothing is padded.
    batch_size : int
    ends : bool
        Whether these are whole sequences, whose end counts as a token: for a Markov chain that
        knows ends.
    """
    lengths = np.array([len(sequence) for sequence in sequences], np.int64)
    total = np.empty(len(sequences))
    count = np.empty(len(sequences), np.int64)
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        for low in range(0, rows.size, batch_size):
            part = rows[low : low + batch_size]
            batch = np.stack([sequences[row] for row in part.tolist()])
            totals, counts = _of_batch(model, batch, ends)
            total[part], count[part] = totals.cpu().numpy(), counts.cpu().numpy()
    return Likelihoods(total, count)


def _of_batch(model: Any, batch: Bytes, ends: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Return log-likelihoods and how many tokens count, of sequences of one length."""
    import torch

    from varlm.scoring.numbers import token_ids

    ids = token_ids(model, batch)
    if not model.causal:
        log_p = model.base_logits(ids).double().log_softmax(-1)
        codes = torch.from_numpy(CODES[batch]).long().to(log_p.device)
        own = log_p.gather(-1, codes.clamp(max=3)[..., None])[..., 0]
        return (own * (codes < 4)).sum(-1), (codes < 4).sum(-1)
    total, count = model.log_likelihood(ids), model.counts(ids)
    if ends:
        total, count = total + model.end_log_p(ids), count + 1
    return total, count


def recognised(real: Likelihoods, mutated: Likelihoods) -> dict[str, NDArray[np.bool_]]:
    """Return of which pairs the real sequence is the likelier one, by decision: mean, sum."""
    return {
        "mean": real.total / real.count > mutated.total / mutated.count,
        "sum": real.total > mutated.total,
    }


def measure(name: str, model: LanguageModel, pairs: Pairs, batch_size: int) -> pl.DataFrame:
    """Return how often a model recognises the real sequences of pairs.

    Parameters
    ----------
    name : str
    model : LanguageModel
    pairs : Pairs
    batch_size : int
        Sequences a forward pass.

    Returns
    -------
    polars.DataFrame
        `MUTATED`; empty where there is no pair.
    """
    rows: list[dict[str, object]] = []
    if pairs.real:
        real = log_likelihoods(model, pairs.real, batch_size)
        for most, sequences in pairs.mutated.items():
            decisions = recognised(real, log_likelihoods(model, sequences, batch_size))
            for row in _rows(decisions):
                kind = "causal" if model.causal else "pseudo"
                rows.append(
                    {"model": name, "likelihood": kind, "most": most, "kinds": pairs.kinds, **row}
                )
                log.info(
                    "%s: %.3f recognised of 1 to %d mutations, by the %s",
                    *(name, row["share"], most, row["decision"]),
                )
    return pl.DataFrame(rows, schema=MUTATED.schema)


def _rows(decisions: Mapping[str, NDArray[np.bool_]]) -> list[dict[str, object]]:
    """Return what the table says of each decision."""
    rows: list[dict[str, object]] = []
    for decision, right in decisions.items():
        low, high = wilson(int(right.sum()), right.size)
        rows.append(
            {
                "decision": decision,
                "pairs": right.size,
                "recognised": int(right.sum()),
                "share": float(right.mean()),
                "share_low": low,
                "share_high": high,
            }
        )
    return rows


def wilson(successes: float, trials: int) -> tuple[float, float]:
    """Return the 95 % interval of a share, from so many trials, at least one (Wilson 1927)."""
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    share, scale = successes / trials, 1 + z * z / trials
    middle = (share + z * z / (2 * trials)) / scale
    half = z * (share * (1 - share) / trials + (z / (2 * trials)) ** 2) ** 0.5 / scale
    return max(middle - half, 0.0), min(middle + half, 1.0)

"""Published n-gram models as varlm's Markov chains: smoothed counts, the end of a sequence too."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from varlm.errors import UserError
from varlm.models.markov import MODEL_TYPE, end_name, table_name
from varlm.training.counts_table import NgramCounts, Padding

log = logging.getLogger(__name__)

Counts = NDArray[np.int64]


def laplace(count: Counts, total: Counts, vocabulary: int) -> NDArray[np.float64]:
    """Return (count + 1) / (total + vocabulary): one occurrence more of every token."""
    return np.asarray((count + 1) / (total + vocabulary))


SMOOTHINGS: dict[str, Callable[[Counts, Counts, int], NDArray[np.float64]]] = {"laplace": laplace}


def chain_of(
    counts: NgramCounts, padding: Padding, smoothing: str = "laplace", vocabulary: int | None = None
) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Return config.json and the tensors of a chain that gives what n-grams do.

    Parameters
    ----------
    counts : NgramCounts
    padding : Padding
        The tokens around a sequence; the end becomes tensors where the table counts it.
    smoothing : str
        One of `SMOOTHINGS`.
    vocabulary : int, optional
        Tokens that share a context's probability; those that the table names by default.

    Raises
    ------
    UserError
        If the table names more tokens than `vocabulary`.
    """
    named = len(counts.tokens | set("ACGT"))
    size = named if vocabulary is None else vocabulary
    if size < named:
        raise UserError(
            f"--vocabulary: found {size}, but the table names {named} tokens "
            f"({' '.join(sorted(counts.tokens))}); give at least as many"
        )
    smoothed = SMOOTHINGS[smoothing]
    has_end = padding.end in counts.tokens
    tensors = {}
    for k in range(counts.order + 1):
        p = smoothed(counts.bases[k], counts.totals[k][:, None], size)
        tensors[table_name(k)] = torch.from_numpy(np.log(p)).float()
        if has_end:
            p = smoothed(counts.ends[k], counts.totals[k], size)
            tensors[end_name(k)] = torch.from_numpy(np.log(p)).float()
    config = {
        "model_type": MODEL_TYPE,
        "order": counts.order,
        "vocabulary": size,
        "end": has_end,
        "smoothing": smoothing,
    }
    log.info("order %d, %d tokens named, vocabulary of %d", counts.order, named, size)
    return config, tensors

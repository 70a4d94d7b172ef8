"""Markov chains from counts: order by order, each backed off to the one below.

p_k(base | context) = (n(context, base) + a_k p_(k-1)(base | shorter context)) / (n(context) + a_k):
a Dirichlet prior of strength a_k around the lower order. a_k is the one of `STRENGTHS` with the
lowest loss on the validation windows, so that an order that helps no more does no harm; without
such windows it is `DEFAULT_STRENGTH`.
"""

from __future__ import annotations

import logging
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from varlm.genome.bases import CODE_COMPLEMENT
from varlm.training.corpus import BASE, Corpus

log = logging.getLogger(__name__)

Floats = NDArray[np.float64]

STRENGTHS = tuple(10.0 ** (exponent / 2) for exponent in range(-1, 9))

DEFAULT_STRENGTH = 100.0  # where no contig tells which is best

_PIECE = 1 << 24  # bases counted at once


def fit(corpus: Corpus, order: int) -> tuple[list[NDArray[np.float32]], list[dict[str, Any]]]:
    """Return the tables of all orders, and a row of the learning curve for each.

    Parameters
    ----------
    corpus : Corpus
        Counts are of the training windows' bases, by the windows' weights, on both strands.
    order : int
        The highest.

    Returns
    -------
    tables : list of float32, shape (4^k, 4)
        Log p of each base, nats; see `varlm.models.markov.table_name`.
    curve : list of dict
        `step` is the order; `validation_loss` the loss in nats a base on the validation windows,
        None without any; `strength` the a_k taken.
    """
    counts = both_strands(count(corpus, order, "train"), order)
    checked = both_strands(count(corpus, order, "validation"), order)
    tables: list[NDArray[np.float32]] = []
    curve: list[dict[str, Any]] = []
    below: Floats = np.full((1, 4), 0.25)
    for k in range(order + 1):
        # The oldest base of a context is its most significant digit.
        seen = counts.reshape(4 ** (order - k), 4**k, 4).sum(0)
        held = checked.reshape(4 ** (order - k), 4**k, 4).sum(0)
        prior = np.tile(below, (4, 1)) if k else below
        tried = (STRENGTHS if held.any() else (DEFAULT_STRENGTH,)) if k else (1.0,)
        best = (math.inf, 0.0, prior)
        for strength in tried:
            p = (seen + strength * prior) / (seen.sum(1, keepdims=True) + strength)
            loss = -(held * np.log(p)).sum() / held.sum() if held.any() else 0.0
            if loss < best[0]:
                best = (loss, strength, p)
        loss, strength, below = best
        tables.append(np.log(below).astype(np.float32))
        known = float(loss) if held.any() else None
        curve.append({"step": k, "validation_loss": known, "strength": strength})
        shown = "unknown" if known is None else f"{math.exp(known):.4f}"
        log.info("order %d: validation perplexity %s, back-off %.3g", k, shown, strength)
    return tables, curve


def count(corpus: Corpus, order: int, which: str) -> Floats:
    """Count each context of `order` bases with each next base: shape (4^order, 4).

    Each base counts as much as the windows over it weigh, on the average.
    """
    result = np.zeros(4 ** (order + 1))
    for rows in corpus.of(which).partition_by("genome", "contig", maintain_order=True):
        start, end = rows["contig_start"][0], rows["contig_end"][0]
        weights = _weights(
            rows["start"].to_numpy() - start, rows["weight"].to_numpy(), end - start, corpus.window
        )
        codes = np.asarray(corpus.bases[start:end]) & np.uint8(BASE)
        for low in range(0, end - start, _PIECE):
            first = max(0, low - order)
            piece, weight = codes[first : low + _PIECE], weights[low : low + _PIECE]
            number, whole = _numbers(piece, order)
            weight = weight[-number.size :] if number.size < weight.size else weight
            number, whole = number[-weight.size :], whole[-weight.size :]
            kept = whole & (weight > 0)
            result += np.bincount(number[kept], weight[kept], minlength=result.size)
    return result.reshape(-1, 4)


def both_strands(counts: Floats, order: int) -> Floats:
    """Add the counts of the reverse complement."""
    cube = counts.reshape((4,) * (order + 1))
    turned = cube.transpose(*range(order, -1, -1))
    for axis in range(order + 1):
        turned = np.take(turned, CODE_COMPLEMENT[:4], axis=axis)
    return np.asarray((cube + turned).reshape(-1, 4))


def _weights(starts: NDArray[np.int64], weight: Floats, length: int, window: int) -> Floats:
    """Return each base's weight: the mean of the windows over it, 0 where there is none."""
    total, cover = np.zeros(length + 1), np.zeros(length + 1)
    for values, sums in ((weight, total), (np.ones_like(weight), cover)):
        np.add.at(sums, starts, values)
        np.add.at(sums, starts + window, -values)
    covered = np.cumsum(cover)[:-1]
    return np.asarray(np.where(covered > 0.5, np.cumsum(total)[:-1] / np.maximum(covered, 1), 0.0))


def _numbers(codes: NDArray[np.uint8], order: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return each run of order + 1 bases as a number, by its last base, and whether it is known."""
    size = max(codes.size - order, 0)
    number = np.zeros(size, np.int64)
    whole = np.ones(size, bool)
    for i in range(order + 1):
        part = codes[i : i + size]
        whole &= part < 4
        number = number * 4 + np.where(part < 4, part, 0)
    return number, whole

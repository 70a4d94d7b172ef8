"""Pure functions: the four logits of a site → log-likelihood ratio, entropy, probabilities.

Logits have the shape (sites, 2, 4): strands forward, reverse; bases A, C, G, T of the forward
strand (the reverse strand's answers are mapped back already). Where only the forward strand is
scored, the reverse strand's are NaN and every mean is the forward strand's value alone.
Computed in float64; natural logarithms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.genome.bases import CODES, UNKNOWN
from varlm.tables.schemas import LOGIT_COLUMNS
from varlm.tables.score_kinds import ScoreKind

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SnvScores:
    """Scores of n SNVs, float64, shape (n,) each; the columns of the annotated table.

    Attributes
    ----------
    llr, llr_fwd, llr_rev
        logit[alt] − logit[ref]: strand mean, forward, reverse (NaN when not scored).
    entropy
        Of A, C, G, T at the site, nats, from the strand-averaged logits.
    p_ref, p_alt
        Probability of REF and of ALT, likewise.
    """

    llr: Floats
    llr_fwd: Floats
    llr_rev: Floats
    entropy: Floats
    p_ref: Floats
    p_alt: Floats


def site_logits(sites: pl.DataFrame) -> NDArray[np.float32]:
    """Return the logits of a table of sites, shape (sites, 2, 4).

    Parameters
    ----------
    sites : polars.DataFrame
        With the columns `varlm.tables.schemas.LOGIT_COLUMNS`; null, where a strand is not
        scored, becomes NaN.
    """
    flat: NDArray[np.float32] = sites.select(LOGIT_COLUMNS).fill_null(np.nan).to_numpy()
    return flat.reshape(-1, 2, 4)


def logit_columns(logits: NDArray[np.float32]) -> pl.DataFrame:
    """Return logits of shape (sites, 2, 4) as `varlm.tables.schemas.LOGIT_COLUMNS`; NaN stays."""
    return pl.DataFrame(logits.reshape(-1, 8), schema=dict.fromkeys(LOGIT_COLUMNS, pl.Float32()))


def base_index(bases: NDArray[Any]) -> NDArray[np.intp]:
    """Return the index 0…3 of each base in A, C, G, T.

    Parameters
    ----------
    bases : str or bytes or uint8 ASCII, shape (n,)

    Raises
    ------
    ValueError
        If a base is none of A, C, G, T.
    """
    array = np.asarray(bases)
    if array.dtype.kind != "u":
        array = np.array([ord(base) for base in array.astype("U1")], dtype=np.uint8)
    index = CODES[array]
    if (index == UNKNOWN).any():
        raise ValueError(f"not one of A, C, G, T: {chr(array[index == UNKNOWN][0])!r}")
    return np.asarray(index, dtype=np.intp)


def llr_by_strand(logits: NDArray[Any], ref: NDArray[Any], alt: NDArray[Any]) -> Floats:
    """logit[alt] − logit[ref] on each strand, shape (n, 2).

    Parameters
    ----------
    logits : shape (n, 2, 4)
    ref, alt : indices 0…3 into A, C, G, T, shape (n,)
    """
    rows = np.arange(len(logits))
    values = np.asarray(logits, dtype=np.float64)
    return values[rows, :, alt] - values[rows, :, ref]


def score_by_strand(
    kind: ScoreKind, numbers: NDArray[Any], ref: NDArray[Any], alt: NDArray[Any]
) -> Floats:
    """Return the score of n SNVs on each strand, shape (n, 2).

    Parameters
    ----------
    kind : ScoreKind
    numbers : shape (n, 2, 4)
        Of each SNV's site.
    ref, alt : indices 0…3 into A, C, G, T, shape (n,)
    """
    if kind.difference:
        return llr_by_strand(numbers, ref, alt)
    return np.asarray(numbers, dtype=np.float64)[np.arange(len(numbers)), :, alt]


def strand_mean(logits: NDArray[Any]) -> Floats:
    """Mean over the strands that were scored: shape (n, 2, …) → (n, …)."""
    values = np.asarray(logits, dtype=np.float64)
    return np.where(np.isnan(values[:, 1]), values[:, 0], (values[:, 0] + values[:, 1]) / 2)


def probabilities(logits: NDArray[Any]) -> Floats:
    """Softmax over the last axis, which holds A, C, G, T."""
    values = np.asarray(logits, dtype=np.float64)
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def entropy(logits: NDArray[Any]) -> Floats:
    """Shannon entropy −Σ p ln p of the softmax over the last axis, nats: 0 … ln 4."""
    values = np.asarray(logits, dtype=np.float64)
    values = values - values.max(axis=-1, keepdims=True)
    powers = np.exp(values)
    total = powers.sum(axis=-1)
    # ln p = value − ln total, so −Σ p ln p needs no logarithm of a p that may be zero.
    return np.asarray(np.log(total) - (powers * values).sum(axis=-1) / total)


def snv_scores(logits: NDArray[Any], ref: NDArray[Any], alt: NDArray[Any]) -> SnvScores:
    """Return every score of n SNVs.

    Parameters
    ----------
    logits : shape (n, 2, 4)
        Of each SNV's site.
    ref, alt : indices 0…3 into A, C, G, T, shape (n,)
    """
    by_strand = llr_by_strand(logits, ref, alt)
    mean = strand_mean(logits)
    p = probabilities(mean)
    rows = np.arange(len(p))
    return SnvScores(
        llr=strand_mean(by_strand),
        llr_fwd=by_strand[:, 0],
        llr_rev=by_strand[:, 1],
        entropy=entropy(mean),
        p_ref=p[rows, ref],
        p_alt=p[rows, alt],
    )

"""Pure functions: the four numbers of a site → a score of any kind, entropy, probabilities.

Of log-ratios the numbers are logits, and are called so. They have the shape (sites, 2, 4): strands
forward, reverse; bases A, C, G, T of the forward strand (the reverse strand's answers are mapped
back already). Where only the forward strand is scored, the reverse strand's are NaN and every mean
is the forward strand's value alone. Computed in float64; natural logarithms.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.genome.bases import CODES, UNKNOWN
from varlm.tables.schemas import LOGIT_COLUMNS
from varlm.tables.score_kinds import SCORE_KINDS, ScoreKind

Floats = NDArray[np.float64]

MASKED = SCORE_KINDS["masked"]

# Which strand a score is of: an index into the strands, or their mean.
FORWARD, REVERSE, BOTH = 0, 1, 2


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


def on_masked_scale(numbers: NDArray[Any], ref: NDArray[Any], constant: float) -> NDArray[Any]:
    """Return dense numbers on the scale of masked ones: the reference's is lower by a constant.

    A model that sees the reference's base holds it likelier, by the same factor everywhere
    (`varlm.models.corruption`).

    Parameters
    ----------
    numbers : shape (n, 2, 4)
        Of each site.
    ref : indices 0…3 into A, C, G, T, shape (n,)
    constant : float
        Nats; 0 for numbers that are no dense ones, which are returned as they are.
    """
    if not constant:
        return numbers
    lowered = np.array(numbers, dtype=np.float64)
    lowered[np.arange(len(lowered)), :, ref] -= constant
    return lowered


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


def by_column(
    kind: ScoreKind, by_strand: Floats, strand: NDArray[np.intp] | None = None
) -> dict[str, Floats]:
    """Return a score's columns: of `strand_mean`, forward, reverse; `by_strand`: shape (n, 2)."""
    return {
        kind.column: strand_mean(by_strand, strand),
        f"{kind.column}_fwd": by_strand[:, 0],
        f"{kind.column}_rev": by_strand[:, 1],
    }


def strand_mean(logits: NDArray[Any], strand: NDArray[np.intp] | None = None) -> Floats:
    """Mean over the strands that were scored, or those of one: shape (n, 2, …) → (n, …).

    Parameters
    ----------
    strand : shape (n,), optional
        `FORWARD`, `REVERSE` or `BOTH`: the mean. All are `BOTH` without it.
    """
    values = np.asarray(logits, dtype=np.float64)
    mean = np.where(np.isnan(values[:, 1]), values[:, 0], (values[:, 0] + values[:, 1]) / 2)
    if strand is None:
        return mean
    return np.asarray(np.stack([values[:, 0], values[:, 1], mean])[strand, np.arange(len(mean))])


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


def snv_scores(
    numbers: NDArray[Any],
    ref: NDArray[Any],
    alt: NDArray[Any],
    kind: ScoreKind = MASKED,
    strand: NDArray[np.intp] | None = None,
) -> dict[str, Floats]:
    """Return every score of n SNVs: column of the annotated table → float64, shape (n,).

    The reverse strand's are NaN when not scored. Entropy (nats) and the probabilities of REF and
    ALT are from the numbers of `strand_mean`, of kinds whose numbers are log-probabilities.

    Parameters
    ----------
    numbers : shape (n, 2, 4)
        Of each SNV's site.
    ref, alt : indices 0…3 into A, C, G, T, shape (n,)
    kind : ScoreKind
    strand : shape (n,), optional
        As of `strand_mean`.
    """
    scores = by_column(kind, score_by_strand(kind, numbers, ref, alt), strand)
    if kind.distribution:
        mean = strand_mean(numbers, strand)
        p, rows = probabilities(mean), np.arange(len(mean))
        scores |= {"entropy": entropy(mean), "p_ref": p[rows, ref], "p_alt": p[rows, alt]}
    return scores

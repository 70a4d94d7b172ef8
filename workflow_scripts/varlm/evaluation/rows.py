"""Rows of the table `evaluation`: the names in them, and those that several kinds of task have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from varlm.evaluation import metrics
from varlm.evaluation.compared import Comparison
from varlm.evaluation.resampling import Interval, Measured
from varlm.evaluation.strata import Strata

Row = dict[str, Any]

EVERYTHING = "all"  # the group of all alleles of a task
AUROC, AUPRC, SPEARMAN, ODDS_RATIO = "auroc", "auprc", "spearman", "odds_ratio"
AUROC_BY_CHROMOSOME, AUPRC_BY_CHROMOSOME = "auroc_by_chromosome", "auprc_by_chromosome"
AUROC_WITHIN_STRATA, AUROC_EXPLAINED = "auroc_within_strata", "auroc_explained"

FEWEST = 10  # alleles of each class, or of a correlation: fewer say nothing
_PERFECT = 1e-30  # 1 − ρ² at least, so that a perfect correlation has a p-value


@dataclass(frozen=True)
class Settings:
    """How tasks are measured: resamples, their seed, the tails for odds ratios, and strata."""

    bootstrap: int = 1000
    seed: int = 0
    quantiles: Sequence[float] = (0.001, 0.01, 0.05, 0.1)
    strata: Strata | None = None


def dropped_rows(compared: Comparison) -> Iterator[Row]:
    """Yield a row that says so for each score that is not compared."""
    for name in compared.dropped:
        note = "not compared: no value on any allele of the task"
        yield {"group": EVERYTHING, "score": name, "note": note}


def correlation_rows(
    group: str,
    compared: Comparison,
    members: NDArray[np.bool_],
    numbers: NDArray[np.float64],
    settings: Settings,
) -> Iterator[Row]:
    """Yield Spearman's correlation of each score with a number.

    Parameters
    ----------
    members, numbers : numpy.ndarray
        Which of the comparison's alleles are of the group, and the number; shape (alleles,).
    """
    total = int(members.sum())
    if total < FEWEST:
        note = f"too few: {total} alleles; at least {FEWEST} are needed"
        yield {"group": group, "alleles": total, "note": note}
        return
    from scipy.stats import t as student  # type: ignore[import-untyped]

    measured = metrics.spearman(
        compared.values[:, members], numbers[members], settings.bootstrap, settings.seed
    )
    for row, value in zip(
        score_rows(group, SPEARMAN, measured, compared, {"alleles": total}),
        measured.values.tolist(),
        strict=True,
    ):
        if np.isnan(value):
            yield {**row, "note": "not defined: all alleles have one value"}
            continue
        # As scipy.stats.spearmanr: Student's t with n − 2 degrees of freedom.
        spread = max((1 - value) * (1 + value), _PERFECT)
        statistic = abs(value) * np.sqrt((total - 2) / spread)
        yield {**row, "p_value": float(2 * student.sf(statistic, total - 2))}


def class_counts(positive: NDArray[np.bool_]) -> Row:
    """Return how many alleles there are and of which class; bool, shape (alleles,)."""
    positives = int(positive.sum())
    return {
        "alleles": positive.size,
        "positives": positives,
        "negatives": positive.size - positives,
    }


def too_few(counts: Row, positive_name: str = "positive", negative_name: str = "negative") -> str:
    """Return why there are too few alleles, or "" where there are enough."""
    if min(counts["positives"], counts["negatives"]) >= FEWEST:
        return ""
    return (
        f"too few: {counts['positives']} {positive_name} and {counts['negatives']} "
        f"{negative_name} alleles; at least {FEWEST} of each are needed"
    )


def score_rows(
    group: str, metric: str, measured: Measured, compared: Comparison, shared: Row
) -> Iterator[Row]:
    """Yield a row for each score: value and interval, and the difference to the first score.

    Parameters
    ----------
    group, metric : str
    measured : Measured
        Of all scores of `compared`.
    shared : dict
        What all rows have in common: counts, and a note.
    """
    for i, score in enumerate(compared.scores):
        value, interval = float(measured.values[i]), measured.interval(i)
        row = {"group": group, "metric": metric, "score": score.name, **shared}
        row |= {"missing": compared.missing[score.name], **_numbers(value, interval)}
        if i:
            difference = _numbers(measured.difference(i), measured.difference_interval(i))
            row |= {
                f"difference{'' if name == 'value' else f'_{name}'}": number
                for name, number in difference.items()
            }
        yield row


def _numbers(value: float, interval: Interval) -> Row:
    known = np.isfinite(value)
    return {
        "value": value if known else None,
        "low": interval.low if known else None,
        "high": interval.high if known else None,
    }

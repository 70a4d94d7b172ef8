"""Rows of the table `evaluation`: the names in them, and those that several kinds of task have."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from varlm.evaluation import correlation, metrics
from varlm.evaluation.compared import Comparison
from varlm.evaluation.resampling import Floats, Interval, Measured
from varlm.evaluation.strata import Strata

Row = dict[str, Any]

EVERYTHING = "all"  # the group of all alleles of a task
AUROC, AUPRC, SPEARMAN, ODDS_RATIO = "auroc", "auprc", "spearman", "odds_ratio"
PEARSON = "pearson"
SPEARMAN_BY_GROUP, PEARSON_BY_GROUP = "spearman_by_group", "pearson_by_group"
AUROC_BY_CHROMOSOME, AUPRC_BY_CHROMOSOME = "auroc_by_chromosome", "auprc_by_chromosome"
AUROC_WITHIN_STRATA, AUROC_EXPLAINED = "auroc_within_strata", "auroc_explained"
PAIRWISE, PAIRWISE_BY_CONSEQUENCE = "pairwise_accuracy", "pairwise_accuracy_by_consequence"
AUROC_WITHIN_GROUPS, AUPRC_BY_CONSEQUENCE = "auroc_within_groups", "auprc_by_consequence"

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


Correlation = Callable[[Floats, Floats, int, int], Measured]
RANKS_ALONE: dict[str, Correlation] = {SPEARMAN: metrics.spearman}
BOTH: dict[str, Correlation] = {**RANKS_ALONE, PEARSON: correlation.pearson}


def correlation_rows(
    group: str,
    compared: Comparison,
    members: NDArray[np.bool_],
    numbers: Floats,
    settings: Settings,
    correlations: Mapping[str, Correlation] = RANKS_ALONE,
) -> Iterator[Row]:
    """Yield the correlations of each score with a number.

    Parameters
    ----------
    members, numbers : numpy.ndarray
        Which of the comparison's alleles are of the group, and the number; shape (alleles,).
    correlations : mapping
        Metric → what measures it: `RANKS_ALONE`, or `BOTH`.
    """
    total = int(members.sum())
    if total < FEWEST:
        note = f"too few: {total} alleles; at least {FEWEST} are needed"
        yield {"group": group, "alleles": total, "note": note}
        return
    for metric, correlate in correlations.items():
        measured = correlate(
            compared.values[:, members], numbers[members], settings.bootstrap, settings.seed
        )
        rows = score_rows(group, metric, measured, compared, {"alleles": total})
        for row, value in zip(rows, measured.values.tolist(), strict=True):
            yield _with_p_value(row, value, total)


def _with_p_value(row: Row, value: float, total: int) -> Row:
    """Return the row of a correlation with its p-value, or why there is none."""
    from scipy.stats import t as student  # type: ignore[import-untyped]

    if np.isnan(value):
        return {**row, "note": "not defined: all alleles have one value"}
    # As scipy.stats.spearmanr and pearsonr: Student's t with n − 2 degrees of freedom.
    spread = max((1 - value) * (1 + value), _PERFECT)
    statistic = abs(value) * np.sqrt((total - 2) / spread)
    return {**row, "p_value": float(2 * student.sf(statistic, total - 2))}


def grouped_correlation_rows(
    group: str,
    compared: Comparison,
    members: NDArray[np.bool_],
    elements: NDArray[np.int64],
    numbers: Floats,
    settings: Settings,
) -> Iterator[Row]:
    """Yield the correlations of each score within elements, genes or studies, averaged.

    Parameters
    ----------
    members : numpy.ndarray
        Which of the comparison's alleles are of the rows' group, bool, shape (alleles,).
    elements, numbers : numpy.ndarray
        Number of each allele's element, −1: of none; and what is correlated; shape (alleles,).
    """
    elements = elements[members]
    within = correlation.by_group(
        compared.values[:, members], numbers[members], elements, settings.bootstrap, settings.seed
    )
    left_out = _left_out(within, int((elements < 0).sum()))
    if not within.groups:
        fewest = correlation.FEWEST_OF_A_GROUP
        none = f"not by group: none has at least {fewest} alleles with numbers that differ"
        yield {"group": group, "alleles": 0, "note": joined(none, *left_out)}
        return
    few = within.groups < correlation.FEWEST_GROUPS
    note = [
        f"mean over {within.groups} groups of {within.alleles} alleles, each group as much",
        *left_out,
        *([f"fewer than {correlation.FEWEST_GROUPS} groups: no interval"] if few else []),
    ]
    shared = {"alleles": within.alleles, "note": joined(*note)}
    for metric, measured in (
        (SPEARMAN_BY_GROUP, within.spearman),
        (PEARSON_BY_GROUP, within.pearson),
    ):
        yield from score_rows(group, metric, measured, compared, shared)


def _left_out(within: correlation.ByGroup, without: int) -> list[str]:
    """Return what is not in a mean over groups, in words."""
    counts = {
        f"groups of fewer than {correlation.FEWEST_OF_A_GROUP} alleles": within.small,
        "groups of one number": within.flat,
        "alleles of no group": without,
    }
    return [f"left out: {what} ({number})" for what, number in counts.items() if number]


def joined(*notes: str | None) -> str:
    """Return several notes, those that there are, as one."""
    return "; ".join(filter(None, notes))


def noted(row: Row, note: str) -> Row:
    """Return a row with one more note."""
    return {**row, "note": joined(row.get("note"), note)}


def with_chance(row: Row, reached: float | None) -> Row:
    """Return a row, its note saying what shuffled scores reach; None: nothing to be said."""
    if reached is None or row.get("value") is None:
        return row
    return noted(row, f"{reached:.3g} by chance, the scores shuffled")


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

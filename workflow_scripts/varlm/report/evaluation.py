"""The section "Evaluation": tasks with their tables, and what to mind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from varlm.errors import UserError
from varlm.evaluation.rows import (
    AUPRC,
    AUPRC_BY_CHROMOSOME,
    AUPRC_BY_CONSEQUENCE,
    AUROC,
    AUROC_BY_CHROMOSOME,
    AUROC_EXPLAINED,
    AUROC_WITHIN_GROUPS,
    AUROC_WITHIN_STRATA,
    ODDS_RATIO,
    PAIRWISE,
    PAIRWISE_BY_CONSEQUENCE,
    PEARSON,
    PEARSON_BY_GROUP,
    SPEARMAN,
    SPEARMAN_BY_GROUP,
)
from varlm.evaluation.tasks import LABELS, QUANTITATIVE
from varlm.report.charts.chart import PageChart
from varlm.report.charts.evaluation import evaluation_charts
from varlm.report.text import count, cut, decimals
from varlm.tables.consequence_terms import IMPACTS
from varlm.tables.schemas import EVALUATION
from varlm.tables.tsv import read_tsv

_TABLE_ROWS = 400  # of all tables together


def read_evaluation(path: Path) -> pl.DataFrame:
    """Read evaluation.tsv.

    Raises
    ------
    UserError
        If it is no such table.
    """
    try:
        text = read_tsv(path, missing="NA")
        typed = [pl.col(column.name).cast(column.dtype) for column in EVALUATION.columns]
        rows = text.with_columns(typed) if text.columns == EVALUATION.names else text
        return EVALUATION.check(rows, path)
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).split("\n")[0]
        raise UserError(
            f"{path}: cannot be read as the table 'evaluation' ({reason}); delete it and run the "
            "workflow again"
        ) from error


@dataclass(frozen=True)
class MeasuredRow:
    """A row of a task's table, all of it text: a metric of a score on a group of alleles.

    `difference` is that to the first score, `missing` the task's alleles without this score.
    """

    group: str
    metric: str
    score: str
    value: str
    difference: str
    alleles: str
    classes: str
    missing: str
    p_value: str
    note: str


@dataclass(frozen=True)
class TaskSection:
    """A task: its question, its rows (those by consequence apart), and how many are not shown."""

    name: str
    about: str
    notes: list[str]
    rows: list[MeasuredRow]
    others: list[MeasuredRow]
    left_out: int


@dataclass(frozen=True)
class EvaluationSection:
    """What the section shows.

    Attributes
    ----------
    charts : list of PageChart
    tasks : list of TaskSection
    first : str
        The score that the others are compared with.
    scores : list of (name, how it is made)
    notes : list of str
    any_labels : bool
        Whether a task has labels that a user gave.
    """

    charts: list[PageChart]
    tasks: list[TaskSection]
    first: str
    scores: list[tuple[str, str]]
    notes: list[str]
    any_labels: bool


def evaluation_section(rows: pl.DataFrame, summary: Mapping[str, Any]) -> EvaluationSection:
    """Return what the page's section shows: tasks with their tables, words and counts.

    Parameters
    ----------
    rows : polars.DataFrame
        `schemas.EVALUATION`.
    summary : mapping
        evaluation.json.

    Raises
    ------
    UserError
        If the two are not of one run.
    """
    named = [task["name"] for task in summary["tasks"]]
    if stray := [n for n in rows["task"].unique(maintain_order=True) if n not in named]:
        raise UserError(
            f"report: evaluation.tsv has the task {stray[0]!r}, which evaluation.json lacks; "
            "delete both and run the workflow again"
        )
    left = _TABLE_ROWS
    tasks = []
    for task in summary["tasks"]:
        tasks.append(_task_section(task, rows.filter(task=task["name"]), left))
        left -= len(tasks[-1].rows) + len(tasks[-1].others)
    return EvaluationSection(
        charts=evaluation_charts(rows),
        tasks=tasks,
        first=summary["scores"][0]["name"] if summary["scores"] else "the first",
        scores=[(score["name"], score["about"]) for score in summary["scores"]],
        notes=_notes(summary),
        any_labels=any(task["kind"] in (LABELS, QUANTITATIVE) for task in summary["tasks"]),
    )


def _task_section(task: Mapping[str, Any], rows: pl.DataFrame, most: int) -> TaskSection:
    """Return a task with at most `most` rows of each part of its table."""
    by_consequence = pl.col("group").is_in(list(IMPACTS))
    main, others = (
        _noted_once([_measured_row(row) for row in part.head(max(most, 0)).iter_rows(named=True)])
        for part in (rows.filter(~by_consequence), rows.filter(by_consequence))
    )
    return TaskSection(
        name=task["name"],
        about=cut(task["about"], 400),
        notes=[*task["notes"], *_counted(task["counts"])],
        rows=main,
        others=others,
        left_out=rows.height - len(main) - len(others),
    )


def _noted_once(rows: Sequence[MeasuredRow]) -> list[MeasuredRow]:
    """Return rows of which one has the note of that before it in brief."""
    before = ["", *(row.note for row in rows)]
    return [
        replace(row, note="as above") if row.note and row.note == last else row
        for row, last in zip(rows, before, strict=False)
    ]


_FORMULAS = (
    "those of odds ratios by Woolf’s formula, those of pairwise accuracies of their standard error "
    "(by Wilson’s formula where they are 0 or 1)"
)


def _notes(summary: Mapping[str, Any]) -> list[str]:
    notes = []
    if summary["bootstrap"]:
        notes.append(
            f"Intervals: 95 %, of {summary['bootstrap']:,} resamples of the alleles (of whole "
            f"chromosomes or match groups where it says so); {_FORMULAS}."
        )
    else:
        notes.append(f"Nothing is resampled, for evaluate.bootstrap is 0. Intervals: {_FORMULAS}.")
    if summary["contigs"] is not None:
        notes.append(
            f"Only alleles on {', '.join(cut(str(c), 40) for c in summary['contigs'][:20])}: "
            f"{summary['alleles']:,}; on other contigs are {summary['on_other_contigs']:,}."
        )
    if summary["repeated"]:
        notes.append(f"Alleles that several records have count once: {summary['repeated']:,} less.")
    if summary["scores_absent"]:
        absent = ", ".join(summary["scores_absent"])
        notes.append(f"Not compared, for this cohort has no INFO fields: {absent}.")
    return notes


_COUNTED = {
    "label_rows": "Rows of the label table: {:,}.",
    "label_rows_unmatched": "Of them of no allele of this cohort: {:,}.",
    "other_labels": "Alleles with another label: {:,}.",
    "unlabelled": "Alleles without a label: {:,}.",
    "turned": "Alleles turned to the reference’s: {:,}.",
    "without_group": "Alleles with a label but no group: {:,}.",
    "groups_of_one_class": "Groups of one class, left out of what is by groups: {:,}.",
    "in_groups_of_one_class": "Alleles in those: {:,}.",
}


def _counted(counts: Mapping[str, Any]) -> list[str]:
    """Return what was left out of a task, in words; nothing of what is none."""
    texts = [words.format(counts[name]) for name, words in _COUNTED.items() if counts.get(name)]
    left_out = {why: n for why, n in counts.get("left_out", {}).items() if n}
    if left_out:
        texts.append("Left out: " + "; ".join(f"{why}, {n:,}" for why, n in left_out.items()) + ".")
    return texts


_METRICS = {
    AUROC: "AUROC",
    AUPRC: "AUPRC",
    AUROC_BY_CHROMOSOME: "AUROC by chromosome",
    AUPRC_BY_CHROMOSOME: "AUPRC by chromosome",
    PAIRWISE: "pairwise accuracy",
    PAIRWISE_BY_CONSEQUENCE: "pairwise accuracy, mean over consequences",
    AUROC_WITHIN_GROUPS: "AUROC within match groups",
    AUPRC_BY_CONSEQUENCE: "AUPRC, mean over consequences",
    AUROC_WITHIN_STRATA: "AUROC within strata",
    AUROC_EXPLAINED: "share of AUROC that the strata explain",
    SPEARMAN: "Spearman’s ρ",
    SPEARMAN_BY_GROUP: "Spearman’s ρ, mean over groups",
    PEARSON: "Pearson’s r",
    PEARSON_BY_GROUP: "Pearson’s r, mean over groups",
    ODDS_RATIO: "odds ratio",
}


def _measured_row(row: Mapping[str, Any]) -> MeasuredRow:
    return MeasuredRow(
        group=cut(row["group"] or "", 80),
        metric=_METRICS.get(row["metric"], "–"),
        score=row["score"] or "–",
        value=_with_interval(row["value"], row["low"], row["high"]),
        difference=_with_interval(
            row["difference"], row["difference_low"], row["difference_high"], signed=True
        ),
        alleles=count(row["alleles"]),
        classes=(
            "–" if row["positives"] is None else f"{row['positives']:,} / {row['negatives']:,}"
        ),
        missing=count(row["missing"]),
        p_value="–" if row["p_value"] is None else f"{row['p_value']:.2g}",
        note=row["note"] or "",
    )


def _with_interval(
    value: float | None, low: float | None, high: float | None, *, signed: bool = False
) -> str:
    """Return 0.812 (0.790 to 0.834), with a sign where `signed`."""
    if value is None:
        return "–"

    def number(x: float) -> str:
        sign = "+" if signed and x > 0 else ""
        return sign + decimals(x, 3 if abs(x) < 100 else 0)

    if low is None or high is None:
        return number(value)
    return f"{number(value)} ({number(low)} to {number(high)})"

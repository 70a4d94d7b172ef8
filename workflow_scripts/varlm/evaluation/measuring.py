"""Tasks and scores → the rows of the table `evaluation`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.evaluation import features, metrics, mutation_context
from varlm.evaluation.calibrated import calibrated_rows, split_calibrated
from varlm.evaluation.compared import Comparison, Score, comparison
from varlm.evaluation.fitted import strata_with_fits, with_fits
from varlm.evaluation.match_groups import group_rows
from varlm.evaluation.rarity import frequency_rows
from varlm.evaluation.rows import (
    AUPRC,
    AUPRC_BY_CHROMOSOME,
    AUROC,
    AUROC_BY_CHROMOSOME,
    BOTH,
    EVERYTHING,
    Row,
    Settings,
    class_counts,
    correlation_rows,
    dropped_rows,
    grouped_correlation_rows,
    score_rows,
    too_few,
)
from varlm.evaluation.strata import TaskStrata
from varlm.evaluation.strata_rows import strata_rows
from varlm.evaluation.tasks import FREQUENCY, LABELS, QUANTITATIVE, Task
from varlm.tables.schemas import EVALUATION

Flags = NDArray[np.bool_]


def measure(
    tasks: Sequence[Task],
    table: pl.DataFrame,
    scores: Sequence[Score],
    settings: Settings,
    known: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Return the rows of `schemas.EVALUATION`, without the cohort, in the order of the tasks.

    Parameters
    ----------
    tasks : sequence of Task
        On the rows of `table`.
    table : polars.DataFrame
        `chrom`, `consequence` and the scores' columns.
    scores : sequence of Score
        The first is what the others' differences are from.
    settings : Settings
    known : polars.DataFrame, optional
        From `features.features`, of the same rows: for the baseline among the scores, and strata.

    Notes
    -----
    All scores of a task are on the same alleles. A class that is too small gives a row that says
    so, without a value.
    """
    rows = [
        {"task": task.name, "kind": task.kind, **row}
        for task in tasks
        for row in _of_task(task, table, scores, settings, known)
    ]
    schema = {name: kind for name, kind in EVALUATION.schema.items() if name != "cohort"}
    complete = [{name: row.get(name) for name in schema} for row in rows]
    return pl.DataFrame(complete, schema, orient="row").with_columns(
        pl.col(pl.Float64).round_sig_figs(6)
    )


def _of_task(
    task: Task,
    table: pl.DataFrame,
    scores: Sequence[Score],
    settings: Settings,
    known: pl.DataFrame | None,
) -> Iterator[Row]:
    if task.kind == FREQUENCY and task.spectrum is None:
        yield from frequency_rows(task, table, scores, settings)
        return
    scores, unoriented = _comparable(task, scores)
    yield from unoriented
    known = None if known is None else _looked_at(task, known)
    members, truth = _truth(task)
    if known is not None and mutation_context.SCORE in scores:  # another for each task
        table = mutation_context.with_column(table, known, members, truth)
    turned = None if task.spectrum is None else task.spectrum.turned
    shared = split_calibrated(task, scores)[0]
    fits = with_fits(table, shared, members, truth, turned, known)
    yield from fits.rows
    alike = _strata(task, settings, known)
    strata = strata_with_fits(alike, table, fits.scores, members, truth, turned, known)
    yield from _rows(task, fits.table, fits.scores, settings, strata)
    if task.groups is not None and task.positive is not None:
        within = with_fits(table, shared, members, truth, turned, known, task.groups.codes)
        yield from ({**row, "group": task.groups.word} for row in within.rows)
        yield from group_rows(task, within.table, within.scores, settings)
    yield from calibrated_rows(task, table, scores, settings, alike, known)


def _comparable(task: Task, scores: Sequence[Score]) -> tuple[Sequence[Score], list[Row]]:
    """Return the scores that can be had of a task, and rows that say why others cannot.

    Where it is not known which end of a number is harmful, the baseline rises with the number, and
    its mean rank with a score that rises with harm may be that of two opposites.
    """
    if task.kind != QUANTITATIVE or task.harmful is not None:
        return scores, []
    baseline = mutation_context.SCORE.name
    mixed = [s.name for s in scores if baseline in s.parts and not s.fitted]
    note = (
        f"left out: {baseline} rises with the number, other scores with harm; say which end of the "
        f"number is harmful: evaluate.labels.{task.name}.harmful: high or low"
    )
    rows: list[Row] = [{"group": EVERYTHING, "score": name, "note": note} for name in mixed]
    return [score for score in scores if score.name not in mixed], rows


def _strata(task: Task, settings: Settings, known: pl.DataFrame | None) -> TaskStrata | None:
    """Return the strata of a task of two classes, if strata are wanted."""
    if known is None or settings.strata is None or task.positive is None:
        return None
    return settings.strata.of(task, known)


def _looked_at(task: Task, known: pl.DataFrame) -> pl.DataFrame:
    """Return features; of frequencies, of the mutation to the allele that is looked at."""
    return features.turned(known, task.spectrum.turned) if task.spectrum is not None else known


def _truth(task: Task) -> tuple[Flags, tuple[Flags, Flags] | NDArray[np.float64]]:
    """Return the alleles of a task, and its classes or its number."""
    if task.positive is None or task.negative is None:
        assert task.harm is not None
        return ~np.isnan(task.harm), task.harm
    either = task.positive | task.negative
    members = either if task.spectrum is None else ~np.isnan(task.spectrum.frequency)
    return members, (task.positive, task.negative)


def _rows(
    task: Task,
    table: pl.DataFrame,
    scores: Sequence[Score],
    settings: Settings,
    strata: TaskStrata | None,
) -> Iterator[Row]:
    if task.kind == FREQUENCY:
        yield from frequency_rows(task, table, scores, settings, strata)
        return
    if task.numbers is not None:
        compared = comparison(table, scores, ~np.isnan(task.numbers))
        yield from dropped_rows(compared)
        numbers = task.numbers[compared.rows]
        for group, members in _groups(compared, table):
            if task.groups is None:
                yield from correlation_rows(group, compared, members, numbers, settings, BOTH)
            else:  # never pooled
                elements = task.groups.codes[compared.rows]
                yield from grouped_correlation_rows(
                    group, compared, members, elements, numbers, settings
                )
        return
    assert task.positive is not None
    assert task.negative is not None
    compared = comparison(table, scores, task.positive | task.negative)
    yield from dropped_rows(compared)
    positive = task.positive[compared.rows]
    groups = (
        _groups(compared, table) if task.kind == LABELS else [(EVERYTHING, compared.everything)]
    )
    for group, members in groups:
        yield from _told_apart(group, compared, members, positive, settings)
        if group == EVERYTHING and task.kind == LABELS:
            yield from _by_chromosome(compared, table, positive, settings)
        if group == EVERYTHING:
            yield from strata_rows(group, compared, members, positive, strata, table, settings)


def _groups(compared: Comparison, table: pl.DataFrame) -> list[tuple[str, NDArray[np.bool_]]]:
    """Return all alleles, then those of each consequence, the most frequent first."""
    terms = table["consequence"][compared.rows]
    counted = (
        terms.drop_nulls().value_counts().sort("count", "consequence", descending=[True, False])
    )
    return [
        (EVERYTHING, compared.everything),
        *((term, (terms == term).fill_null(False).to_numpy()) for term in counted["consequence"]),
    ]


def _told_apart(
    group: str,
    compared: Comparison,
    members: NDArray[np.bool_],
    positive: NDArray[np.bool_],
    settings: Settings,
) -> Iterator[Row]:
    """Yield AUROC and average precision of each score."""
    truth = positive[members]
    counts = class_counts(truth)
    if few := too_few(counts):
        yield {"group": group, **counts, "note": few}
        return
    values = compared.values[:, members]
    auroc, auprc = metrics.areas(values, truth, settings.bootstrap, settings.seed)
    by_chance = f"{truth.mean():.3g} by chance"
    for metric, measured, note in ((AUROC, auroc, None), (AUPRC, auprc, by_chance)):
        yield from score_rows(group, metric, measured, compared, {**counts, "note": note})


def _by_chromosome(
    compared: Comparison,
    table: pl.DataFrame,
    positive: NDArray[np.bool_],
    settings: Settings,
) -> Iterator[Row]:
    """Yield the metrics within chromosomes, averaged; nothing where the classes are too few."""
    if too_few(class_counts(positive)):
        return
    codes = table["chrom"][compared.rows].rank("dense").cast(pl.Int64).to_numpy()
    within = metrics.areas_by_chromosome(
        compared.values, positive, codes, settings.bootstrap, settings.seed
    )
    if within is None or within.chromosomes < 2:
        number = within.chromosomes if within else 0
        note = f"not by chromosome: {number} of them with both classes, at least 2 are needed"
        yield {"group": EVERYTHING, **class_counts(positive), "note": note}
        return
    note = (
        f"mean over {within.chromosomes} chromosomes with both classes, weighted by their "
        f"{within.alleles} alleles"
    )
    if within.chromosomes < metrics.FEWEST_CHROMOSOMES:
        note += f"; fewer than {metrics.FEWEST_CHROMOSOMES}: no interval"
    shared = {**class_counts(positive), "note": note}
    yield from score_rows(EVERYTHING, AUROC_BY_CHROMOSOME, within.auroc, compared, shared)
    yield from score_rows(EVERYTHING, AUPRC_BY_CHROMOSOME, within.auprc, compared, shared)

"""Calibrated scores of tasks whose alleles are turned: apart, where no allele is turned.

A score that is calibrated by its mutation's context has no value for the mutation back, which has
another context. Compared with the others it would take all turned alleles from them, so that the
numbers of the raw score changed by its calibration.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from varlm.evaluation.compared import Comparison, Score, comparison
from varlm.evaluation.fitted import strata_with_fits, with_fits
from varlm.evaluation.rarity import NOT_TURNED, Rarity
from varlm.evaluation.rows import EVERYTHING, Row, Settings, dropped_rows, noted
from varlm.evaluation.strata import TaskStrata
from varlm.evaluation.strata_rows import strata_rows
from varlm.evaluation.tasks import Task


def split_calibrated(task: Task, scores: Sequence[Score]) -> tuple[list[Score], list[Score]]:
    """Return the scores that are compared on all alleles of a task, and those that are apart.

    Apart are calibrated scores and combinations with them, where any allele is turned.
    """
    if task.spectrum is None or not task.spectrum.turned.any():
        return list(scores), []
    names = {score.name for score in scores if score.calibrated}
    apart = [score for score in scores if names & {score.name, *score.parts}]
    return [score for score in scores if score not in apart], apart


def calibrated_rows(
    task: Task,
    table: pl.DataFrame,
    scores: Sequence[Score],
    settings: Settings,
    strata: TaskStrata | None,
    known: pl.DataFrame | None,
) -> Iterator[Row]:
    """Yield the rows of the scores that are apart: why, and what they tell among alleles as given.

    Parameters
    ----------
    task : Task
        Of the kind FREQUENCY, on the rows of `table`.
    table : polars.DataFrame
        `chrom`, `pos` and the scores' columns.
    scores : sequence of Score
        All; the first is what differences are from.
    settings : Settings
    strata : TaskStrata, optional
    known : polars.DataFrame, optional
        From `features.features`, of the same rows.
    """
    apart = [score.name for score in split_calibrated(task, scores)[1]]
    if task.spectrum is None or not apart:
        return
    why = (
        f"not compared: {int(task.spectrum.turned.sum())} alleles are turned, whose context is "
        f"another, so that a calibrated score has no value there; see {NOT_TURNED}"
    )
    for group in (EVERYTHING, *([task.groups.word] if task.groups is not None else [])):
        yield from ({"group": group, "score": name, "note": why} for name in apart)
    for row in _not_turned(task, table, scores, apart, settings, strata, known):
        of_scores = [row["score"]] if "score" in row else apart
        for name in of_scores:
            if name in apart:
                yield {**row, "group": NOT_TURNED, "score": name}


def _not_turned(
    task: Task,
    table: pl.DataFrame,
    scores: Sequence[Score],
    apart: Collection[str],
    settings: Settings,
    strata: TaskStrata | None,
    known: pl.DataFrame | None,
) -> Iterator[Row]:
    """Yield rows of the alleles that are not turned and have all scores, also calibrated ones."""
    spectrum = task.spectrum
    assert spectrum is not None
    members = ~np.isnan(spectrum.frequency) & ~spectrum.turned
    alike = [score for score in scores if score.name in apart or not score.parts]
    classes = spectrum.rare, spectrum.common
    fits = with_fits(table, alike, members, classes, None, known)
    yield from fits.rows
    strata = strata_with_fits(strata, table, fits.scores, members, classes, None, known)
    compared = comparison(fits.table, fits.scores, members)
    yield from dropped_rows(compared)
    compared = _without_others(compared, apart)
    rarity = Rarity(spectrum.rare[compared.rows], spectrum.common[compared.rows])
    either = rarity.rare | rarity.common
    where = "on the alleles that all calibrated scores have, too"
    for row in rarity.told_apart(NOT_TURNED, compared, compared.everything, settings):
        yield noted(row, where)
    yield from strata_rows(NOT_TURNED, compared, either, rarity.rare, strata, table, settings)


def _without_others(compared: Comparison, apart: Collection[str]) -> Comparison:
    """Return a comparison of its first score, of those that are apart, and of their parts."""
    parts = {part for score in compared.scores if score.name in apart for part in score.parts}
    names = {*apart, *parts}
    kept = [i for i, score in enumerate(compared.scores) if not i or score.name in names]
    return replace(
        compared, scores=[compared.scores[i] for i in kept], values=compared.values[kept]
    )

"""Rows of what scores tell apart within strata, and of what the strata explain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.evaluation.compared import Comparison, weighed
from varlm.evaluation.metrics import FEWEST_CHROMOSOMES
from varlm.evaluation.rows import (
    AUROC_EXPLAINED,
    AUROC_WITHIN_STRATA,
    Row,
    Settings,
    class_counts,
    score_rows,
    too_few,
)
from varlm.evaluation.strata import TaskStrata
from varlm.evaluation.within_strata import LEAST_AUROC, WithinStrata, usable, within_strata

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Codes = NDArray[np.int64]


def strata_rows(
    group: str,
    compared: Comparison,
    members: Flags,
    positive: Flags,
    strata: TaskStrata | None,
    table: pl.DataFrame,
    settings: Settings,
) -> Iterator[Row]:
    """Yield AUROC within strata and what they explain, of each score; nothing without strata.

    Parameters
    ----------
    members, positive : numpy.ndarray
        Which of the comparison's alleles are of a class, and which of the first; shape (alleles,).
    strata : TaskStrata, optional
    table : polars.DataFrame
        With the column `chrom`.
    """
    if strata is None:
        return
    if not strata.words:
        note = "not within strata: they are of the consequence alone, which is what is asked for"
        yield {"group": group, "note": note}
        return
    truth = positive[members]
    alleles = (truth, *_places(compared.rows[members], strata, table))
    counts = class_counts(truth[usable(*alleles)[0]])
    compared, values = _refitted(compared, members, strata)
    if few := too_few(counts):
        yield {"group": group, **counts, "note": f"not within strata ({strata.words}): {few}"}
        return
    for name, why in strata.unfit.items():
        yield {"group": group, "score": name, "note": f"within strata {why}"}
    measured = within_strata(values, *alleles, settings.bootstrap, settings.seed)
    assert measured is not None
    shared = {**counts, "note": _note(measured, strata, truth.size)}
    yield from score_rows(group, AUROC_WITHIN_STRATA, measured.within, compared, shared)
    explained = score_rows(group, AUROC_EXPLAINED, measured.explained, compared, counts)
    for row, raw in zip(explained, measured.raw.values.tolist(), strict=True):
        yield {**row, "note": _raw_note(raw)}


def within_alone(
    compared: Comparison,
    members: Flags,
    positive: Flags,
    strata: TaskStrata | None,
    table: pl.DataFrame,
) -> Floats | None:
    """Return the AUROC within strata, shape (scores,); None without strata that have both classes.

    NaN of a score that could not be fitted within them.

    Parameters
    ----------
    members, positive, strata, table
        As in `strata_rows`.
    """
    if strata is None or not strata.words:
        return None
    fitted, values = _refitted(compared, members, strata)
    places = _places(compared.rows[members], strata, table)
    measured = within_strata(values, positive[members], *places)
    if measured is None:
        return None
    kept = {score.name for score in fitted.scores}
    reached = np.full(len(compared.scores), np.nan)
    reached[[score.name in kept for score in compared.scores]] = measured.within.values
    return reached


def _refitted(
    compared: Comparison, members: Flags, strata: TaskStrata
) -> tuple[Comparison, Floats]:
    """Return a comparison without scores that could not be fitted within strata, and its values.

    Those are of the members, shape (scores, members), of fitted scores by the weights within strata
    in place of the task's.
    """
    kept = [score for score in compared.scores if score.name not in strata.unfit]
    by_name = dict(zip((score.name for score in compared.scores), compared.values, strict=True))
    values = {score.name: by_name[score.name][members] for score in kept}
    if strata.weights is not None:
        weights = strata.weights[compared.rows[members]]
        for score in kept:
            if score.fitted:
                parts = np.stack([values[part] for part in score.parts])
                values[score.name] = weighed(score, parts, weights)
    return replace(compared, scores=kept), np.array([values[score.name] for score in kept])


def _places(rows: Codes, strata: TaskStrata, table: pl.DataFrame) -> tuple[Codes, Codes]:
    """Return numbers of the strata and the chromosomes of some rows."""
    chromosome = table["chrom"][rows].rank("dense").cast(pl.Int64).to_numpy() - 1
    return strata.codes[rows], chromosome


def _note(measured: WithinStrata, strata: TaskStrata, alleles: int) -> str:
    one = measured.chromosomes == 1
    where = "one chromosome" if one else f"{measured.chromosomes} chromosomes"
    drawn = "chromosomes" if measured.chromosomes >= FEWEST_CHROMOSOMES else "alleles"
    return (
        f"{int(measured.used.sum())} of {alleles} alleles, {measured.pairs} pairs in "
        f"{measured.strata} strata ({strata.words}) of {where}"
        f"{'' if one else ', each of which weighs the same'}; {drawn} resampled"
    )


def _raw_note(raw: float) -> str:
    if raw > LEAST_AUROC:
        return f"of the AUROC without strata, {raw:.3f} on the same alleles"
    return (
        f"nothing to explain: the AUROC without strata is {raw:.3f} on the same alleles, "
        f"{LEAST_AUROC} or less"
    )

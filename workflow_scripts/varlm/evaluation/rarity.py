"""How well scores tell rare from common alleles: AUROC, odds ratios in the tails, correlation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.evaluation import metrics
from varlm.evaluation.compared import Comparison, Score, comparison, shuffles, turns
from varlm.evaluation.rows import (
    AUROC,
    AUROC_WITHIN_STRATA,
    EVERYTHING,
    ODDS_RATIO,
    SPEARMAN,
    Row,
    Settings,
    class_counts,
    correlation_rows,
    dropped_rows,
    noted,
    score_rows,
    too_few,
    with_chance,
)
from varlm.evaluation.spectrum import Spectrum
from varlm.evaluation.strata import TaskStrata
from varlm.evaluation.strata_rows import strata_rows, within_alone
from varlm.evaluation.tasks import Task

NOT_TURNED = "not turned"  # the alternate allele is the minor or derived one
FEWEST_IN_TAIL = 10
_MUCH_WIDER = 2  # times the share that was asked for: ties, to be note of


def frequency_rows(
    task: Task,
    table: pl.DataFrame,
    scores: Sequence[Score],
    settings: Settings,
    strata: TaskStrata | None = None,
) -> Iterator[Row]:
    """Yield AUROC of rare against common, odds ratios at tails, and the correlation.

    Parameters
    ----------
    task : Task
        Of the kind FREQUENCY, on the rows of `table`.
    table : polars.DataFrame
        The scores' columns.
    scores : sequence of Score
        The first is what the others' differences are from.
    settings : Settings
    strata : TaskStrata, optional
        Of the mutation to the allele that is looked at.
    """
    if task.spectrum is None:
        yield {"group": EVERYTHING, "alleles": 0, "note": task.notes[0].rstrip(".")}
        return
    spectrum = task.spectrum
    compared = comparison(table, scores, ~np.isnan(spectrum.frequency), spectrum.turned)
    yield from dropped_rows(compared)
    classes = Rarity(spectrum.rare[compared.rows], spectrum.common[compared.rows])
    frequency = spectrum.frequency[compared.rows]
    chance = _by_chance(compared, table, spectrum, classes, settings, strata)
    if few := too_few(classes.counts, "rare", "common"):
        yield {"group": EVERYTHING, **classes.counts, "note": few}
    else:
        turned = spectrum.turned[compared.rows]
        for row in classes.told_apart(EVERYTHING, compared, compared.everything, settings):
            yield _with_unturned(_with_chance(row, chance), compared)
        either = classes.rare | classes.common
        for row in strata_rows(EVERYTHING, compared, either, classes.rare, strata, table, settings):
            yield _with_chance(row, chance)
        if turned.any():
            yield from classes.told_apart(NOT_TURNED, compared, ~turned, settings)
            yield from strata_rows(
                NOT_TURNED, compared, either & ~turned, classes.rare, strata, table, settings
            )
        for share in settings.quantiles:
            for row in _odds_ratios(share, compared, classes):
                yield _with_chance(row, chance)
    for row in correlation_rows(EVERYTHING, compared, compared.everything, frequency, settings):
        yield _with_unturned(_with_chance(row, chance), compared)


@dataclass(frozen=True)
class Rarity:
    """Which alleles of a comparison are rare and which common, shape (alleles,)."""

    rare: NDArray[np.bool_]
    common: NDArray[np.bool_]

    @property
    def counts(self) -> Row:
        """How many are of either class."""
        return class_counts(self.rare[self.rare | self.common])

    def told_apart(
        self, group: str, compared: Comparison, members: NDArray[np.bool_], settings: Settings
    ) -> Iterator[Row]:
        """Yield the AUROC of each score, rare against common."""
        either = members & (self.rare | self.common)
        truth = self.rare[either]
        counts = class_counts(truth)
        if few := too_few(counts, "rare", "common"):
            yield {"group": group, **counts, "note": few}
            return
        auroc, _ = metrics.areas(
            compared.values[:, either], truth, settings.bootstrap, settings.seed
        )
        shared = {**counts, "note": "rare against common"}
        yield from score_rows(group, AUROC, auroc, compared, shared)

    def split(self, tail: NDArray[np.bool_]) -> tuple[int, int, int, int]:
        """Return rare and common alleles inside a set, then those outside it."""
        return (
            int((tail & self.rare).sum()),
            int((tail & self.common).sum()),
            int((~tail & self.rare).sum()),
            int((~tail & self.common).sum()),
        )


def _tail(share: float) -> str:
    return f"top {100 * share:g} %"


def _by_chance(
    compared: Comparison,
    table: pl.DataFrame,
    spectrum: Spectrum,
    classes: Rarity,
    settings: Settings,
    strata: TaskStrata | None,
) -> dict[tuple[str, str, str], float]:
    """Return (group, metric, score) → what the scores reach when they are shuffled.

    The mean over shuffles; of scores that turn with the alleles only, and where any is turned.
    """
    frequency = spectrum.frequency[compared.rows]
    either = classes.rare | classes.common
    enough = not too_few(classes.counts)
    sums: dict[tuple[str, str, str], list[float]] = {}
    for values in shuffles(table, compared, spectrum.turned, settings.seed):
        reached = {(EVERYTHING, SPEARMAN): metrics.spearman(values, frequency).values}
        if enough:
            auroc, _ = metrics.areas(values[:, either], classes.rare[either])
            reached[EVERYTHING, AUROC] = auroc.values
            shuffled = replace(compared, values=values)
            within = within_alone(shuffled, either, classes.rare, strata, table)
            if within is not None:
                reached[EVERYTHING, AUROC_WITHIN_STRATA] = within
            for share in settings.quantiles:
                cells = [classes.split(metrics.highest(value, share)) for value in values]
                logs = [metrics.log_odds_ratio(*counts) for counts in cells]
                reached[_tail(share), ODDS_RATIO] = np.array(logs)
        for (group, metric), numbers in reached.items():
            for score, turning, number in zip(
                compared.scores, turns(compared), numbers, strict=True
            ):
                if turning:
                    sums.setdefault((group, metric, score.name), []).append(float(number))
    means = {key: float(np.mean(numbers)) for key, numbers in sums.items()}
    return {key: np.exp(mean) if key[1] == ODDS_RATIO else mean for key, mean in means.items()}


def _with_chance(row: Row, chance: dict[tuple[str, str, str], float]) -> Row:
    """Return the row, its note saying what shuffled scores reach."""
    key = (row["group"], row.get("metric") or "", row.get("score") or "")
    return with_chance(row, chance.get(key))


def _with_unturned(row: Row, compared: Comparison) -> Row:
    """Return the row, its note saying how many alleles its score cannot be turned for."""
    count = compared.unturned.get(row.get("score") or "", 0)
    if not count:
        return row
    return noted(row, f"{count} alleles left out: seen from REF, such a score is another")


def _odds_ratios(share: float, compared: Comparison, classes: Rarity) -> Iterator[Row]:
    """Yield the odds ratio of each score at its highest `share` of all alleles of the task."""
    for score, values in zip(compared.scores, compared.values, strict=True):
        tail = metrics.highest(values, share)
        cells = classes.split(tail)
        note = f"{cells[0]} rare and {cells[1]} common of {int(tail.sum())} alleles inside"
        row: Row = {"group": _tail(share), "metric": ODDS_RATIO, "score": score.name}
        row |= {**classes.counts, "missing": compared.missing[score.name]}
        if sum(cells[:2]) < FEWEST_IN_TAIL or not sum(cells[2:]):
            few = f"at least {FEWEST_IN_TAIL} inside and some outside are needed"
            yield {**row, "note": f"too few: {note}; {few}"}
            continue
        odds = metrics.odds_ratio(*cells)
        if odds.corrected:
            note += "; an empty cell: 0.5 added to each"
        if tail.mean() > _MUCH_WIDER * share:
            note += f"; {tail.mean():.1%} of all: many share the value at the threshold"
        yield {
            **row,
            "value": odds.value,
            "low": odds.interval.low,
            "high": odds.interval.high,
            "p_value": odds.p_value,
            "note": note,
        }

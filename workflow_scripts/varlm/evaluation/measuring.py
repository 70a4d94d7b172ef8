"""Tasks and scores → the rows of the table `evaluation`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.evaluation import metrics
from varlm.evaluation.compared import Comparison, Score, comparison, shuffled, turns
from varlm.evaluation.resampling import Interval, Measured
from varlm.evaluation.spectrum import Spectrum
from varlm.evaluation.tasks import FREQUENCY, LABELS, Task
from varlm.tables.schemas import EVALUATION

Row = dict[str, Any]

EVERYTHING = "all"
NOT_TURNED = "not turned"  # the alternate allele is the minor or derived one
_SHUFFLES = 10
FEWEST = 10  # alleles of each class, or of a correlation: fewer say nothing
FEWEST_IN_TAIL = 10
_PERFECT = 1e-30  # 1 − ρ² at least, so that a perfect correlation has a p-value
_MUCH_WIDER = 2  # times the share that was asked for: ties, to be told of

AUROC, AUPRC, SPEARMAN, ODDS_RATIO = "auroc", "auprc", "spearman", "odds_ratio"
AUROC_BY_CHROMOSOME, AUPRC_BY_CHROMOSOME = "auroc_by_chromosome", "auprc_by_chromosome"


@dataclass(frozen=True)
class Settings:
    """How tasks are measured: resamples, their seed, and the tails for odds ratios."""

    bootstrap: int = 1000
    seed: int = 0
    quantiles: Sequence[float] = (0.001, 0.01, 0.05, 0.1)


def measure(
    tasks: Sequence[Task], table: pl.DataFrame, scores: Sequence[Score], settings: Settings
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

    Notes
    -----
    All scores of a task are on the same alleles. A class that is too small gives a row that says
    so, without a value.
    """
    rows = [
        {"task": task.name, "kind": task.kind, **row}
        for task in tasks
        for row in _rows(task, table, scores, settings)
    ]
    schema = {name: kind for name, kind in EVALUATION.schema.items() if name != "cohort"}
    made = pl.DataFrame(
        [{name: row.get(name) for name in schema} for row in rows], schema, orient="row"
    )
    return made.with_columns(pl.col(pl.Float64).round_sig_figs(6))


def _rows(
    task: Task, table: pl.DataFrame, scores: Sequence[Score], settings: Settings
) -> Iterator[Row]:
    if task.kind == FREQUENCY:
        yield from _of_frequency(task, table, scores, settings)
        return
    if task.numbers is not None:
        found = comparison(table, scores, ~np.isnan(task.numbers))
        yield from _dropped(found)
        for group, here in _groups(found, table):
            yield from _correlated(group, found, here, task.numbers[found.rows], settings)
        return
    assert task.positive is not None
    assert task.negative is not None
    found = comparison(table, scores, task.positive | task.negative)
    yield from _dropped(found)
    positive = task.positive[found.rows]
    groups = _groups(found, table) if task.kind == LABELS else [(EVERYTHING, _all(found))]
    for group, here in groups:
        yield from _told_apart(group, found, here, positive, settings)
        if group == EVERYTHING and task.kind == LABELS:
            yield from _by_chromosome(found, table, positive, settings)


def _all(found: Comparison) -> NDArray[np.bool_]:
    return np.ones(found.rows.size, bool)


def _groups(found: Comparison, table: pl.DataFrame) -> list[tuple[str, NDArray[np.bool_]]]:
    """Return all alleles, then those of each consequence, the most frequent first."""
    terms = table["consequence"][found.rows]
    counted = (
        terms.drop_nulls().value_counts().sort("count", "consequence", descending=[True, False])
    )
    return [
        (EVERYTHING, _all(found)),
        *((term, (terms == term).fill_null(False).to_numpy()) for term in counted["consequence"]),
    ]


def _dropped(found: Comparison) -> Iterator[Row]:
    for name in found.dropped:
        note = "not compared: no value on any allele of the task"
        yield {"group": EVERYTHING, "score": name, "note": note}


def _told_apart(
    group: str,
    found: Comparison,
    here: NDArray[np.bool_],
    positive: NDArray[np.bool_],
    settings: Settings,
) -> Iterator[Row]:
    """Yield AUROC and average precision of each score."""
    truth = positive[here]
    counts = _counts(truth)
    if few := _too_few(counts):
        yield {"group": group, **counts, "note": few}
        return
    values = found.values[:, here]
    auroc, auprc = metrics.areas(values, truth, settings.bootstrap, settings.seed)
    by_chance = f"{truth.mean():.3g} by chance"
    for metric, measured, note in ((AUROC, auroc, None), (AUPRC, auprc, by_chance)):
        yield from _scored(group, metric, measured, found, {**counts, "note": note})


def _by_chromosome(
    found: Comparison,
    table: pl.DataFrame,
    positive: NDArray[np.bool_],
    settings: Settings,
) -> Iterator[Row]:
    """Yield the metrics within chromosomes, averaged; nothing where the classes are too few."""
    if _too_few(_counts(positive)):
        return
    codes = table["chrom"][found.rows].rank("dense").cast(pl.Int64).to_numpy()
    within = metrics.areas_by_chromosome(
        found.values, positive, codes, settings.bootstrap, settings.seed
    )
    if within is None or within.chromosomes < 2:
        number = within.chromosomes if within else 0
        note = f"not by chromosome: {number} of them with both classes, at least 2 are needed"
        yield {"group": EVERYTHING, **_counts(positive), "note": note}
        return
    note = (
        f"mean over {within.chromosomes} chromosomes with both classes, weighted by their "
        f"{within.alleles} alleles"
    )
    if within.chromosomes < metrics.FEWEST_CHROMOSOMES:
        note += f"; fewer than {metrics.FEWEST_CHROMOSOMES}: no interval"
    given = {**_counts(positive), "note": note}
    yield from _scored(EVERYTHING, AUROC_BY_CHROMOSOME, within.auroc, found, given)
    yield from _scored(EVERYTHING, AUPRC_BY_CHROMOSOME, within.auprc, found, given)


def _correlated(
    group: str,
    found: Comparison,
    here: NDArray[np.bool_],
    numbers: NDArray[np.float64],
    settings: Settings,
) -> Iterator[Row]:
    """Yield Spearman's correlation of each score with a number, shape (alleles,)."""
    total = int(here.sum())
    if total < FEWEST:
        note = f"too few: {total} alleles; at least {FEWEST} are needed"
        yield {"group": group, "alleles": total, "note": note}
        return
    from scipy.stats import t as student  # type: ignore[import-untyped]

    measured = metrics.spearman(
        found.values[:, here], numbers[here], settings.bootstrap, settings.seed
    )
    for row, value in zip(
        _scored(group, SPEARMAN, measured, found, {"alleles": total}),
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


def _of_frequency(
    task: Task, table: pl.DataFrame, scores: Sequence[Score], settings: Settings
) -> Iterator[Row]:
    """Yield AUROC of rare against common, odds ratios at tails, and the correlation."""
    if task.spectrum is None:
        yield {"group": EVERYTHING, "alleles": 0, "note": task.notes[0].rstrip(".")}
        return
    seen = task.spectrum
    found = comparison(table, scores, ~np.isnan(seen.frequency), seen.turned)
    yield from _dropped(found)
    classes = _Rarity(seen.rare[found.rows], seen.common[found.rows])
    frequency = seen.frequency[found.rows]
    chance = _by_chance(found, table, seen, classes, settings)
    if few := _too_few(classes.counts, "rare", "common"):
        yield {"group": EVERYTHING, **classes.counts, "note": few}
    else:
        for row in classes.told_apart(EVERYTHING, found, _all(found), settings):
            yield _with_chance(row, chance)
        turned = seen.turned[found.rows]
        if turned.any():
            yield from classes.told_apart(NOT_TURNED, found, ~turned, settings)
        for share in settings.quantiles:
            for row in _odds_ratios(share, found, classes):
                yield _with_chance(row, chance)
    for row in _correlated(EVERYTHING, found, _all(found), frequency, settings):
        yield _with_chance(row, chance)


@dataclass(frozen=True)
class _Rarity:
    """Which alleles of a comparison are rare and which common, shape (alleles,)."""

    rare: NDArray[np.bool_]
    common: NDArray[np.bool_]

    @property
    def counts(self) -> Row:
        return _counts(self.rare[self.rare | self.common])

    def told_apart(
        self, group: str, found: Comparison, here: NDArray[np.bool_], settings: Settings
    ) -> Iterator[Row]:
        """Yield the AUROC of each score, rare against common."""
        either = here & (self.rare | self.common)
        truth = self.rare[either]
        counts = _counts(truth)
        if few := _too_few(counts, "rare", "common"):
            yield {"group": group, **counts, "note": few}
            return
        auroc, _ = metrics.areas(found.values[:, either], truth, settings.bootstrap, settings.seed)
        given = {**counts, "note": "rare against common"}
        yield from _scored(group, AUROC, auroc, found, given)

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
    found: Comparison, table: pl.DataFrame, seen: Spectrum, classes: _Rarity, settings: Settings
) -> dict[tuple[str, str, str], float]:
    """Return (group, metric, score) → what the scores reach when they are shuffled.

    The mean over `_SHUFFLES`; of scores that turn with the alleles only, and where any is turned.
    """
    turned = seen.turned
    if not turned[found.rows].any():
        return {}
    rng = np.random.default_rng(settings.seed)
    frequency = seen.frequency[found.rows]
    either = classes.rare | classes.common
    enough = not _too_few(classes.counts)
    sums: dict[tuple[str, str, str], list[float]] = {}
    for _ in range(_SHUFFLES):
        values = shuffled(table, found, turned, rng)
        reached = {(EVERYTHING, SPEARMAN): metrics.spearman(values, frequency).values}
        if enough:
            auroc, _ = metrics.areas(values[:, either], classes.rare[either])
            reached[EVERYTHING, AUROC] = auroc.values
            for share in settings.quantiles:
                cells = [classes.split(metrics.highest(value, share)) for value in values]
                logs = [metrics.log_odds_ratio(*each) for each in cells]
                reached[_tail(share), ODDS_RATIO] = np.array(logs)
        for (group, metric), numbers in reached.items():
            for score, turning, number in zip(found.scores, turns(found), numbers, strict=True):
                if turning:
                    sums.setdefault((group, metric, score.name), []).append(float(number))
    means = {key: float(np.mean(numbers)) for key, numbers in sums.items()}
    return {key: np.exp(mean) if key[1] == ODDS_RATIO else mean for key, mean in means.items()}


def _with_chance(row: Row, chance: dict[tuple[str, str, str], float]) -> Row:
    """Return the row, its note saying what shuffled scores reach."""
    reached = chance.get((row["group"], row.get("metric") or "", row.get("score") or ""))
    if reached is None or row.get("value") is None:
        return row
    note = f"{reached:.3g} by chance, the scores shuffled"
    return {**row, "note": "; ".join(filter(None, [row.get("note"), note]))}


def _odds_ratios(share: float, found: Comparison, classes: _Rarity) -> Iterator[Row]:
    """Yield the odds ratio of each score at its highest `share` of all alleles of the task."""
    for score, values in zip(found.scores, found.values, strict=True):
        tail = metrics.highest(values, share)
        cells = classes.split(tail)
        told = f"{cells[0]} rare and {cells[1]} common of {int(tail.sum())} alleles inside"
        row: Row = {"group": _tail(share), "metric": ODDS_RATIO, "score": score.name}
        row |= {**classes.counts, "missing": found.missing[score.name]}
        if sum(cells[:2]) < FEWEST_IN_TAIL or not sum(cells[2:]):
            few = f"at least {FEWEST_IN_TAIL} inside and some outside are needed"
            yield {**row, "note": f"too few: {told}; {few}"}
            continue
        odds = metrics.odds_ratio(*cells)
        if odds.corrected:
            told += "; an empty cell: 0.5 added to each"
        if tail.mean() > _MUCH_WIDER * share:
            told += f"; {tail.mean():.1%} of all: many share the value at the threshold"
        yield {
            **row,
            "value": odds.value,
            "low": odds.interval.low,
            "high": odds.interval.high,
            "p_value": odds.p_value,
            "note": told,
        }


def _counts(positive: NDArray[np.bool_]) -> Row:
    positives = int(positive.sum())
    return {
        "alleles": positive.size,
        "positives": positives,
        "negatives": positive.size - positives,
    }


def _too_few(counts: Row, one: str = "positive", other: str = "negative") -> str:
    """Return why there are too few alleles, or "" where there are enough."""
    if min(counts["positives"], counts["negatives"]) >= FEWEST:
        return ""
    return (
        f"too few: {counts['positives']} {one} and {counts['negatives']} {other} alleles; at least "
        f"{FEWEST} of each are needed"
    )


def _scored(
    group: str, metric: str, measured: Measured, found: Comparison, given: Row
) -> Iterator[Row]:
    """Yield a row for each score: value and interval, and the difference to the first score."""
    for i, score in enumerate(found.scores):
        value, interval = float(measured.values[i]), measured.interval(i)
        row = {"group": group, "metric": metric, "score": score.name, **given}
        row |= {"missing": found.missing[score.name], **_numbers(value, interval)}
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

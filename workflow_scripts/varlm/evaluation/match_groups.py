"""How well scores tell positives from negatives within match groups, whatever differs between them.

Groups hold fixed what a score may follow in place of an effect. Of groups with one positive and
one negative the measure is pairwise accuracy; with more of either it is AUROC and average precision
over the matched alleles, as TraitGym has them (Benegas, Eraslan and Song, bioRxiv 2025,
10.1101/2025.02.11.637758: nine controls a positive), and the share of pairs within groups
(`group_metrics`). Intervals are from resamples of whole groups, that of pairwise accuracy from its
standard error (Wilson's where all pairs are in one order).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from varlm.evaluation import metrics
from varlm.evaluation.compared import Comparison, Score, comparison, shuffles, turns
from varlm.evaluation.group_metrics import (
    Codes,
    Sets,
    by_class,
    ordered_pairs,
    share_interval,
    standard_error,
    within_groups,
)
from varlm.evaluation.groups import Groups
from varlm.evaluation.resampling import Floats, Measured
from varlm.evaluation.rows import (
    AUPRC,
    AUPRC_BY_CONSEQUENCE,
    AUROC,
    AUROC_WITHIN_GROUPS,
    FEWEST,
    PAIRWISE,
    PAIRWISE_BY_CONSEQUENCE,
    Row,
    Settings,
    class_counts,
    dropped_rows,
    joined,
    noted,
    score_rows,
    with_chance,
)
from varlm.evaluation.tasks import CONTRAST, Task

FEWEST_OF_A_CLASS = 30  # groups, for a consequence to count in the mean over consequences


def group_rows(
    task: Task, table: pl.DataFrame, scores: Sequence[Score], settings: Settings
) -> Iterator[Row]:
    """Yield the rows of a task's match groups; none of a task without, or of a number.

    Parameters
    ----------
    task : Task
        On the rows of `table`.
    table : polars.DataFrame
        `consequence` and the scores' columns.
    scores : sequence of Score
        The first is what the others' differences are from.
    settings : Settings

    Notes
    -----
    A group that lacks its positives or its negatives, since a score has no value there, is left
    out whole; rows say how many those are.
    """
    if task.groups is None or task.positive is None:
        return
    word = task.groups.word
    compared = _compared(task, task.groups, table, scores)
    sets = Sets(task.positive[compared.rows], _dense(task.groups.codes[compared.rows]))
    number, lost = sets.pairs.size, len(task.groups.names) - sets.pairs.size
    counts = class_counts(sets.positive)
    without = f"{lost} groups left out: a score has no value there" if lost else ""
    yield from ({**row, "group": word} for row in dropped_rows(compared))
    if number < FEWEST:
        few = f"too few: {number} groups with both classes; at least {FEWEST} are needed"
        yield {"group": word, **counts, "note": joined(few, task.groups.about, without)}
        return
    kind = "pairs" if task.groups.pairs else "groups"
    said = joined(f"{number} {kind}: {task.groups.about}", without)
    consequences = _consequences(task, table, compared, sets)
    metrics_of = _Metrics(sets, task.groups.pairs, consequences)
    chance = _by_chance(task, table, compared, metrics_of, settings.seed)
    measured = metrics_of(compared.values, settings.bootstrap, settings.seed)
    for metric, of_scores in measured.items():
        note = joined(said, metrics_of.note(metric))
        for row in score_rows(word, metric, of_scores, compared, {**counts, "note": note}):
            row = with_chance(row, chance.get((metric, row["score"])))
            yield _with_standard_error(row, number) if metric == PAIRWISE else row
    if consequences is not None and not consequences.names:
        none = f"not by consequence: none has at least {FEWEST_OF_A_CLASS} groups"
        yield {"group": word, **counts, "note": joined(none, consequences.left_out)}


def _compared(
    task: Task, groups: Groups, table: pl.DataFrame, scores: Sequence[Score]
) -> Comparison:
    """Return the scores of the alleles in groups that keep both classes where all have a value."""
    assert task.positive is not None
    turned = None if task.spectrum is None else task.spectrum.turned
    compared = comparison(table, scores, groups.members, turned)
    codes, positive = groups.codes[compared.rows], task.positive[compared.rows]
    size = len(groups.names)
    both = (np.bincount(codes[positive], minlength=size) > 0) & (
        np.bincount(codes[~positive], minlength=size) > 0
    )
    if both.all():
        return compared
    members = np.zeros(table.height, bool)
    members[compared.rows[both[codes]]] = True
    # Combinations rank the alleles that are compared, so they are made anew.
    again = comparison(table, compared.scores, members, turned)
    return replace(
        again, missing=compared.missing, unturned=compared.unturned, dropped=compared.dropped
    )


def _dense(codes: Codes) -> Codes:
    """Return the numbers of groups without those that no allele has."""
    return np.unique(codes, return_inverse=True)[1].astype(np.int64)


@dataclass(frozen=True)
class _Consequences:
    """Consequences whose groups are enough for a mean over them.

    `classes` is the number of each group's consequence in `names`, −1 for none of them, shape
    (groups,); `sizes` how many groups each has, `left_out` in words how many are of none and why.
    """

    classes: Codes
    names: list[str]
    sizes: list[int]
    left_out: str


def _consequences(
    task: Task, table: pl.DataFrame, compared: Comparison, sets: Sets
) -> _Consequences | None:
    """Return the consequences of the positives; None of a contrast, whose positives have one."""
    if task.kind == CONTRAST:
        return None
    terms = table["consequence"][compared.rows].cast(pl.String)
    of_positives = (
        pl.DataFrame({"group": sets.group, "term": terms})
        .filter(pl.Series(sets.positive))
        .group_by("group")
        .agg(pl.col("term").unique())
        .sort("group")["term"]
    )
    differ = of_positives.list.len() > 1
    of_groups = of_positives.list.first().set(differ, None)
    enough = (
        of_groups.drop_nulls()
        .value_counts()
        .filter(pl.col("count") >= FEWEST_OF_A_CLASS)
        .sort("count", "term", descending=[True, False])
    )
    names = enough["term"].to_list()
    numbers = {name: number for number, name in enumerate(names)}
    classes = np.array([numbers.get(term, -1) for term in of_groups], np.int64)
    without = of_groups.null_count() - int(differ.sum())
    counts = {
        "of a consequence with fewer": int((classes < 0).sum()) - of_groups.null_count(),
        "whose positives differ in it": int(differ.sum()),
        "whose positives have none": without,
    }
    left_out = [f"{number} groups {which}" for which, number in counts.items() if number]
    said = f"not in it: {', '.join(left_out)}" if left_out else ""
    return _Consequences(classes, names, enough["count"].to_list(), said)


@dataclass(frozen=True)
class _Metrics:
    """What is measured of match groups; called with scores, of shape (scores, alleles)."""

    sets: Sets
    in_pairs: bool
    consequences: _Consequences | None

    def __call__(self, values: Floats, count: int = 0, seed: int = 0) -> dict[str, Measured]:
        """Return metric → what it is of each score."""
        ordered, pairs = ordered_pairs(values, self.sets), self.sets.pairs
        share = within_groups(ordered, pairs, count, seed)
        classes = self.consequences.classes if self.consequences else np.array([], np.int64)
        any_class = bool((classes >= 0).any())
        if self.in_pairs:
            macro = (
                {PAIRWISE_BY_CONSEQUENCE: by_class(ordered, pairs, classes, count, seed)}
                if any_class
                else {}
            )
            return {PAIRWISE: share, **macro}
        auroc, auprc = metrics.areas(values, self.sets.positive, count, seed, self.sets.group)
        macro = (
            {AUPRC_BY_CONSEQUENCE: self._by_consequence(values, count, seed)} if any_class else {}
        )
        return {AUROC: auroc, AUROC_WITHIN_GROUPS: share, AUPRC: auprc, **macro}

    def _by_consequence(self, values: Floats, count: int, seed: int) -> Measured:
        """Return average precision within each consequence, averaged, each as much."""
        assert self.consequences is not None
        of_alleles = self.consequences.classes[self.sets.group]
        by_number = []
        for number in range(len(self.consequences.names)):
            members = of_alleles == number
            groups = _dense(self.sets.group[members])
            positive = self.sets.positive[members]
            by_number.append(
                metrics.areas(values[:, members], positive, count, seed + number, groups)[1]
            )
        return Measured(
            np.mean([measured.values for measured in by_number], axis=0),
            np.mean([measured.resampled for measured in by_number], axis=0),
        )

    def note(self, metric: str) -> str:
        """Return what is to be known of a metric."""
        if metric == AUPRC:
            return f"{self.sets.positive.mean():.3g} by chance"
        if metric in (PAIRWISE_BY_CONSEQUENCE, AUPRC_BY_CONSEQUENCE):
            assert self.consequences is not None
            shown = [
                f"{name} ({size})"
                for name, size in zip(self.consequences.names, self.consequences.sizes, strict=True)
            ]
            mean = (
                f"mean over consequences of at least {FEWEST_OF_A_CLASS} groups: {', '.join(shown)}"
            )
            return joined(mean, self.consequences.left_out)
        return ""


def _by_chance(
    task: Task, table: pl.DataFrame, compared: Comparison, metrics_of: _Metrics, seed: int
) -> dict[tuple[str, str], float]:
    """Return (metric, score) → what scores that turn reach when shuffled, the mean of a few."""
    turned = None if task.spectrum is None else task.spectrum.turned
    reached = [metrics_of(values) for values in shuffles(table, compared, turned, seed)]
    return {
        (metric, score.name): float(np.mean([measured[metric].values[i] for measured in reached]))
        for metric in (reached[0] if reached else ())
        for i, (score, turning) in enumerate(zip(compared.scores, turns(compared), strict=True))
        if turning
    }


def _with_standard_error(row: Row, pairs: int) -> Row:
    """Return the row of a pairwise accuracy with the interval of its standard error."""
    interval = share_interval(row["value"], pairs)
    error = standard_error(row["value"], pairs)
    said = f"standard error {error:.3g} = √(p(1 − p)/n)"
    if not error:
        said += ", so the interval is Wilson’s"
    return noted({**row, "low": interval.low, "high": interval.high}, said)

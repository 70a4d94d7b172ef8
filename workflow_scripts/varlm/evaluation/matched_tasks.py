"""Match groups for tasks of two classes that have none: which alleles of a table are controls."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.errors import UserError
from varlm.evaluation.features import turned
from varlm.evaluation.group_metrics import Sets, ordered_pairs, within_groups
from varlm.evaluation.groups import Groups, named_values, needed_columns
from varlm.evaluation.matching import match_controls
from varlm.evaluation.tasks import CONTRAST, FREQUENCY, LABELS, Task
from varlm.run.config_keys import CONTEXT_NAMES, NEAR_NAMES

log = logging.getLogger(__name__)

Floats = NDArray[np.float64]

# What a config calls the kinds of task that have two classes.
KINDS = {"labels": LABELS, "contrasts": CONTRAST, "frequencies": FREQUENCY}
# Of `features.features`, which a config may name though they are no columns of the table.
FEATURES = (*CONTEXT_NAMES, *NEAR_NAMES)
_TOLD_APART = "consequence"  # by contrasts
_FREQUENCIES = ("af", "maf")  # which rare and common alleles differ in
_INFO = "info_"  # prefix of columns that regions do not have


@dataclass(frozen=True)
class Matching:
    """The config's `evaluate.match`.

    Attributes
    ----------
    by : tuple of str
        Categories that controls share with their positive.
    near : tuple of str
        Numbers that they are near in.
    controls : int
        Of each positive.
    kinds : tuple of str
        Of the tasks that are matched.
    """

    by: tuple[str, ...]
    near: tuple[str, ...]
    controls: int
    kinds: tuple[str, ...]

    @classmethod
    def parse(cls, settings: Mapping[str, Any] | None) -> Self | None:
        """Return those of a checked config; None where nothing is to be matched."""
        if settings is None:
            return None
        kinds = tuple(KINDS[name] for name in settings["tasks"])
        return cls(tuple(settings["by"]), tuple(settings["near"]), settings["controls"], kinds)

    def columns(self, known: Sequence[str]) -> set[str]:
        """Return the columns of the annotated table that are read for it."""
        named = [name for name in (*self.by, *self.near) if name in known or name not in FEATURES]
        return needed_columns(named, known)

    def check_columns(self, schema: Mapping[str, pl.DataType], cohort: str) -> None:
        """Raise `UserError` unless the annotated table has them, those of `near` as numbers."""
        any_info = any(name.startswith(_INFO) for name in schema)
        for name in sorted(self.columns(list(schema)) - set(schema)):
            if any_info or not name.startswith(_INFO):
                raise UserError(
                    f"evaluate.match: the annotated table of {cohort} has no column {name}; it has "
                    f"{', '.join(schema)}"
                )
        for name in self.near:
            if name in schema and not schema[name].is_numeric():
                raise UserError(
                    f"evaluate.match.near: the column {name} holds {schema[name]}, no numbers; "
                    "name it in by, or leave it out"
                )


def with_controls(
    task: Task,
    table: pl.DataFrame,
    matching: Matching | None,
    seed: int,
    known: pl.DataFrame | None = None,
) -> Task:
    """Return a task with match groups of its alleles, where it has two classes and no groups.

    Contrasts are not matched by the consequence, rare and common alleles not by their frequency.

    Parameters
    ----------
    task : Task
        On the rows of `table`.
    table : polars.DataFrame
        The columns that `matching` reads.
    matching : Matching, optional
    seed : int
        Of the order in which positives take their controls.
    known : polars.DataFrame, optional
        From `features.features`, of the same rows; of rare and common alleles the mutation to the
        allele that is looked at counts.
    """
    if matching is None or task.kind not in matching.kinds or task.groups is not None:
        return task
    if task.kind == FREQUENCY and task.spectrum is None:
        return task  # no allele has a frequency, which its rows say
    assert task.positive is not None
    assert task.negative is not None
    by = [name for name in matching.by if task.kind != CONTRAST or name != _TOLD_APART]
    near = [name for name in matching.near if task.kind != FREQUENCY or name not in _FREQUENCIES]
    either = task.positive | task.negative
    table = _with_features(table, task, known)
    category = _categories(table, by)
    numbers = {name: _numbers(table, name) for name in near}
    empty = [name for name, values in numbers.items() if np.isnan(values[either]).all()]
    used = [name for name in near if name not in empty]
    features = np.array([numbers[name] for name in used]).reshape(len(used), table.height)
    usable = either & (category >= 0) & np.isfinite(features).all(axis=0)
    codes = match_controls(
        task.positive & usable, task.negative & usable, category, features, matching.controls, seed
    )
    number = int(codes.max(initial=-1)) + 1
    counts = {
        "groups": number,
        "without_value": int((either & ~usable).sum()),
        "without_controls": int((task.positive & usable).sum()) - number,
    }
    balance = _balance(task.positive, codes, dict(zip(used, features, strict=True)))
    groups = Groups(
        codes,
        list(map(str, range(number))),
        word=f"matched 1:{matching.controls}",
        pairs=matching.controls == 1,
        about="; ".join([_about(matching.controls, by, used, empty, counts), *_said(balance)]),
        counts=counts,
    )
    log.info("evaluate.match: %s: %d groups: %s", task.name, number, groups.about)
    return replace(
        task, groups=groups, counts={**task.counts, "matched": {**counts, "balance": balance}}
    )


def _balance(
    positive: NDArray[np.bool_], codes: NDArray[np.int64], features: Mapping[str, Floats]
) -> dict[str, float]:
    """Return how well each feature still tells classes apart within groups: 0.5 is not at all.

    The nearest that are left may be far, where most alleles with such a value are positive.
    """
    members = codes >= 0
    if not features or not members.any():
        return {}
    sets = Sets(positive[members], codes[members])
    values = np.array([feature[members] for feature in features.values()])
    shares = within_groups(ordered_pairs(values, sets), sets.pairs).values
    return {name: round(float(share), 4) for name, share in zip(features, shares, strict=True)}


def _said(balance: Mapping[str, float]) -> list[str]:
    if not balance:
        return []
    shares = ", ".join(f"{name} {share:.3g}" for name, share in balance.items())
    return [f"AUROC within groups of what they are near in: {shares}"]


def _with_features(table: pl.DataFrame, task: Task, known: pl.DataFrame | None) -> pl.DataFrame:
    """Return the table with those of `FEATURES` that are no columns of it."""
    if known is None:
        return table
    if task.spectrum is not None:
        known = turned(known, task.spectrum.turned)
    return table.hstack(known.select(name for name in FEATURES if name not in table.columns))


def _categories(table: pl.DataFrame, by: Sequence[str]) -> NDArray[np.int64]:
    """Return the number of each allele's category; −1 where it has no value. Shape (alleles,)."""
    if not by:
        return np.zeros(table.height, np.int64)
    values = pl.DataFrame([named_values(table, name).alias(str(i)) for i, name in enumerate(by)])
    whole = values.select(pl.concat_str(pl.all(), separator="\t")).to_series()
    return (whole.rank("dense").cast(pl.Int64) - 1).fill_null(-1).to_numpy()


def _numbers(table: pl.DataFrame, name: str) -> Floats:
    """Return a number of each allele, NaN without; of the transcription start its distance."""
    if name not in table.columns:
        return np.full(table.height, np.nan)
    values: Floats = table[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
    return np.asarray(np.abs(values)) if name == "tss_distance" else values


def _about(
    controls: int,
    by: Sequence[str],
    near: Sequence[str],
    empty: Sequence[str],
    counts: Mapping[str, int],
) -> str:
    """Return in words how alleles were matched, and which were not."""
    rule = [f"a positive and {controls} control{'s' if controls > 1 else ''}"]
    rule += [f"same {' and '.join(by)}"] if by else []
    rule += [f"nearest in {' and '.join(near)}"] if near else []
    parts = [", ".join(rule)]
    if empty:
        parts.append(f"not by {' and '.join(empty)}: no allele has a value")
    if counts["without_controls"]:
        parts.append(f"{counts['without_controls']} positives left out: too few controls")
    if counts["without_value"]:
        names = " or ".join([*by, *near])
        parts.append(f"{counts['without_value']} alleles left out: no {names}")
    return "; ".join(parts)

"""The scores that are compared: all turned so that higher is more deleterious."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.errors import UserError
from varlm.evaluation.metrics import mean_rank
from varlm.tables.columns import calibrated_columns, kinds_of
from varlm.tables.score_kinds import ScoreKind

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Direction:
    """Which end of a score is deleterious, and what swapping REF and ALT does to it.

    Attributes
    ----------
    sign : int
        What makes high deleterious: 1 or −1.
    swap : str or None
        As `ScoreKind.swap`.
    """

    sign: int
    swap: str | None

    @classmethod
    def of(cls, kind: ScoreKind) -> Self:
        """Return that of a kind of score."""
        return cls(1 if kind.harmful == "high" else -1, kind.swap)


LLR = Direction(-1, "negates")
SHUFFLES = 10  # of which the mean is what scores reach by chance
FITTED = "fitted"  # behind the parts of a combination whose weights are fitted
# What the config says of a column.
DIRECTIONS = {"higher": Direction(1, "same"), "lower": Direction(-1, "same"), "llr": LLR}


@dataclass(frozen=True)
class Score:
    """A score to compare.

    Attributes
    ----------
    name : str
        As in the output: the model, the column, or both parts of a combination with a +; of one
        that is fitted all parts, and FITTED.
    column : str
        Column of the annotated table; "" for a combination.
    direction : Direction
    parts : tuple of str
        Names of the scores that are combined.
    words : str
        How it is made, where its column does not say.
    fitted : bool
        Whether the parts are weighed as the task's truth asks for, in place of ranked.
    calibrated : bool
        Whether it is less what is usual of the mutation's context: of the mutation back, which
        has another, it has no value.
    """

    name: str
    column: str = ""
    direction: Direction = LLR
    parts: tuple[str, ...] = ()
    words: str = ""
    fitted: bool = False
    calibrated: bool = False

    @property
    def weights(self) -> tuple[str, ...]:
        """Columns of what is measured with a constant, and the weight of each part, by allele."""
        number = len(self.parts) + 1 if self.fitted else 0
        return tuple(f"weight {i} of {self.name}" for i in range(number))

    @property
    def about(self) -> str:
        """How it is made, in words."""
        if self.fitted:
            return (
                f"regression of each task’s classes (logistic) or number (linear) on "
                f"{' and '.join(self.parts)}, fitted on the other chromosomes"
            )
        if self.parts:
            return f"mean of the ranks of {' and '.join(self.parts)}"
        if self.words:
            return self.words
        return f"{'−' if self.direction.sign < 0 else ''}{self.column}"


def compared_scores(
    models: Iterable[str] | Mapping[str, ScoreKind],
    columns: Mapping[str, str],
    combine: Sequence[Sequence[str]],
    published: Mapping[str, str] | None = None,
    fit: Sequence[Sequence[str]] = (),
) -> list[Score]:
    """Return the scores of a config: of each model, of tables, named columns, and combinations.

    A model may be meant by its name or by its score's column, `{model}_llr` of log-ratios.

    Parameters
    ----------
    models : mapping, or iterable of str
        Name → kind of its score, or names alone: all masked.
    columns : mapping
        Column → one of `DIRECTIONS`, or none: it is not compared.
    combine : sequence of sequence of str
    published : mapping, optional
        Column of a table of published scores, or of a model's calibrated one → which end is
        harmful, `low` or `high`. What `columns` says of one goes first. Of the two alleles changed
        round they know nothing.
    fit : sequence of sequence of str
        What is combined with weights that are fitted to each task.
    """
    kinds = kinds_of(models)
    own = {f"{model}_{kind.column}": model for model, kind in kinds.items()}
    scores = [
        Score(model, f"{model}_{kind.column}", Direction.of(kind)) for model, kind in kinds.items()
    ]
    scores += [
        Score(
            name,
            name,
            Direction(1 if end == "high" else -1, None),
            calibrated=name in calibrated_columns(kinds),
        )
        for name, end in (published or {}).items()
        if name not in columns
    ]
    scores += [
        Score(name, name, DIRECTIONS[way])
        for name, way in columns.items()
        if name not in own and way in DIRECTIONS
    ]
    for pair in combine:
        parts = tuple(own.get(name, name) for name in pair)
        scores.append(Score("+".join(parts), parts=parts))
    for names in fit:
        parts = tuple(own.get(name, name) for name in names)
        scores.append(Score(f"{'+'.join(parts)} {FITTED}", parts=parts, fitted=True))
    return scores


def check_columns(scores: Sequence[Score], schema: Mapping[str, pl.DataType]) -> None:
    """Raise `UserError` unless each score's column is there and holds numbers."""
    for score in scores:
        if score.parts:
            continue
        where = f"evaluate.scores.{score.name}"
        if score.column not in schema:
            raise UserError(
                f"{where}: the annotated table has no such column; it has {', '.join(schema)}"
            )
        if not schema[score.column].is_numeric():
            raise UserError(
                f"{where}: the column {score.column} holds {schema[score.column]}, no numbers; "
                "name a column of numbers"
            )


@dataclass(frozen=True)
class Comparison:
    """Scores on the alleles that all of them have.

    Attributes
    ----------
    scores : list of Score
        Those compared; combinations last.
    rows : numpy.ndarray
        Indices of the alleles in the table, int64, shape (alleles,).
    values : numpy.ndarray
        Higher is more deleterious, shape (scores, alleles).
    missing : dict
        Score → alleles of the task for which it has no value.
    unturned : dict
        Score → those of them for which it has none because they are looked at from REF.
    dropped : list of str
        Scores without a value on any allele of the task, and combinations with them.
    """

    scores: list[Score]
    rows: NDArray[np.int64]
    values: Floats
    missing: dict[str, int]
    unturned: dict[str, int]
    dropped: list[str]

    @property
    def everything(self) -> Flags:
        """All alleles, as a group of them, shape (alleles,)."""
        return np.ones(self.rows.size, bool)


def comparison(
    table: pl.DataFrame, scores: Sequence[Score], members: Flags, turned: Flags | None = None
) -> Comparison:
    """Return the scores of some alleles, on those that all scores have.

    Parameters
    ----------
    table : polars.DataFrame
        With the scores' columns; of fitted ones those of their weights (`fitted.with_fits`).
    members : numpy.ndarray
        bool, shape (rows of the table,).
    turned : numpy.ndarray, optional
        Where the reference's allele is the one looked at: log-likelihood ratios change their sign,
        scores of the site do not, and what is neither has no value there.
    """
    rows = np.flatnonzero(members)
    alleles = table.select({name for score in scores for name in _columns(score)})[rows]
    by_name: dict[str, Floats] = {}
    missing: dict[str, int] = {}
    unturned: dict[str, int] = {}
    for score in scores:
        if score.parts:
            continue
        values = alleles[score.column].cast(pl.Float64).fill_null(np.nan).to_numpy()
        values = values * score.direction.sign
        known = np.isfinite(values)
        if turned is not None:
            values = _turned(values, turned[rows], score.direction)
        by_name[score.name] = values
        missing[score.name] = int((~np.isfinite(values)).sum())
        unturned[score.name] = missing[score.name] - int((~known).sum())
    kept = {name: v for name, v in by_name.items() if missing[name] < rows.size or not rows.size}
    complete = np.ones(rows.size, bool)
    for values in kept.values():
        complete &= np.isfinite(values)
    fits = {score.name: alleles[score.weights[0]].is_finite() for score in scores if score.fitted}
    for has_weights in fits.values():
        complete &= has_weights.to_numpy() if has_weights.any() else True
    complete_values = {name: values[complete] for name, values in kept.items()}
    for score in scores:
        if score.fitted and not fits[score.name].any():
            continue
        if score.parts and all(part in complete_values for part in score.parts):
            parts = np.stack([complete_values[part] for part in score.parts])
            complete_values[score.name] = _combined(score, parts, alleles.filter(complete))
            missing[score.name] = max(missing[part] for part in score.parts)
            unturned[score.name] = max(unturned[part] for part in score.parts)
    compared = [score for score in scores if score.name in complete_values]
    return Comparison(
        compared,
        rows[complete],
        np.array([complete_values[score.name] for score in compared]).reshape(
            len(compared), complete.sum()
        ),
        missing,
        unturned,
        [score.name for score in scores if score.name not in complete_values],
    )


def _columns(score: Score) -> tuple[str, ...]:
    return (score.column,) if score.column else score.weights


def weighed(score: Score, parts: Floats, alleles: pl.DataFrame) -> Floats:
    """Return a fitted combination of scores, shape (parts, alleles), by their weights' columns."""
    constant, *weights = (alleles[name].to_numpy() for name in score.weights)
    combined: Floats = constant + (np.stack(weights) * parts).sum(axis=0)
    return combined


def _combined(score: Score, parts: Floats, alleles: pl.DataFrame) -> Floats:
    """Return a combination of scores, shape (parts, alleles), on those alleles."""
    if score.fitted:
        return weighed(score, parts, alleles)
    return mean_rank(parts) if alleles.height else parts[0]


def _turned(values: Floats, turned: Flags, direction: Direction) -> Floats:
    """Return scores of the alleles that are looked at; NaN where that is REF and none is known."""
    if direction.swap == "same":
        return values
    return np.where(turned, -values if direction.swap == "negates" else np.nan, values)


def turns(compared: Comparison) -> list[bool]:
    """Return for each score whether it, or a part of it, turns round with the alleles."""
    of_alleles = {
        score.name
        for score in compared.scores
        if not score.parts and score.direction.swap == "negates"
    }
    return [bool(of_alleles & {score.name, *score.parts}) for score in compared.scores]


def shuffles(
    table: pl.DataFrame, compared: Comparison, turned: Flags | None, seed: int
) -> Iterator[Floats]:
    """Yield a comparison's values, each allele given the scores of another before it is turned.

    What such scores still tell apart they tell by being turned: a model that prefers the
    reference's allele, whatever the site, finds turned alleles likely. Weights that were fitted
    stay those of an allele's place.

    Parameters
    ----------
    table : polars.DataFrame
        That of the comparison, with the scores' columns.
    turned : numpy.ndarray, optional
        As `comparison` takes it; where no allele is turned, nothing is yielded.
    seed : int
        What the `SHUFFLES` are drawn from.
    """
    if turned is None or not turned[compared.rows].any():
        return
    rng = np.random.default_rng(seed)
    for _ in range(SHUFFLES):
        yield _shuffled(table, compared, turned, rng)


def _shuffled(
    table: pl.DataFrame, compared: Comparison, turned: Flags, rng: np.random.Generator
) -> Floats:
    alleles = table[compared.rows]
    weights = alleles.select(name for score in compared.scores for name in score.weights)
    alleles = alleles.select(score.column for score in compared.scores if score.column)
    alleles = alleles[rng.permutation(alleles.height)].hstack(weights)
    everything = np.ones(alleles.height, bool)
    return comparison(alleles, compared.scores, everything, turned[compared.rows]).values

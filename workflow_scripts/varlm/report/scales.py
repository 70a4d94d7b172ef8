"""The scale of a model's scores: kind and bins, and how its numbers are called and written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from varlm.report.distributions import LLR_BINS, Bins, Distribution
from varlm.report.text import decimals
from varlm.tables.score_kinds import SCORE_KINDS, ScoreKind

_TAIL = 0.05  # of the alleles, at the harmful end
_EXTREME = 0.01  # of the background's SNVs, there

# What scores further to the harmful end mean, by column; of any other that of a distance.
_FURTHER = {
    "llr": "less likely to the model",
    "probability": "less likely to the model",
    "inner_product": "less alike to the model",
}


@dataclass(frozen=True)
class Scale:
    """The scale of a model's scores.

    Attributes
    ----------
    kind : ScoreKind
    bins : Bins
        In which they are counted.
    """

    kind: ScoreKind = SCORE_KINDS["masked"]
    bins: Bins = LLR_BINS

    @property
    def axis(self) -> str:
        """What the score is called, with its unit."""
        return f"{self.kind.title} ({self.kind.unit})" if self.kind.unit else self.kind.title

    @property
    def spread(self) -> Literal["linear", "sqrt"]:
        """How an axis of scores is spread: distances have long tails, and may be zero."""
        is_distance = self.kind.worst_first and self.kind.name in SCORE_KINDS
        return "sqrt" if is_distance else "linear"

    @property
    def heading(self) -> str:
        """The name at the beginning of a sentence."""
        return self.kind.title[0].upper() + self.kind.title[1:]

    @property
    def per_unit(self) -> str:
        """Of what a density is."""
        return "per nat" if self.kind.unit == "nats" else "per unit"

    @property
    def further(self) -> str:
        """Where the harmful end is and what it means, as a sentence."""
        of_model = self.kind.name in SCORE_KINDS
        distance = "a larger change to the model" if of_model else "more harmful"
        means = _FURTHER.get(self.kind.column, distance)
        return f"Further {'right' if self.kind.worst_first else 'left'}: {means}."

    @property
    def tail(self) -> float:
        """The quantile that bounds the most harmful twentieth."""
        return 1 - _TAIL if self.kind.worst_first else _TAIL

    @property
    def tail_column(self) -> str:
        """What that quantile is called in the rows of a chart."""
        return "q95" if self.kind.worst_first else "q05"

    @property
    def tail_words(self) -> str:
        """What that quantile is called on a page."""
        return f"{self.tail:.0%}".replace("%", " % quantile")

    @property
    def format(self) -> str:
        """The format of a score in a chart, d3's."""
        return f".{self.bins.places}f"

    def shown(self, score: float | None) -> str:
        """Return a score as text, with the decimals that its bins have."""
        return decimals(score, self.bins.places)

    def share_extreme(self, values: Distribution, background: Distribution) -> float | None:
        """Return the share of alleles beyond the background's most harmful percent.

        None where there is no allele or no background.
        """
        if not self.kind.worst_first:
            threshold = background.quantile(_EXTREME)
            return None if threshold is None else values.share_below(threshold)
        threshold = background.quantile(1 - _EXTREME)
        below = None if threshold is None else values.share_below(threshold)
        return None if below is None else 1 - below


@dataclass(frozen=True)
class ScoreColumns:
    """The heads of a model's columns in a table of scores.

    Attributes
    ----------
    name : str
        The model's.
    score : str
        What its score is called; `axis` is that with its unit.
    tail : str
        What the quantile at the harmful end is called.
    """

    name: str
    score: str
    axis: str
    tail: str


def score_columns(model: str, scale: Scale) -> ScoreColumns:
    """Return the heads of a model's columns."""
    return ScoreColumns(model, scale.kind.title, scale.axis, scale.tail_words)


def with_titles(scales: Mapping[str, Scale]) -> str:
    """Return the models' names, behind each or several alike what their score is called."""
    by_title: dict[str, list[str]] = {}
    for model, scale in scales.items():
        by_title.setdefault(scale.kind.title, []).append(model)
    return ", ".join(f"{', '.join(models)} ({title})" for title, models in by_title.items())


def scales_of(models: Iterable[str] | Mapping[str, Scale]) -> Mapping[str, Scale]:
    """Return model → scale; that of masked LLRs, where only names are given."""
    return models if isinstance(models, Mapping) else dict.fromkeys(models, Scale())


def scale_groups(scales: Mapping[str, Scale]) -> list[list[str]]:
    """Return the models whose scores can share an axis together, in order."""
    groups: dict[tuple[str, Bins], list[str]] = {}
    for model, scale in scales.items():
        groups.setdefault((scale.kind.column, scale.bins), []).append(model)
    return list(groups.values())

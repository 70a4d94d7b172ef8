"""Classes of alleles: by consequence, or by kind where no allele has a consequence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from varlm.report.counts import ModelCounts
from varlm.report.distributions import Distribution
from varlm.report.scales import Scale

CONSEQUENCE, KIND = "consequence", "kind"


@dataclass(frozen=True)
class ClassScores:
    """A model's scores of a class: median, and the quantile at the harmful end.

    `extreme` is the share of the class's alleles beyond the background's most harmful percent. None
    where there is no allele, or no background.
    """

    median: float | None
    tail: float | None
    extreme: float | None
    alleles: int = 0


@dataclass(frozen=True)
class ClassTotal:
    """A class: its name, its alleles, and the scores of each model that has any."""

    name: str
    alleles: int
    by_model: dict[str, ClassScores]


@dataclass(frozen=True)
class ClassLabels:
    """The classes shown by name, and what the others together are called ("" : no others)."""

    shown: list[str]
    other: str

    @property
    def order(self) -> list[str]:
        """All labels, the others' last."""
        return [*self.shown, *([self.other] if self.other else [])]


def class_column(counts: Mapping[str, ModelCounts]) -> str:
    """Return `consequence`, or `kind` where no allele has a consequence."""
    annotated = any(
        table[CONSEQUENCE].is_not_null().any()
        for of_model in counts.values()
        for table in (of_model.classes, of_model.unscored)
    )
    return CONSEQUENCE if annotated else KIND


def class_name(name: object, column: str) -> str:
    """Return what a class is called: `name`, or words where it is null."""
    if name is None:
        return "no consequence given" if column == CONSEQUENCE else "?"
    return str(name)


def class_scores(values: Distribution, background: Distribution, scale: Scale) -> ClassScores:
    """Return the quantiles of some scores, and how many of them are harmful for the genome."""
    extreme = scale.share_extreme(values, background)
    return ClassScores(values.quantile(0.5), values.quantile(scale.tail), extreme, values.total)


def class_table(
    counts: Mapping[str, ModelCounts], backgrounds: Mapping[str, Distribution]
) -> list[ClassTotal]:
    """Return every class, the most numerous first; counts and backgrounds are by model.

    A class is there although a model, or all, have no score of it.
    """
    column = class_column(counts)
    numbers = next(iter(counts.values())).totals(column)
    totals = {name: ClassTotal(class_name(name, column), n, {}) for name, n in numbers.items()}
    for model, of_model in counts.items():
        for (name,), values in of_model.by("classes", column).items():
            scores = class_scores(values, backgrounds[model], of_model.scale)
            totals[name].by_model[model] = scores
    return sorted(totals.values(), key=lambda total: (-total.alleles, total.name))


def class_labels(counts: Mapping[str, ModelCounts], most: int) -> ClassLabels:
    """Return the `most` most numerous classes by the first model's median; the rest are others.

    The most harmful median first.
    """
    column = class_column(counts)
    first = next(iter(counts.values()))
    groups, sign = first.by("classes", column), -1 if first.scale.kind.worst_first else 1
    by_number = sorted(groups, key=lambda key: (-groups[key].total, str(key[0])))
    shown, rest = by_number[:most], by_number[most:]
    shown.sort(key=lambda key: (sign * (groups[key].quantile(0.5) or 0.0), str(key[0])))
    # There are as many colours as classes shown: a single one more is "the others" by its name.
    other = f"{len(rest)} rarer classes" if rest else ""
    if len(rest) == 1:
        other = class_name(rest[0][0], column)
    return ClassLabels([class_name(key[0], column) for key in shown], other)


def labelled(counts: ModelCounts, column: str, labels: ClassLabels) -> dict[str, Distribution]:
    """Return a model's scores by label, those of the classes not shown together."""
    groups: dict[str, Distribution] = {}
    for (name,), values in counts.by("classes", column).items():
        label = class_name(name, column)
        label = label if label in labels.shown else labels.other
        groups[label] = groups[label] + values if label in groups else values
    return groups

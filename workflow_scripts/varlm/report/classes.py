"""Classes of alleles: by consequence, or by kind where no allele has a consequence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from varlm.report.counts import Distribution, ModelCounts

CONSEQUENCE, KIND = "consequence", "kind"


@dataclass(frozen=True)
class ClassScores:
    """A model's LLRs of a class: median and 5 % quantile, nats.

    `below` is the share of the class's alleles below the background's first percentile. None where
    there is no allele, or no background.
    """

    median: float | None
    q05: float | None
    below: float | None


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
        of_model.classes[CONSEQUENCE].is_not_null().any() for of_model in counts.values()
    )
    return CONSEQUENCE if annotated else KIND


def class_name(name: object, column: str) -> str:
    """Return what a class is called: `name`, or words where it is null."""
    if name is None:
        return "no consequence given" if column == CONSEQUENCE else "?"
    return str(name)


def class_scores(values: Distribution, background: Distribution) -> ClassScores:
    """Return the quantiles of some LLRs, and how many of them are low for the genome."""
    threshold = background.quantile(0.01)
    below = None if threshold is None else values.share_below(threshold)
    return ClassScores(values.quantile(0.5), values.quantile(0.05), below)


def class_table(
    counts: Mapping[str, ModelCounts], backgrounds: Mapping[str, Distribution]
) -> list[ClassTotal]:
    """Return every class, the most numerous first; counts and backgrounds are by model."""
    column = class_column(counts)
    totals: dict[object, ClassTotal] = {}
    for model, of_model in counts.items():
        for (name,), values in of_model.by("classes", column).items():
            total = ClassTotal(class_name(name, column), values.total, {})
            scores = class_scores(values, backgrounds[model])
            totals.setdefault(name, total).by_model[model] = scores
    return sorted(totals.values(), key=lambda total: (-total.alleles, total.name))


def class_labels(counts: Mapping[str, ModelCounts], most: int) -> ClassLabels:
    """Return the `most` most numerous classes by the first model's median; the rest are others."""
    column = class_column(counts)
    groups = next(iter(counts.values())).by("classes", column)
    by_number = sorted(groups, key=lambda key: (-groups[key].total, str(key[0])))
    shown, rest = by_number[:most], by_number[most:]
    shown.sort(key=lambda key: (groups[key].quantile(0.5) or 0.0, str(key[0])))
    # There are as many colours as classes shown: a single one more is "the others" by its name.
    other = f"{len(rest)} rarer classes" if rest else ""
    if len(rest) == 1:
        other = class_name(rest[0][0], column)
    return ClassLabels([class_name(key[0], column) for key in shown], other)


def labelled(counts: ModelCounts, column: str, labels: ClassLabels) -> dict[str, Distribution]:
    """Return a model's LLRs by label, those of the classes not shown together."""
    groups: dict[str, Distribution] = {}
    for (name,), values in counts.by("classes", column).items():
        label = class_name(name, column)
        label = label if label in labels.shown else labels.other
        groups[label] = groups[label] + values if label in groups else values
    return groups

"""What a cohort's report leaves for the comparison of all cohorts: histograms, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from varlm.errors import UserError
from varlm.files.json_record import JsonRecord, absent_if_none
from varlm.report.classes import class_column
from varlm.report.counts import ModelCounts
from varlm.report.distributions import LLR_BINS, Bins, Distribution, distribution, has_llr_bins
from varlm.report.scales import Scale
from varlm.scoring.plan_record import Counts
from varlm.tables.score_kinds import SCORE_KINDS
from varlm.variants.accounting import Accounting


@dataclass(frozen=True, kw_only=True)
class ClassHistogram:
    """A class's scores: the bins of a `Distribution` that are not empty, and their counts.

    Attributes
    ----------
    name : str or None
        None of alleles without a consequence.
    bins, counts : tuple of int
        As many of one as of the other.
    """

    name: str | None
    bins: tuple[int, ...]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, name: str | None, scores: Distribution) -> Self:
        """Return the histogram of a class's scores."""
        bins = np.flatnonzero(scores.counts)
        counts = scores.counts[bins]
        return cls(name=name, bins=tuple(bins.tolist()), counts=tuple(counts.tolist()))


@dataclass(frozen=True, kw_only=True)
class ModelSummary:
    """A model's part of a cohort: the cohort's counts in its plan, and the scores by class.

    Attributes
    ----------
    planned : Counts
    classes : tuple of ClassHistogram
    score : str or None
        A key of `varlm.tables.score_kinds.SCORE_KINDS`; None: masked.
    bins : Bins or None
        Those of the histograms; None: of LLRs.
    """

    planned: Counts
    classes: tuple[ClassHistogram, ...]
    score: str | None = absent_if_none()
    bins: Bins | None = absent_if_none()  # noqa: RUF009

    @property
    def scale(self) -> Scale:
        """The scale of the scores."""
        return Scale(SCORE_KINDS[self.score or "masked"], self.bins or LLR_BINS)

    @property
    def scores(self) -> Distribution:
        """The scores of all alleles."""
        nothing = Distribution(np.zeros(self.scale.bins.count, np.int64), self.scale.bins)
        return sum((self.scores_of(of_class) for of_class in self.classes), nothing)

    def scores_of(self, of_class: ClassHistogram) -> Distribution:
        """Return the scores of a class."""
        at, counts = np.array(of_class.bins, np.int64), np.array(of_class.counts, np.int64)
        return distribution(at, counts, self.scale.bins)


@dataclass(frozen=True, kw_only=True)
class CohortSummary(JsonRecord):
    """What a cohort's report.json says.

    Attributes
    ----------
    cohort : str
    alleles_in, accepted, rejected : int
        ALT alleles of all files.
    rejected_by_reason : dict
        Reason → alleles.
    class_column : str
        `consequence` or `kind`: what the classes are. The file's key is `class`, no name in Python.
    models : dict
        Model → its summary.
    warnings : int or None
        Those that the report tells; None of none.
    """

    MADE_BY = "report"

    cohort: str
    alleles_in: int
    accepted: int
    rejected: int
    rejected_by_reason: dict[str, int]
    class_column: str
    models: dict[str, ModelSummary]
    warnings: int | None = absent_if_none()

    @classmethod
    def from_json(cls, document: object, path: Path) -> Self:
        """Return what JSON values say; errors as in `JsonRecord.read`, or an unknown kind."""
        summary = super().from_json(_renamed(document, "class", "class_column"), path)
        for of_model in summary.models.values():
            if of_model.score is not None and of_model.score not in SCORE_KINDS:
                raise UserError(
                    f"{path}: found {of_model.score!r}, expected one of {', '.join(SCORE_KINDS)}; "
                    f"{cls._remedy()}"
                )
        return summary

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON values, keys in the file's order."""
        document: dict[str, Any] = _renamed(super().to_json(), "class_column", "class")
        return document


def _renamed(document: Any, old: str, new: str) -> Any:
    """Return a JSON object with a key renamed, in its place; anything else as it is."""
    if not isinstance(document, dict):
        return document
    return {new if key == old else key: value for key, value in document.items()}


def cohort_summary(
    accounting: Accounting,
    plans: Mapping[str, Counts],
    counts: Mapping[str, ModelCounts],
    warnings: int = 0,
) -> CohortSummary:
    """Return what the comparison needs of a cohort, small whatever the cohort's size.

    Parameters
    ----------
    accounting : Accounting
        Of the cohort.
    plans : mapping
        Model → the cohort's counts in its plan.
    counts : mapping
        Model → what `counts.count` returned.
    warnings : int
        Those that the report tells.
    """
    column = class_column(counts)
    return CohortSummary(
        cohort=accounting.cohort,
        alleles_in=accounting.alleles_in,
        accepted=accounting.accepted,
        rejected=accounting.rejected,
        rejected_by_reason=accounting.by_reason,
        class_column=column,
        models={
            model: ModelSummary(
                planned=plans[model],
                classes=tuple(_histograms(of_model, column)),
                score=None if of_model.scale.kind.name == "masked" else of_model.scale.kind.name,
                bins=None if has_llr_bins(of_model.scale.kind) else of_model.scale.bins,
            )
            for model, of_model in counts.items()
        },
        warnings=warnings or None,
    )


def _histograms(counts: ModelCounts, column: str) -> list[ClassHistogram]:
    """Return the scores of each class, the classes sorted."""
    return [
        ClassHistogram.of(None if name is None else str(name), scores)
        for (name,), scores in counts.by("classes", column).items()
    ]

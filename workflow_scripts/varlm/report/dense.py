"""The section "Dense scores": how well they stand for masked ones, by what is at the sites."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from varlm.annotation.site_classes import CLASSES
from varlm.report.inputs import ReportModel
from varlm.report.text import count
from varlm.scoring.dense_scale import Agreement, DenseScale


@dataclass(frozen=True)
class DenseRow:
    """Dense beside masked scores, where a class of sites is; all as they are shown."""

    name: str
    snvs: str
    spearman: str
    pearson: str
    rmse: str
    shift: str


@dataclass(frozen=True)
class DenseModel:
    """A model's dense scores.

    Attributes
    ----------
    name : str
    sentence : str
        What brings them to the scale of masked ones, and what was measured.
    rows : list of DenseRow
        All sites, then each class; empty where nothing was measured.
    """

    name: str
    sentence: str
    rows: list[DenseRow]


def dense_models(models: Sequence[ReportModel]) -> list[DenseModel]:
    """Return what is said of each model with dense scores that stand for masked ones."""
    return [
        DenseModel(model.name, _sentence(model.dense), _rows(model.dense))
        for model in models
        if model.dense is not None
    ]


_ORIGIN = {
    "checkpoint": "which follows from how the model was trained",
    "measured": "their mean difference at these sites",
}


def _sentence(scale: DenseScale) -> str:
    if scale.origin == "none":
        return (
            "Nothing was measured (scoring.dense.sites is 0), and the checkpoint does not say how "
            "it was trained: its LLRs are lower than masked ones would be, by a constant that is "
            "not known. Ranks and percentiles are not touched by that."
        )
    added = f"{scale.constant:.3f} nats are added to each LLR of a single-base change"
    if scale.overall is None:
        return f"{added}, {_ORIGIN[scale.origin]}. How well they agree was not measured."
    return (
        f"{added}, {_ORIGIN[scale.origin]}. {count(scale.overall.sites)} random sites of the "
        "genome were scored both ways; over their single-base changes the order of the two scores "
        f"agrees with a rank correlation of {_correlation(scale.overall.spearman)}, and they are "
        f"typically {scale.overall.rmse:.2f} nats apart."
    )


def _rows(scale: DenseScale) -> list[DenseRow]:
    if scale.overall is None:
        return []
    named = sorted(scale.by_class, key=CLASSES.index)
    return [
        _row("all", scale.overall),
        *(_row(name, scale.by_class[name]) for name in named),
    ]


def _row(name: str, of: Agreement) -> DenseRow:
    return DenseRow(
        name=name,
        snvs=count(of.snvs),
        spearman=_correlation(of.spearman),
        pearson=_correlation(of.pearson),
        rmse=f"{of.rmse:.2f}",
        shift=f"{of.shift:.2f}",
    )


def _correlation(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"

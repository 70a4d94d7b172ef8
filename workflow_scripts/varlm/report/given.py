"""What a report is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from varlm.report.links import BrowserLink


@dataclass(frozen=True)
class ReportModel:
    """What is known of a model: the JSON of three steps, and two tables."""

    described: Mapping[str, Any]  # models/{model}.json
    plan: Mapping[str, Any]  # plan.json
    committed: Mapping[str, Any]  # commits/{model}.json
    background: Path
    pictures: Path

    @property
    def name(self) -> str:
        """The model's name in the config and in column names."""
        return str(self.described["name"])


@dataclass(frozen=True)
class ReportInput:
    """What a report is made of; see the step `report`."""

    cohort: str
    annotated: Path
    rejected: pl.DataFrame | None
    accounting: Mapping[str, Any]
    reference: Path
    models: Sequence[ReportModel]
    settings: Mapping[str, Any] = field(default_factory=dict)
    annotation: Mapping[str, Any] = field(default_factory=dict)
    browsers: Sequence[BrowserLink] = ()
    top_hits: int = 1000
    pictures: int = 12
    flank: int = 15
    evaluation: tuple[pl.DataFrame, Mapping[str, Any]] | None = None  # its table and its JSON


@dataclass(frozen=True)
class CohortReport:
    """The page, the figures' Vega-Lite specifications by name, MultiQC's content, and what the
    comparison of all cohorts needs.
    """

    html: str
    figures: dict[str, dict[str, Any]]
    multiqc: dict[str, Any]
    summary: dict[str, Any]

"""The section "Scores": the charts, and their classes as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from varlm.report.charts.chart import Chart
from varlm.report.charts.densities import density_chart
from varlm.report.charts.frequency import frequency_chart
from varlm.report.charts.genome import genome_chart
from varlm.report.charts.intervals import interval_chart
from varlm.report.charts.percentiles import percentile_chart
from varlm.report.charts.strands import strand_chart
from varlm.report.classes import (
    CONSEQUENCE,
    KIND,
    ClassScores,
    ClassTotal,
    class_column,
    class_table,
)
from varlm.report.counts import ModelCounts
from varlm.report.inputs import ReportInput
from varlm.report.text import cut, decimals, percent

_CLASSES = 60  # rows of the table of classes


@dataclass(frozen=True)
class CohortCharts:
    """A cohort's charts; each field has the name of its chart, which is that of its files."""

    llr_by_consequence: Chart
    llr_density: Chart
    llr_along_genome: Chart
    llr_by_frequency: Chart
    strand_agreement: Chart
    percentiles: Chart

    def all(self) -> list[Chart]:
        """Return all of them, in order."""
        return [getattr(self, field.name) for field in fields(self)]


@dataclass(frozen=True)
class ClassCells:
    """A model's numbers of a class: median and 5 % quantile, nats, and a share as text."""

    median: float | None
    q05: float | None
    below: str


@dataclass(frozen=True)
class ClassRow:
    """A row of the table of classes; `models` are in the order of the report's."""

    name: str
    alleles: int
    models: list[ClassCells]


@dataclass(frozen=True)
class ScoresSection:
    """The charts and the table below the first of them.

    Attributes
    ----------
    annotated : bool
        Whether classes are consequences; kinds otherwise.
    class_word : str
        What a class is.
    classes : list of ClassRow
        The most numerous first; `classes_left_out` more are not shown.
    charts : CohortCharts
    correlations : str
        A sentence on the strands; "" where one was scored.
    """

    annotated: bool
    class_word: str
    classes: list[ClassRow]
    classes_left_out: int
    charts: CohortCharts
    correlations: str


def scores_section(inputs: ReportInput) -> ScoresSection:
    """Return what the counts of a cohort show."""
    counts = inputs.counts
    annotated = class_column(counts) == CONSEQUENCE
    totals = class_table(counts, inputs.backgrounds)
    return ScoresSection(
        annotated=annotated,
        class_word=CONSEQUENCE if annotated else KIND,
        classes=[class_row(total, inputs.names) for total in totals[:_CLASSES]],
        classes_left_out=max(len(totals) - _CLASSES, 0),
        charts=cohort_charts(inputs),
        correlations=correlations(counts),
    )


def cohort_charts(inputs: ReportInput) -> CohortCharts:
    """Return the charts of a cohort."""
    counts, backgrounds = inputs.counts, inputs.backgrounds
    return CohortCharts(
        llr_by_consequence=interval_chart(counts, backgrounds),
        llr_density=density_chart(counts, backgrounds),
        llr_along_genome=genome_chart(counts, inputs.bins),
        llr_by_frequency=frequency_chart(counts),
        strand_agreement=strand_chart(counts),
        percentiles=percentile_chart(counts),
    )


def class_row(total: ClassTotal, models: Sequence[str]) -> ClassRow:
    """Return a class as a row of the table."""
    nothing = ClassScores(None, None, None)
    by_model = [total.by_model.get(model, nothing) for model in models]
    cells = [ClassCells(scores.median, scores.q05, percent(scores.below)) for scores in by_model]
    return ClassRow(cut(total.name, 120), total.alleles, cells)


def correlations(counts: Mapping[str, ModelCounts]) -> str:
    """Return how the strands' LLRs correlate under each model, as a sentence."""
    known = {
        model: of_model.correlation
        for model, of_model in counts.items()
        if of_model.correlation is not None
    }
    if not known:
        return ""
    values = "; ".join(
        (f"{model}: " if len(counts) > 1 else "") + f"r = {decimals(value, 3)}"
        for model, value in known.items()
    )
    return f"Pearson correlation of the strands’ LLRs: {values}."

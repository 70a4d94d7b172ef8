"""The section "Scores": the charts, and their classes as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from varlm.report.charts.chart import Chart, by_scale
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
from varlm.report.scales import Scale, ScoreColumns, score_columns, with_titles
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
    """A model's numbers of a class, as text: median, quantile at the harmful end, and a share."""

    median: str
    tail: str
    extreme: str


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
    models : list of ScoreColumns
    classes : list of ClassRow
        The most numerous first; `classes_left_out` more are not shown.
    charts : CohortCharts
    metrics : list of (value, name)
        The choices of what colours the genome.
    correlations : str
        A sentence on the strands; "" where one was scored.
    lacking : list of str
        What the section has not of which model.
    exactness : str
        How wide bins are.
    """

    annotated: bool
    class_word: str
    models: list[ScoreColumns]
    classes: list[ClassRow]
    classes_left_out: int
    charts: CohortCharts
    metrics: list[tuple[str, str]]
    correlations: str
    lacking: list[str]
    exactness: str


def scores_section(inputs: ReportInput) -> ScoresSection | None:
    """Return what the counts of a cohort show; None without a model."""
    if not inputs.models:
        return None
    counts = inputs.counts
    annotated = class_column(counts) == CONSEQUENCE
    totals = class_table(counts, inputs.backgrounds)
    return ScoresSection(
        annotated=annotated,
        class_word=CONSEQUENCE if annotated else KIND,
        models=[score_columns(name, scale) for name, scale in inputs.scales.items()],
        classes=[class_row(total, inputs.scales) for total in totals[:_CLASSES]],
        classes_left_out=max(len(totals) - _CLASSES, 0),
        charts=cohort_charts(inputs),
        metrics=genome_metrics(list(inputs.scales.values())),
        correlations=correlations(counts),
        lacking=without_distribution(inputs.scales),
        exactness=bins_told(inputs.scales),
    )


def cohort_charts(inputs: ReportInput) -> CohortCharts:
    """Return the charts of a cohort."""
    counts, backgrounds, scales = inputs.counts, inputs.backgrounds, inputs.scales

    def of(models: Sequence[str]) -> dict[str, ModelCounts]:
        return {model: counts[model] for model in models}

    return CohortCharts(
        llr_by_consequence=by_scale(
            scales, lambda models, *_: interval_chart(of(models), backgrounds)
        ),
        llr_density=by_scale(
            scales, lambda models, most: density_chart(of(models), backgrounds, most)
        ),
        llr_along_genome=by_scale(scales, lambda models, *_: genome_chart(of(models), inputs.bins)),
        llr_by_frequency=by_scale(scales, lambda models, *_: frequency_chart(of(models))),
        strand_agreement=by_scale(scales, lambda models, most: strand_chart(of(models), most)),
        percentiles=percentile_chart(counts),
    )


def class_row(total: ClassTotal, scales: Mapping[str, Scale]) -> ClassRow:
    """Return a class as a row of the table; `scales` is by model."""
    nothing = ClassScores(None, None, None)
    cells = []
    for model, scale in scales.items():
        scores = total.by_model.get(model, nothing)
        shown = scale.shown(scores.median), scale.shown(scores.tail)
        cells.append(ClassCells(*shown, percent(scores.extreme)))
    return ClassRow(cut(total.name, 120), total.alleles, cells)


def genome_metrics(scales: Sequence[Scale]) -> list[tuple[str, str]]:
    """Return the choices of what colours the genome: (value of the signal, name)."""
    titles = list(dict.fromkeys(scale.kind.title for scale in scales))
    tails = list(dict.fromkeys(scale.tail_words for scale in scales))
    score = titles[0] if len(titles) == 1 else "score"
    tail = f"{' or '.join(tails)} of {score}"
    return [("median", f"median {score}"), ("q05", tail), ("alleles", "number of alleles")]


def without_distribution(scales: Mapping[str, Scale]) -> list[str]:
    """Return which models give no probabilities, and so no entropy and no logos; or nothing."""
    without = {model: scale for model, scale in scales.items() if not scale.kind.distribution}
    their = "the score gives" if len(without) == 1 else "their scores give"
    text = (
        f"{with_titles(without)}: no entropy, p(ref), p(alt) or sequence logos, for {their} A, C, "
        "G and T no probabilities."
    )
    return [text] if without else []


def bins_told(scales: Mapping[str, Scale]) -> str:
    """Return how exact quantiles are, as a sentence."""
    widths = {model: f"{s.bins.step:g} {s.kind.unit}".rstrip() for model, s in scales.items()}
    widths_of_models = [f"{width} ({model})" for model, width in widths.items()]
    if len(set(widths.values())) == 1:
        widths_of_models = [next(iter(widths.values()))]
    return f"Quantiles here and in the charts are read from bins of {', '.join(widths_of_models)}."


def correlations(counts: Mapping[str, ModelCounts]) -> str:
    """Return how the strands' scores correlate under each model, as a sentence."""
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
    llrs = all(of_model.scale.kind.is_llr for of_model in counts.values())
    return f"Pearson correlation of the strands’ {'LLRs' if llrs else 'scores'}: {values}."

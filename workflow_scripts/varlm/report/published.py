"""The section "Published scores": what was matched of each table, and its scores by class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from varlm.report.charts.chart import PageChart, page_chart
from varlm.report.charts.intervals import interval_chart
from varlm.report.classes import CONSEQUENCE, KIND, ClassTotal, class_column, class_table
from varlm.report.inputs import ReportInput, ReportScore, ReportTable
from varlm.report.scales import ScoreColumns, score_columns
from varlm.report.text import count, cut, share

_CLASSES = 60  # rows of the table of classes
_CHARTS = 12


@dataclass(frozen=True)
class TableRow:
    """A table of scores: where it lies, its columns, and what was matched of the alleles."""

    name: str
    path: str
    columns: str
    matched: str
    unmatched: str
    contigs_lacking: str
    ref_mismatches: str


@dataclass(frozen=True)
class PublishedCells:
    """A score's median and harmful quantile in a class, as text, and how many alleles have it."""

    median: str
    tail: str
    alleles: str


@dataclass(frozen=True)
class PublishedRow:
    """A class of alleles; `scores` are in the order of the section's."""

    name: str
    alleles: int
    scores: list[PublishedCells]


@dataclass(frozen=True)
class PublishedSection:
    """What the section shows.

    Attributes
    ----------
    tables : list of TableRow
    class_word : str
        What a class is.
    scores : list of ScoreColumns
    classes : list of PublishedRow
        The most numerous first; `classes_left_out` more are not shown.
    charts : list of PageChart
    notes : list of str
    """

    tables: list[TableRow]
    class_word: str
    scores: list[ScoreColumns]
    classes: list[PublishedRow]
    classes_left_out: int
    charts: list[PageChart]
    notes: list[str]


def published_section(inputs: ReportInput) -> PublishedSection | None:
    """Return what tables of scores say of a cohort; None where there is neither one nor a need.

    Without a model the section has the classes of the alleles, which no other has then.
    """
    if not inputs.tables and inputs.models:
        return None
    scores = inputs.published
    counts = {score.name: score.counts for score in scores} or {"": inputs.classes}
    backgrounds = {score.name: score.background for score in scores}
    totals = class_table(counts, backgrounds)
    return PublishedSection(
        tables=[_table_row(table, inputs.accounting.accepted) for table in inputs.tables],
        class_word=CONSEQUENCE if class_column(counts) == CONSEQUENCE else KIND,
        scores=[score_columns(score.name, score.counts.scale) for score in scores],
        classes=[_class_row(total, scores) for total in totals[:_CLASSES]],
        classes_left_out=max(len(totals) - _CLASSES, 0),
        charts=list(_charts(scores[:_CHARTS])) if inputs.accounting.accepted else [],
        notes=list(_notes(scores)),
    )


def _table_row(table: ReportTable, accepted: int) -> TableRow:
    record = table.record
    columns = ", ".join(
        f"{table.table.column_name(column)} ({column.source}{_unit(column.unit)})"
        for column in table.table.columns
    )
    return TableRow(
        name=table.table.name,
        path=cut(table.table.path.partition("?")[0], 300),
        columns=cut(columns, 600),
        matched=f"{record.matched:,} ({share(record.matched, accepted)})",
        unmatched=count(record.not_matched),
        contigs_lacking=count(record.on_lacking_contigs),
        ref_mismatches=f"{record.refs_wrong:,} of {record.refs_checked:,}",
    )


def _unit(unit: str) -> str:
    return f", {unit}" if unit else ""


def _class_row(total: ClassTotal, scores: Sequence[ReportScore]) -> PublishedRow:
    """Return a class as a row of the table."""
    cells = []
    for score in scores:
        of_class, scale = total.by_model.get(score.name), score.counts.scale
        if of_class is None:
            cells.append(PublishedCells("–", "–", "0"))
        else:
            shown = scale.shown(of_class.median), scale.shown(of_class.tail)
            cells.append(PublishedCells(*shown, count(of_class.alleles)))
    return PublishedRow(cut(total.name, 120), total.alleles, cells)


def _charts(scores: Sequence[ReportScore]) -> Iterator[PageChart]:
    for number, score in enumerate(scores):
        chart = interval_chart({score.name: score.counts}, {score.name: score.background})
        yield PageChart(
            name=f"published_{number}",
            title=f"{score.name} by {chart.title.rpartition(' by ')[2]}",
            caption=chart.caption,
            specification={} if chart.empty else page_chart(chart),
            empty=chart.empty,
        )


def _notes(scores: Sequence[ReportScore]) -> Iterator[str]:
    without = [score.name for score in scores if not score.background.total]
    if without:
        yield (
            f"No percentiles of {', '.join(without)}: scoring.background_sites is 0, or the table "
            "has fewer than 90 % of the genome's random SNVs."
        )
    if len(scores) > _CHARTS:
        yield f"Charts are of the first {_CHARTS} scores."


def specifications(section: PublishedSection | None) -> Mapping[str, dict[str, Any]]:
    """Return what the page's scripts draw: chart → specification."""
    charts = section.charts if section else []
    return {chart.name: chart.specification for chart in charts if not chart.empty}

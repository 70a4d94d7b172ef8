"""A cohort's report: the page, its figures, MultiQC's content and what the comparison needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from varlm import __version__
from varlm.report import multiqc, page
from varlm.report.accounting import AccountingSection, accounting_section
from varlm.report.charts.chart import Chart
from varlm.report.counts import ModelCounts
from varlm.report.dense import DenseModel, dense_models
from varlm.report.evaluation import EvaluationSection, evaluation_section
from varlm.report.facts import RunSection, run_section
from varlm.report.glossary import Glossary, glossary
from varlm.report.hits import HitsSection, HitTable, hit_table, hits_section, union
from varlm.report.inputs import ReportInput
from varlm.report.logo import glyphs
from varlm.report.model_facts import ModelFacts, model_facts
from varlm.report.overview import Card, Notice, notices, summary_cards
from varlm.report.pictures import LogoGroup, logo_groups
from varlm.report.published import PublishedSection, published_section, specifications
from varlm.report.scores import ScoresSection, scores_section, without_distribution
from varlm.report.summaries import CohortSummary, cohort_summary

_WARNINGS = 30  # on the page


@dataclass(frozen=True)
class ReportPage:
    """What `templates/report.html.j2` shows: each field is a name in it.

    Attributes
    ----------
    title, cohort, version : str
    summary : list of Card
    warnings : list of Notice
        The first ones; `warnings_total` is how many there are.
    run, accounting, scores, published, hits
        Sections; each is built by the module of its class. `scores` are those of models.
    models : list of ModelFacts
    dense : list of DenseModel
        Those with dense scores.
    model_options : list of (value, name)
        The choices of model.
    pictures : list of LogoGroup
    no_pictures : list of str
        Which models have none, for they give no probabilities.
    glyphs : Markup
        The letters that the pictures use.
    evaluation : EvaluationSection, optional
    glossary : Glossary, optional
        Of models' scores.
    """

    title: str
    cohort: str
    version: str
    summary: list[Card]
    warnings: list[Notice]
    warnings_total: int
    run: RunSection
    models: list[ModelFacts]
    dense: list[DenseModel]
    model_options: list[tuple[str, str]]
    accounting: AccountingSection
    scores: ScoresSection | None
    published: PublishedSection | None
    hits: HitsSection
    pictures: list[LogoGroup]
    no_pictures: list[str]
    glyphs: Markup
    evaluation: EvaluationSection | None
    glossary: Glossary | None


@dataclass(frozen=True)
class CohortReport:
    """The page, the figures' Vega-Lite specifications by name, MultiQC's content, and what the
    comparison of all cohorts needs.
    """

    html: str
    figures: dict[str, dict[str, Any]]
    multiqc: dict[str, Any]
    summary: CohortSummary


def make_report(inputs: ReportInput, vega: str | None = None) -> CohortReport:
    """Return the report of a cohort; `vega` as in `page.render`.

    Raises
    ------
    UserError
        If the evaluation's table and counts are not of one run.
    """
    hits = {model.name: model.hits for model in inputs.models} or inputs.hits
    table = hit_table(
        union(hits) if hits else inputs.table.empty(),
        inputs.table,
        {name: scale.kind for name, scale in inputs.scales.items()},
        inputs.options.browsers,
        inputs.contigs,
        published=inputs.published_columns,
    )
    contents = report_page(inputs, table)
    medians = {name: _median(counts) for name, counts in inputs.counts.items()}
    return CohortReport(
        page.render("report.html.j2", contents, _data(inputs, contents, table), vega=vega),
        {chart.name: chart.figure_spec(inputs.names) for chart in _charts(contents)},
        multiqc.content(
            inputs.cohort,
            inputs.accounting,
            inputs.plans,
            medians,
            inputs.scales,
            {table.table.name: table.record.matched for table in inputs.tables},
        ),
        cohort_summary(inputs.accounting, inputs.plans, inputs.counts, contents.warnings_total),
    )


def report_page(inputs: ReportInput, table: HitTable) -> ReportPage:
    """Return what the page shows; `table` is the one of the top hits."""
    listed = notices(inputs)
    return ReportPage(
        title=f"{inputs.cohort} – varlm report",
        cohort=inputs.cohort,
        version=__version__,
        summary=summary_cards(inputs),
        warnings=listed[:_WARNINGS],
        warnings_total=len(listed),
        run=run_section(inputs),
        models=[model_facts(model, inputs.cohort) for model in inputs.models],
        dense=dense_models(inputs.models),
        model_options=[(name, name) for name in inputs.names],
        accounting=accounting_section(inputs),
        scores=scores_section(inputs),
        published=published_section(inputs),
        hits=_hits(inputs, table),
        pictures=logo_groups(inputs),
        no_pictures=without_distribution(inputs.scales) if inputs.options.pictures else [],
        glyphs=glyphs(),
        evaluation=evaluation_section(*inputs.evaluation) if inputs.evaluation else None,
        glossary=glossary({model.name: model.prepared.kind for model in inputs.models}),
    )


def _hits(inputs: ReportInput, table: HitTable) -> HitsSection:
    """Return the words of the top hits: those of models, or else of the tables' scores."""
    wanted = inputs.options.top_hits
    if inputs.models:
        return hits_section(table, wanted, list(inputs.scales.values()))
    scales = [score.counts.scale for score in inputs.published]
    if not scales:
        return HitsSection(0, "", [])
    return hits_section(table, wanted, scales, "column of published scores")


def _charts(contents: ReportPage) -> list[Chart]:
    return contents.scores.charts.all() if contents.scores else []


def _median(counts: ModelCounts) -> float | None:
    median = counts.all().quantile(0.5)
    return None if median is None else round(median, counts.scale.bins.places + 2)


def _data(inputs: ReportInput, contents: ReportPage, table: HitTable) -> Mapping[str, Any]:
    """Return what the page's scripts read."""
    charts = {c.name: c.page_spec(inputs.names) for c in _charts(contents) if not c.empty}
    charts |= specifications(contents.published)
    if contents.evaluation:
        charts |= {c.name: c.specification for c in contents.evaluation.charts}
    return {
        "charts": charts,
        "hits-data": {"gzip": table.data, "file": f"{inputs.cohort}.top_hits"},
    }

"""All cohorts beside each other: the page `index.html`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from varlm import __version__
from varlm.report import page
from varlm.report.charts.chart import Chart, by_scale
from varlm.report.charts.cohorts import medians_chart, score_chart, shares_chart
from varlm.report.classes import class_scores
from varlm.report.distributions import Distribution
from varlm.report.overview import Card
from varlm.report.probes import ProbeSection
from varlm.report.scales import Scale, ScoreColumns, score_columns
from varlm.report.summaries import CohortSummary, ModelSummary
from varlm.report.text import count, percent

SHOWN_COHORTS = 40  # in a chart; the table has all


@dataclass(frozen=True)
class CohortScores:
    """A model's scores of a cohort.

    Attributes
    ----------
    median, tail : str
        Median and the quantile at the harmful end.
    extreme : str
        Share of the alleles beyond the background's most harmful percent.
    scored, stored : int
        Scores made in the run, and taken from the store.
    """

    median: str
    tail: str
    extreme: str
    scored: int
    stored: int


@dataclass(frozen=True)
class CohortRow:
    """A cohort: where its report lies, its alleles and warnings, and its scores by model."""

    cohort: str
    link: str
    alleles_in: int
    accepted: int
    rejected: int
    by_reason: Mapping[str, int]
    models: list[CohortScores]
    warnings: int


@dataclass(frozen=True)
class IndexPage:
    """What `templates/index.html.j2` shows: each field is a name in it.

    Attributes
    ----------
    title, version : str
    models : list of ScoreColumns
    model_options : list of (value, name)
        The choices of model.
    summary : list of Card
    rows : list of CohortRow
        All cohorts.
    reasons : list of str
        All reasons of rejection.
    charts : list of Chart
    left_out : int
        Cohorts that the charts do not show.
    probes : list of ProbeSection
    """

    title: str
    version: str
    models: list[ScoreColumns]
    model_options: list[tuple[str, str]]
    summary: list[Card]
    rows: list[CohortRow]
    reasons: list[str]
    charts: list[Chart]
    left_out: int
    probes: list[ProbeSection]


def make_index(
    summaries: Sequence[CohortSummary],
    backgrounds: Mapping[str, Distribution],
    vega: str | None = None,
    probes: Sequence[ProbeSection] = (),
) -> str:
    """Return the page of all cohorts, which links to their reports beside it.

    Parameters
    ----------
    summaries : sequence of CohortSummary
        In the order shown, each of all models.
    backgrounds : mapping
        Model → the background's scores.
    vega : str, optional
        As in `page.render`.
    probes : sequence of ProbeSection
    """
    contents = index_page(summaries, backgrounds, probes)
    specifications = {
        chart.name: chart.page_spec(list(backgrounds))
        for chart in contents.charts
        if not chart.empty
    }
    specifications |= {
        chart.name: chart.specification for probe in contents.probes for chart in probe.charts
    }
    return page.render("index.html.j2", contents, {"charts": specifications}, vega=vega)


def index_page(
    summaries: Sequence[CohortSummary],
    backgrounds: Mapping[str, Distribution],
    probes: Sequence[ProbeSection] = (),
) -> IndexPage:
    """Return what the page of all cohorts shows; parameters as of `make_index`."""
    models = list(backgrounds)
    shown = summaries[:SHOWN_COHORTS]
    scales = {model: summaries[0].models[model].scale for model in models}
    return IndexPage(
        title="varlm: all cohorts",
        version=__version__,
        models=[score_columns(model, scale) for model, scale in scales.items()],
        model_options=[(model, model) for model in models],
        summary=[
            Card("cohorts", count(len(summaries))),
            Card("alleles", count(sum(summary.alleles_in for summary in summaries))),
            Card(
                "scored" if models else "accepted",
                count(sum(summary.accepted for summary in summaries)),
            ),
            Card("rejected", count(sum(summary.rejected for summary in summaries))),
        ],
        rows=[cohort_row(summary, backgrounds) for summary in summaries],
        reasons=sorted({name for summary in summaries for name in summary.rejected_by_reason}),
        charts=_charts(shown, backgrounds, scales) if models else [],
        left_out=len(summaries) - len(shown),
        probes=list(probes),
    )


def _charts(
    shown: Sequence[CohortSummary],
    backgrounds: Mapping[str, Distribution],
    scales: Mapping[str, Scale],
) -> list[Chart]:
    """Return the charts of cohorts by model."""
    return [
        by_scale(
            scales,
            lambda alike, _: score_chart(
                shown, {model: backgrounds[model] for model in alike}, scales[alike[0]]
            ),
        ),
        shares_chart(shown, list(backgrounds)),
        by_scale(scales, lambda alike, _: medians_chart(shown, alike, scales[alike[0]])),
    ]


def cohort_row(summary: CohortSummary, backgrounds: Mapping[str, Distribution]) -> CohortRow:
    """Return a cohort as a row of the table; `backgrounds` is by model."""
    return CohortRow(
        cohort=summary.cohort,
        link=f"cohorts/{quote(summary.cohort)}/report.html",
        alleles_in=summary.alleles_in,
        accepted=summary.accepted,
        rejected=summary.rejected,
        by_reason=summary.rejected_by_reason,
        models=[
            cohort_scores(summary.models[model], background)
            for model, background in backgrounds.items()
        ],
        warnings=summary.warnings or 0,
    )


def cohort_scores(summary: ModelSummary, background: Distribution) -> CohortScores:
    """Return a model's scores of a cohort, against the model's background."""
    planned, scale = summary.planned, summary.scale
    scores = class_scores(summary.scores, background, scale)
    return CohortScores(
        median=scale.shown(scores.median),
        tail=scale.shown(scores.tail),
        extreme=percent(scores.extreme),
        scored=planned.sites_scored + planned.alleles_scored,
        stored=planned.sites_from_store + planned.alleles_from_store,
    )

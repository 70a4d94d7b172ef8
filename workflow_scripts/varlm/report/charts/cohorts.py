"""All cohorts beside each other: their scores, their classes, and the medians of these."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import altair as alt

from varlm.figures import theme
from varlm.report.charts.chart import BACKGROUND_LABEL, Chart, Row, axis, five, rounded, score_axis
from varlm.report.charts.intervals import interval_rows
from varlm.report.classes import class_name
from varlm.report.distributions import Distribution
from varlm.report.scales import Scale
from varlm.report.summaries import ClassHistogram, CohortSummary

_CLASSES = 12  # consequences compared: as many as there are colours
_MIN_FOR_MEDIAN = 5  # alleles


def score_chart(
    summaries: Sequence[CohortSummary], backgrounds: Mapping[str, Distribution], scale: Scale
) -> Chart:
    """Return the chart of scores on one scale by cohort; `backgrounds` is by model."""
    rows: list[Row] = []
    for model, background in backgrounds.items():
        entries = [(BACKGROUND_LABEL, background)]
        entries += [(summary.cohort, summary.models[model].scores) for summary in summaries]
        rows += [
            {"model": model, "class": label, **five(values)}
            for label, values in entries
            if values.total
        ]
    order = [BACKGROUND_LABEL, *_cohorts(summaries)]
    return Chart(
        "llr_by_cohort",
        f"{scale.heading} by cohort",
        "The bar holds the middle half of a cohort's alleles, the line nine tenths, the mark is "
        "the median; the grey row is the genome's background of random SNVs.",
        rows,
        lambda data, shown, _: interval_rows(data, shown, order, scale),
        "" if rows else "No cohort has a scored allele.",
    )


def _classes(summaries: Sequence[CohortSummary], model: str) -> list[str]:
    """Return the classes with the most alleles over all cohorts, the most numerous first."""
    totals: dict[str, int] = {}
    for summary in summaries:
        for name, histogram in _named_classes(summary, model):
            totals[name] = totals.get(name, 0) + sum(histogram.counts)
    return sorted(totals, key=lambda name: (-totals[name], name))[:_CLASSES]


def shares_chart(summaries: Sequence[CohortSummary], models: Sequence[str]) -> Chart:
    """Return the chart of what each cohort's alleles are, by consequence or kind."""
    order = _classes(summaries, models[0])
    rows: list[Row] = []
    for model in models:
        for summary in summaries:
            counts = dict.fromkeys([*order, "others"], 0)
            for name, histogram in _named_classes(summary, model):
                counts[name if name in counts else "others"] += sum(histogram.counts)
            total = sum(counts.values())
            rows += [
                {
                    "model": model,
                    "cohort": summary.cohort,
                    "class": name,
                    "alleles": count,
                    "share": round(count / total, 5),
                    "order": place,
                }
                for place, (name, count) in enumerate(counts.items())
                if count
            ]
    return Chart(
        "classes_by_cohort",
        "What the alleles are",
        "Share of each cohort's alleles by consequence, or by kind where there is no annotation."
        + (" Alleles that a model has no score of are left out." if _partial(summaries) else ""),
        rows,
        lambda data, _rows, _page: _shares(data, [*order, "others"], _cohorts(summaries)),
        "" if rows else "No cohort has a scored allele.",
    )


def _partial(summaries: Sequence[CohortSummary]) -> bool:
    """Return whether a model has no score of some of a cohort's alleles."""
    return any(
        model.scores.total < summary.accepted
        for summary in summaries
        for model in summary.models.values()
    )


def _cohorts(summaries: Sequence[CohortSummary]) -> list[str]:
    return [summary.cohort for summary in summaries]


def _named_classes(summary: CohortSummary, model: str) -> Iterator[tuple[str, ClassHistogram]]:
    """Yield what each class of a summary is called, and its scores."""
    for histogram in summary.models[model].classes:
        yield class_name(histogram.name, summary.class_column), histogram


def _shares(data: alt.Data, classes: list[str], cohorts: list[str]) -> alt.LayerChart:
    colors = [theme.CATEGORIES[i % len(theme.CATEGORIES)] for i in range(len(classes) - 1)]
    bars = (
        alt.Chart(data)
        .mark_bar()
        .encode(
            x=alt.X(
                "share:Q",
                title="share of alleles",
                stack="zero",
                scale=alt.Scale(domain=[0, 1]),
                axis=axis(format="%"),
            ),
            y=alt.Y("cohort:N", title=None, scale=alt.Scale(domain=cohorts), sort=None),
            color=alt.Color(
                "class:N",
                title=None,
                scale=alt.Scale(domain=classes, range=[*colors, theme.OTHERS]),
                sort=None,
            ),
            order=alt.Order("order:Q"),
            tooltip=[
                alt.Tooltip("cohort:N"),
                alt.Tooltip("class:N"),
                alt.Tooltip("alleles:Q", format=","),
                alt.Tooltip("share:Q", format=".2%"),
            ],
        )
    )
    # High enough for the legend too.
    return alt.layer(bars).properties(height=max(28 * len(cohorts), 15 * len(classes)))


def medians_chart(summaries: Sequence[CohortSummary], models: Sequence[str], scale: Scale) -> Chart:
    """Return the chart of each cohort's median of each class, of scores on one scale."""
    rows: list[Row] = []
    order = _classes(summaries, models[0])
    for model in models:
        for summary in summaries:
            for name, histogram in _named_classes(summary, model):
                values = summary.models[model].scores_of(histogram)
                if name in order and values.total >= _MIN_FOR_MEDIAN:
                    rows.append(
                        {
                            "model": model,
                            "cohort": summary.cohort,
                            "class": name,
                            "alleles": values.total,
                            "median": rounded(values.quantile(0.5), values.bins),
                        }
                    )
    return Chart(
        "medians_by_cohort",
        f"Median {scale.kind.title} by consequence and cohort",
        f"One point a cohort; those of fewer than {_MIN_FOR_MEDIAN} alleles are left out.",
        rows,
        lambda data, _rows, _page: _medians(data, order, _cohorts(summaries), scale),
        "" if rows else f"No class has {_MIN_FOR_MEDIAN} alleles.",
    )


def _medians(
    data: alt.Data, classes: list[str], cohorts: list[str], scale: Scale
) -> alt.LayerChart:
    colors = [theme.CATEGORIES[i % len(theme.CATEGORIES)] for i in range(len(cohorts))]
    along = score_axis(scale)
    points = (
        alt.Chart(data)
        .mark_point(filled=True, size=70, opacity=0.85)
        .encode(
            x=alt.X(
                "median:Q",
                title=f"median {along['title']}",
                scale=along["scale"],
                axis=axis(),
            ),
            y=alt.Y("class:N", title=None, scale=alt.Scale(domain=classes), sort=None),
            color=alt.Color(
                "cohort:N",
                title=None,
                scale=alt.Scale(domain=cohorts, range=colors),
                sort=None,
            ),
            tooltip=[
                alt.Tooltip("cohort:N"),
                alt.Tooltip("class:N"),
                alt.Tooltip("alleles:Q", format=","),
                alt.Tooltip("median:Q", format=scale.format),
            ],
        )
    )
    return alt.layer(points).properties(height=22 * len(classes) + 20)

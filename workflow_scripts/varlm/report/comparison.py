"""All cohorts beside each other: what each report leaves for it, and the page `index.html`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import altair as alt
import numpy as np

from varlm import __version__
from varlm.figures import theme
from varlm.report import page
from varlm.report.charts import chart as chart_module
from varlm.report.charts import llr
from varlm.report.charts.chart import Chart, Row
from varlm.report.counts import Distribution, ModelCounts, distribution

SHOWN_COHORTS = 40  # in a chart; the table has all
_CLASSES = 12  # consequences compared: as many as there are colours
_MIN_FOR_MEDIAN = 5  # alleles


def cohort_summary(
    cohort: str,
    accounting: Mapping[str, Any],
    plans: Mapping[str, Mapping[str, Any]],
    counts: Mapping[str, ModelCounts],
) -> dict[str, Any]:
    """Return what the comparison needs of a cohort, small whatever the cohort's size; JSON.

    Parameters
    ----------
    accounting : mapping
        `accounting.json`.
    plans : mapping
        Model → the cohort's counts in its `plan.json`.
    counts : mapping
        Model → what `aggregate.count` found.
    """
    column = llr.class_column(counts)
    return {
        "cohort": cohort,
        **{name: accounting[name] for name in ("alleles_in", "accepted", "rejected")},
        "rejected_by_reason": dict(accounting["by_reason"]),
        "class": column,
        "models": {
            model: {
                "planned": dict(plans[model]),
                "classes": [
                    {"name": key[0], **_sparse(values)}
                    for key, values in found.by("classes", column).items()
                ],
            }
            for model, found in counts.items()
        },
    }


def _sparse(values: Distribution) -> dict[str, list[int]]:
    """Return a histogram's bins that are not empty, and their counts."""
    bins = np.flatnonzero(values.counts)
    return {"bins": bins.tolist(), "counts": values.counts[bins].tolist()}


def _dense(entry: Mapping[str, Any]) -> Distribution:
    return distribution(np.array(entry["bins"], np.int64), np.array(entry["counts"], np.int64))


def _all(summary: Mapping[str, Any], model: str) -> Distribution:
    parts = [_dense(entry) for entry in summary["models"][model]["classes"]]
    return sum(parts[1:], parts[0]) if parts else distribution(*np.empty((2, 0), np.int64))


def make_index(
    summaries: Sequence[Mapping[str, Any]], backgrounds: Mapping[str, Distribution]
) -> str:
    """Return the page of all cohorts, which links to their reports beside it.

    Parameters
    ----------
    summaries : sequence of mapping
        Of `cohort_summary`, in the order shown.
    backgrounds : mapping
        Model → the background's LLRs.
    """
    models = list(backgrounds)
    shown = summaries[:SHOWN_COHORTS]
    made = [
        _llr_chart(shown, backgrounds),
        _shares_chart(shown, models),
        _medians_chart(shown, models),
    ]
    reasons = sorted({reason for entry in summaries for reason in entry["rejected_by_reason"]})
    context = {
        "title": "varlm: all cohorts",
        "version": __version__,
        "models": models,
        "model_options": [(model, model) for model in models],
        "cards": [
            ("cohorts", f"{len(summaries):,}", ""),
            ("alleles", f"{sum(entry['alleles_in'] for entry in summaries):,}", ""),
            ("scored", f"{sum(entry['accepted'] for entry in summaries):,}", ""),
            ("rejected", f"{sum(entry['rejected'] for entry in summaries):,}", ""),
        ],
        "rows": [_row(entry, backgrounds) for entry in summaries],
        "reasons": reasons,
        "charts": made,
        "left_out": len(summaries) - len(shown),
    }
    specifications = {chart.name: chart.page_spec(models) for chart in made if not chart.empty}
    return page.render("index.html.j2", context, {"charts": specifications})


def _row(summary: Mapping[str, Any], backgrounds: Mapping[str, Distribution]) -> dict[str, Any]:
    cohort = str(summary["cohort"])
    by_model = []
    for model, background in backgrounds.items():
        values, planned = _all(summary, model), summary["models"][model]["planned"]
        threshold = background.quantile(0.01)
        below = None if threshold is None else values.share_below(threshold)
        by_model.append(
            {
                "median": values.quantile(0.5),
                "q05": values.quantile(0.05),
                "below": "–" if below is None else f"{100 * below:.2f} %",
                "scored": planned["sites_scored"] + planned["alleles_scored"],
                "stored": planned["sites_from_store"] + planned["alleles_from_store"],
            }
        )
    return {
        "cohort": cohort,
        "link": f"cohorts/{quote(cohort)}/report.html",
        "models": by_model,
        **{name: summary[name] for name in ("alleles_in", "accepted", "rejected")},
        "by_reason": summary["rejected_by_reason"],
    }


def _llr_chart(
    summaries: Sequence[Mapping[str, Any]], backgrounds: Mapping[str, Distribution]
) -> Chart:
    rows: list[Row] = []
    for model, background in backgrounds.items():
        entries = [(chart_module.BACKGROUND_LABEL, background)]
        entries += [(str(entry["cohort"]), _all(entry, model)) for entry in summaries]
        rows += [
            {"model": model, "class": label, **chart_module.five(values)}
            for label, values in entries
            if values.total
        ]
    order = [chart_module.BACKGROUND_LABEL, *(str(entry["cohort"]) for entry in summaries)]
    return Chart(
        "llr_by_cohort",
        "LLR by cohort",
        "The bar holds the middle half of a cohort's alleles, the line nine tenths, the mark is "
        "the median; the grey row is the genome's background of random SNVs.",
        rows,
        lambda data, shown, _: chart_module.interval_rows(data, shown, order),
        "" if rows else "No cohort has a scored allele.",
    )


def _classes(summaries: Sequence[Mapping[str, Any]], model: str) -> list[str]:
    """Return the classes with the most alleles over all cohorts, the most numerous first."""
    totals: dict[str, int] = {}
    for entry in summaries:
        for found in entry["models"][model]["classes"]:
            name = llr.class_name(found["name"], entry["class"])
            totals[name] = totals.get(name, 0) + sum(found["counts"])
    return sorted(totals, key=lambda name: (-totals[name], name))[:_CLASSES]


def _shares_chart(summaries: Sequence[Mapping[str, Any]], models: Sequence[str]) -> Chart:
    order = _classes(summaries, models[0])
    rows: list[Row] = []
    for model in models:
        for entry in summaries:
            counts = dict.fromkeys([*order, "others"], 0)
            for found in entry["models"][model]["classes"]:
                name = llr.class_name(found["name"], entry["class"])
                counts[name if name in counts else "others"] += sum(found["counts"])
            total = sum(counts.values())
            rows += [
                {
                    "model": model,
                    "cohort": str(entry["cohort"]),
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
        "Share of each cohort's alleles by consequence, or by kind where there is no annotation.",
        rows,
        lambda data, _rows, _page: _shares(data, [*order, "others"], _cohorts(summaries)),
        "" if rows else "No cohort has a scored allele.",
    )


def _cohorts(summaries: Sequence[Mapping[str, Any]]) -> list[str]:
    return [str(entry["cohort"]) for entry in summaries]


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
                axis=chart_module.axis(format="%"),
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


def _medians_chart(summaries: Sequence[Mapping[str, Any]], models: Sequence[str]) -> Chart:
    rows: list[Row] = []
    order = _classes(summaries, models[0])
    for model in models:
        for entry in summaries:
            for found in entry["models"][model]["classes"]:
                name = llr.class_name(found["name"], entry["class"])
                values = _dense(found)
                if name in order and values.total >= _MIN_FOR_MEDIAN:
                    median = values.quantile(0.5)
                    assert median is not None
                    rows.append(
                        {
                            "model": model,
                            "cohort": str(entry["cohort"]),
                            "class": name,
                            "alleles": values.total,
                            "median": round(median, 3),
                        }
                    )
    return Chart(
        "medians_by_cohort",
        "Median LLR by consequence and cohort",
        f"One point a cohort; those of fewer than {_MIN_FOR_MEDIAN} alleles are left out.",
        rows,
        lambda data, _rows, _page: _medians(data, order, _cohorts(summaries)),
        "" if rows else f"No class has {_MIN_FOR_MEDIAN} alleles.",
    )


def _medians(data: alt.Data, classes: list[str], cohorts: list[str]) -> alt.LayerChart:
    colors = [theme.CATEGORIES[i % len(theme.CATEGORIES)] for i in range(len(cohorts))]
    points = (
        alt.Chart(data)
        .mark_point(filled=True, size=70, opacity=0.85)
        .encode(
            x=alt.X(
                "median:Q",
                title="median LLR (nats)",
                scale=alt.Scale(zero=False),
                axis=chart_module.axis(),
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
                alt.Tooltip("median:Q", format=".2f"),
            ],
        )
    )
    return alt.layer(points).properties(height=22 * len(classes) + 20)

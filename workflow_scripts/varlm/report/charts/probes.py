"""Probes as points with intervals, beside the same network on one-hot sequence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import polars as pl

from varlm.evaluation.rows import AUPRC, AUROC, PEARSON, SPEARMAN
from varlm.figures import theme
from varlm.probing.record import FitRecord, ProbeRun
from varlm.probing.verdict import METHOD_NAMES, METRIC_NAMES, describe, reference
from varlm.report.charts.chart import FIGURE_WIDTH, LONG_LABELS, PageChart, Row, specified

_LINE = 24  # px of a probe
_MODEL, _SEQUENCE = "embeddings", "sequence alone"
_CAPTIONS = {
    PEARSON: "Correlation of what is predicted with the label; 0 is chance.",
    SPEARMAN: "Correlation of their ranks; 0 is chance.",
    AUROC: "Share of pairs of the two classes in the right order; 0.5 is chance.",
    AUPRC: "Average precision; chance is the share of positives.",
}


def probe_figure(table: pl.DataFrame, run: ProbeRun) -> dict[str, Any]:
    """Return the figure's Vega-Lite specification: a panel each metric, below each other.

    Parameters
    ----------
    table : polars.DataFrame
        `model_schemas.PROBE`.
    run : ProbeRun
    """
    panels, rows = [], {}
    for i, (metric, points) in enumerate(_panels(table, run)):
        rows[f"rows_{i}"] = points
        panel = _drawn(alt.Data(name=f"rows_{i}"), points, metric)
        panels.append(panel.properties(width=FIGURE_WIDTH, title=_title(metric, run)))
    if not panels:
        data = alt.Data(name="rows_0")
        text = alt.Chart(data).mark_text(fontSize=14).encode(text="text:N")
        panels = [text.properties(width=FIGURE_WIDTH, height=80, title=run.probe)]
        rows = {"rows_0": [{"text": "No fold has enough rows: probe.tsv has the counts."}]}
    stacked = panels[0] if len(panels) == 1 else alt.vconcat(*panels)
    return specified(stacked, rows, LONG_LABELS)


def probe_charts(table: pl.DataFrame, run: ProbeRun) -> list[PageChart]:
    """Return the page's charts, one each metric that has values, the headline's first.

    Parameters as of the figure.
    """
    charts = []
    for metric, points in _panels(table, run):
        chart = _drawn(alt.Data(name="rows"), points, metric).properties(width="container")
        caption = (
            f"{_CAPTIONS[metric]} Dashed: {describe(run.fits[reference(run.fits)])}, which the "
            "others are compared with. Lines are 95 % intervals."
        )
        specification = specified(chart, {"rows": points}, LONG_LABELS)
        charts.append(
            PageChart(f"{run.probe}_{metric}", _title(metric, run), caption, specification)
        )
    return charts


def _line(fit: FitRecord) -> str:
    """Return a probe's name, what tells it apart first: narrow pages cut it."""
    pooled = f", {fit.features}" if fit.features in ("mean", "centre") else ""
    return f"{METHOD_NAMES[fit.method]}{pooled}: {fit.input}"


def _title(metric: str, run: ProbeRun) -> str:
    return f"{run.probe}: {METRIC_NAMES[metric]} within folds {run.folds_are}"


def _panels(table: pl.DataFrame, run: ProbeRun) -> list[tuple[str, list[Row]]]:
    against = run.fits[reference(run.fits)]
    panels = []
    for metric in METRIC_NAMES:
        measured = table.filter(pl.col("metric") == metric, pl.col("value").is_not_null())
        if measured.is_empty():
            continue
        by_fit = {
            (row["input"], row["features"], row["method"]): row
            for row in measured.iter_rows(named=True)
        }
        level = by_fit[against.input, against.features, against.method]["value"]
        points = [
            _point(_line(fit), fit.model, by_fit[fit.input, fit.features, fit.method], level)
            for fit in run.fits
        ]
        panels.append((metric, points))
    return panels


def _point(line: str, model: bool, row: Row, level: float) -> Row:
    return {
        "line": line,
        "reads": _MODEL if model else _SEQUENCE,
        "value": row["value"],
        "low": row["value"] if row["low"] is None else row["low"],
        "high": row["value"] if row["high"] is None else row["high"],
        "difference": row["difference"],
        "reference": level,
    }


def _drawn(data: alt.Data, points: Sequence[Row], metric: str) -> alt.LayerChart:
    lines = [point["line"] for point in points]
    scale = alt.Scale(zero=False)
    axis = alt.Axis(tickCount=6)
    domain = [_MODEL, _SEQUENCE]
    base = alt.Chart(data).encode(
        y=alt.Y("line:N", title=None, sort=None, scale=alt.Scale(domain=lines)),
        color=alt.Color(
            "reads:N",
            title=None,
            scale=alt.Scale(domain=domain, range=[theme.CATEGORIES[0], theme.CATEGORIES[1]]),
            legend=alt.Legend(orient="bottom"),
        ),
        tooltip=[
            alt.Tooltip("line:N", title="probe"),
            alt.Tooltip("value:Q", format=".3f"),
            alt.Tooltip("low:Q", title="from", format=".3f"),
            alt.Tooltip("high:Q", title="to", format=".3f"),
            alt.Tooltip("difference:Q", title="less the reference", format="+.3f"),
        ],
    )
    title = METRIC_NAMES[metric]
    span = base.mark_rule(strokeWidth=2, opacity=0.75).encode(
        x=alt.X("low:Q", title=title, scale=scale, axis=axis), x2="high:Q"
    )
    dots = base.mark_point(filled=True, size=70, opacity=1).encode(
        x=alt.X("value:Q", title=title, scale=scale, axis=axis)
    )
    level = (
        alt.Chart(data)
        .transform_aggregate(reference="min(reference)")
        .mark_rule(strokeDash=[4, 4], color=theme.BACKGROUND, strokeWidth=1.5)
        .encode(x=alt.X("reference:Q", title=title, scale=scale, axis=axis))
    )
    return alt.layer(level, span, dots).properties(height=_LINE * len(lines))

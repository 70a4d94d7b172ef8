"""An evaluation's numbers as points with intervals, one chart a kind of number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import polars as pl

from varlm.evaluation.rows import (
    AUPRC,
    AUPRC_BY_CHROMOSOME,
    AUPRC_BY_CONSEQUENCE,
    AUROC,
    AUROC_BY_CHROMOSOME,
    AUROC_WITHIN_GROUPS,
    AUROC_WITHIN_STRATA,
    EVERYTHING,
    ODDS_RATIO,
    PAIRWISE,
    PAIRWISE_BY_CONSEQUENCE,
    PEARSON,
    PEARSON_BY_GROUP,
    SPEARMAN,
    SPEARMAN_BY_GROUP,
)
from varlm.figures import theme
from varlm.report.charts.chart import FIGURE_WIDTH, LONG_LABELS, PageChart, Row, specified

_LINES = 40  # of a chart: questions; the table has all
_POINT, _GAP = 11, 12  # px of a score's point, and between two questions
_LABEL_LINE = 14  # px of a line of a question's label: one that has no room is not drawn
_TICKS = 6
_NARROW = 16  # characters of a name of which two stand beside each other on a phone
# Task, group and metric of a line below each other, so that none is cut off with the others.
_LABEL = "split(replace(datum.label, regexp('_variant', 'g'), ''), ', ')"


@dataclass(frozen=True)
class _Panel:
    """A chart of one kind of number: its metrics, with words for the lines they make."""

    name: str
    title: str
    axis: str
    metrics: Mapping[str, str]
    chance: float | None
    log: bool
    caption: str


_PANELS = (
    _Panel(
        "evaluation_auroc",
        "AUROC",
        "AUROC or pairwise accuracy",
        {
            AUROC: "",
            AUROC_BY_CHROMOSOME: "by chromosome",
            PAIRWISE: "pairs",
            PAIRWISE_BY_CONSEQUENCE: "pairs by consequence",
            AUROC_WITHIN_GROUPS: "within",
            AUROC_WITHIN_STRATA: "within strata",
        },
        0.5,
        False,
        "Share of pairs that the score puts in the right order: of a positive and a negative each, "
        "or of those that belong together; 0.5 (dashed) is chance.",
    ),
    _Panel(
        "evaluation_auprc",
        "AUPRC",
        "AUPRC",
        {
            AUPRC: "",
            AUPRC_BY_CHROMOSOME: "by chromosome",
            AUPRC_BY_CONSEQUENCE: "by consequence",
        },
        None,
        False,
        "Average precision. Chance is the share of positives, which differs from line to line: "
        "compare scores within a line only.",
    ),
    _Panel(
        "evaluation_spearman",
        "Rank correlation",
        "Spearman’s ρ",
        {SPEARMAN: "", SPEARMAN_BY_GROUP: "by group"},
        0.0,
        False,
        "Of each score (higher: more deleterious) with the number; 0 (dashed) is chance. With the "
        "allele frequency, a good score has a negative one.",
    ),
    _Panel(
        "evaluation_pearson",
        "Linear correlation",
        "Pearson’s r",
        {PEARSON: "", PEARSON_BY_GROUP: "by group"},
        0.0,
        False,
        "Of each score (higher: more deleterious) with the number; 0 (dashed) is chance.",
    ),
    _Panel(
        "evaluation_odds_ratio",
        "Rare against common alleles in the tails",
        "odds ratio (logarithmic)",
        {ODDS_RATIO: ""},
        1.0,
        True,
        "How much more often alleles in the score’s tail are rare than the others are; 1 (dashed) "
        "is chance.",
    ),
)


def evaluation_figure(rows: pl.DataFrame) -> dict[str, Any]:
    """Return the figure's Vega-Lite specification: the panels that have values, below each other.

    Parameters
    ----------
    rows : polars.DataFrame
        `schemas.EVALUATION`.
    """
    order = _scores(rows)
    drawn = [(panel, lines) for panel in _PANELS if (lines := _lines(rows, panel))]
    if not drawn:
        data = alt.Data(name="rows_0")
        text = alt.Chart(data).mark_text(fontSize=14).encode(text="text:N")
        empty = text.properties(width=FIGURE_WIDTH, height=80, title="Evaluation")
        why = "No task has enough alleles: evaluation.tsv says how many there are."
        return specified(empty, {"rows_0": [{"text": why}]})
    panels = [
        _drawn(panel, lines, order, alt.Data(name=f"rows_{i}")).properties(
            width=FIGURE_WIDTH, title=panel.title
        )
        for i, (panel, lines) in enumerate(drawn)
    ]
    stacked = panels[0] if len(panels) == 1 else alt.vconcat(*panels)
    return specified(
        stacked, {f"rows_{i}": lines for i, (_, lines) in enumerate(drawn)}, LONG_LABELS
    )


def evaluation_charts(rows: pl.DataFrame) -> list[PageChart]:
    """Return the page's charts, of the panels that have values."""
    order = _scores(rows)
    charts = []
    for panel in _PANELS:
        if lines := _lines(rows, panel):
            chart = _drawn(panel, lines, order, alt.Data(name="rows")).properties(width="container")
            specification = specified(chart, {"rows": lines}, LONG_LABELS)
            charts.append(PageChart(panel.name, panel.title, panel.caption, specification))
    return charts


def _scores(rows: pl.DataFrame) -> list[str]:
    return rows["score"].drop_nulls().unique(maintain_order=True).to_list()


def _lines(rows: pl.DataFrame, panel: _Panel) -> list[Row]:
    """Return the points of a panel: one for each question and score, at most `_LINES` questions."""
    measured = rows.filter(
        pl.col("metric").is_in(list(panel.metrics)), pl.col("value").is_not_null()
    )
    points: list[Row] = []
    labels: dict[str, None] = {}
    for row in measured.iter_rows(named=True):
        words = [row["task"], row["group"] if row["group"] != EVERYTHING else ""]
        label = ", ".join(filter(None, [*words, panel.metrics[row["metric"]]]))
        if label not in labels and len(labels) == _LINES:
            continue
        labels[label] = None
        low, high = row["low"], row["high"]
        points.append(
            {
                "line": label,
                "score": row["score"],
                "value": row["value"],
                "low": row["value"] if low is None else low,
                "high": row["value"] if high is None else high,
                "alleles": row["alleles"],
                "positives": row["positives"],
                "negatives": row["negatives"],
            }
        )
    return points


def _drawn(
    panel: _Panel, points: Sequence[Row], order: Sequence[str], data: alt.Data
) -> alt.LayerChart:
    lines = list(dict.fromkeys(point["line"] for point in points))
    present = {point["score"] for point in points}
    shown = [score for score in order if score in present]
    colors = [theme.CATEGORIES[order.index(s) % len(theme.CATEGORIES)] for s in shown]
    columns = 2 if max(map(len, shown)) <= _NARROW else 1
    scale = alt.Scale(type="log", nice=False) if panel.log else alt.Scale(zero=False)
    base = alt.Chart(data).encode(
        y=alt.Y(
            "line:N",
            title=None,
            sort=None,
            scale=alt.Scale(domain=lines, paddingInner=0.3),
            axis=alt.Axis(labelExpr=_LABEL),
        ),
        yOffset=alt.YOffset("score:N", sort=None, scale=alt.Scale(domain=shown)),
        color=alt.Color(
            "score:N",
            title=None,
            sort=None,
            scale=alt.Scale(domain=shown, range=colors),
            legend=alt.Legend(orient="bottom", columns=columns, labelLimit=380),
        ),
        tooltip=[
            alt.Tooltip("line:N", title="task"),
            alt.Tooltip("score:N"),
            alt.Tooltip("value:Q", format=".3f"),
            alt.Tooltip("low:Q", title="from", format=".3f"),
            alt.Tooltip("high:Q", title="to", format=".3f"),
            alt.Tooltip("alleles:Q", format=","),
            alt.Tooltip("positives:Q", format=","),
            alt.Tooltip("negatives:Q", format=","),
        ],
    )
    axis = alt.Axis(tickCount=_TICKS)
    span = base.mark_rule(strokeWidth=2, opacity=0.75).encode(
        x=alt.X("low:Q", title=panel.axis, scale=scale, axis=axis), x2="high:Q"
    )
    dots = base.mark_point(filled=True, size=55, opacity=1).encode(
        x=alt.X("value:Q", title=panel.axis, scale=scale, axis=axis)
    )
    layers = [span, dots]
    if panel.chance is not None:
        once = alt.Chart(data).transform_aggregate(points="count()")
        line = once.mark_rule(strokeDash=[4, 4], color=theme.BACKGROUND, strokeWidth=1.5)
        layers.insert(0, line.encode(x=alt.datum(panel.chance)))
    label = _LABEL_LINE * max(line.count(", ") + 1 for line in lines)
    height = len(lines) * max(_POINT * len(shown) + _GAP, label)
    return alt.layer(*layers).properties(height=height)

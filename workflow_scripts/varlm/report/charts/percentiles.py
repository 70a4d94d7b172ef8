"""Alleles by the percentile of their score."""

from __future__ import annotations

from collections.abc import Mapping

import altair as alt

from varlm.figures import theme
from varlm.report.charts.chart import MAX_ROWS, Chart, Row, axis
from varlm.report.counts import ModelCounts


def percentile_chart(counts: Mapping[str, ModelCounts]) -> Chart:
    """Return the histogram of percentiles, 1 % wide; random alleles of the genome: all at 1 %."""
    rows: list[Row] = []
    width = 1 if len(counts) <= MAX_ROWS // 100 else 5
    for model, of_model in counts.items():
        table = of_model.percentiles
        total = int(table["n"].sum())
        bars: dict[int, int] = {}
        for value, n in table.iter_rows():
            bars[value // width] = bars.get(value // width, 0) + n
        rows += [
            {
                "model": model,
                "from": i * width,
                "to": (i + 1) * width,
                "alleles": n,
                "share": round(n / total, 6),
            }
            for i, n in sorted(bars.items())
        ]
    llrs = all(of_model.scale.kind.is_llr for of_model in counts.values())
    worst = "finds unlikely" if llrs else "takes for harmful"
    return Chart(
        "percentiles",
        "Percentiles among the genome's background",
        f"Share of the cohort's alleles in each {width} % of the background (dashed line: what "
        "random SNVs of the genome would give). More at the left: the cohort has more alleles "
        f"that the model {worst} than random mutation would make.",
        rows,
        lambda data, *_: _percentile_bars(data, width / 100),
        "" if rows else "No percentiles: scoring.background_sites is 0.",
    )


def _percentile_bars(data: alt.Data, expected: float) -> alt.LayerChart:
    bars = (
        alt.Chart(data)
        .mark_rect(color=theme.ACCENT, opacity=0.85)
        .encode(
            x=alt.X(
                "from:Q",
                title="percentile",
                scale=alt.Scale(domain=[0, 100], nice=False),
                axis=axis(),
            ),
            x2="to:Q",
            y2=alt.datum(0),
            y=alt.Y("share:Q", title="share of alleles", axis=alt.Axis(format="~%")),
            tooltip=[
                alt.Tooltip("from:Q"),
                alt.Tooltip("to:Q"),
                alt.Tooltip("alleles:Q", format=","),
                alt.Tooltip("share:Q", format=".2%"),
            ],
        )
    )
    line = (
        alt.Chart(data)
        .mark_rule(strokeDash=[4, 4], color=theme.CATEGORIES[0], strokeWidth=1.5)
        .encode(y=alt.datum(expected))
    )
    return alt.layer(bars, line).properties(height=220)

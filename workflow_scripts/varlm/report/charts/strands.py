"""Agreement of the two strands."""

from __future__ import annotations

from collections.abc import Mapping

import altair as alt

from varlm.figures import theme
from varlm.report.charts.chart import MAX_ROWS, Chart, Row, axis
from varlm.report.counts import ModelCounts
from varlm.report.scales import Scale


def strand_chart(counts: Mapping[str, ModelCounts], most: int = MAX_ROWS) -> Chart:
    """Return the heat map of the forward strand's score against the reverse strand's.

    All models' scores are on one scale; `most` rows in all.
    """
    rows: list[Row] = []
    scale = next(iter(counts.values())).scale
    cells = max(min(int((most / len(counts)) ** 0.5), 48), 6)
    for model, of_model in counts.items():
        table = of_model.strands
        if not table.height:
            continue
        low, high = _strand_range(of_model)
        step = max(-(-(high - low) // cells), 1)
        x = (table["fwd"].to_numpy().clip(low, high - 1) - low) // step
        y = (table["rev"].to_numpy().clip(low, high - 1) - low) // step
        joined: dict[tuple[int, int], int] = {}
        for key, n in zip(zip(x.tolist(), y.tolist(), strict=True), table["n"], strict=True):
            joined[key] = joined.get(key, 0) + n
        side, digits = of_model.strand_step, scale.bins.places + 1
        for (i, j), n in sorted(joined.items()):
            rows.append(
                {
                    "model": model,
                    "fwd": round((low + i * step) * side, digits),
                    "fwd_to": round((low + (i + 1) * step) * side, digits),
                    "rev": round((low + j * step) * side, digits),
                    "rev_to": round((low + (j + 1) * step) * side, digits),
                    "alleles": n,
                }
            )
    return Chart(
        "strand_agreement",
        "Forward against reverse strand",
        f"Alleles by the {scale.kind.title} read on each strand (logarithmic colours; what is "
        "beyond the axes counts at their ends). A model that reads both strands alike keeps to the "
        "diagonal.",
        rows,
        lambda data, *_: _strand_map(data, scale),
        "" if rows else "Only the forward strand was scored.",
    )


def _strand_range(counts: ModelCounts) -> tuple[int, int]:
    """Return the cells that hold all but the outermost thousandth on each side, either strand."""
    lows, highs = [], []
    for column in ("fwd", "rev"):
        summed = counts.strands.group_by(column).agg(n="n").sort(column)
        n = [int(part.sum()) for part in summed["n"]]
        total, seen = sum(n), 0
        inside = []
        for value, part in zip(summed[column], n, strict=True):
            if seen + part > 0.001 * total and seen < 0.999 * total:
                inside.append(int(value))
            seen += part
        lows.append(inside[0])
        highs.append(inside[-1] + 1)
    return min(lows), max(highs)


def _strand_map(data: alt.Data, scale: Scale) -> alt.LayerChart:
    cells = (
        alt.Chart(data)
        .mark_rect(strokeWidth=0)
        .encode(
            x=alt.X(
                "fwd:Q",
                title=f"forward {scale.axis}",
                scale=alt.Scale(nice=False, zero=False),
                axis=axis(),
            ),
            x2="fwd_to:Q",
            y=alt.Y(
                "rev:Q", title=f"reverse {scale.axis}", scale=alt.Scale(nice=False, zero=False)
            ),
            y2="rev_to:Q",
            color=alt.Color(
                "alleles:Q",
                title="alleles",
                scale=alt.Scale(type="log", scheme="viridis"),
                legend=alt.Legend(tickCount=4, format="~s"),
            ),
            tooltip=[
                alt.Tooltip("fwd:Q", title="forward from", format=scale.format),
                alt.Tooltip("fwd_to:Q", title="to", format=scale.format),
                alt.Tooltip("rev:Q", title="reverse from", format=scale.format),
                alt.Tooltip("rev_to:Q", title="to ", format=scale.format),
                alt.Tooltip("alleles:Q", format=","),
            ],
        )
    )
    ends = (
        alt.Chart(data)
        .transform_aggregate(a="min(fwd)", b="max(fwd_to)", c="min(rev)", d="max(rev_to)")
        .transform_calculate(low="max(datum.a, datum.c)", high="min(datum.b, datum.d)")
        .mark_rule(strokeDash=[4, 4], color=theme.BACKGROUND, strokeWidth=1.5)
        .encode(x="low:Q", y="low:Q", x2="high:Q", y2="high:Q")
    )
    return alt.layer(cells, ends).properties(height=360)

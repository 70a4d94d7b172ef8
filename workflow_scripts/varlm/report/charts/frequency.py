"""Scores by allele frequency."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import altair as alt

from varlm.figures import theme
from varlm.report.charts.chart import INTERVALS, MEDIANS, Chart, Row, five, score_axis
from varlm.report.counts import AF_EDGES, ModelCounts
from varlm.report.scales import Scale


def frequency_chart(counts: Mapping[str, ModelCounts]) -> Chart:
    """Return the chart of scores on one scale by allele frequency."""
    labels, scale = _frequency_labels(), next(iter(counts.values())).scale
    expected = f"have {'higher' if scale.kind.worst_first else 'lower'} scores"
    if scale.kind.is_llr:
        expected = "be less likely to the model"
    rows: list[Row] = []
    for model, of_model in counts.items():
        for (interval,), values in of_model.by("by_af", "af").items():
            if interval is None:
                continue
            assert isinstance(interval, int)
            rows.append({"model": model, "af": labels[interval], **five(values)})
    present = {row["af"] for row in rows}
    return Chart(
        "llr_by_frequency",
        f"{scale.heading} by allele frequency",
        "Median (mark), middle half (bar) and nine tenths (line) of the alleles in each interval "
        "of frequency. Selection keeps harmful alleles rare, so rare alleles are expected to "
        f"{expected}.",
        rows,
        lambda data, *_: _frequency_columns(data, [x for x in labels if x in present], scale),
        "" if rows else "No allele has a frequency (INFO/AF, or AC and AN).",
    )


def _frequency_labels() -> list[str]:
    edges = [f"{edge:g}" for edge in AF_EDGES]
    between = [f"{a}–{b}" for a, b in pairwise(edges)]
    return [f"≤ {edges[0]}", *between, f"> {edges[-1]}"]


def _frequency_columns(data: alt.Data, order: list[str], scale: Scale) -> alt.LayerChart:
    x = alt.X(
        "af:N",
        title="allele frequency",
        scale=alt.Scale(domain=order, paddingInner=0.4),
        sort=None,
        axis=alt.Axis(labelAngle=-35),
    )
    tooltip = [
        alt.Tooltip("af:N", title="allele frequency"),
        alt.Tooltip("alleles:Q", format=","),
        *(alt.Tooltip(f"{name}:Q", format=scale.format) for name, _ in INTERVALS),
    ]
    base = alt.Chart(data).encode(x=x, tooltip=tooltip)
    along = score_axis(scale)
    y = alt.Y("q05:Q", **along)
    whisker = base.mark_rule(strokeWidth=1.5, color=theme.ACCENT).encode(y=y, y2="q95:Q")
    box = base.mark_bar(width={"band": 0.8}, opacity=0.75, cornerRadius=2, color=theme.ACCENT)
    box = box.encode(y=alt.Y("q25:Q", title=along["title"]), y2="q75:Q")
    middle = base.mark_tick(thickness=2.5, width={"band": 1.0}, color="#1d2733", opacity=1)
    middle = middle.encode(y=alt.Y("median:Q", title=along["title"])).properties(name=MEDIANS)
    return alt.layer(whisker, box, middle).properties(height=260)

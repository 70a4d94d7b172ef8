"""LLR densities by class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import altair as alt
import numpy as np
from numpy.typing import NDArray

from varlm.figures import theme
from varlm.report.charts.chart import BACKGROUND_LABEL, LLR, MAX_ROWS, Chart, Row, axis
from varlm.report.charts.intervals import SHOWN_CLASSES, class_word, labelled_llrs
from varlm.report.classes import ClassLabels, class_labels
from varlm.report.counts import LLR_STEP, Distribution, ModelCounts, bin_middles

MIN_FOR_DENSITY = 50  # alleles; a curve of fewer is noise


def density_chart(
    counts: Mapping[str, ModelCounts], backgrounds: Mapping[str, Distribution]
) -> Chart:
    """Return the chart of LLR densities by class, against the genome's background."""
    labels = class_labels(counts, SHOWN_CLASSES)
    points = _curve_points(counts, backgrounds, len(counts) * (len(labels.order) + 1))
    rows: list[Row] = [
        {"model": model, "class": label, "llr": llr, "density": density}
        for model, label, values in labelled_llrs(counts, backgrounds, labels)
        if values.total >= MIN_FOR_DENSITY
        for llr, density in _curve(values, points)
    ]
    behind = any(background.total for background in backgrounds.values())
    drawn = any(row["class"] != BACKGROUND_LABEL for row in rows)
    return Chart(
        "llr_density",
        f"LLR densities by {class_word(counts)}",
        "Share of a class's alleles per nat"
        + (", against the background (grey area)" if behind else "")
        + ", smoothed. Click a class in the legend to single it out, more of them with the "
        f"shift key. Classes of fewer than {MIN_FOR_DENSITY} alleles are left out.",
        rows,
        lambda data, rows, page: _density_lines(data, rows, labels, page),
        "" if drawn else f"No class has {MIN_FOR_DENSITY} alleles.",
    )


def _curve_points(
    counts: Mapping[str, ModelCounts], backgrounds: Mapping[str, Distribution], curves: int
) -> NDArray[np.float64]:
    """Return the LLRs at which curves are drawn, so many that they fit `MAX_ROWS`; shape (n,)."""
    everything = [*(of_model.all() for of_model in counts.values()), *backgrounds.values()]
    ends = [d.quantile(share) for d in everything for share in (0.002, 0.998)]
    known = [end for end in ends if end is not None] or [-1.0, 1.0]
    points = max(min(90, MAX_ROWS // max(curves, 1)), 8)
    return np.linspace(min(known) - 0.1, max(known) + 0.1, points)


def _curve(values: Distribution, points: NDArray[np.float64]) -> list[tuple[float, float]]:
    """Return a kernel density estimate: a Gaussian of Silverman's bandwidth on the histogram.

    B. W. Silverman, Density Estimation (1986), equation 3.31.
    """
    bins = np.flatnonzero(values.counts)
    x, weight = bin_middles()[bins], values.counts[bins] / values.total
    mean = weight @ x
    spread = float(np.sqrt(weight @ (x - mean) ** 2))
    low, high = values.quantile(0.25), values.quantile(0.75)
    assert low is not None
    assert high is not None
    middle = (high - low) / 1.34
    narrower = min(spread, middle) if middle > 0 else spread
    bandwidth = max(0.9 * narrower * values.total**-0.2, 2 * LLR_STEP)
    kernel = np.exp(-0.5 * ((points[:, None] - x) / bandwidth) ** 2)
    density = kernel @ weight / (bandwidth * np.sqrt(2 * np.pi))
    return [(round(a, 3), float(f"{b:.4g}")) for a, b in zip(points.tolist(), density, strict=True)]


def _density_lines(
    data: alt.Data, rows: Sequence[Row], labels: ClassLabels, page: bool
) -> alt.LayerChart:
    colors = list(theme.CATEGORIES[: len(labels.shown)])
    if labels.other:
        colors.append(theme.OTHERS)
    present = {row["class"] for row in rows}
    colored = zip(labels.order, colors, strict=True)
    shown = {label: color for label, color in colored if label in present}
    picked = alt.selection_point(name="picked", fields=["class"], bind="legend")
    x = alt.X("llr:Q", title=LLR, scale=alt.Scale(nice=False), axis=axis())
    y = alt.Y("density:Q", title="share per nat", stack=None)
    tooltip = [
        alt.Tooltip("class:N", title="class"),
        alt.Tooltip("llr:Q", title="LLR", format=".2f"),
        alt.Tooltip("density:Q", title="share per nat", format=".4f"),
    ]
    behind = (
        alt.Chart(data)
        .transform_filter(f"datum.class === '{BACKGROUND_LABEL}'")
        .mark_area(color=theme.BACKGROUND, opacity=0.3, interpolate="monotone")
        .encode(x=x, y=y, tooltip=tooltip)
    )
    lines = (
        alt.Chart(data)
        .transform_filter(f"datum.class !== '{BACKGROUND_LABEL}'")
        .mark_line(strokeWidth=2, interpolate="monotone")
        .encode(
            x=x,
            y=y,
            color=alt.Color(
                "class:N",
                title=None,
                scale=alt.Scale(domain=list(shown), range=list(shown.values())),
                sort=None,
            ),
            tooltip=tooltip,
        )
    )
    if page:
        lines = lines.encode(opacity=alt.condition(picked, alt.value(0.95), alt.value(0.08)))
        lines = lines.add_params(picked)
    # An area of no rows would make Vega complain of an infinite extent.
    layers = [behind, lines] if BACKGROUND_LABEL in present else [lines]
    return alt.layer(*layers).properties(height=300)

"""Densities of scores by class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import altair as alt
import numpy as np
from numpy.typing import NDArray

from varlm.figures import theme
from varlm.report.charts.chart import BACKGROUND_LABEL, MAX_ROWS, Chart, Row, axis
from varlm.report.charts.intervals import SHOWN_CLASSES, class_word, labelled_scores
from varlm.report.classes import ClassLabels, class_labels
from varlm.report.counts import ModelCounts
from varlm.report.distributions import Distribution
from varlm.report.scales import Scale

MIN_FOR_DENSITY = 50  # alleles; a curve of fewer is noise


def density_chart(
    counts: Mapping[str, ModelCounts],
    backgrounds: Mapping[str, Distribution],
    most: int = MAX_ROWS,
) -> Chart:
    """Return the chart of densities by class, against the background; `most` rows in all.

    All models' scores are on one scale; each has curves as far as its own scores go.
    """
    labels = class_labels(counts, SHOWN_CLASSES)
    scale = next(iter(counts.values())).scale
    column = scale.kind.column
    curves = len(counts) * (len(labels.order) + 1)
    points = {
        model: _curve_points(of_model, backgrounds[model], most // max(curves, 1))
        for model, of_model in counts.items()
    }
    rows: list[Row] = [
        {"model": model, "class": label, column: score, "density": density}
        for model, label, values in labelled_scores(counts, backgrounds, labels)
        if values.total >= MIN_FOR_DENSITY
        for score, density in _curve(values, points[model])
    ]
    behind = any(background.total for background in backgrounds.values())
    drawn = any(row["class"] != BACKGROUND_LABEL for row in rows)
    return Chart(
        "llr_density",
        f"{scale.heading} densities by {class_word(counts)}",
        f"Share of a class's alleles {scale.per_unit}"
        + (", against the background (grey area)" if behind else "")
        + ", smoothed. Click a class in the legend to single it out, more of them with the "
        f"shift key. Classes of fewer than {MIN_FOR_DENSITY} alleles are left out.",
        rows,
        lambda data, rows, page: _density_lines(data, rows, labels, scale, page),
        "" if drawn else f"No class has {MIN_FOR_DENSITY} alleles.",
    )


def _curve_points(counts: ModelCounts, background: Distribution, most: int) -> NDArray[np.float64]:
    """Return the scores at which a model's curves are drawn, about `most`; shape (n,)."""
    everything = [counts.all(), background]
    ends = [d.quantile(share) for d in everything for share in (0.002, 0.998)]
    known = [end for end in ends if end is not None] or [-1.0, 1.0]
    margin = 2 * everything[0].bins.step
    return np.linspace(min(known) - margin, max(known) + margin, max(min(90, most), 8))


def _curve(values: Distribution, points: NDArray[np.float64]) -> list[tuple[float, float]]:
    """Return a kernel density estimate: a Gaussian of Silverman's bandwidth on the histogram.

    B. W. Silverman, Density Estimation (1986), equation 3.31.
    """
    bins = np.flatnonzero(values.counts)
    x, weight = values.bins.middles[bins], values.counts[bins] / values.total
    mean = weight @ x
    spread = float(np.sqrt(weight @ (x - mean) ** 2))
    low, high = values.quantile(0.25), values.quantile(0.75)
    assert low is not None
    assert high is not None
    middle = (high - low) / 1.34
    narrower = min(spread, middle) if middle > 0 else spread
    bandwidth = max(0.9 * narrower * values.total**-0.2, 2 * values.bins.step)
    kernel = np.exp(-0.5 * ((points[:, None] - x) / bandwidth) ** 2)
    density = kernel @ weight / (bandwidth * np.sqrt(2 * np.pi))
    digits = values.bins.places + 1
    pairs = zip(points.tolist(), density, strict=True)
    return [(round(a, digits), float(f"{b:.4g}")) for a, b in pairs]


def _density_lines(
    data: alt.Data, rows: Sequence[Row], labels: ClassLabels, scale: Scale, page: bool
) -> alt.LayerChart:
    colors = list(theme.CATEGORIES[: len(labels.shown)])
    if labels.other:
        colors.append(theme.OTHERS)
    present = {row["class"] for row in rows}
    colored = zip(labels.order, colors, strict=True)
    shown = {label: color for label, color in colored if label in present}
    picked = alt.selection_point(name="picked", fields=["class"], bind="legend")
    column, share = scale.kind.column, f"share {scale.per_unit}"
    x = alt.X(f"{column}:Q", title=scale.axis, scale=alt.Scale(nice=False), axis=axis())
    y = alt.Y("density:Q", title=share, stack=None)
    tooltip = [
        alt.Tooltip("class:N", title="class"),
        alt.Tooltip(f"{column}:Q", title=scale.kind.title, format=scale.format),
        alt.Tooltip("density:Q", title=share, format=".4f" if scale.kind.is_llr else ".4~g"),
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

"""The report's charts: counts → Altair charts → Vega-Lite specifications.

One chart is made twice from the same rows: for the page, with all models' rows and a parameter
that chooses one; and as a figure, the models below each other. No text of a user is part of an
expression or a field name; it is data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import altair as alt
import numpy as np
from numpy.typing import NDArray

from varlm.figures import theme
from varlm.report.charts.chart import (
    BACKGROUND_LABEL,
    LLR,
    MAX_ROWS,
    Chart,
    Row,
    axis,
    five,
    interval_rows,
)
from varlm.report.counts import (
    LLR_STEP,
    Distribution,
    ModelCounts,
    bin_middles,
)

SHOWN_CLASSES = 12
MIN_FOR_DENSITY = 50  # alleles; a curve of fewer is noise


def llr_charts(
    counts: Mapping[str, ModelCounts], backgrounds: Mapping[str, Distribution]
) -> tuple[list[Chart], list[str]]:
    """Return the charts of LLR by class against the background, and the classes shown.

    The class is the consequence, or the kind of allele where no row has a consequence. The
    `SHOWN_CLASSES` most numerous are shown, the rest as one.
    """
    column = class_column(counts)
    labels = _labels(counts, column)
    order = [*labels.shown, *([labels.other] if labels.other else [])]
    word = "consequence" if column == "consequence" else "kind of allele"
    intervals: list[Row] = []
    curves: list[Row] = []
    points = _curve_points(counts, backgrounds, len(counts) * (len(order) + 1))
    for model, found in counts.items():
        groups = _grouped(found, column, labels)
        entries = [(BACKGROUND_LABEL, backgrounds[model]), *((n, groups.get(n)) for n in order)]
        for label, values in entries:
            if values is None or not values.total:
                continue
            intervals.append({"model": model, "class": label, **five(values)})
            if values.total >= MIN_FOR_DENSITY:
                curves += [
                    {"model": model, "class": label, "llr": x, "density": y}
                    for x, y in _curve(values, points)
                ]
    background_shown = any(row["class"] == BACKGROUND_LABEL for row in intervals)
    against = " The grey row is the genome's background." if background_shown else ""
    return [
        Chart(
            "llr_by_consequence",
            f"LLR by {word}",
            f"Each {word}: the bar holds the middle half of its alleles, the line nine tenths, the "
            f"mark is the median. Further left: less likely to the model.{against}",
            intervals,
            lambda data, rows, _: interval_rows(data, rows, [BACKGROUND_LABEL, *order]),
            "" if order else "No allele was accepted.",
        ),
        Chart(
            "llr_density",
            f"LLR densities by {word}",
            "Share of a class's alleles per nat"
            + (", against the background (grey area)" if background_shown else "")
            + ", smoothed. Click a class in the legend to single it out, more of them with the "
            f"shift key. Classes of fewer than {MIN_FOR_DENSITY} alleles are left out.",
            curves,
            lambda data, rows, page: _density_lines(data, rows, labels, page),
            ""
            if any(row["class"] != BACKGROUND_LABEL for row in curves)
            else f"No class has {MIN_FOR_DENSITY} alleles.",
        ),
    ], order


def class_column(counts: Mapping[str, ModelCounts]) -> str:
    """Return `consequence`, or `kind` where no allele has a consequence."""
    annotated = any(found.classes["consequence"].is_not_null().any() for found in counts.values())
    return "consequence" if annotated else "kind"


def class_table(
    counts: Mapping[str, ModelCounts], backgrounds: Mapping[str, Distribution], column: str
) -> list[Row]:
    """Return the rows of the table below the charts: every class, the most numerous first.

    `below` is the share of the class's alleles below the background's first percentile.
    """
    names: dict[str | None, Row] = {}
    for model, found in counts.items():
        threshold = backgrounds[model].quantile(0.01)
        for (name,), values in found.by("classes", column).items():
            row = names.setdefault(
                None if name is None else str(name),
                {"class": class_name(name, column), "alleles": values.total, "models": {}},
            )
            row["models"][model] = {
                "median": values.quantile(0.5),
                "q05": values.quantile(0.05),
                "below": None if threshold is None else values.share_below(threshold),
            }
    return sorted(names.values(), key=lambda row: (-row["alleles"], row["class"]))


@dataclass(frozen=True)
class _Labels:
    """The classes shown by name, and what the others together are called ("" : no others)."""

    shown: list[str]
    other: str


def class_name(name: object, column: str) -> str:
    """Return what a class is called: `name`, or words where it is null."""
    return (
        ("no consequence given" if column == "consequence" else "?") if name is None else str(name)
    )


def _labels(counts: Mapping[str, ModelCounts], column: str) -> _Labels:
    first = next(iter(counts.values()))
    groups = first.by("classes", column)
    by_number = sorted(groups, key=lambda key: (-groups[key].total, str(key[0])))
    shown, rest = by_number[:SHOWN_CLASSES], by_number[SHOWN_CLASSES:]
    shown.sort(key=lambda key: (groups[key].quantile(0.5) or 0.0, str(key[0])))
    # There are as many colours as classes shown: a single one more is "the others" by its name.
    other = f"{len(rest)} rarer classes" if rest else ""
    if len(rest) == 1:
        other = class_name(rest[0][0], column)
    return _Labels([class_name(key[0], column) for key in shown], other)


def _grouped(found: ModelCounts, column: str, labels: _Labels) -> dict[str, Distribution]:
    groups: dict[str, Distribution] = {}
    for (name,), values in found.by("classes", column).items():
        label = class_name(name, column)
        label = label if label in labels.shown else labels.other
        groups[label] = groups[label] + values if label in groups else values
    return groups


def _curve_points(
    counts: Mapping[str, ModelCounts], backgrounds: Mapping[str, Distribution], curves: int
) -> NDArray[np.float64]:
    """Return the LLRs at which curves are drawn, so many that they fit `MAX_ROWS`; shape (n,)."""
    everything = [*(found.all() for found in counts.values()), *backgrounds.values()]
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
    data: alt.Data, rows: Sequence[Row], labels: _Labels, page: bool
) -> alt.LayerChart:
    order, colors = list(labels.shown), list(theme.CATEGORIES[: len(labels.shown)])
    if labels.other:
        order.append(labels.other)
        colors.append(theme.OTHERS)
    present = {row["class"] for row in rows}
    shown = [(name, color) for name, color in zip(order, colors, strict=True) if name in present]
    order, colors = [name for name, _ in shown], [color for _, color in shown]
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
                "class:N", title=None, scale=alt.Scale(domain=order, range=colors), sort=None
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

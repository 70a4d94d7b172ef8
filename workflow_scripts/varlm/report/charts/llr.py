"""The report's charts: counts → Altair charts → Vega-Lite specifications.

One chart is made twice from the same rows: for the page, with all models' rows and a parameter
that chooses one; and as a figure, the models below each other. No text of a user is part of an
expression or a field name; it is data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import altair as alt
import numpy as np
from numpy.typing import NDArray

from varlm.figures import theme
from varlm.report.counts import (
    AF_EDGES,
    LLR_STEP,
    STRAND_STEP,
    Distribution,
    GenomeBins,
    ModelCounts,
    bin_middles,
)

Row = dict[str, Any]

MAX_ROWS = 4_800  # of one chart, all models together
BACKGROUND_LABEL = "genome background"
SHOWN_CLASSES = 12
MIN_FOR_DENSITY = 50  # alleles; a curve of fewer is noise
MIN_FOR_WINDOW = 5  # alleles in a stretch of the genome that gets a quantile
FIGURE_WIDTH = 640
_LLR = "LLR (nats)"
# The style sheet gives the marks of the layer of this name the colour of the text.
_MEDIANS = "medians"
_INTERVALS = (("q05", 0.05), ("q25", 0.25), ("median", 0.5), ("q75", 0.75), ("q95", 0.95))


@dataclass(frozen=True)
class Chart:
    """A chart: its name (the figure's file name), words, and rows.

    Attributes
    ----------
    name, title, caption : str
        Plain text. The caption says what is to be seen.
    rows : list of dict
        Each with the key `model`.
    draw : callable
        The layers over a data source, given the rows that they will show (colours and axes may
        depend on them), and whether they are for the page, where one can click.
    empty : str
        Why there is nothing to draw; "" where there is.
    """

    name: str
    title: str
    caption: str
    rows: list[Row]
    draw: Callable[[alt.Data, Sequence[Row], bool], alt.LayerChart | alt.Chart]
    empty: str = ""

    def page_spec(self, models: Sequence[str]) -> dict[str, Any]:
        """Return the specification for the page: the signal `model` chooses what is shown."""
        chosen = alt.param(name="model", value=models[0])
        chart = self.draw(alt.Data(name="rows"), self.rows, True)
        chart = chart.transform_filter("datum.model === model").add_params(chosen)
        return _specification(chart.properties(width="container"), {"rows": self.rows})

    def figure_spec(self, models: Sequence[str]) -> dict[str, Any]:
        """Return the specification of the figure: one panel a model, below each other."""
        if self.empty:
            text = alt.Chart(alt.Data(name="rows_0")).mark_text(fontSize=14)
            only = text.encode(text="text:N").properties(width=FIGURE_WIDTH, height=80)
            titled = only.properties(title=self.title)
            return _specification(titled, {"rows_0": [{"text": self.empty}]})
        panels, rows = [], {}
        for i, model in enumerate(models):
            rows[f"rows_{i}"] = [row for row in self.rows if row["model"] == model]
            title = alt.TitleParams(text=f"{self.title} – {model}")
            panel = self.draw(alt.Data(name=f"rows_{i}"), rows[f"rows_{i}"], False)
            panels.append(panel.properties(width=FIGURE_WIDTH, title=title))
        stacked = panels[0] if len(panels) == 1 else alt.vconcat(*panels)
        return _without_names(_specification(stacked, rows))


def _specification(chart: Any, rows: Mapping[str, list[Row]]) -> dict[str, Any]:
    made: dict[str, Any] = chart.to_dict(format="vega-lite")
    # Altair's own config (its default theme) gives way to ours, on the page and in the figures.
    made["config"] = theme.config()
    made["datasets"] = dict(rows)
    return made


def _without_names(specification: dict[str, Any]) -> dict[str, Any]:
    """Take away the names of views, which several panels have in common and must not."""
    for key in ("vconcat", "layer"):
        for view in specification.get(key, []):
            view.pop("name", None)
            _without_names(view)
    return specification


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


def five(values: Distribution) -> Row:
    """Return the number of alleles and five quantiles of their LLRs, nats."""
    shares = {name: _rounded(values.quantile(share)) for name, share in _INTERVALS}
    return {"alleles": values.total, **shares}


def _rounded(value: float | None, digits: int = 3) -> float | None:
    return None if value is None else round(value, digits)


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


def interval_rows(data: alt.Data, rows: Sequence[Row], order: list[str]) -> alt.LayerChart:
    """Return the chart of one row a class: nine tenths, middle half and median of its LLRs.

    Parameters
    ----------
    rows : sequence
        Each with `class` and what `five` returns.
    order : list of str
        The classes from above; those without a row are left out.
    """
    present = {row["class"] for row in rows}
    order = [label for label in order if label in present]
    y = alt.Y("class:N", title=None, scale=alt.Scale(domain=order, paddingInner=0.35), sort=None)
    tooltip = [
        alt.Tooltip("class:N", title="class"),
        alt.Tooltip("alleles:Q", format=","),
        *(alt.Tooltip(f"{name}:Q", format=".2f") for name, _ in _INTERVALS),
    ]
    color = alt.condition(
        f"datum.class === '{BACKGROUND_LABEL}'",
        alt.value(theme.BACKGROUND),
        alt.value(theme.ACCENT),
    )
    base = alt.Chart(data).encode(y=y, tooltip=tooltip)
    x = alt.X("q05:Q", title=_LLR, scale=alt.Scale(zero=False), axis=axis())
    whisker = base.mark_rule(strokeWidth=1.5).encode(x=x, x2="q95:Q", color=color)
    box = base.mark_bar(height={"band": 0.8}, opacity=0.75, cornerRadius=2)
    box = box.encode(x=alt.X("q25:Q", title=_LLR), x2="q75:Q", color=color)
    middle = base.mark_tick(thickness=2.5, height={"band": 1.0}, color="#1d2733", opacity=1)
    middle = middle.encode(x=alt.X("median:Q", title=_LLR)).properties(name=_MEDIANS)
    return alt.layer(whisker, box, middle).properties(height=24 * len(order))


def axis(**options: Any) -> alt.Axis:
    """Return a horizontal axis with about ten ticks, fewer where it is short."""
    return alt.Axis(tickCount=alt.ExprRef("clamp(ceil(width / 75), 3, 12)"), **options)


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
    x = alt.X("llr:Q", title=_LLR, scale=alt.Scale(nice=False), axis=axis())
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


def genome_chart(counts: Mapping[str, ModelCounts], bins: GenomeBins) -> Chart:
    """Return the heat map along the genome; the signal `metric` chooses median, q05 or alleles."""
    rows: list[Row] = []
    unit, bases = ("Mb", 1e6) if max(bins.contigs.values(), default=0) >= 1e6 else ("kb", 1e3)
    for model, found in counts.items():
        for (contig, window), values in found.by("genome", "contig", "window").items():
            assert isinstance(window, int)
            enough = values.total >= MIN_FOR_WINDOW
            end = min((window + 1) * bins.width, bins.contigs[str(contig)])
            rows.append(
                {
                    "model": model,
                    "contig": contig,
                    "start": window * bins.width / bases,
                    "end": end / bases,
                    "from": window * bins.width + 1,
                    "to": end,
                    "alleles": values.total,
                    "median": _rounded(values.quantile(0.5)) if enough else None,
                    "q05": _rounded(values.quantile(0.05)) if enough else None,
                }
            )
    more = f"; the {len(bins.contigs)} longest contigs, {bins.left_out} shorter ones are left out"
    return Chart(
        "llr_along_genome",
        "LLR along the genome",
        f"Stretches of {bins.width:,} bp, coloured where they have at least {MIN_FOR_WINDOW} "
        f"alleles{more if bins.left_out else ''}.",
        rows,
        lambda data, *_: _genome_map(data, list(bins.contigs), unit),
        ""
        if any(row["median"] is not None for row in rows)
        else f"No stretch of the genome has {MIN_FOR_WINDOW} alleles.",
    )


def _genome_map(data: alt.Data, contigs: list[str], unit: str) -> alt.Chart:
    metric = alt.param(name="metric", value="median")
    return (
        alt.Chart(data)
        .transform_calculate(value="datum[metric]")
        .mark_rect(strokeWidth=0, invalid=None)
        .encode(
            x=alt.X(
                "start:Q",
                title=f"position ({unit})",
                scale=alt.Scale(nice=False, zero=True),
                axis=axis(format=",.6~f"),
            ),
            x2="end:Q",
            y=alt.Y(
                "contig:N", title=None, scale=alt.Scale(domain=contigs, padding=0.15), sort=None
            ),
            color=alt.condition(
                "isValid(datum.value)",
                alt.Color("value:Q", title=None, scale=alt.Scale(scheme="viridis", zero=False)),
                alt.value("#8a919c55"),
            ),
            tooltip=[
                alt.Tooltip("contig:N"),
                alt.Tooltip("from:Q", format=","),
                alt.Tooltip("to:Q", format=","),
                alt.Tooltip("alleles:Q", format=","),
                alt.Tooltip("median:Q", format=".2f"),
                alt.Tooltip("q05:Q", title="5 % quantile", format=".2f"),
            ],
        )
        .add_params(metric)
        .properties(height=18 * len(contigs))
    )


def frequency_chart(counts: Mapping[str, ModelCounts]) -> Chart:
    """Return the chart of LLR by allele frequency."""
    labels = _frequency_labels()
    rows: list[Row] = []
    for model, found in counts.items():
        for (interval,), values in found.by("by_af", "af").items():
            if interval is None:
                continue
            assert isinstance(interval, int)
            rows.append({"model": model, "af": labels[interval], **five(values)})
    present = {row["af"] for row in rows}
    return Chart(
        "llr_by_frequency",
        "LLR by allele frequency",
        "Median (mark), middle half (bar) and nine tenths (line) of the alleles in each interval "
        "of frequency. Selection keeps harmful alleles rare, so rare alleles are expected to be "
        "less likely to the model.",
        rows,
        lambda data, *_: _frequency_columns(data, [x for x in labels if x in present]),
        "" if rows else "No allele has a frequency (INFO/AF, or AC and AN).",
    )


def _frequency_labels() -> list[str]:
    edges = [f"{edge:g}" for edge in AF_EDGES]
    between = [f"{a}–{b}" for a, b in pairwise(edges)]
    return [f"≤ {edges[0]}", *between, f"> {edges[-1]}"]


def _frequency_columns(data: alt.Data, order: list[str]) -> alt.LayerChart:
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
        *(alt.Tooltip(f"{name}:Q", format=".2f") for name, _ in _INTERVALS),
    ]
    base = alt.Chart(data).encode(x=x, tooltip=tooltip)
    y = alt.Y("q05:Q", title=_LLR, scale=alt.Scale(zero=False))
    whisker = base.mark_rule(strokeWidth=1.5, color=theme.ACCENT).encode(y=y, y2="q95:Q")
    box = base.mark_bar(width={"band": 0.8}, opacity=0.75, cornerRadius=2, color=theme.ACCENT)
    box = box.encode(y=alt.Y("q25:Q", title=_LLR), y2="q75:Q")
    middle = base.mark_tick(thickness=2.5, width={"band": 1.0}, color="#1d2733", opacity=1)
    middle = middle.encode(y=alt.Y("median:Q", title=_LLR)).properties(name=_MEDIANS)
    return alt.layer(whisker, box, middle).properties(height=260)


def strand_chart(counts: Mapping[str, ModelCounts]) -> Chart:
    """Return the heat map of the forward strand's LLR against the reverse strand's."""
    rows: list[Row] = []
    cells = max(min(int((MAX_ROWS / len(counts)) ** 0.5), 48), 6)
    for model, found in counts.items():
        table = found.strands
        if not table.height:
            continue
        low, high = _strand_range(found)
        step = max(-(-(high - low) // cells), 1)
        x = (table["fwd"].to_numpy().clip(low, high - 1) - low) // step
        y = (table["rev"].to_numpy().clip(low, high - 1) - low) // step
        joined: dict[tuple[int, int], int] = {}
        for key, n in zip(zip(x.tolist(), y.tolist(), strict=True), table["n"], strict=True):
            joined[key] = joined.get(key, 0) + n
        for (i, j), n in sorted(joined.items()):
            rows.append(
                {
                    "model": model,
                    "fwd": round((low + i * step) * STRAND_STEP, 3),
                    "fwd_to": round((low + (i + 1) * step) * STRAND_STEP, 3),
                    "rev": round((low + j * step) * STRAND_STEP, 3),
                    "rev_to": round((low + (j + 1) * step) * STRAND_STEP, 3),
                    "alleles": n,
                }
            )
    return Chart(
        "strand_agreement",
        "Forward against reverse strand",
        "Alleles by the LLR read on each strand (logarithmic colours; what is beyond the axes "
        "counts at their ends). A model that reads both strands alike keeps to the diagonal.",
        rows,
        lambda data, *_: _strand_map(data),
        "" if rows else "Only the forward strand was scored.",
    )


def _strand_range(found: ModelCounts) -> tuple[int, int]:
    """Return the cells that hold all but the outermost thousandth on each side, either strand."""
    lows, highs = [], []
    for column in ("fwd", "rev"):
        summed = found.strands.group_by(column).agg(n="n").sort(column)
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


def _strand_map(data: alt.Data) -> alt.LayerChart:
    cells = (
        alt.Chart(data)
        .mark_rect(strokeWidth=0)
        .encode(
            x=alt.X(
                "fwd:Q",
                title="forward LLR (nats)",
                scale=alt.Scale(nice=False, zero=False),
                axis=axis(),
            ),
            x2="fwd_to:Q",
            y=alt.Y("rev:Q", title="reverse LLR (nats)", scale=alt.Scale(nice=False, zero=False)),
            y2="rev_to:Q",
            color=alt.Color(
                "alleles:Q",
                title="alleles",
                scale=alt.Scale(type="log", scheme="viridis"),
                legend=alt.Legend(tickCount=4, format="~s"),
            ),
            tooltip=[
                alt.Tooltip("fwd:Q", title="forward from", format=".2f"),
                alt.Tooltip("fwd_to:Q", title="to", format=".2f"),
                alt.Tooltip("rev:Q", title="reverse from", format=".2f"),
                alt.Tooltip("rev_to:Q", title="to ", format=".2f"),
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


def percentile_chart(counts: Mapping[str, ModelCounts]) -> Chart:
    """Return the histogram of percentiles, 1 % wide; random alleles of the genome: all at 1 %."""
    rows: list[Row] = []
    width = 1 if len(counts) <= MAX_ROWS // 100 else 5
    for model, found in counts.items():
        table = found.percentiles
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
    return Chart(
        "percentiles",
        "Percentiles among the genome's background",
        f"Share of the cohort's alleles in each {width} % of the background (dashed line: what "
        "random SNVs of the genome would give). More at the left: the cohort has more alleles "
        "that the model finds unlikely than random mutation would make.",
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

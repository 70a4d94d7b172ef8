"""A chart: counts → Altair chart → Vega-Lite specification; what all charts share.

One chart is made twice from the same rows: for the page, with all models' rows and a parameter
that chooses one; and as a figure, the models below each other. Models whose scores are on several
scales have a chart each scale, of which the page shows one at a time. No text of a user is part of
an expression or a field name; it is data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import altair as alt

from varlm.figures import theme
from varlm.report.distributions import LLR_BINS, Bins, Distribution
from varlm.report.scales import Scale, scale_groups

Row = dict[str, Any]
MAX_ROWS = 4_800  # of one chart, all models together
BACKGROUND_LABEL = "genome background"
FIGURE_WIDTH = 640
LONG_LABELS = 300  # px of the vertical axis, where it names questions or probes

# The style sheet gives the marks of the layer of this name the colour of the text.
MEDIANS = "medians"
INTERVALS = (("q05", 0.05), ("q25", 0.25), ("median", 0.5), ("q75", 0.75), ("q95", 0.95))


@dataclass(frozen=True)
class PageChart:
    """A chart of a page as it is drawn there.

    Attributes
    ----------
    name, title, caption : str
    specification : dict
        Vega-Lite.
    empty : str
        Why there is nothing to draw; "" where there is.
    """

    name: str
    title: str
    caption: str
    specification: dict[str, Any]
    empty: str = ""


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
    models : tuple of str
        Whose it is, where it is one of several.
    parts : tuple of Chart
        Where there are several scales, the chart of each; the other fields are the first's.
    """

    name: str
    title: str
    caption: str
    rows: list[Row]
    draw: Callable[[alt.Data, Sequence[Row], bool], alt.LayerChart | alt.Chart]
    empty: str = ""
    models: tuple[str, ...] = ()
    parts: tuple[Chart, ...] = ()

    def page_spec(self, models: Sequence[str]) -> dict[str, Any]:
        """Return what the page draws: a specification, whose signal `model` chooses what is shown.

        Of several scales it is `parts`: for each its models, its words and its specification.
        """
        if self.parts:
            return {"parts": [part._page_part() for part in self.parts]}
        chosen = alt.param(name="model", value=models[0])
        chart = self.draw(alt.Data(name="rows"), self.rows, True)
        chart = chart.transform_filter("datum.model === model").add_params(chosen)
        return specified(chart.properties(width="container"), {"rows": self.rows})

    def _page_part(self) -> dict[str, Any]:
        return {
            "models": list(self.models),
            "title": self.title,
            "caption": self.empty or self.caption,
            "specification": None if self.empty else self.page_spec(self.models),
        }

    def figure_spec(self, models: Sequence[str]) -> dict[str, Any]:
        """Return the specification of the figure: one panel a model, below each other."""
        if self.empty:
            only = self._nothing(alt.Data(name="rows_0")).properties(title=self.title)
            return specified(only, {"rows_0": [{"text": self.empty}]})
        panels, rows = [], {}
        for i, model in enumerate(models):
            name = f"rows_{i}"
            panel, rows[name] = self._part_of(model)._panel(model, alt.Data(name=name))
            panels.append(panel)
        stacked = panels[0] if len(panels) == 1 else alt.vconcat(*panels)
        return _without_names(specified(stacked, rows))

    def _part_of(self, model: str) -> Chart:
        return next((part for part in self.parts if model in part.models), self)

    def _panel(self, model: str, data: alt.Data) -> tuple[Any, list[Row]]:
        """Return a model's panel of a figure, and its rows."""
        title = alt.TitleParams(text=f"{self.title} – {model}")
        if self.empty:
            return self._nothing(data).properties(title=title), [{"text": self.empty}]
        rows = [row for row in self.rows if row["model"] == model]
        panel = self.draw(data, rows, False)
        return panel.properties(width=FIGURE_WIDTH, title=title), rows

    def _nothing(self, data: alt.Data) -> alt.Chart:
        text = alt.Chart(data).mark_text(fontSize=14).encode(text="text:N")
        return text.properties(width=FIGURE_WIDTH, height=80)


def by_scale(scales: Mapping[str, Scale], draw: Callable[[Sequence[str], int], Chart]) -> Chart:
    """Return a chart of all models: where their scores have several scales, in parts.

    Parameters
    ----------
    scales : mapping
        Model → scale, in the order shown.
    draw : callable
        (models on one scale, rows at most) → their chart.
    """
    charts = []
    for models in scale_groups(scales):
        most = MAX_ROWS * len(models) // len(scales)
        charts.append(replace(draw(models, most), models=tuple(models)))
    if len(charts) == 1:
        return charts[0]
    empty = charts[0].empty if all(chart.empty for chart in charts) else ""
    return replace(charts[0], empty=empty, parts=tuple(charts))


def page_chart(chart: Chart) -> dict[str, Any]:
    """Return what the page draws of a chart that no choice changes: all its rows."""
    whole = chart.draw(alt.Data(name="rows"), chart.rows, True)
    return specified(whole.properties(width="container"), {"rows": chart.rows})


def specified(
    chart: Any, rows: Mapping[str, list[Row]], label_limit: int | None = None
) -> dict[str, Any]:
    """Return the Vega-Lite specification of an Altair chart.

    Parameters
    ----------
    chart : altair chart
    rows : mapping
        Data source → its rows.
    label_limit : int, optional
        px of the vertical axis' labels, where they are long.
    """
    specification: dict[str, Any] = chart.to_dict(format="vega-lite")
    # Altair's own config (its default theme) gives way to ours, on the page and in the figures.
    specification["config"] = theme.config()
    if label_limit is not None:
        specification["config"] |= {"axisY": {"labelLimit": label_limit}}
    specification["datasets"] = dict(rows)
    return specification


def _without_names(specification: dict[str, Any]) -> dict[str, Any]:
    """Take away the names of views, which several panels have in common and must not."""
    for key in ("vconcat", "layer"):
        for view in specification.get(key, []):
            view.pop("name", None)
            _without_names(view)
    return specification


def five(values: Distribution) -> Row:
    """Return the number of alleles and five quantiles of their scores."""
    shares = {name: rounded(values.quantile(share), values.bins) for name, share in INTERVALS}
    return {"alleles": values.total, **shares}


def rounded(value: float | None, bins: Bins = LLR_BINS) -> float | None:
    """Return a score to a decimal more than its bins have; None stays None."""
    return None if value is None else round(value, bins.places + 1)


def score_axis(scale: Scale) -> dict[str, Any]:
    """Return title and scale of an axis along which the scores of classes lie."""
    if scale.spread == "linear":
        return {"title": scale.axis, "scale": alt.Scale(zero=False)}
    return {
        "title": f"{scale.axis}, square-root axis",
        "scale": alt.Scale(type=scale.spread, zero=False),
    }


def axis(**options: Any) -> alt.Axis:
    """Return a horizontal axis with about ten ticks, fewer where it is short."""
    return alt.Axis(tickCount=alt.ExprRef("clamp(ceil(width / 75), 3, 12)"), **options)

"""A chart: counts → Altair chart → Vega-Lite specification; what all charts share.

One chart is made twice from the same rows: for the page, with all models' rows and a parameter
that chooses one; and as a figure, the models below each other. No text of a user is part of an
expression or a field name; it is data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from varlm.figures import theme
from varlm.report.counts import Distribution

Row = dict[str, Any]
MAX_ROWS = 4_800  # of one chart, all models together
BACKGROUND_LABEL = "genome background"
FIGURE_WIDTH = 640
LLR = "LLR (nats)"

# The style sheet gives the marks of the layer of this name the colour of the text.
MEDIANS = "medians"
INTERVALS = (("q05", 0.05), ("q25", 0.25), ("median", 0.5), ("q75", 0.75), ("q95", 0.95))


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
    specification: dict[str, Any] = chart.to_dict(format="vega-lite")
    # Altair's own config (its default theme) gives way to ours, on the page and in the figures.
    specification["config"] = theme.config()
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
    """Return the number of alleles and five quantiles of their LLRs, nats."""
    shares = {name: rounded(values.quantile(share)) for name, share in INTERVALS}
    return {"alleles": values.total, **shares}


def rounded(value: float | None, digits: int = 3) -> float | None:
    """Return a value as it is shown; None stays None."""
    return None if value is None else round(value, digits)


def axis(**options: Any) -> alt.Axis:
    """Return a horizontal axis with about ten ticks, fewer where it is short."""
    return alt.Axis(tickCount=alt.ExprRef("clamp(ceil(width / 75), 3, 12)"), **options)

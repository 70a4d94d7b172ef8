"""The evaluation on a page and as a figure: points with intervals, a table, and what to mind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import altair as alt
import polars as pl

from varlm.errors import UserError
from varlm.figures import theme
from varlm.report import page
from varlm.tables.schemas import EVALUATION

Row = dict[str, Any]

FIGURE_WIDTH = 640
_LINES = 40  # of a chart: questions; the table has all
_TABLE_ROWS = 400  # of all tables together
_POINT, _GAP = 11, 12  # px of a score's point, and between two questions
_TICKS = 6
_EVERYTHING = "all"


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
        "AUROC",
        {"auroc": "", "auroc_by_chromosome": "by chromosome"},
        0.5,
        False,
        "Share of pairs that the score puts in the right order; 0.5 (dashed) is chance.",
    ),
    _Panel(
        "evaluation_auprc",
        "AUPRC",
        "AUPRC",
        {"auprc": "", "auprc_by_chromosome": "by chromosome"},
        None,
        False,
        "Average precision. Chance is the share of positives, which differs from line to line: "
        "compare scores within a line only.",
    ),
    _Panel(
        "evaluation_spearman",
        "Rank correlation",
        "Spearman’s ρ",
        {"spearman": ""},
        0.0,
        False,
        "Of each score (higher: more deleterious) with the number; 0 (dashed) is chance. With the "
        "allele frequency, a good score has a negative one.",
    ),
    _Panel(
        "evaluation_odds_ratio",
        "Rare against common alleles in the tails",
        "odds ratio (logarithmic)",
        {"odds_ratio": ""},
        1.0,
        True,
        "How much more often alleles in the score’s tail are rare than the others are; 1 (dashed) "
        "is chance.",
    ),
)


@dataclass(frozen=True)
class EvaluationChart:
    """A chart for the page: name, words, and a Vega-Lite specification."""

    name: str
    title: str
    caption: str
    specification: dict[str, Any]
    empty: str = ""


def read_evaluation(path: Path) -> pl.DataFrame:
    """Read evaluation.tsv.

    Raises
    ------
    UserError
        If it is no such table.
    """
    try:
        text = pl.read_csv(
            path, separator="\t", null_values="NA", quote_char=None, infer_schema=False
        )
        known = [pl.col(each.name).cast(each.dtype) for each in EVALUATION.columns]
        found = text.with_columns(known) if text.columns == EVALUATION.names else text
        return EVALUATION.check(found, path)
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).split("\n")[0]
        raise UserError(
            f"{path}: cannot be read as the table 'evaluation' ({reason}); delete it and run the "
            "workflow again"
        ) from error


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
        return _specification(empty, {"rows_0": [{"text": why}]})
    panels = [
        _drawn(panel, lines, order, alt.Data(name=f"rows_{i}")).properties(
            width=FIGURE_WIDTH, title=panel.title
        )
        for i, (panel, lines) in enumerate(drawn)
    ]
    stacked = panels[0] if len(panels) == 1 else alt.vconcat(*panels)
    return _specification(stacked, {f"rows_{i}": lines for i, (_, lines) in enumerate(drawn)})


def evaluation_charts(rows: pl.DataFrame) -> list[EvaluationChart]:
    """Return the page's charts, of the panels that have values."""
    order = _scores(rows)
    made = []
    for panel in _PANELS:
        if lines := _lines(rows, panel):
            chart = _drawn(panel, lines, order, alt.Data(name="rows")).properties(width="container")
            specification = _specification(chart, {"rows": lines})
            made.append(EvaluationChart(panel.name, panel.title, panel.caption, specification))
    return made


def _scores(rows: pl.DataFrame) -> list[str]:
    return rows["score"].drop_nulls().unique(maintain_order=True).to_list()


def _lines(rows: pl.DataFrame, panel: _Panel) -> list[Row]:
    """Return the points of a panel: one for each question and score, at most `_LINES` questions."""
    found = rows.filter(pl.col("metric").is_in(list(panel.metrics)), pl.col("value").is_not_null())
    points: list[Row] = []
    labels: dict[str, None] = {}
    for row in found.iter_rows(named=True):
        words = [row["task"], row["group"] if row["group"] != _EVERYTHING else ""]
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
    scale = alt.Scale(type="log", nice=False) if panel.log else alt.Scale(zero=False)
    base = alt.Chart(data).encode(
        y=alt.Y("line:N", title=None, sort=None, scale=alt.Scale(domain=lines, paddingInner=0.3)),
        yOffset=alt.YOffset("score:N", sort=None, scale=alt.Scale(domain=shown)),
        color=alt.Color(
            "score:N",
            title=None,
            sort=None,
            scale=alt.Scale(domain=shown, range=colors),
            legend=alt.Legend(orient="bottom", columns=4),
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
    height = len(lines) * (_POINT * len(shown) + _GAP)
    return alt.layer(*layers).properties(height=height)


def _specification(chart: Any, rows: Mapping[str, list[Row]]) -> dict[str, Any]:
    made: dict[str, Any] = chart.to_dict(format="vega-lite")
    made["config"] = {**theme.config(), "axisY": {"labelLimit": 300}}
    made["datasets"] = dict(rows)
    return made


def evaluation_section(rows: pl.DataFrame, summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the page's section shows: tasks with their tables, words and counts.

    Parameters
    ----------
    rows : polars.DataFrame
        `schemas.EVALUATION`.
    summary : mapping
        evaluation.json.

    Raises
    ------
    UserError
        If the two are not of one run.
    """
    named = [task["name"] for task in summary["tasks"]]
    if stray := [n for n in rows["task"].unique(maintain_order=True) if n not in named]:
        raise UserError(
            f"report: evaluation.tsv has the task {stray[0]!r}, which evaluation.json lacks; "
            "delete both and run the workflow again"
        )
    left = _TABLE_ROWS
    tasks = []
    for task in summary["tasks"]:
        of_task = rows.filter(task=task["name"])
        main = of_task.filter((pl.col("group") == _EVERYTHING) | (task["kind"] == "frequency"))
        others = of_task.filter((pl.col("group") != _EVERYTHING) & (task["kind"] != "frequency"))
        shown = [_cells(part.head(max(left, 0))) for part in (main, others)]
        left -= sum(map(len, shown))
        tasks.append(
            {
                "name": task["name"],
                "about": page.cut(task["about"], 400),
                "notes": [*task["notes"], *_counted(task["counts"])],
                "rows": shown[0],
                "others": shown[1],
                "left_out": of_task.height - sum(map(len, shown)),
            }
        )
    first = summary["scores"][0]["name"]
    return {
        "charts": evaluation_charts(rows),
        "tasks": tasks,
        "first": first,
        "scores": [(score["name"], score["about"]) for score in summary["scores"]],
        "notes": _notes(summary),
        "any_labels": any(task["kind"] in ("labels", "quantitative") for task in summary["tasks"]),
    }


def _notes(summary: Mapping[str, Any]) -> list[str]:
    found = []
    if summary["bootstrap"]:
        found.append(
            f"Intervals: 95 %, of {summary['bootstrap']:,} resamples of the alleles (of whole "
            "chromosomes where it says so); those of odds ratios by Woolf’s formula."
        )
    else:
        found.append("No intervals: evaluate.bootstrap is 0.")
    if summary["contigs"] is not None:
        found.append(
            f"Only alleles on {', '.join(page.cut(str(c), 40) for c in summary['contigs'][:20])}: "
            f"{summary['alleles']:,}; on other contigs are {summary['on_other_contigs']:,}."
        )
    if summary["repeated"]:
        found.append(f"Alleles that several records have count once: {summary['repeated']:,} less.")
    if summary["scores_absent"]:
        absent = ", ".join(summary["scores_absent"])
        found.append(f"Not compared, for this cohort has no INFO fields: {absent}.")
    return found


_COUNTED = {
    "label_rows": "Rows of the label table: {:,}.",
    "label_rows_unmatched": "Of them of no allele of this cohort: {:,}.",
    "other_labels": "Alleles with another label: {:,}.",
    "unlabelled": "Alleles without a label: {:,}.",
    "turned": "Alleles turned to the reference’s: {:,}.",
}


def _counted(counts: Mapping[str, Any]) -> list[str]:
    """Return what was left out of a task, in words; nothing of what is none."""
    found = [words.format(counts[name]) for name, words in _COUNTED.items() if counts.get(name)]
    left_out = {why: n for why, n in counts.get("left_out", {}).items() if n}
    if left_out:
        found.append("Left out: " + "; ".join(f"{why}, {n:,}" for why, n in left_out.items()) + ".")
    return found


_METRICS = {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "auroc_by_chromosome": "AUROC by chromosome",
    "auprc_by_chromosome": "AUPRC by chromosome",
    "spearman": "Spearman’s ρ",
    "odds_ratio": "odds ratio",
}


def _cells(rows: pl.DataFrame) -> list[dict[str, str]]:
    return [
        {
            "group": page.cut(row["group"] or "", 80),
            "metric": _METRICS.get(row["metric"], "–"),
            "score": row["score"] or "–",
            "value": _with_interval(row["value"], row["low"], row["high"]),
            "difference": _with_interval(
                row["difference"], row["difference_low"], row["difference_high"], signed=True
            ),
            "alleles": _count(row["alleles"]),
            "classes": (
                "–" if row["positives"] is None else f"{row['positives']:,} / {row['negatives']:,}"
            ),
            "missing": _count(row["missing"]),
            "p_value": "–" if row["p_value"] is None else f"{row['p_value']:.2g}",
            "note": row["note"] or "",
        }
        for row in rows.iter_rows(named=True)
    ]


def _count(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _with_interval(
    value: float | None, low: float | None, high: float | None, *, signed: bool = False
) -> str:
    """Return 0.812 (0.790 to 0.834), with a sign where `signed`."""
    if value is None:
        return "–"

    def number(x: float) -> str:
        sign = "+" if signed and x > 0 else ""
        return sign + page.decimals(x, 3 if abs(x) < 100 else 0)

    return (
        number(value)
        if low is None or high is None
        else (f"{number(value)} ({number(low)} to {number(high)})")
    )

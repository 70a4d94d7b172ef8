"""The page of a probe: what wins in words, the figure, the table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import polars as pl

from varlm import __version__
from varlm.probing.comparing import POOLED, widening
from varlm.probing.record import FitRecord, ProbeRun
from varlm.probing.sieve import REASONS
from varlm.probing.verdict import METRIC_NAMES, ProbeSummary, describe, reference
from varlm.report import page
from varlm.report.charts.chart import PageChart
from varlm.report.charts.probes import probe_charts
from varlm.report.text import count, decimals, duration


@dataclass(frozen=True)
class ProbedRow:
    """A metric of a probe, all of it text; `pooled` is the value over all rows at once."""

    probe: str
    metric: str
    value: str
    difference: str
    pooled: str
    seconds: str
    chosen: str


@dataclass(frozen=True)
class ProbePage:
    """What `templates/probe.html.j2` shows: each field is a name in it.

    Attributes
    ----------
    title, version, name : str
    verdict : list of str
        Sentences.
    charts : list of PageChart
    facts : list of (name, value)
    against : str
        The probe that the others are compared with.
    rows : list of ProbedRow
    notes : list of str
    """

    title: str
    version: str
    name: str
    verdict: list[str]
    charts: list[PageChart]
    facts: list[tuple[str, str]]
    against: str
    rows: list[ProbedRow]
    notes: list[str]


@dataclass(frozen=True)
class ProbeSection:
    """A probe on the page of all cohorts: what wins, the chart that shows it, its own page."""

    name: str
    link: str
    verdict: list[str]
    charts: list[PageChart]


def probe_section(table: pl.DataFrame, summary: ProbeSummary) -> ProbeSection:
    """Return what the page of all cohorts shows of a probe; parameters as of its own page."""
    name = summary.run.probe
    charts = probe_charts(table, summary.run)[:1]
    return ProbeSection(name, f"probes/{quote(name)}/probe.html", list(summary.verdict), charts)


def make_probe_page(table: pl.DataFrame, summary: ProbeSummary, vega: str | None = None) -> str:
    """Return the page of a probe.

    Parameters
    ----------
    table : polars.DataFrame
        `model_schemas.PROBE`.
    summary : ProbeSummary
    vega : str, optional
        As in `page.render`.
    """
    contents = probe_page(table, summary)
    specifications = {chart.name: chart.specification for chart in contents.charts}
    scripts = (page.VEGA, "page.js")
    return page.render("probe.html.j2", contents, {"charts": specifications}, scripts, vega)


def probe_page(table: pl.DataFrame, summary: ProbeSummary) -> ProbePage:
    """Return what the page shows; parameters as of `make_probe_page`."""
    run = summary.run
    return ProbePage(
        title=f"varlm: {run.probe}",
        version=__version__,
        name=run.probe,
        verdict=list(summary.verdict),
        charts=probe_charts(table, run),
        facts=_facts(run),
        against=describe(run.fits[reference(run.fits)]),
        rows=_rows(table, run),
        notes=_notes(table, summary),
    )


def _facts(run: ProbeRun) -> list[tuple[str, str]]:
    facts = [
        ("label", run.label + (", two classes" if run.classes else "")),
        (run.kind, count(run.rows)),
        ("length", "several" if run.length is None else f"{count(run.length)} bp"),
        ("folds", "; ".join(f"{', '.join(f.names)} ({count(f.rows)})" for f in run.folds)),
    ]
    if run.flanks is False:
        facts.insert(3, ("around it", "nothing: models read the row alone"))
    elif run.kind != "sequences":
        facts.insert(
            3, ("around it", "the genome, which models read and one-hot and k-mers do not")
        )
    if run.positives is not None:
        facts.insert(1, ("positive", f"{count(run.positives)} of {count(run.rows)}"))
    return facts + [("left out", f"{count(n)} {REASONS[why]}") for why, n in run.left_out.items()]


def _rows(table: pl.DataFrame, run: ProbeRun) -> list[ProbedRow]:
    measured = {
        (row["input"], row["features"], row["method"], row["metric"]): row
        for row in table.iter_rows(named=True)
    }
    rows = []
    for fit in run.fits:
        key = (fit.input, fit.features, fit.method)
        for metric in METRIC_NAMES:
            if within := measured.get((*key, metric)):
                over_all = measured[*key, f"{metric}{POOLED}"]
                rows.append(_row(fit, metric, within, over_all["value"]))
    return rows


def _row(fit: FitRecord, metric: str, row: Mapping[str, Any], pooled: float | None) -> ProbedRow:
    words = {"cnn": "epochs", "ridge": "α", "logistic": "C"}
    return ProbedRow(
        probe=describe(fit),
        metric=METRIC_NAMES[metric],
        value=_interval(row["value"], row["low"], row["high"]),
        difference=_interval(
            row["difference"], row["difference_low"], row["difference_high"], signed=True
        ),
        pooled=decimals(pooled, 3),
        seconds=duration(fit.seconds),
        chosen=f"{words[fit.method]} {', '.join(f'{value:g}' for value in fit.chosen)}",
    )


def _interval(
    value: float | None, low: float | None, high: float | None, *, signed: bool = False
) -> str:
    """Return 0.812 (0.790 to 0.834), with a sign where `signed`."""
    if value is None:
        return "–"

    def number(x: float) -> str:
        return ("+" if signed and x > 0 else "") + decimals(x, 3)

    if low is None or high is None:
        return number(value)
    return f"{number(value)} ({number(low)} to {number(high)})"


def _resampled(run: ProbeRun) -> str:
    """Return what is drawn, in words."""
    if run.units is None or run.units == run.rows:
        return "the rows within folds"
    return (
        f"the {count(run.units)} units within folds that do not overlap on the genome (the "
        f"{count(run.rows)} rows do: those that overlap, or are joined by others, are drawn "
        "together)"
    )


def _notes(table: pl.DataFrame, summary: ProbeSummary) -> list[str]:
    notes = [
        f"{len(summary.run.folds)} folds {summary.run.folds_are}, each predicted by models that "
        "did not see it. Values are means over the folds, weighted by their rows: what differs "
        "between folds alone earns nothing.",
    ]
    if not summary.bootstrap:
        notes.append("No intervals: bootstrap is 0.")
    elif table["low"].count():  # else a remark says why there are none
        notes.append(
            f"Intervals: 95 %, of {summary.bootstrap:,} resamples of {_resampled(summary.run)}, "
            f"{widening(len(summary.run.folds)):.2f} times as wide: models of different folds "
            "share the rows that they are fitted to (Nadeau and Bengio 2003, "
            "10.1023/A:1024068626366)."
        )
    remarks = table["note"].drop_nulls().unique(maintain_order=True)
    return notes + [f"{note[:1].upper()}{note[1:]}." for note in remarks]

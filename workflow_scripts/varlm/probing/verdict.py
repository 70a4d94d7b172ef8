"""What won: the table of all probes, and the same in plain words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from varlm.evaluation.resampling import Interval, Measured
from varlm.evaluation.rows import AUPRC, AUROC, PEARSON, SPEARMAN
from varlm.files.json_record import JsonRecord
from varlm.probing.comparing import FEWEST, FEWEST_UNITS, Comparison, compare, headline
from varlm.probing.record import CNN, KMERS, ONE_HOT, FitRecord, ProbeRun
from varlm.tables.model_schemas import PROBE

METRIC_NAMES = {
    PEARSON: "Pearson’s r",
    SPEARMAN: "Spearman’s ρ",
    AUROC: "AUROC",
    AUPRC: "AUPRC",
}
METHOD_NAMES = {"cnn": "CNN", "ridge": "ridge", "logistic": "logistic"}
_SEQUENCE_READ = {
    "counts": "k-mer counts",
    "share": "share of G and C",
    "positions": "one-hot sequence",
}
_CHANCE = {PEARSON: 0.0, AUROC: 0.5}


@dataclass(frozen=True, kw_only=True)
class ProbeSummary(JsonRecord):
    """probe.json: who won, in words, and what the numbers are of.

    Attributes
    ----------
    verdict : tuple of str
        Sentences. Empty where nothing could be measured.
    best : str or None
        Column of the probe with the highest headline metric.
    metric : str
        The headline metric.
    run : ProbeRun
    bootstrap, seed : int
    """

    MADE_BY = "describe_probe"

    verdict: tuple[str, ...]
    best: str | None
    metric: str
    run: ProbeRun
    bootstrap: int
    seed: int


def judge(
    run: ProbeRun, predictions: pl.DataFrame, bootstrap: int = 1000, seed: int = 0
) -> tuple[pl.DataFrame, ProbeSummary]:
    """Return the rows of `model_schemas.PROBE`, and what they say.

    Parameters
    ----------
    run : ProbeRun
    predictions : polars.DataFrame
        `running.predictions_table` of its probes.
    bootstrap, seed : int
        Number of resamples, and what they are drawn from.
    """
    values = np.array([predictions[fit.column].to_numpy() for fit in run.fits])
    compared = compare(
        values,
        predictions["label"].to_numpy(),
        predictions["held_out"].cast(pl.Int64).to_numpy(),
        classes=run.classes,
        units=None if run.units is None else predictions["unit"].cast(pl.Int64).to_numpy(),
        count=bootstrap,
        seed=seed,
    )
    rows = [{name: row.get(name) for name in PROBE.schema} for row in _rows(run, compared)]
    table = pl.DataFrame(rows, PROBE.schema, orient="row").with_columns(
        pl.col("value", "low", "high", "^difference.*$").round_sig_figs(6)
    )
    measured = compared.within.get(headline(run.classes))
    best = None if measured is None else run.fits[int(np.argmax(measured.values))].column
    summary = ProbeSummary(
        verdict=tuple(_sentences(run, compared)),
        best=best,
        metric=headline(run.classes),
        run=run,
        bootstrap=bootstrap,
        seed=seed,
    )
    return table, summary


def reference(fits: Sequence[FitRecord]) -> int:
    """Return the place of what the others are compared with: the CNN on one-hot sequence.

    Without networks it is the best-known baseline, k-mers.
    """
    baselines = [place for place, fit in enumerate(fits) if not fit.model]
    networks = [place for place in baselines if fits[place].method == CNN]
    return (networks or baselines)[0]


def _rows(run: ProbeRun, compared: Comparison) -> Iterator[dict[str, Any]]:
    note = "; ".join(filter(None, (_left_out(run, compared), _joined(run, compared))))
    against = reference(run.fits)
    for place, fit in enumerate(run.fits):
        shared = {
            "probe": run.probe,
            "input": fit.input,
            "features": fit.features,
            "method": fit.method,
            "seconds": fit.seconds,
            "note": note or None,
        }
        if not compared.within:
            yield {**shared, "rows": 0, "folds": 0}
        for metrics, rows, folds in (
            (compared.within, compared.rows, compared.folds),
            (compared.pooled, run.rows, len(run.folds)),
        ):
            for metric, measured in metrics.items():
                numbers = _numbers(measured, place, against)
                yield {**shared, "metric": metric, "rows": rows, "folds": folds, **numbers}


def _numbers(measured: Measured, place: int, against: int) -> dict[str, float | None]:
    low, high = measured.interval(place)
    numbers: dict[str, float | None] = {"value": float(measured.values[place])}
    numbers |= {"low": low, "high": high}
    if place != against:
        low, high = measured.difference_interval(place, against)
        numbers |= {"difference": measured.difference(place, against)}
        numbers |= {"difference_low": low, "difference_high": high}
    return numbers


def _left_out(run: ProbeRun, compared: Comparison) -> str:
    if not compared.left_out:
        return ""
    named = "; ".join(", ".join(run.folds[fold].names) for fold in compared.left_out)
    few = f"fewer than {FEWEST} rows" + (" of a class" if run.classes else ", or one label alone")
    return f"left out, with {few}: {named}"


def _joined(run: ProbeRun, compared: Comparison) -> str:
    if not compared.joined:
        return ""
    named = "; ".join(", ".join(run.folds[fold].names) for fold in compared.joined)
    of_a_class = " of a class" if run.classes else ""
    return (
        f"no intervals: with fewer than {FEWEST_UNITS} units of rows{of_a_class} that do not "
        f"overlap: {named}"
    )


# -- in words ---------------------------------------------------------------------------------


def describe(fit: FitRecord) -> str:
    """Return a probe's name in words."""
    if fit.model:
        read = {"positions": "all positions", "mean": "their mean", "centre": "the centre"}
        return f"{fit.input}, {read[fit.features]} ({METHOD_NAMES[fit.method]})"
    return f"{_SEQUENCE_READ[fit.features]} ({METHOD_NAMES[fit.method]})"


def _sentences(run: ProbeRun, compared: Comparison) -> Iterator[str]:
    metric = headline(run.classes)
    if metric not in compared.within:
        yield f"Nothing was measured: no fold has enough rows ({FEWEST}, or as many of each class)."
        return
    measured, fits = compared.within[metric], run.fits
    name, values = METRIC_NAMES[metric], measured.values
    best = int(np.argmax(values))
    yield (
        f"The best of {len(fits)} probes is {describe(fits[best])}: {name} "
        f"{_value(measured, best)} within folds {run.folds_are}"
        f"{_by_chance(measured, best, metric)}."
    )
    for place, other in _pairs(fits):
        one, two = fits[place], fits[other]
        method = METHOD_NAMES[one.method]
        shown = f"The {method} on the embeddings of {one.input}"
        if one.method == CNN:
            against = f"the same {method} on one-hot sequence"
        else:
            shown += ", their mean" if one.features == "mean" else ", the centre"
            against = f"the same on {_SEQUENCE_READ[two.features]}"
        yield (
            f"{shown}: {_value(measured, place)}; {against}: {_value(measured, other)}. "
            f"{_who_wins(measured, place, other, metric)}"
        )


def _pairs(fits: Sequence[FitRecord]) -> Iterator[tuple[int, int]]:
    """Yield which probes are judged, of embeddings and of sequence: fixed before any is measured.

    Of each model the network against the same on one-hot sequence, and the regression on the mean
    (on the centre, where nothing else is stored) against that on k-mer counts. To choose the best
    of several by the rows that judge it would favour the side that has more of them.
    """
    places = {(fit.input, fit.features, fit.method): place for place, fit in enumerate(fits)}
    alone = {fit.method: place for place, fit in enumerate(fits) if fit.input in (ONE_HOT, KMERS)}
    for place, fit in enumerate(fits):
        regression = fit.features == "mean" or (
            fit.features == "centre" and (fit.input, "mean", fit.method) not in places
        )
        if fit.model and (fit.method == CNN or regression) and fit.method in alone:
            yield place, alone[fit.method]


def _who_wins(measured: Measured, place: int, other: int, metric: str) -> str:
    difference = measured.difference(place, other)
    interval = measured.difference_interval(place, other)
    shown = _shown(difference, interval, signed=True)
    if interval.low is None or interval.high is None:
        return f"The difference is {shown}."
    if _may_be_chance(measured, place, metric) and _may_be_chance(measured, other, metric):
        return "Neither is told from chance."
    if interval.low > 0:
        return f"The embeddings win: the difference is {shown}."
    if interval.high < 0:
        return f"The sequence alone wins: the difference is {shown}."
    return f"Neither wins: the difference, {shown}, may be chance."


def _by_chance(measured: Measured, place: int, metric: str) -> str:
    if not _may_be_chance(measured, place, metric):
        return ""
    return f", which may be chance ({_CHANCE[metric]:g})"


def _may_be_chance(measured: Measured, place: int, metric: str) -> bool:
    low, _ = measured.interval(place)
    return low is not None and low <= _CHANCE[metric]


def _value(measured: Measured, place: int) -> str:
    return _shown(float(measured.values[place]), measured.interval(place))


def _shown(value: float, interval: Interval, *, signed: bool = False) -> str:
    """Return 0.123 (0.100 to 0.150)."""

    def number(x: float) -> str:
        return f"{x:{'+' if signed else ''}.3f}".replace("-", "−")

    if interval.low is None or interval.high is None:
        return number(value)
    return f"{number(value)} ({number(interval.low)} to {number(interval.high)})"

"""Measure the probes of a table, and say what wins: a table, a figure, a page."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from varlm.figures.files import write_figures
from varlm.files.whole import atomic_path
from varlm.probing.record import ProbeRun, predictions_table
from varlm.probing.verdict import judge
from varlm.report.charts.probes import probe_figure
from varlm.report.probes import make_probe_page
from varlm.tables.model_schemas import PROBE
from varlm.tables.parquet import read_table
from varlm.tables.tsv import write_tsv

log = logging.getLogger("varlm")

FIGURE = "probe"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the step's options."""
    parser.add_argument("--predictions", type=Path, required=True, help="what probe wrote")
    parser.add_argument("--fits", type=Path, required=True, help="the same")
    parser.add_argument("--bootstrap", type=int, default=1000, help="resamples; 0: no intervals")
    parser.add_argument("--seed", type=int, default=0, help="of the resamples")
    parser.add_argument("--vega", type=Path, help="what bundle_scripts wrote; made here without")
    parser.add_argument("--table", type=Path, required=True, help="output: probe.tsv")
    parser.add_argument("--summary", type=Path, required=True, help="output: probe.json")
    parser.add_argument("--page", type=Path, required=True, help="output: the page")
    parser.add_argument("--figures", type=Path, required=True, help="output: folder of figures")


def run(args: argparse.Namespace) -> None:
    """Write the table, the summary, the figure and the page."""
    fitted = ProbeRun.read(args.fits)
    columns = [fit.column for fit in fitted.fits]
    schema = predictions_table(columns, units=fitted.units is not None)
    predictions = read_table(args.predictions, schema)
    table, summary = judge(fitted, predictions, args.bootstrap, args.seed)
    with atomic_path(args.table) as temporary:
        write_tsv(PROBE.check(table, args.table), temporary)
    summary.write(args.summary)
    write_figures({FIGURE: probe_figure(table, fitted)}, args.figures)
    vega = args.vega and args.vega.read_text("utf-8")
    with atomic_path(args.page) as temporary:
        temporary.write_text(make_probe_page(table, summary, vega), encoding="utf-8")
    for sentence in summary.verdict:
        log.info(sentence)

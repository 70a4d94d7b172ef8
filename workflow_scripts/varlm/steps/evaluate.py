"""Measure how well scores tell labels, consequences and rare alleles apart; with intervals."""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path

import polars as pl

from varlm.errors import UserError
from varlm.evaluation.cohort import EvaluationInput, evaluate
from varlm.figures.files import write_figures
from varlm.files.whole import atomic_path, check_digest
from varlm.report.charts.evaluation import evaluation_figure
from varlm.tables.tsv import write_tsv
from varlm.variants.accounting import Accounting

log = logging.getLogger("varlm")

FIGURE = "evaluation"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the step's options."""
    parser.add_argument("--annotated", type=Path, required=True, help="annotated.parquet")
    parser.add_argument("--accounting", type=Path, required=True, help="accounting.json")
    parser.add_argument("--reference", type=Path, required=True, help="the reference folder")
    parser.add_argument("--cohort", required=True, help="cohort name")
    parser.add_argument(
        "--model", action="append", default=[], help="a model's name, the first first; repeat"
    )
    parser.add_argument("--settings", required=True, help="the config's `evaluate`, JSON")
    parser.add_argument(
        "--labels", action="append", default=[], metavar="NAME=FILE", help="a label's TSV; repeat"
    )
    parser.add_argument("--table", type=Path, required=True, help="output: evaluation.tsv")
    parser.add_argument("--summary", type=Path, required=True, help="output: evaluation.json")
    parser.add_argument("--figures", type=Path, required=True, help="output: folder of figures")


def run(args: argparse.Namespace) -> None:
    """Write the table, what was left out of it, and the figure as SVG and PNG."""
    check_digest(args.annotated)
    accounting = Accounting.read(args.accounting)
    if accounting.cohort != args.cohort:
        raise UserError(
            f"{args.accounting}: of the cohort {accounting.cohort!r}, expected {args.cohort!r}; "
            "run the workflow again"
        )
    tables = dict(entry.split("=", 1) for entry in args.labels)
    evaluated = evaluate(
        EvaluationInput(
            args.cohort,
            args.annotated,
            accounting,
            args.model,
            json.loads(args.settings),
            args.reference,
            {name: Path(path) for name, path in tables.items()},
        )
    )
    write_figures({FIGURE: evaluation_figure(evaluated.rows)}, args.figures)
    with atomic_path(args.summary) as temporary:
        temporary.write_text(json.dumps(evaluated.summary, indent=2) + "\n", encoding="utf-8")
    with atomic_path(args.table) as temporary:
        write_tsv(evaluated.rows, temporary)
    measured = evaluated.rows.filter(pl.col("value").is_not_null()).height
    log.info(
        "%s: %d tasks, %d values, %d rows without one",
        args.table,
        len(evaluated.summary["tasks"]),
        measured,
        evaluated.rows.height - measured,
    )

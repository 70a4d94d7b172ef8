"""Write the counts of all cohorts as one table."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from varlm.annotation.mutation_calibration import CohortCalibration
from varlm.annotation.published.joining import ScoreJoin
from varlm.files.whole import atomic_path
from varlm.results.summary import summarise
from varlm.scoring.dense_scale import read_scales
from varlm.scoring.plan_record import Plan
from varlm.steps.options import add_dense_option
from varlm.tables.tsv import write_tsv
from varlm.variants.accounting import Accounting


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the step's options."""
    parser.add_argument(
        "--accounting", type=Path, action="append", required=True, help="accounting.json; repeat"
    )
    parser.add_argument(
        "--plan", type=Path, action="append", default=[], help="plan.json of a model; repeat"
    )
    add_dense_option(parser)
    parser.add_argument(
        "--scores",
        action="append",
        default=[],
        metavar="COHORT=FILE",
        help="what was matched of a table of published scores, JSON; repeat",
    )
    parser.add_argument(
        "--calibration",
        action="append",
        default=[],
        metavar="COHORT=FILE",
        help="what was calibrated by mutation context, JSON; repeat",
    )
    parser.add_argument("--summary", type=Path, required=True, help="output .tsv")


def run(args: argparse.Namespace) -> None:
    """Write `summary.tsv`."""
    joins: dict[str, dict[str, ScoreJoin]] = {}
    for entry in args.scores:
        cohort, _, path = entry.partition("=")
        joined = ScoreJoin.read(Path(path))
        joins.setdefault(cohort, {})[joined.table] = joined
    rows = summarise(
        [*map(Accounting.read, args.accounting)],
        [*map(Plan.read, args.plan)],
        read_scales(args.dense),
        joins,
        _calibrations(args.calibration),
    )
    with atomic_path(args.summary) as temporary:
        write_tsv(pl.DataFrame(rows), temporary)


def _calibrations(entries: Sequence[str]) -> dict[str, CohortCalibration]:
    """Return what was calibrated, by cohort, given COHORT=FILE."""
    named = (entry.partition("=") for entry in entries)
    return {cohort: CohortCalibration.read(Path(path)) for cohort, _, path in named}

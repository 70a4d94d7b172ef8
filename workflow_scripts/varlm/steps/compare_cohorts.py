"""Make the page that compares all cohorts and leads to their reports."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from varlm.errors import UserError
from varlm.files.whole import atomic_path
from varlm.probing.verdict import ProbeSummary
from varlm.report.comparison import make_index
from varlm.report.distributions import of_values
from varlm.report.probes import probe_section
from varlm.report.summaries import CohortSummary
from varlm.tables.model_schemas import PROBE
from varlm.tables.parquet import read_table
from varlm.tables.schemas import BACKGROUND
from varlm.tables.tsv import read_tsv

log = logging.getLogger("varlm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the step's options."""
    parser.add_argument(
        "--summary", type=Path, action="append", required=True, help="a cohort's report.json"
    )
    parser.add_argument("--model", action="append", default=[], help="model name; repeat")
    parser.add_argument(
        "--background", type=Path, action="append", default=[], help="of each model, in order"
    )
    parser.add_argument(
        "--probe", type=Path, action="append", default=[], help="folder of describe_probe; repeat"
    )
    parser.add_argument("--vega", type=Path, help="what bundle_scripts wrote; made here without")
    parser.add_argument("--index", type=Path, required=True, help="output: index.html")


def run(args: argparse.Namespace) -> None:
    """Write `index.html`."""
    summaries = [CohortSummary.read(path) for path in args.summary]
    for path, summary in zip(args.summary, summaries, strict=True):
        if set(summary.models) != set(args.model):
            raise UserError(
                f"{path}: is of the models {', '.join(summary.models)}, expected "
                f"{', '.join(args.model)}; run the workflow again"
            )
    backgrounds = {
        model: of_values(
            read_table(path, BACKGROUND)["llr"].to_numpy(), summaries[0].models[model].scale.bins
        )
        for model, path in zip(args.model, args.background, strict=True)
    }
    probes = [
        probe_section(
            read_tsv(folder / "probe.tsv").cast(PROBE.schema),  # type: ignore[arg-type]
            ProbeSummary.read(folder / "probe.json"),
        )
        for folder in args.probe
    ]
    vega = args.vega and args.vega.read_text("utf-8")
    with atomic_path(args.index) as temporary:
        temporary.write_text(make_index(summaries, backgrounds, vega, probes), encoding="utf-8")
    log.info("%s: %d cohorts", args.index, len(summaries))

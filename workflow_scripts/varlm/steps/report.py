"""Make a cohort's HTML report, its figures, and a file for MultiQC."""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from varlm.errors import UserError
from varlm.figures.files import write_figures
from varlm.files.whole import atomic_path, check_digest
from varlm.report.cohort import make_report
from varlm.report.inputs import ReportOptions
from varlm.report.links import BrowserLink
from varlm.report.reading import ModelFiles, ReportFiles, read_inputs, read_object
from varlm.steps.options import add_dense_option

log = logging.getLogger("varlm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the step's options; those of a model are repeated in one order."""
    parser.add_argument("--annotated", type=Path, required=True, help="annotated.parquet")
    parser.add_argument("--rejected", type=Path, help="rejected.tsv.gz; the regions have none")
    parser.add_argument("--accounting", type=Path, required=True, help="accounting.json")
    parser.add_argument("--reference", type=Path, required=True, help="the reference folder")
    for name, what in (
        ("model", "models/{model}.json"),
        ("plan", "plan.json"),
        ("committed", "commits/{model}.json"),
        ("background", "background/{model}.parquet"),
        ("pictures", "pictures/{model}.parquet"),
    ):
        parser.add_argument(
            f"--{name}", type=Path, action="append", default=[], help=f"{what}; repeat"
        )
    for name, what in (
        ("scores", "what was matched of a table of published scores: scores/{NAME}.json"),
        ("ranks", "its scores of the background: background/scores/{NAME}.parquet"),
    ):
        parser.add_argument(
            f"--{name}", action="append", default=[], metavar="NAME=FILE", help=f"{what}; repeat"
        )
    add_dense_option(parser)
    parser.add_argument("--annotation-summary", type=Path, help="what the annotation holds, JSON")
    parser.add_argument("--evaluation", type=Path, help="evaluation.tsv")
    parser.add_argument("--evaluation-summary", type=Path, help="evaluation.json, with it")
    parser.add_argument("--results", type=Path, help="the results folder, for its logs' warnings")
    parser.add_argument("--cohort", required=True, help="cohort name")
    parser.add_argument("--settings", required=True, help="the config: JSON, or a file of it")
    parser.add_argument(
        "--browser", action="append", default=[], help="NAME=ADDRESS of a genome browser; repeat"
    )
    parser.add_argument("--top-hits", type=int, required=True, help="alleles of each model")
    parser.add_argument("--pictures-count", type=int, required=True, help="logos of each model")
    parser.add_argument("--flank", type=int, required=True, help="positions on each side of a logo")
    parser.add_argument("--vega", type=Path, help="what bundle_scripts wrote; made here without")
    parser.add_argument("--report", type=Path, required=True, help="output: report.html")
    parser.add_argument("--figures", type=Path, required=True, help="output: folder of figures")
    parser.add_argument("--multiqc", type=Path, required=True, help="output: {cohort}_mqc.json")
    parser.add_argument("--summary", type=Path, help="output: what compare_cohorts needs")


def run(args: argparse.Namespace) -> None:
    """Write the report, every figure as SVG and PNG, and MultiQC's content."""
    repeated = ("model", "plan", "committed", "background", "pictures")
    numbers = {name: len(getattr(args, name)) for name in repeated}
    if len(set(numbers.values())) != 1:
        counted = ", ".join(f"{count} --{name}" for name, count in numbers.items())
        raise UserError(f"report: {counted}; give each once for every model, in one order")
    if (args.evaluation is None) != (args.evaluation_summary is None):
        raise UserError("report: give --evaluation and --evaluation-summary together, or neither")
    browsers = [BrowserLink.parse(text) for text in args.browser]
    check_digest(args.annotated)
    files = ReportFiles(
        annotated=args.annotated,
        accounting=args.accounting,
        reference=args.reference,
        models=list(map(ModelFiles, *(getattr(args, name) for name in repeated))),
        rejected=args.rejected,
        annotation=args.annotation_summary,
        evaluation=(args.evaluation, args.evaluation_summary) if args.evaluation else None,
        results=args.results,
        scores=_named(args.scores),
        ranks=_named(args.ranks),
        dense=args.dense,
    )
    options = ReportOptions(args.top_hits, args.pictures_count, args.flank, browsers)
    vega = args.vega and args.vega.read_text("utf-8")
    report = make_report(read_inputs(files, args.cohort, _settings(args.settings), options), vega)
    write_figures(report.figures, args.figures)
    with atomic_path(args.multiqc) as temporary:
        temporary.write_text(json.dumps(report.multiqc, indent=2) + "\n")
    if args.summary is not None:
        report.summary.write(args.summary)
    with atomic_path(args.report) as temporary:
        temporary.write_text(report.html, encoding="utf-8")
    size = args.report.stat().st_size / 1e6
    log.info("%s: %.1f MB, %d figures", args.report, size, len(report.figures))


def _named(entries: Sequence[str]) -> dict[str, Path]:
    return {name: Path(path) for name, path in (entry.split("=", 1) for entry in entries)}


def _settings(text: str) -> dict[str, Any]:
    """Return the config, given as JSON or as the name of a file that holds it."""
    return dict(json.loads(text)) if text.lstrip().startswith("{") else read_object(Path(text))

"""Bundle the scripts that draw the figures of all pages, once for every report of a run."""

from __future__ import annotations

import argparse
from pathlib import Path

from varlm.files.whole import atomic_path
from varlm.report.page import vega_bundle


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the step's options."""
    parser.add_argument("--vega", type=Path, required=True, help="output .js")


def run(args: argparse.Namespace) -> None:
    """Write Vega, Vega-Lite and Vega-Embed as one script."""
    with atomic_path(args.vega) as temporary:
        temporary.write_text(vega_bundle(), encoding="utf-8")

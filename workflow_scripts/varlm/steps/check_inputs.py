"""Look at what later steps read from the user, so that nothing is scored in vain."""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path

from varlm.checks.inputs import UserInputs, faults
from varlm.errors import UserError, listed_errors
from varlm.files.whole import atomic_path
from varlm.genome.contig_names import ContigNames
from varlm.genome.reference import Genome
from varlm.run.cohort_sheet import Cohorts, checked_cohorts
from varlm.run.config_keys import REGIONS_COHORT
from varlm.variants.accounting import Accounting

log = logging.getLogger("varlm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the step's options."""
    parser.add_argument(
        "--settings", required=True, help="what of the config is looked at, as JSON"
    )
    parser.add_argument("--sheet", type=Path, help="the cohort sheet")
    parser.add_argument("--regions", action="store_true", help="regions are a cohort of their own")
    parser.add_argument(
        "--located",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAMED", "FILE"),
        help="where a file lies that the config or the sheet names otherwise; repeat",
    )
    parser.add_argument("--reference", type=Path, required=True, help="the reference folder")
    parser.add_argument("--aliases", type=Path, help="contig aliases")
    parser.add_argument(
        "--cohorts", type=Path, required=True, help="folder of the cohorts' results"
    )
    parser.add_argument("--checked", type=Path, required=True, help="output .json")


def run(args: argparse.Namespace) -> None:
    """Write what was looked at; every fault that is found is in one error."""
    located = dict(args.located)
    cohorts: Cohorts = {REGIONS_COHORT: []} if args.regions else {}
    if args.sheet is not None:
        cohorts |= checked_cohorts(args.sheet, [], lambda named: located.get(named, named))[0]
    inputs = UserInputs(**json.loads(args.settings), cohorts=cohorts, located=located)
    names = ContigNames.of(Genome.open(args.reference).lengths, args.aliases)

    def accounting(cohort: str) -> Accounting:
        return Accounting.read(args.cohorts / cohort / "accounting.json")

    logging.disable(logging.WARNING)  # which the steps that read the files whole give
    try:
        errors = faults(inputs, names, accounting, args.checked.parent)
    finally:
        logging.disable(logging.NOTSET)
    if errors:
        raise UserError(errors[0] if len(errors) == 1 else listed_errors(errors, "in the inputs"))
    looked_at = {"cohorts": len(cohorts), "files": sum(map(len, cohorts.values()))}
    with atomic_path(args.checked) as temporary:
        temporary.write_text(json.dumps(looked_at) + "\n")
    log.info("nothing is wrong with the inputs of %d cohorts, as far as headers tell", len(cohorts))

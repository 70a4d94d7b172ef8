"""Run a step in a child process that is watched: it may run out of memory, crash or hang."""

from __future__ import annotations

import argparse
from functools import partial

from varlm.errors import UserError
from varlm.run.supervision import PATIENCE, supervise


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `varlm supervise`."""
    parser.add_argument(
        "--patience",
        type=float,
        default=PATIENCE,
        help="seconds without a finished batch after which the step is taken for hung",
    )
    parser.add_argument("command", nargs=argparse.REMAINDER, help="the step and its options")


def run(args: argparse.Namespace) -> int:
    """Run the step; return its exit status."""
    from varlm import cli

    if not args.command:
        raise UserError("supervise: no step is named; expected varlm supervise STEP …")
    return supervise(partial(cli.program, args.command), args.command[0], args.patience)

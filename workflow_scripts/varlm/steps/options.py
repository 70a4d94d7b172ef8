"""Command-line options that several steps share; no step itself."""

from __future__ import annotations

import argparse
from pathlib import Path

from varlm.errors import UserError
from varlm.run import environment
from varlm.scoring.hardware import Hardware
from varlm.variants.options import NormaliseOptions


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of every step that works for one model on the genome."""
    parser.add_argument("--model", type=Path, required=True, help="models/{model}.json")
    parser.add_argument("--reference", type=Path, required=True, help="the reference folder")


def add_store_option(parser: argparse.ArgumentParser) -> None:
    """Declare the option of every step that reads the score store or writes to it."""
    parser.add_argument("--store", type=Path, required=True, help="folder of the score store")


def add_dense_option(parser: argparse.ArgumentParser) -> None:
    """Declare the option of every step that makes scores of dense models' numbers."""
    parser.add_argument(
        "--dense", type=Path, action="append", default=[], help="dense/{model}.json; repeat"
    )


def add_table_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of every step that looks alleles up in a table of published scores."""
    parser.add_argument("--reference", type=Path, required=True, help="the reference folder")
    parser.add_argument("--aliases", type=Path, help="contig aliases")
    parser.add_argument("--table", required=True, help="the table, as JSON")
    parser.add_argument(
        "--max-ref-mismatch",
        type=float,
        default=NormaliseOptions.max_ref_mismatch,
        help="share of wrong REFs that is allowed",
    )


def add_hardware_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of every step that loads a model."""
    parser.add_argument("--threads", type=int, default=1, help="processor cores to use")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--batch-size", default="auto", help="windows a forward pass, or auto")


def hardware(args: argparse.Namespace) -> Hardware:
    """Return what `add_hardware_options` made of the command line.

    Raises
    ------
    UserError
        If the batch size is neither `auto` nor a positive number.
    """
    environment.spin_shortly()
    text = args.batch_size
    if text != "auto" and (not text.isdigit() or int(text) < 1):
        raise UserError(f"scoring.batch_size: {text!r}; expected auto or a positive number")
    return Hardware(args.device, None if text == "auto" else int(text), args.threads)

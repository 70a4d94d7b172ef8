"""Carry INFO fields of a cohort's VCF files along, row for row as its alleles."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from varlm.annotation.info import write_info
from varlm.annotation.writing import check_count
from varlm.files.whole import check_digest, write_digest
from varlm.variants.accounting import Accounting

log = logging.getLogger("varlm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the step's options."""
    parser.add_argument("--variants", type=Path, required=True, help="variants.parquet")
    parser.add_argument(
        "--vcf", type=Path, action="append", required=True, help="the cohort's files, in order"
    )
    parser.add_argument("--accounting", type=Path, required=True, help="accounting.json")
    parser.add_argument(
        "--field", action="append", required=True, metavar="TAG", help="an INFO field; repeat"
    )
    parser.add_argument("--info", type=Path, required=True, help="output table")


def run(args: argparse.Namespace) -> None:
    """Write `info.parquet`; its rows are those of `variants.parquet`, in their order."""
    check_digest(args.variants)
    accounting = Accounting.read(args.accounting)
    count = write_info(args.variants, args.vcf, accounting, args.field, args.info)
    check_count(args.info, count, args.variants)
    write_digest(args.info)
    log.info("%s: %d alleles, INFO fields %s", args.info, count, ", ".join(args.field))

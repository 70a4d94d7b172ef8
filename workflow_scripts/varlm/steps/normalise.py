"""Read a cohort's VCF files: every allele normalised, or rejected with a reason."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from varlm.errors import UserError
from varlm.files.whole import write_digest
from varlm.genome.reference import Genome
from varlm.tables.parquet import write_table
from varlm.tables.schemas import VARIANTS
from varlm.variants.cohort import CohortVcf, NormaliseOptions, normalise
from varlm.variants.rejected import write_rejected


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the step's options; what they mean: `varlm.variants.cohort.NormaliseOptions`."""
    defaults = NormaliseOptions()
    parser.add_argument("--cohort", required=True, help="name, for messages and the accounting")
    parser.add_argument(
        "--vcf", type=Path, action="append", required=True, help="a file; may be given again"
    )
    parser.add_argument(
        "--expect-records",
        action="append",
        default=[],
        metavar="FILE:N",
        help="the file of this 0-based index must have N records",
    )
    parser.add_argument(
        "--expect-sha256",
        action="append",
        default=[],
        metavar="FILE:DIGEST",
        help="the file of this 0-based index must have this SHA-256",
    )
    parser.add_argument("--reference", type=Path, required=True, help="folder of index_reference")
    parser.add_argument("--aliases", type=Path, help="contig aliases or NCBI assembly report")
    parser.add_argument("--filter", choices=["all", "pass"], default=defaults.filter)
    parser.add_argument("--min-af", type=float)
    parser.add_argument("--max-af", type=float)
    parser.add_argument("--regions", type=Path, help="BED file")
    parser.add_argument("--max-allele-length", type=int, default=defaults.max_allele_length)
    parser.add_argument(
        "--on-ref-mismatch", choices=["reject", "error"], default=defaults.on_ref_mismatch
    )
    parser.add_argument("--max-ref-mismatch", type=float, default=defaults.max_ref_mismatch)
    parser.add_argument("--indels", choices=["score", "skip", "undefined"], default=defaults.indels)
    parser.add_argument("--variants", type=Path, required=True, help="output table")
    parser.add_argument("--rejected", type=Path, required=True, help="output .tsv.gz")
    parser.add_argument("--accounting", type=Path, required=True, help="output .json")


def run(args: argparse.Namespace) -> None:
    """Write the three outputs; `accounting` last."""
    records = _by_file("--expect-records", args.expect_records, len(args.vcf))
    digests = _by_file("--expect-sha256", args.expect_sha256, len(args.vcf))
    for text in records.values():
        if not text.isdecimal():
            raise UserError(f"--expect-records: found {text!r}; expected FILE:N, two whole numbers")
    files = [
        CohortVcf(path, int(records[i]) if i in records else None, digests.get(i))
        for i, path in enumerate(args.vcf)
    ]
    options = NormaliseOptions(
        filter=args.filter,
        min_af=args.min_af,
        max_af=args.max_af,
        regions=args.regions,
        max_allele_length=args.max_allele_length,
        on_ref_mismatch=args.on_ref_mismatch,
        max_ref_mismatch=args.max_ref_mismatch,
        indels=args.indels,
        aliases=args.aliases,
    )
    result = normalise(args.cohort, files, Genome.open(args.reference), options)
    write_table(result.variants, args.variants, VARIANTS)
    write_digest(args.variants)
    write_rejected(result.rejected, args.rejected)
    result.accounting.write(args.accounting)


def _by_file(flag: str, texts: Sequence[str], files: int) -> dict[int, str]:
    """Return file → value of options FILE:VALUE."""
    values = {}
    for text in texts:
        index, _, value = text.partition(":")
        if not index.isdecimal() or int(index) >= files or not value:
            raise UserError(
                f"{flag}: found {text!r}; expected the 0-based index of a --vcf, a colon and a "
                "value"
            )
        values[int(index)] = value
    return values

"""Write a cohort's annotated table as TSV, and its own VCF with the scores in INFO."""

from __future__ import annotations

import argparse
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from varlm.files.whole import check_digest
from varlm.genome.reference import Genome
from varlm.results.export import export_tsv, export_vcf
from varlm.run import environment
from varlm.variants.accounting import Accounting

log = logging.getLogger("varlm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the step's options."""
    parser.add_argument("--annotated", type=Path, required=True, help="annotated.parquet")
    parser.add_argument("--rejected", type=Path, required=True, help="rejected.tsv.gz")
    parser.add_argument("--accounting", type=Path, required=True, help="accounting.json")
    parser.add_argument("--reference", type=Path, required=True, help="the reference folder")
    parser.add_argument("--vcf", type=Path, action="append", required=True, help="cohort file")
    parser.add_argument("--model", action="append", default=[], help="model name; repeat")
    parser.add_argument("--tsv", type=Path, required=True, help="output .tsv.gz")
    parser.add_argument("--out-vcf", type=Path, required=True, help="output .vcf.gz")


def run(args: argparse.Namespace) -> None:
    """Write both files and their indexes."""
    check_digest(args.annotated)
    accounting, genome = Accounting.read(args.accounting), Genome.open(args.reference)
    lengths = {chrom: genome[contig].length for chrom, contig in accounting.contig_of_chrom.items()}
    digests = [file.sha256 for file in accounting.files]
    index = environment.index_kind()
    # Side by side: most of either is compression, in threads that need no interpreter lock.
    with ThreadPoolExecutor(1, thread_name_prefix="tsv") as pool:
        tsv = pool.submit(export_tsv, args.annotated, args.model, args.tsv, index)
        records = export_vcf(
            *(args.annotated, args.rejected, args.vcf, args.model),
            *(lengths, args.out_vcf, digests, index),
        )
        log.info("%s: %d alleles", args.tsv, tsv.result())
    log.info("%s: %d records", args.out_vcf, records)

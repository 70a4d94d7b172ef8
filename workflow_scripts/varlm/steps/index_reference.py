"""Encode the reference FASTA once, for every later step."""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path

from varlm.errors import first_few
from varlm.files.whole import atomic_path
from varlm.genome import encoding, read_back

log = logging.getLogger("varlm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the step's options."""
    parser.add_argument("--fasta", type=Path, required=True, help="plain, gzip or bgzip FASTA")
    parser.add_argument("--reference", type=Path, required=True, help="output folder")


def run(args: argparse.Namespace) -> None:
    """Write `genome.fa`, `genome.fa.fai`, `contigs.parquet` and `reference.json`."""
    indexed = encoding.index_reference(args.fasta, args.reference)
    read_back.check_or_remove(args.reference)
    contigs = indexed.contigs
    summary = {
        "fasta": str(args.fasta),
        "contigs": contigs.height,
        "bases": int(contigs["length"].sum()),
        "acgt": int(contigs["acgt"].sum()),
        "empty_contigs": indexed.empty,
    }
    if indexed.empty:
        log.warning(
            "%s: %d contigs have no sequence and are left out: %s",
            args.fasta,
            len(indexed.empty),
            first_few(indexed.empty, 10),
        )
    with atomic_path(args.reference / "reference.json") as temporary:
        temporary.write_text(json.dumps(summary, indent=2) + "\n")
    log.info(
        "%s: %d contigs, %d bp, %d of them A, C, G or T",
        args.fasta,
        summary["contigs"],
        summary["bases"],
        summary["acgt"],
    )

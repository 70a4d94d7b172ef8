"""Embed labelled sequences, intervals or variants with a model's hidden states, for probes."""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path

from varlm.genome.contig_names import ContigNames
from varlm.genome.reference import Genome
from varlm.models.prepared import PreparedModel
from varlm.probing.specification import ProbeSpec
from varlm.probing.tables import read_probe_table
from varlm.steps.options import add_hardware_options, add_model_options, hardware
from varlm.variants.options import NormaliseOptions

log = logging.getLogger("varlm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the step's options."""
    parser.add_argument("--probe", required=True, help="the probe's name, for messages")
    parser.add_argument("--table", type=Path, required=True, help="its table, TSV or Parquet")
    parser.add_argument("--settings", required=True, help="what is embedded of it, as JSON")
    add_model_options(parser)
    parser.add_argument("--aliases", type=Path, help="contig aliases")
    parser.add_argument(
        "--max-ref-mismatch",
        type=float,
        default=NormaliseOptions.max_ref_mismatch,
        help="share of wrong REFs that is allowed",
    )
    parser.add_argument(
        "--embeddings",
        type=Path,
        required=True,
        help="output: folder of rows.parquet, embeddings.json and parts, from which a stopped step "
        "resumes",
    )
    add_hardware_options(parser)


def run(args: argparse.Namespace) -> None:
    """Write the rows that can be embedded and, in parts, their embeddings."""
    chosen = hardware(args)
    model, genome = PreparedModel.read(args.model), Genome.open(args.reference)
    spec = ProbeSpec.parse(args.probe, json.loads(args.settings), args.max_ref_mismatch)
    names = ContigNames.of(genome.lengths, args.aliases)
    table = read_probe_table(args.table, spec, genome, names)
    from varlm.probing.embedding import embed  # torch

    record = embed(table, spec.positions, genome, model, chosen, args.embeddings)
    log.info(
        "%s: %d %s of %s bp, %d channels (%s), in %d parts",
        args.embeddings,
        record.rows,
        record.kind,
        "several" if record.length is None else record.length,
        record.channels,
        record.positions,
        len(record.parts),
    )

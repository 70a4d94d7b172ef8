"""Put the scores of all shards into the store, after checking every planned row."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from varlm.genome.reference import Genome
from varlm.models.prepared import PreparedModel
from varlm.scoring.committing import commit_shards, shard_files
from varlm.store import Store

log = logging.getLogger("varlm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the step's options."""
    parser.add_argument("--model", type=Path, required=True, help="models/{model}.json")
    parser.add_argument("--reference", type=Path, required=True, help="the reference folder")
    parser.add_argument("--plan", type=Path, required=True, help="the plan's folder")
    parser.add_argument("--scores", type=Path, required=True, help="folder of the shards' scores")
    parser.add_argument("--store", type=Path, required=True, help="folder of the score store")
    parser.add_argument("--committed", type=Path, required=True, help="output: what was stored")


def run(args: argparse.Namespace) -> None:
    """Commit and write the JSON that says so."""
    model = PreparedModel.read(args.model)
    shards = shard_files(args.plan, args.scores)
    commit = commit_shards(shards, Genome.open(args.reference), Store(args.store), model)
    commit.write(args.committed)
    log.info(
        "model %s: %d sites and %d indels or MNVs scored; %d parts written, %d rows were stored "
        "by another run meanwhile",
        commit.model,
        commit.sites,
        commit.alleles,
        commit.parts,
        commit.known,
    )

"""Cut what the store does not hold yet into shards of unique sites, in genome order."""

from __future__ import annotations

import argparse
import json
import logging
from dataclasses import asdict
from pathlib import Path

from varlm import planning
from varlm.errors import UserError
from varlm.reference import Genome
from varlm.schemas import SHARD, atomic_path, write_table
from varlm.store import Store

log = logging.getLogger("varlm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the step's options."""
    parser.add_argument("--model", type=Path, required=True, help="models/{model}.json")
    parser.add_argument("--reference", type=Path, required=True, help="the reference folder")
    parser.add_argument("--store", type=Path, required=True, help="folder of the score store")
    parser.add_argument("--cohort", action="append", required=True, help="cohort name")
    parser.add_argument(
        "--variants", type=Path, action="append", required=True, help="its variants.parquet"
    )
    parser.add_argument("--sites-per-shard", type=int, required=True, help="sites in a shard")
    parser.add_argument("--plan", type=Path, required=True, help="output folder")


def run(args: argparse.Namespace) -> None:
    """Write `plan.json` and `shards/{n}.parquet`."""
    if len(args.cohort) != len(args.variants):
        raise UserError(
            f"plan: {len(args.cohort)} --cohort but {len(args.variants)} --variants; give both "
            "once for each cohort"
        )
    model = json.loads(args.model.read_text())
    cohorts = dict(zip(args.cohort, args.variants, strict=True))
    store = Store(args.store)
    store.discard_damaged(model["key"])
    tally = planning.Tally()
    rows = planning.new_rows(cohorts, Genome.open(args.reference), store, model["key"], tally)
    count = 0
    for shard in planning.shards(rows, args.sites_per_shard):
        write_table(shard, args.plan / "shards" / f"{count}.parquet", SHARD)
        count += 1
    plan = {
        "model": model["name"],
        "key": model["key"],
        "shards": count,
        "total": asdict(tally.total),
        "cohorts": {name: asdict(counts) for name, counts in tally.cohorts.items()},
    }
    with atomic_path(args.plan / "plan.json") as temporary:
        temporary.write_text(json.dumps(plan, indent=2) + "\n")
    total = tally.total
    log.info(
        "model %s: %d sites (%d in the store) and %d indels or MNVs (%d in the store); "
        "%d shards to score",
        model["name"],
        total.sites,
        total.sites_from_store,
        total.alleles,
        total.alleles_from_store,
        count,
    )

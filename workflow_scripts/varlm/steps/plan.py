"""Cut what the store does not hold yet into shards of unique sites, in genome order."""

from __future__ import annotations

import argparse
import json
import logging
from dataclasses import asdict
from pathlib import Path

from varlm import background, planning
from varlm.errors import UserError
from varlm.reference import Genome
from varlm.schemas import SHARD, atomic_path, check_digest, write_digest, write_table
from varlm.store import Store
from varlm.store.repair import repair

log = logging.getLogger("varlm")

# What the tally calls the background's sites; no cohort can be called so.
BACKGROUND_ROWS = "(background)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the step's options."""
    parser.add_argument("--model", type=Path, required=True, help="models/{model}.json")
    parser.add_argument("--reference", type=Path, required=True, help="the reference folder")
    parser.add_argument("--store", type=Path, required=True, help="folder of the score store")
    parser.add_argument("--cohort", action="append", required=True, help="cohort name")
    parser.add_argument(
        "--variants", type=Path, action="append", required=True, help="its variants.parquet"
    )
    parser.add_argument(
        "--background-sites", type=int, default=0, help="random sites to rank scores among"
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
    key = model["key"]
    for path in args.variants:
        check_digest(path)
    genome, store = Genome.open(args.reference), Store(args.store)
    repairs = repair(store, key, model, genome.contigs["digest"])
    wanted: dict[str, planning.Wanted] = {
        name: planning.CohortRows(path)
        for name, path in zip(args.cohort, args.variants, strict=True)
    }
    if args.background_sites:
        chosen = background.choose(genome, args.background_sites)
        if store.read_background(key, chosen.digest) is None:
            wanted[BACKGROUND_ROWS] = planning.SiteRows(chosen.sites)
    tally = planning.Tally()
    rows = planning.new_rows(wanted, genome, store, key, tally)
    count = 0
    for shard in planning.shards(rows, args.sites_per_shard):
        if count == 0 and not store.writable(key):
            raise UserError(
                f"{args.store}: there is something to score, but the store cannot be written: no "
                "score would be kept; make it writable, or name a copy in the config key store"
            )
        path = args.plan / "shards" / f"{count}.parquet"
        write_table(shard, path, SHARD)
        write_digest(path)
        count += 1
    cohorts = {name: asdict(counts) for name, counts in tally.cohorts.items()}
    plan = {
        "model": model["name"],
        "key": key,
        "shards": count,
        "total": asdict(tally.total),
        "background": cohorts.pop(BACKGROUND_ROWS, None),
        "cohorts": cohorts,
        "damaged": repairs.damaged,
        "recovered": len(repairs.recovered),
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

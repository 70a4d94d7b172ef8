"""Cut what the store does not hold yet into shards of unique sites, in genome order."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from varlm.errors import UserError
from varlm.files.whole import check_digest
from varlm.genome.reference import Genome
from varlm.models.prepared import PreparedModel
from varlm.scoring import dense_scale, planning, shard_size
from varlm.scoring.brought_background import FILE, bring_background
from varlm.scoring.cutting import shards
from varlm.scoring.plan_folder import plan_of, write_shards
from varlm.scoring.plan_record import Plan
from varlm.scoring.recipe import Recipe
from varlm.scoring.shard_size import ShardSize
from varlm.scoring.unscored import alleles_without_score
from varlm.scoring.whole_tiles import WholeTiles
from varlm.steps.options import add_model_options, add_store_option
from varlm.store import Store
from varlm.store.repair import repair

log = logging.getLogger("varlm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the step's options."""
    add_model_options(parser)
    add_store_option(parser)
    parser.add_argument("--cohort", action="append", required=True, help="cohort name")
    parser.add_argument(
        "--variants", type=Path, action="append", required=True, help="its variants.parquet"
    )
    parser.add_argument(
        "--background-sites", type=int, default=0, help="random sites to rank scores among"
    )
    parser.add_argument(
        "--dense-sites", type=int, default=0, help="random sites to score masked too"
    )
    parser.add_argument(
        "--sites-per-shard", required=True, help="sites in a shard, or auto: by --minutes"
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="of a shard's work, with auto")
    parser.add_argument("--device", default="auto", help="what the score jobs will be given")
    parser.add_argument("--committed", type=Path, help="the last run's commits/{model}.json")
    parser.add_argument("--plan", type=Path, required=True, help="output folder")


def run(args: argparse.Namespace) -> None:
    """Write `plan.json` and `shards/{n}.parquet`."""
    if len(args.cohort) != len(args.variants):
        raise UserError(
            f"plan: {len(args.cohort)} --cohort but {len(args.variants)} --variants; give both "
            "once for each cohort"
        )
    model = PreparedModel.read(args.model)
    for path in args.variants:
        check_digest(path)
    genome, store, key = Genome.open(args.reference), Store(args.store), model.key
    repairs = repair(store, key, model.to_json(), genome.stored_as)
    may_bring = args.dense_sites and (model.folder / FILE).is_file()
    compared = dense_scale.masked_model(model) if may_bring else None
    for brought in filter(None, (model, compared)):
        bring_background(brought, genome, store, args.background_sites)
    cohorts = dict(zip(args.cohort, args.variants, strict=True))
    wanted = planning.wanted_rows(
        cohorts, args.background_sites, genome, store, model, args.dense_sites
    )
    size, tally = _size(args, model), planning.Tally()
    rows = planning.new_rows(wanted, genome, store, key, tally)
    tiles = Recipe.of(model).tiles
    whole = None if tiles is None else WholeTiles(tiles, genome, store, key)
    rows = planning.storable(rows if whole is None else whole.of(rows), store, key)
    count = write_shards(shards(rows, size.part), args.plan / "shards", size)
    unscored = None
    if model.kind.alleles is None:
        unscored = {name: alleles_without_score(path) for name, path in cohorts.items()}
    beyond = None if whole is None else whole.beyond
    plan = plan_of(model, size, count, tally, repairs, unscored, beyond)
    plan.write(args.plan / "plan.json")
    _tell(plan, model)


def _size(args: argparse.Namespace, model: PreparedModel) -> ShardSize:
    if args.sites_per_shard != "auto":
        return shard_size.fixed(int(args.sites_per_shard))
    jobs = shard_size.score_jobs(args.device)
    runs = shard_size.last_runs(args.committed)
    return shard_size.lasting(args.minutes, model, jobs, runs)


def _tell(plan: Plan, model: PreparedModel) -> None:
    """Log what is to be scored, and what is not."""
    total = plan.total
    log.info(
        "model %s: %d sites (%d in the store) and %d indels or MNVs (%d in the store); "
        "%d shards to score",
        plan.model,
        total.sites,
        total.sites_from_store,
        total.alleles,
        total.alleles_from_store,
        plan.shards,
    )
    if plan.beyond:
        log.info(
            "model %s: %d more sites, which the tiles of those to score answer as well",
            plan.model,
            plan.beyond,
        )
    if left := sum((plan.unscored or {}).values()):
        log.info(
            "model %s: %d indels or MNVs of the cohorts are left out: the kind %s is not defined "
            "for them",
            plan.model,
            left,
            model.kind.name,
        )

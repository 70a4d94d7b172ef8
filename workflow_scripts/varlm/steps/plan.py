"""Cut what the store does not hold yet into shards of unique sites, in genome order."""

from __future__ import annotations

import argparse
import json
import logging
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl

from varlm.errors import UserError
from varlm.files.whole import atomic_path, check_digest, write_digest
from varlm.genome.reference import Genome
from varlm.scoring import background, planning, shard_size
from varlm.store import Store
from varlm.store.repair import repair
from varlm.tables.parquet import read_table, write_table
from varlm.tables.schemas import SHARD

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
    if args.sites_per_shard == "auto":
        size = _size(args, model)
        part = shard_size.part_size(size)
    else:
        size = part = int(args.sites_per_shard)
    parts = _write_parts(planning.shards(rows, part), args, store, key)
    together = shard_size.parts_together(len(parts), part, size, _at_once())
    count = _join(parts, together if size > part else 1, args.plan / "shards")
    cohorts = {name: asdict(counts) for name, counts in tally.cohorts.items()}
    plan = {
        "model": model["name"],
        "key": key,
        "shards": count,
        "sites_per_shard": size,
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


def _write_parts(
    shards: Iterator[pl.DataFrame], args: argparse.Namespace, store: Store, key: str
) -> list[Path]:
    """Write the parts of shards, in order; return their paths."""
    paths: list[Path] = []
    for rows in shards:
        if not paths and not store.writable(key):
            raise UserError(
                f"{args.store}: there is something to score, but the store cannot be written: no "
                "score would be kept; make it writable, or name a copy in the config key store"
            )
        paths.append(args.plan / "shards" / f"{len(paths)}.part")
        write_table(rows, paths[-1], SHARD)
    return paths


def _join(parts: list[Path], together: int, folder: Path) -> int:
    """Make a shard of every `together` neighbouring parts; return how many shards there are."""
    starts = range(0, len(parts), together)
    for number, start in enumerate(starts):
        some = parts[start : start + together]
        path = folder / f"{number}.parquet"
        if len(some) == 1:
            some[0].replace(path)
        else:
            write_table(pl.concat(read_table(part, SHARD) for part in some), path, SHARD)
            for part in some:
                part.unlink()
        write_digest(path)
    return len(starts)


def _size(args: argparse.Namespace, model: dict[str, Any]) -> int:
    """Return how many sites `--minutes` of work are: measured in the last run, else estimated."""
    on_gpu = args.device.startswith("cuda") or (args.device == "auto" and _gpu_is_there())
    runs = []
    if args.committed is not None and args.committed.exists():
        runs = json.loads(args.committed.read_text()).get("runs", [])
    rate = shard_size.measured_rate(runs, on_gpu, planning.ALLELE_COST)
    how = "measured in the last run"
    if rate is None:
        cores = int(os.environ.get("VARLM_SCORING_THREADS", "1"))
        rate = shard_size.expected_rate(model, on_gpu, cores)
        how = "estimated from the size of the model"
    size = shard_size.wanted_size(rate, args.minutes)
    log.info(
        "shards of up to %d sites: about %.3g sites a second on a %s, %s",
        size,
        rate,
        "GPU" if on_gpu else "CPU",
        how,
    )
    return size


def _gpu_is_there() -> bool:
    """Return whether jobs were promised GPUs, or this machine has one of NVIDIA's."""
    return "VARLM_GPUS" in os.environ or Path("/dev/nvidiactl").exists()


def _at_once() -> int:
    """Return how many score jobs run at the same time, as rules/common.smk found it."""
    return int(os.environ.get("VARLM_GPUS") or os.environ.get("VARLM_JOBS") or "1")

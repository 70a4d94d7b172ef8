"""Put the scores of all shards into the store, after checking every planned row."""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from varlm.files.whole import atomic_path, check_digest
from varlm.genome.reference import Genome
from varlm.scoring.shard_check import checked_scores
from varlm.store import Committed, Store
from varlm.store.repair import repair

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
    model = json.loads(args.model.read_text())
    plan = json.loads((args.plan / "plan.json").read_text())
    genome = Genome.open(args.reference)
    names = ("sites", "alleles")

    def files(shard: int) -> tuple[Path, Path, Path]:
        folder = args.scores / str(shard)
        return (
            args.plan / "shards" / f"{shard}.parquet",
            *(folder / f"{name}.parquet" for name in names),
        )

    # The check of all comes before the first write: a bad shard leaves the store untouched.
    totals = dict.fromkeys(names, 0)
    runs = []
    for shard in range(plan["shards"]):
        check_digest(files(shard)[0])
        for name, rows in zip(names, checked_scores(*files(shard), model["strands"]), strict=True):
            totals[name] += rows.height
        runs.append(json.loads((args.scores / str(shard) / "run.json").read_text()))

    def pieces(name: str) -> Iterator[tuple[str, pl.DataFrame]]:
        for shard in range(plan["shards"]):
            frame = pl.read_parquet(args.scores / str(shard) / f"{name}.parquet")
            for (contig,), rows in frame.group_by("contig", maintain_order=True):
                yield genome[str(contig)].digest, rows.drop("contig")

    store = Store(args.store)
    done = Committed()
    if plan["shards"]:
        # A part that was damaged since the plan must not stop scores that took hours.
        repair(store, model["key"], model, genome.contigs["digest"])
        done = store.commit(model["key"], model, pieces("sites"), pieces("alleles"))
    with atomic_path(args.committed) as temporary:
        report = {
            "model": model["name"],
            "key": model["key"],
            **totals,
            "parts": len(done.parts),
            "known": done.known,
            "runs": runs,
        }
        temporary.write_text(json.dumps(report, indent=2) + "\n")
    log.info(
        "model %s: %d sites and %d indels or MNVs scored; %d parts written, %d rows were stored "
        "by another run meanwhile",
        model["name"],
        totals["sites"],
        totals["alleles"],
        len(done.parts),
        done.known,
    )

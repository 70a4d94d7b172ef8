"""Score the sites around a cohort's top hits, for the sequence logos of its report."""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.files.whole import check_digest
from varlm.genome.reference import Genome
from varlm.results.top_hits import picture_positions, pictured, top_hits
from varlm.scoring.shard import read_settings, score_rows
from varlm.steps.options import add_hardware_options, hardware
from varlm.store import Store
from varlm.tables.parquet import write_table
from varlm.tables.schemas import SHARD, SITES, read_annotated_table
from varlm.variants.accounting import contig_of_chrom

log = logging.getLogger("varlm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the step's options."""
    parser.add_argument("--annotated", type=Path, required=True, help="annotated.parquet")
    parser.add_argument("--accounting", type=Path, required=True, help="accounting.json")
    parser.add_argument("--reference", type=Path, required=True, help="the reference folder")
    parser.add_argument("--model", type=Path, required=True, help="models/{model}.json")
    parser.add_argument(
        "--name", action="append", required=True, help="each model of the annotated table"
    )
    parser.add_argument("--store", type=Path, required=True, help="folder of the score store")
    parser.add_argument("--pictures", type=int, required=True, help="hits to picture")
    parser.add_argument("--flank", type=int, required=True, help="positions on each side")
    parser.add_argument("--sites", type=Path, required=True, help="output: site logits")
    add_hardware_options(parser)


def run(args: argparse.Namespace) -> None:
    """Write the logits of every position that a logo shows; score those the store lacks.

    No model is loaded where the store has all of them. What is scored goes into the store, where
    it can be written.
    """
    chosen = hardware(args)
    settings = read_settings(args.model)
    check_digest(args.annotated)
    read_annotated_table(args.annotated, args.name)
    accounting = json.loads(args.accounting.read_text())
    genome, store, key = Genome.open(args.reference), Store(args.store), settings["key"]

    positions = _positions(args, settings["name"], accounting, genome)
    known, lacking = [SITES.empty()], [SHARD.empty()]
    for contig, wanted in positions.items():
        rows = store.sites_at(key, genome[contig].digest, wanted)
        known.append(rows.select(pl.lit(contig).alias("contig"), *SITES.names[1:]))
        new = wanted[~np.isin(wanted, rows["pos"].to_numpy())]
        lacking.append(
            pl.DataFrame({"contig": contig, "pos": new, "ref": None, "alt": None}, SHARD.schema)
        )
    stored, shard = pl.concat(known), pl.concat(lacking)
    scores = score_rows(shard, genome, settings, chosen)
    if shard.height and store.writable(key):
        pieces = (
            (genome[str(contig)].digest, rows.drop("contig"))
            for (contig,), rows in scores.sites.group_by("contig", maintain_order=True)
        )
        store.commit(key, settings, pieces)
    order = pl.Series(genome.contigs["contig"]).to_list()
    sites = pl.concat([stored, scores.sites]).sort(
        pl.col("contig").replace_strict({name: i for i, name in enumerate(order)}), "pos"
    )
    write_table(sites, args.sites, SITES)
    log.info(
        "model %s: %d sites around top hits, %d of them in the store",
        settings["name"],
        sites.height,
        stored.height,
    )


def _positions(
    args: argparse.Namespace, model: str, accounting: dict[str, Any], genome: Genome
) -> dict[str, NDArray[np.uint32]]:
    """Return contig → positions (1-based, sorted, each once) of all pictures of the model."""
    contigs = contig_of_chrom(accounting)
    hits = top_hits(args.annotated, [model], args.pictures)[model] if args.pictures else None
    found: dict[str, list[NDArray[np.uint32]]] = {}
    if hits is not None:
        for row in pictured(hits, args.pictures).iter_rows(named=True):
            contig = contigs[row["chrom"]]
            found.setdefault(contig, []).append(
                picture_positions(genome, contig, row["pos"], row["ref"], args.flank)
            )
    return {contig: np.unique(np.concatenate(parts)) for contig, parts in found.items()}

"""Sites asked of the store: those that it lacks are scored, and kept there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.genome.reference import Genome
from varlm.models.prepared import PreparedModel
from varlm.scoring.hardware import Hardware
from varlm.scoring.shard import score_rows
from varlm.store import KINDS, Store
from varlm.tables.schemas import SHARD, SITES

Positions = Mapping[str, NDArray[np.uint32]]  # contig → positions, 1-based, sorted, each once


@dataclass(frozen=True)
class StoredSites:
    """The logits of some positions.

    Attributes
    ----------
    sites : polars.DataFrame
        `varlm.tables.schemas.SITES`, in genome order.
    from_store : int
        How many of the rows the store had.
    """

    sites: pl.DataFrame
    from_store: int


def sites_through_store(
    wanted: Positions, genome: Genome, store: Store, model: PreparedModel, hardware: Hardware
) -> StoredSites:
    """Return the logits of some positions; those that the store lacks are scored.

    No model is loaded where the store has all of them. What is scored goes into the store, where
    it can be written. Contigs of one sequence share the scores of their sites, as in the store.

    Parameters
    ----------
    wanted : mapping
        Contig → positions, 1-based, sorted, each once.
    genome : Genome
    store : Store
    model : PreparedModel
    hardware : Hardware
        What to score on.
    """
    known, lacking = {}, [SHARD.empty()]
    for contig, positions in _of_sequences(wanted, genome).items():
        digest = genome[contig].stored_as
        known[digest] = store.sites_at(model.key, digest, positions)
        new = positions[~np.isin(positions, known[digest]["pos"].to_numpy())]
        columns = {"contig": contig, "pos": new, "ref": None, "alt": None}
        lacking.append(pl.DataFrame(columns, SHARD.schema))
    scores = score_rows(pl.concat(lacking), genome, model, hardware).sites
    scored = {
        genome[str(contig)].stored_as: rows.drop("contig")
        for (contig,), rows in scores.group_by("contig", maintain_order=True)
    }
    if scored and store.writable(model.key):
        with store.committing(model.key, model.to_json()) as commit:
            for digest, rows in scored.items():
                commit.add(digest, KINDS["sites"], rows)
    return _of_contigs(wanted, genome, known, scored)


def _of_sequences(wanted: Positions, genome: Genome) -> Positions:
    """Return the positions on each sequence, under the first of its contigs."""
    same: dict[str, list[str]] = {}
    for contig in wanted:
        same.setdefault(genome[contig].stored_as, []).append(contig)
    return {
        contigs[0]: np.unique(np.concatenate([wanted[contig] for contig in contigs]))
        for contigs in same.values()
    }


def _of_contigs(
    wanted: Positions,
    genome: Genome,
    known: Mapping[str, pl.DataFrame],
    scored: Mapping[str, pl.DataFrame],
) -> StoredSites:
    """Give each contig its rows of those of its sequence, by the contig's digest."""
    tables, from_store = [SITES.empty()], 0
    for contig in genome.names:
        if contig not in wanted:
            continue
        digest = genome[contig].stored_as
        mine = pl.DataFrame({"pos": wanted[contig]}, schema={"pos": pl.UInt32()})
        stored = known[digest].join(mine, on="pos", how="semi")
        from_store += stored.height
        rows = [stored]
        if digest in scored:
            rows.append(scored[digest].join(mine, on="pos", how="semi"))
        tables.append(pl.concat(rows).sort("pos").select(pl.lit(contig).alias("contig"), pl.all()))
    return StoredSites(pl.concat(tables), from_store)

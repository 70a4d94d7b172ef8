"""From the scores of a plan's shards to rows of the store, after checking every planned row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from varlm.files.whole import check_digest
from varlm.genome.reference import Genome
from varlm.models.prepared import PreparedModel
from varlm.scoring.commit_record import CommitRecord, read_run
from varlm.scoring.plan_record import Plan
from varlm.scoring.shard_check import checked_scores
from varlm.store import KINDS, Committed, Store
from varlm.store.repair import repair

_SCORES = ("sites", "alleles")  # both the files' names and the store's kinds


@dataclass(frozen=True)
class ShardFiles:
    """The files of one shard.

    Attributes
    ----------
    planned : Path
        The rows to score (`SHARD`), and beside it its digest.
    scores : Path
        The folder of `sites.parquet`, `alleles.parquet` and `run.json`, how they were made.
    """

    planned: Path
    scores: Path

    def table(self, name: str) -> Path:
        """Where the scores of the sites or alleles are."""
        return self.scores / f"{name}.parquet"


def shard_files(plan: Path, scores: Path) -> list[ShardFiles]:
    """Return the files of a plan's shards; `plan` and `scores` are the folders of both."""
    return [
        ShardFiles(plan / "shards" / f"{number}.parquet", scores / str(number))
        for number in range(Plan.read(plan / "plan.json").shards)
    ]


def commit_shards(
    shards: Sequence[ShardFiles], genome: Genome, store: Store, model: PreparedModel
) -> CommitRecord:
    """Put the scores of all shards into the store, in one commit.

    Parameters
    ----------
    shards : sequence of ShardFiles
    genome : Genome
        Names the contigs of the shards.
    store : Store
    model : PreparedModel

    Raises
    ------
    UserError
        If a shard is not what was planned (`checked_scores`), or a row is in the store with
        another score. The store is as it was then.
    """
    # The check of all comes before the first write: a bad shard leaves the store untouched.
    counts, runs = dict.fromkeys(_SCORES, 0), []
    for shard in shards:
        check_digest(shard.planned)
        sites, alleles = (shard.table(name) for name in _SCORES)
        tables = checked_scores(shard.planned, sites, alleles, model.strands)
        for name, rows in zip(_SCORES, tables, strict=True):
            counts[name] += rows.height
        runs.append(read_run(shard.scores / "run.json"))
    committed = _commit(shards, genome, store, model) if shards else Committed()
    return CommitRecord(
        model=model.name,
        key=model.key,
        sites=counts["sites"],
        alleles=counts["alleles"],
        parts=len(committed.parts),
        known=committed.known,
        runs=tuple(runs),
    )


def _commit(
    shards: Sequence[ShardFiles], genome: Genome, store: Store, model: PreparedModel
) -> Committed:
    # A part that was damaged since the plan must not stop scores that took hours.
    repair(store, model.key, model.to_json(), genome.stored_as)
    digests = pl.DataFrame({"contig": genome.names, "digest": genome.stored_as})
    with store.committing(model.key, model.to_json()) as commit:
        for name in _SCORES:
            for shard in shards:
                scores = pl.read_parquet(shard.table(name))
                if scores.height:
                    counts = scores["contig"].rle().struct.field("len").to_numpy()
                    rows = scores.join(digests, on="contig", how="left", maintain_order="left")
                    rows = rows.drop("contig").rename({"digest": "contig"})
                    commit.add_many(KINDS[name], rows, counts)
    return commit.done

"""The plan of a model as files: `shards/{n}.parquet`, and `plan.json`, which counts what they hold.

Shards are put together from parts, so that how many sites each gets can wait until it is known
how many there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import polars as pl

from varlm.files.whole import write_digest
from varlm.models.prepared import PreparedModel
from varlm.scoring.plan_record import Plan
from varlm.scoring.planning import BACKGROUND_ROWS, DENSE_ROWS, Tally
from varlm.scoring.shard_size import ShardSize
from varlm.store.repair import Repairs
from varlm.tables.parquet import read_table, write_table
from varlm.tables.schemas import SHARD


def write_shards(parts: Iterable[pl.DataFrame], folder: Path, size: ShardSize) -> int:
    """Write shards, in order, with their digests beside them; return how many there are.

    Parameters
    ----------
    parts : iterable of polars.DataFrame
        Rows of `varlm.tables.schemas.SHARD`, `size.part` sites each; read one at a time.
    folder : Path
        `{plan}/shards`.
    """
    paths = []
    for number, rows in enumerate(parts):
        paths.append(folder / f"{number}.part")
        write_table(rows, paths[-1], SHARD)
    together = size.parts_together(len(paths))
    starts = range(0, len(paths), together)
    for number, start in enumerate(starts):
        _join(paths[start : start + together], folder / f"{number}.parquet")
    return len(starts)


def _join(parts: Sequence[Path], shard: Path) -> None:
    """Make one shard of its parts."""
    if len(parts) == 1:
        parts[0].replace(shard)
    else:
        write_table(pl.concat(read_table(part, SHARD) for part in parts), shard, SHARD)
        for part in parts:
            part.unlink()
    write_digest(shard)


def plan_of(
    model: PreparedModel,
    size: ShardSize,
    shards: int,
    tally: Tally,
    repairs: Repairs,
    unscored: dict[str, int] | None = None,
    beyond: int | None = None,
) -> Plan:
    """Return what `plan.json` says: what is wanted, what the store held of it, what it had lost.

    Parameters
    ----------
    model : PreparedModel
    size : ShardSize
    shards : int
        How many there are.
    tally : Tally
        As it is when all rows have gone by.
    repairs : Repairs
        Of the model's part of the store, before it was asked.
    unscored : dict, optional
        Cohort → alleles that its kind of score is not defined for.
    beyond : int, optional
        Sites that tiles answer beyond those that were asked for.
    """
    cohorts = dict(tally.cohorts)
    background = cohorts.pop(BACKGROUND_ROWS, None)
    cohorts.pop(DENSE_ROWS, None)
    return Plan(
        model=model.name,
        key=model.key,
        shards=shards,
        sites_per_shard=size.sites,
        total=tally.total,
        background=background,
        cohorts=cohorts,
        damaged=repairs.damaged,
        recovered=len(repairs.recovered),
        unscored=unscored,
        beyond=beyond,
    )

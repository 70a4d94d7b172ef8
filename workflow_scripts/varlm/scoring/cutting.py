"""Rows to score → shards of about the same cost."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from varlm.scoring.planning import ALLELE_COST


def shards(rows: Iterator[pl.DataFrame], sites_per_shard: int) -> Iterator[pl.DataFrame]:
    """Cut rows into shards, in order, of the cost of `sites_per_shard` sites each at most."""
    held: list[pl.DataFrame] = []
    room = sites_per_shard
    for piece in rows:
        cost = pl.when(pl.col("ref").is_null()).then(1).otherwise(ALLELE_COST)
        total = piece.select(cost.cast(pl.Int64).cum_sum()).to_series()
        done = spent = 0
        while done < piece.height:
            # The rows whose running cost still fits; at least one, so that any size makes progress.
            until = int(total.search_sorted(spent + room, side="right"))
            if until == done and not held:
                until = done + 1
            if until > done:
                held.append(piece.slice(done, until - done))
                now = int(total[until - 1])
                room -= now - spent
                spent, done = now, until
            if done < piece.height or room <= 0:
                yield pl.concat(held)
                held, room = [], sites_per_shard
    if held:
        yield pl.concat(held)

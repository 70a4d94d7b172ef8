"""Rows of many small contigs, put into a store and read back in every way."""

import numpy as np
import polars as pl

from making.store import KEY, MODEL, allele_rows, site_rows
from varlm.store import KINDS, Store

ROWS = {"sites": site_rows, "alleles": allele_rows}


def of_many(kind, positions, shift=0.0):
    """The rows of several contigs, in one frame, and how many each has."""
    frames = [
        ROWS[kind](wanted, shift).select(pl.lit(contig).alias("contig"), pl.all())
        for contig, wanted in positions.items()
        if wanted
    ]
    return pl.concat(frames), np.array([frame.height for frame in frames])


def commit(folder, positions, shift=0.0, kinds=("sites", "alleles")):
    with Store(folder).committing(KEY, MODEL) as builder:
        for kind in kinds:
            builder.add_many(KINDS[kind], *of_many(kind, positions, shift))
    return builder.done


def assert_holds(folder, expected):
    """Every way of reading gives these positions of each (kind, contig), and no others."""
    store = Store(folder)
    for kind, make in ROWS.items():
        here = {contig: wanted for (of_kind, contig), wanted in expected.items() if of_kind == kind}
        if not here:
            continue
        for contig, wanted in here.items():
            rows = make(wanted)
            assert store.read(KEY, KINDS[kind], contig).equals(rows)
            assert store.read(KEY, KINDS[kind], contig, 3, 11).equals(
                rows.filter(pl.col("pos").is_between(3, 11))
            )
        asked, _ = of_many(kind, {contig: {*wanted, 1, 5} for contig, wanted in here.items()})
        keys = asked.select(KINDS[kind].packed.key).sample(fraction=1.0, shuffle=True, seed=1)
        known = [pos in here[contig] for contig, pos in keys.select("contig", "pos").iter_rows()]
        assert store.has(KEY, KINDS[kind], keys).tolist() == known
        rows = store.rows_of(KEY, KINDS[kind], keys).sort(KINDS[kind].packed.key)
        assert rows.equals(
            asked.join(keys.filter(known), on=KINDS[kind].packed.key, how="semi").sort(
                KINDS[kind].packed.key
            )
        )

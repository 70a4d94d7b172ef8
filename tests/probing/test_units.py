"""Rows that overlap are one unit within their fold."""

import time

import numpy as np
import polars as pl
import pytest

from varlm.probing.parts import ROWS
from varlm.probing.units import overlap_units


def rows_of(chroms, starts, ends):
    frame = pl.DataFrame({"chrom": chroms, "start": starts, "end": ends})
    others = [pl.lit(None).alias(name) for name in ROWS.names if name not in frame.columns]
    return frame.with_columns(others).select(ROWS.names).cast(ROWS.schema)


def joined(rows, folds):
    """Return the sets of rows that are reached by overlaps, one after the other."""
    places = list(rows.select("chrom", "start", "end").iter_rows())
    left, parts = set(range(len(places))), set()
    while left:
        part, queue = set(), [left.pop()]
        while queue:
            one = queue.pop()
            part.add(one)
            contig, start, end = places[one]
            for other in list(left):
                their_contig, their_start, their_end = places[other]
                same = contig is not None and (contig, folds[one]) == (their_contig, folds[other])
                if same and start < their_end and their_start < end:
                    left.discard(other)
                    queue.append(other)
        parts.add(frozenset(part))
    return parts


@pytest.mark.parametrize("seed", range(4))
def test_units_are_chains_of_overlaps(seed):
    rng = np.random.default_rng(seed)
    starts = rng.integers(-20, 200, 150)
    chroms = [("I", "II", "III", None)[code] for code in rng.integers(0, 4, 150)]
    rows = rows_of(chroms, starts, starts + rng.integers(1, 20, 150))
    folds = rng.integers(0, 2, 150)
    units = overlap_units(rows, folds)
    parts = {frozenset(np.flatnonzero(units == unit).tolist()) for unit in np.unique(units)}
    assert parts == joined(rows, folds)
    assert np.unique(units).tolist() == [*range(len(parts))]
    assert 50 < len(parts) < 120


def test_neighbours_do_not_overlap():
    rows = rows_of(["I"] * 3, [10, 0, 19], [20, 10, 30])
    assert overlap_units(rows, np.zeros(3, int)).tolist() == [1, 0, 1]


def test_sequences_of_their_own_are_units_of_one():
    rows = rows_of([None] * 4, [None] * 4, [None] * 4)
    assert overlap_units(rows, np.zeros(4, int)).tolist() == [0, 1, 2, 3]


def test_a_hundred_thousand_rows_take_no_time():
    rng = np.random.default_rng(0)
    starts = rng.integers(0, 200_000_000, 100_000)
    rows = rows_of(rng.choice(["I", "II", "III"], 100_000), starts, starts + 1000)
    started = time.process_time()
    units = overlap_units(rows, rng.integers(0, 8, 100_000))
    assert time.process_time() - started < 1
    assert 90_000 < np.unique(units).size < 100_000

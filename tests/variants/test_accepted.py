"""Accepted alleles come out in the order of design.md, however they were taken."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from varlm.tables.schemas import VARIANTS
from varlm.variants import accepted
from varlm.variants.accepted import AcceptedAlleles

CONTIGS = [f"c{number}" for number in range(8)]
ALLELES = st.tuples(st.integers(0, 7), st.integers(1, 5), st.sampled_from("ACGT"))


def table(alleles, first):
    """Alleles (code, pos, alt) as `Sorter` accepts them, records counted from `first`."""
    rows = [
        (f"chr{code}", code, pos, None, "A", alt, pos, "A", alt, "snv", None, 0, first + n, 1)
        for n, (code, pos, alt) in enumerate(alleles)
    ]
    schema = {"chrom": VARIANTS.schema["chrom"], "code": pl.Int32}
    schema |= {name: VARIANTS.schema[name] for name in VARIANTS.names[2:]}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return frame.cast({"chrom": pl.Categorical, "kind": pl.Enum(["snv"])})


@given(st.lists(st.lists(ALLELES, min_size=1, max_size=9), max_size=6), st.integers(0, 8))
def test_tables_of_few_and_of_many_contigs_are_put_in_one_order(pieces, many):
    tables, first = [], 0
    for alleles in pieces:
        tables.append(table(alleles, first))
        first += len(alleles)
    held = AcceptedAlleles()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accepted, "MANY", many)
        for part in tables:
            held.add(part)
        variants = held.take_all(CONTIGS)
    VARIANTS.check(variants, "test")
    every = pl.concat(tables) if tables else table([], 0)
    expected = (
        every.sort("code", "pos", "ref", "alt", "file", "record", "allele")
        .with_columns(contig=pl.format("c{}", "code"), chrom=pl.col("chrom").cast(pl.String))
        .with_columns(pl.col("kind").cast(pl.String))
        .select(VARIANTS.names)
    )
    assert_frame_equal(variants, expected)
    assert held.take_all(CONTIGS).is_empty()


def test_a_table_of_many_contigs_is_not_cut(monkeypatch):
    monkeypatch.setattr(pl.DataFrame, "partition_by", None)
    held = AcceptedAlleles()
    held.add(table([(code, 1, "C") for code in range(100)], 0))
    assert held.take_all([f"c{number}" for number in range(100)]).height == 100

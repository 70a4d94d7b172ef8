"""The alleles of lowest score, and the positions of their pictures."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from varlm.genome.circular import CircularContigs
from varlm.genome.reference import Contig, Genome
from varlm.results import top_hits as module
from varlm.results.top_hits import picture_columns, picture_positions, pictured, top_hits
from varlm.tables.schemas import annotated
from varlm.tables.score_kinds import SCORE_KINDS

TABLE = annotated({"a": SCORE_KINDS["masked"], "b": SCORE_KINDS["cosine"]})


def table(rows):
    """An annotated table of SNVs: position, scores of a and b; the record is the row's place."""
    columns = ("pos", "a_llr", "b_cosine", "record")
    scored = pl.DataFrame(
        [(*row, index) for index, row in enumerate(rows)],
        schema={name: TABLE.schema[name] for name in columns},
        orient="row",
    )
    fixed = {"chrom": "1", "ref": "A", "alt": "C", "kind": "snv", "file": 0, "allele": 1}
    return scored.select(
        (pl.col(name) if name in columns else pl.lit(fixed.get(name), dtype=dtype)).alias(name)
        for name, dtype in TABLE.schema.items()
    )


SCORE = st.one_of(st.none(), st.integers(-4, 4).map(float))


@given(
    rows=st.lists(st.tuples(st.integers(1, 9), SCORE, SCORE), max_size=30),
    count=st.integers(1, 8),
    slice_rows=st.integers(1, 12),
)
def test_hits_are_those_of_a_plain_sort(tmp_path_factory, rows, count, slice_rows):
    path = tmp_path_factory.mktemp("hits") / "annotated.parquet"
    table(rows).write_parquet(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_ROWS", slice_rows)
        patch.setattr(module, "ROW_GROUP", 3)
        hits = top_hits(path, ["a", "b"], count)
    for column, model, sign in ((1, "a", 1), (2, "b", -1)):
        order = sorted(
            (i for i in range(len(rows)) if rows[i][column] is not None),
            key=lambda i: (sign * rows[i][column], rows[i][0], i),
        )
        assert hits[model].schema == pl.Schema(TABLE.schema)
        assert hits[model]["record"].to_list() == order[:count]
        assert hits[model]["pos"].to_list() == [rows[i][0] for i in order[:count]]


def test_one_picture_an_allele():
    hits = table([(5, -3.0, 0.0), (5, -3.0, 0.0), (7, -2.0, 0.0), (8, -1.0, 0.0)])
    assert pictured(hits, 2)["record"].to_list() == [0, 2]
    assert pictured(hits, 9)["record"].to_list() == [0, 2, 3]


def test_positions_stay_on_the_contig_and_on_known_bases(make_reference):
    genome = Genome.open(make_reference({"c": "ACGTNNACGTAC"}))
    positions = picture_positions(genome, "c", 2, "CG", 3)
    assert positions.dtype == np.uint32
    assert positions.tolist() == [1, 2, 3, 4]
    assert picture_positions(genome, "c", 11, "A", 4).tolist() == [7, 8, 9, 10, 11, 12]
    assert picture_positions(genome, "c", 8, "C", 3).tolist() == [7, 8, 9, 10, 11]


def test_columns_go_on_over_the_origin_of_a_circular_contig_and_none_comes_twice():
    ring, line = (Contig("c", 12, 0, "SQ.x", 12, circular) for circular in (True, False))
    assert picture_columns(ring, 2, "CG", 3).tolist() == [11, 12, 1, 2, 3, 4, 5, 6]
    assert picture_columns(line, 2, "CG", 3).tolist() == [0, 0, 1, 2, 3, 4, 5, 6]
    assert picture_columns(ring, 12, "A", 2).tolist() == [10, 11, 12, 1, 2]
    assert picture_columns(line, 12, "A", 2).tolist() == [10, 11, 12, 0, 0]
    wide = picture_columns(ring, 1, "A", 9)
    assert wide.tolist() == [0, 0, 0, *range(7, 13), *range(1, 7), 0, 0, 0, 0]


def test_positions_of_a_picture_over_the_origin(make_reference):
    folder = make_reference({"c": "ACGTNNACGTNC"})
    CircularContigs(contigs={"c": "x"}).write(folder / "circular.json")
    positions = picture_positions(Genome.open(folder), "c", 2, "CG", 3)
    assert positions.dtype == np.uint32
    assert positions.tolist() == [1, 2, 3, 4, 12]

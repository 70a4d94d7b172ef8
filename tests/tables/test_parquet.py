"""Tables in Parquet: signed for users, as narrow as the table says in memory, old ones read."""

import os
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pytest

from making.unsigned import make_unsigned
from varlm.errors import UserError
from varlm.tables.parquet import (
    Column,
    Table,
    described_table,
    on_its_own,
    read_table,
    scan_table,
    write_table,
)
from varlm.tables.schemas import BACKGROUND, CONTIGS, PICTURES, SHARD, VARIANTS, annotated

KEYS = ["file", "record", "allele"]
LAST = 2**32 - 2  # the longest contig's last base
POSITIONS = [1, 2_000_000_000, LAST]


def variants():
    rows = {name: [None] * 3 for name in VARIANTS.names}
    rows |= {"pos": POSITIONS, "input_pos": POSITIONS, "record": [0, LAST, 7]}
    rows |= {"file": [0, 65_535, 1], "allele": [1, 65_535, 2]}
    return pl.DataFrame(rows, VARIANTS.schema)


def test_parquet_unsigned_differences_of_positions_are_negative(tmp_path):
    write_table(variants(), tmp_path / "v.parquet", VARIANTS)
    expected = [position - 50_000 for position in POSITIONS]
    columns = pl.read_parquet(tmp_path / "v.parquet", columns=["pos", "input_pos", *KEYS])
    by_pandas = pd.DataFrame({column.name: column.to_numpy() for column in columns})
    assert (by_pandas.pos - 50_000).tolist() == expected
    assert (by_pandas.input_pos * 2 - by_pandas.pos).tolist() == POSITIONS
    assert (by_pandas.file - 1).tolist() == [-1, 65_534, 0]
    assert (by_pandas.allele - by_pandas.record).tolist() == [1, 65_535 - LAST, -5]
    assert (columns["pos"] - 50_000).to_list() == expected
    by_duckdb = duckdb.sql(f"SELECT pos - 50000 FROM '{tmp_path / 'v.parquet'}'").fetchall()
    assert [value for (value,) in by_duckdb] == expected


@pytest.mark.parametrize("table", [VARIANTS, BACKGROUND, CONTIGS, PICTURES, annotated(["m"])])
def test_no_table_of_users_has_an_unsigned_column(tmp_path, table):
    write_table(table.empty(), tmp_path / "t.parquet", table)
    types = pl.read_parquet_schema(tmp_path / "t.parquet")
    assert not [name for name, dtype in types.items() if dtype.is_unsigned_integer()]
    assert read_table(tmp_path / "t.parquet", table).equals(table.empty())


def test_what_only_varlm_reads_stays_narrow(tmp_path):
    write_table(SHARD.empty(), tmp_path / "s.parquet", SHARD)
    assert pl.read_parquet_schema(tmp_path / "s.parquet") == SHARD.schema


def test_tables_of_before_are_read_as_the_new_ones(tmp_path):
    write_table(variants(), tmp_path / "v.parquet", VARIANTS)
    new = read_table(tmp_path / "v.parquet", VARIANTS)
    assert new.equals(variants())
    assert new.schema == VARIANTS.schema
    make_unsigned(tmp_path / "v.parquet", VARIANTS)
    assert read_table(tmp_path / "v.parquet", VARIANTS).equals(new)
    some = scan_table(tmp_path / "v.parquet", VARIANTS).slice(1, 1).select("pos", "file")
    assert some.collect().rows() == [(2_000_000_000, 65_535)]


def test_pictures_of_before_are_read(tmp_path):
    values = {name: [1] for name in PICTURES.names} | {"contig": ["c"]}
    frame = pl.DataFrame(values, PICTURES.schema)
    write_table(frame, tmp_path / "p.parquet", PICTURES)
    make_unsigned(tmp_path / "p.parquet", PICTURES)
    assert read_table(tmp_path / "p.parquet", PICTURES).equals(frame)


@pytest.mark.parametrize(
    "other",
    [
        variants().with_columns(pl.col("pos").cast(pl.Float64)),
        variants().with_columns(pl.col("pos").cast(pl.Int16, strict=False)),
        variants().drop("pos"),
        variants().select(reversed(VARIANTS.names)),
    ],
    ids=["float", "narrow", "lacking", "other order"],
)
def test_other_tables_are_refused(tmp_path, other):
    other.write_parquet(tmp_path / "v.parquet")
    with pytest.raises(UserError, match=r"v\.parquet: not a 'variants' table of this version"):
        scan_table(tmp_path / "v.parquet", VARIANTS)


def test_a_slice_of_a_table_is_read_alone(tmp_path):
    """A cast on the way in must not make every slice read the whole file."""
    write_table(variants(), tmp_path / "v.parquet", VARIANTS)
    plan = scan_table(tmp_path / "v.parquet", VARIANTS).slice(1, 1).select("pos", "ref").explain()
    assert "SLICE" in plan.split("Parquet SCAN")[1]
    assert "PROJECT 2/14 COLUMNS" in plan


def test_a_column_of_a_track_is_signed_too(tmp_path):
    table = Table("t", (Column("bed_distance", pl.UInt32(), "bp"),), signed=True)
    frame = pl.DataFrame({"bed_distance": [0, 5, None]}, table.schema)
    write_table(frame, tmp_path / "t.parquet", table)
    assert described_table("t", tmp_path / "t.parquet").schema == {"bed_distance": pl.Int64}


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="resident memory is read there")
def test_a_picked_row_keeps_no_piece_in_memory():
    def resident():
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def piece(number):
        letters = (f"{number}:{row:05}" + "x" * 1000 for row in range(2000))
        return pl.DataFrame({"text": [*letters, "a text of its own"]})[-1:]

    before = resident()
    kept = [on_its_own(piece(number)) for number in range(100)]
    assert pl.concat(kept)["text"].to_list() == ["a text of its own"] * 100
    assert resident() - before < 60e6  # of 200 MB that went by

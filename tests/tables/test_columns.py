"""The columns as plain data are those of the tables."""

import polars as pl

from varlm.run.config_keys import TABLE_COLUMNS
from varlm.tables.columns import SCORE, annotated_names
from varlm.tables.parquet import Column
from varlm.tables.schemas import annotated


def test_the_names_are_those_of_the_annotated_table_in_its_order():
    extra = [Column("info_AF", pl.String(), "x"), Column("cons", pl.Float32(), "y")]
    table = annotated(["one", "two"], extra)
    assert annotated_names(["one", "two"], ["info_AF", "cons"]) == table.names


def test_what_a_config_may_not_name_follows_from_them():
    assert [*TABLE_COLUMNS] == annotated([]).names
    assert len(annotated(["m"]).names) == len(TABLE_COLUMNS) + len(SCORE)

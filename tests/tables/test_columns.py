"""The columns as plain data are those of the tables."""

import polars as pl
import pytest

from varlm.run.config_keys import TABLE_COLUMNS
from varlm.run.model_settings import model_columns
from varlm.tables.columns import annotated_names
from varlm.tables.parquet import Column
from varlm.tables.schemas import annotated
from varlm.tables.score_kinds import SCORE_KINDS


@pytest.mark.parametrize(
    "models", [["one", "two"], {"one": SCORE_KINDS["cosine"], "two": SCORE_KINDS["dense"]}], ids=str
)
def test_the_names_are_those_of_the_annotated_table_in_its_order(models):
    extra = [Column("info_AF", pl.String(), "x"), Column("cons", pl.Float32(), "y")]
    assert annotated_names(models, ["info_AF", "cons"]) == annotated(models, extra).names


def test_what_a_config_may_not_name_follows_from_them():
    assert [*TABLE_COLUMNS] == annotated([]).names
    for kind in SCORE_KINDS.values():
        columns = [f"m_{name}" for name in model_columns(kind)]
        assert {*annotated({"m": kind}).names} == {*TABLE_COLUMNS, *columns}
        assert {*columns} <= {f"m_{name}" for name in model_columns(None)}

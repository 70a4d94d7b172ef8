"""Several rows an allele, several values a cell, declared types, and what stands for no value."""

import polars as pl
import pytest

from making.score_tables import table
from varlm.annotation.published.values import score_table, typed
from varlm.errors import UserError

PLACE = {"contig": "chr1", "pos": 7}


def values(cells, separator=";", **options):
    """The column of cells (row, text) for three alleles."""
    described = table("x.tsv", ("a", "A", options), missing=(".", "NA", "-9"))
    rows = pl.DataFrame(
        {
            "row": pl.Series([row for row, _ in cells], dtype=pl.UInt32),
            "contig": "chr1",
            "pos": 7,
            "value_0": [cell for _, cell in cells],
        }
    )
    (column,) = typed(rows, described, separator, 3, "x.tsv")
    assert column.name == "t_a"
    assert column.dtype == score_table(described).schema["t_a"]
    return column.to_list()


TRANSCRIPTS = [(2, "0.5"), (0, "NA"), (0, "0.25"), (2, "-1"), (0, "0.75"), (2, ".")]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("max", [0.75, None, 0.5]),
        ("min", [0.25, None, -1]),
        ("first", [0.25, None, 0.5]),
        ("list", [".,0.25,0.75", None, "0.5,-1,."]),
    ],
)
def test_several_rows_of_an_allele(rule, expected):
    assert values(TRANSCRIPTS, rule=rule) == expected
    # dbNSFP has them in one cell.
    cells = [(2, "0.5;-1;."), (0, "NA;0.25; 0.75")]
    assert values(cells, rule=rule) == expected


def test_rows_of_equal_values_are_one_value_but_all_in_a_list():
    cells = [(0, "0.5"), (0, "0.5")]
    assert values(cells, rule="max") == [0.5, None, None]
    assert values(cells, rule="list") == ["0.5,0.5", None, None]


def test_text_is_taken_as_it_is():
    cells = [(0, "T;D"), (1, " x y "), (1, "z"), (2, "NA")]
    assert values(cells, type="text") == ["T;D", "x y", None]
    assert values(cells, type="text", rule="list") == ["T;D", "x y,z", None]


@pytest.mark.parametrize("missing", [".", "NA", "-9", "", " ", "nan", "NaN", "-nan", None])
@pytest.mark.parametrize("kind", ["float", "integer"])
def test_what_stands_for_no_value(missing, kind):
    assert values([(0, missing), (1, "3")], type=kind) == [None, 3, None]
    assert values([(0, missing)], type=kind, rule="list") == [None, None, None]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("float", "high"),
        ("float", "0,5"),
        ("float", "1e999"),
        ("float", "-inf"),
        ("float", "1;x"),
        ("integer", "1.5"),
        ("integer", "9223372036854775808"),
        ("integer", "0x10"),
    ],
)
@pytest.mark.parametrize("rule", ["first", "list"])
def test_a_value_of_another_type_is_an_error(kind, text, rule):
    shown = text.split(";")[-1]
    message = rf"x\.tsv: column 'A' at chr1:7: found '{shown}', expected a .*scores\.t\.missing"
    with pytest.raises(UserError, match=message):
        values([(1, "1"), (0, text)], type=kind, rule=rule)


def test_the_largest_integers_are_kept():
    largest = 2**63 - 1
    assert values([(0, str(largest)), (1, "+5")], type="integer") == [largest, 5, None]


@pytest.mark.parametrize("dtype", [pl.Float32, pl.Float64, pl.Int16, pl.UInt64])
def test_numbers_of_a_parquet_table(dtype):
    cells = pl.DataFrame(
        {
            "row": pl.Series([0, 1], dtype=pl.UInt32),
            "contig": "chr1",
            "pos": 7,
            "value_0": pl.Series([3, None], dtype=dtype),
        }
    )
    for kind in ("float", "integer"):
        described = table("x.parquet", ("a", "A", {"type": kind}))
        assert typed(cells, described, ";", 2, "x")[0].to_list() == [3, None]
    if dtype.is_float():
        odd = cells.with_columns(pl.Series("value_0", [float("nan"), 0.5], dtype=dtype))
        described = table("x.parquet", ("a", "A", {}))
        assert typed(odd, described, ";", 2, "x")[0].to_list() == [None, 0.5]
        described = table("x.parquet", ("a", "A", {"type": "integer"}))
        with pytest.raises(UserError, match=r"found '0\.5', expected a whole number"):
            typed(odd, described, ";", 2, "x")
        infinite = cells.with_columns(pl.Series("value_0", [float("inf"), 0.5], dtype=dtype))
        with pytest.raises(UserError, match="found 'inf'"):
            typed(infinite, table("x", ("a", "A")), ";", 2, "x")

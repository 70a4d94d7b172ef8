"""The values of an allele's rows → one value of the declared type."""

from __future__ import annotations

import polars as pl

from varlm.errors import UserError
from varlm.run.score_tables import ScoreColumn, ScoreTable
from varlm.tables.parquet import Column, Table

_TYPES = {"float": pl.Float64(), "integer": pl.Int64(), "text": pl.String()}
_WORDS = {"float": "a number", "integer": "a whole number of 64 bits", "text": "text"}
_MISSING_IN_LIST = "."
_SHOWN = 60  # characters of a value in a message
_RULES = {
    "max": "the largest of the allele's rows",
    "min": "the smallest of the allele's rows",
    "first": "of the first of the allele's rows that has one",
    "list": "of all of the allele's rows, with commas",
}


def score_table(table: ScoreTable) -> Table:
    """Return the schema of `scores/{NAME}.parquet`, whose rows are those of `variants.parquet`."""
    return Table("scores", tuple(_column(table, column) for column in table.columns))


def _column(table: ScoreTable, column: ScoreColumn) -> Column:
    dtype = pl.String() if column.rule == "list" else _TYPES[column.type]
    unit = f" ({column.unit})" if column.unit else ""
    harmful = f"; {column.harmful} is harmful" if column.harmful else ""
    meaning = (
        f"{column.source} of the table {table.name}{unit}, {_RULES[column.rule]}{harmful}; null: "
        "the table has no value for the allele"
    )
    return Column(f"{table.name}_{column.name}", dtype, meaning)


def typed(
    rows: pl.DataFrame, table: ScoreTable, separator: str, height: int, where: str
) -> list[pl.Series]:
    """Return the columns of a table for the alleles of a piece.

    Parameters
    ----------
    rows : polars.DataFrame
        Of alleles: `row`, `contig`, `pos` and `value_0`, …, in the table's order.
    table : ScoreTable
    separator : str
        What stands between several values in one cell of numbers.
    height : int
        Alleles in the piece; those without a row get nulls.
    where : str
        The file, for messages.

    Raises
    ------
    UserError
        If a value is not of its column's type, or infinite.
    """
    schema = score_table(table).schema
    return [
        _placed(
            _one_each(_values(rows, f"value_{index}", column, table, separator, where), column),
            height,
        ).rename(name)
        for index, (column, name) in enumerate(zip(table.columns, schema, strict=True))
    ]


def _values(
    rows: pl.DataFrame,
    name: str,
    column: ScoreColumn,
    table: ScoreTable,
    separator: str,
    where: str,
) -> pl.DataFrame:
    """Return `row` and `value`, and in lists' columns the value's own `text`."""
    cells = rows.select("row", "contig", "pos", pl.col(name).alias("cell"))
    if column.type == "text":
        text = pl.col("cell").cast(pl.String).str.strip_chars()
        return cells.select("row", _or_null(text, table).alias("value")).with_columns(
            pl.col("value").alias("text")
        )
    if cells.schema["cell"] == pl.String:
        if cells["cell"].str.contains(separator, literal=True).any():
            cells = cells.with_columns(pl.col("cell").str.split(separator)).explode(
                "cell", empty_as_null=False
            )
        cells = cells.with_columns(_or_null(pl.col("cell").str.strip_chars(), table))
    number = pl.col("cell").cast(pl.Float64, strict=False)
    if cells.schema["cell"].is_float():
        cells = cells.with_columns(pl.col("cell").fill_nan(None))
    elif cells.schema["cell"] == pl.String:  # NaN by any spelling
        cells = cells.with_columns(pl.when(~number.is_nan().fill_null(False)).then("cell"))
    value = number if column.type == "float" else pl.col("cell").cast(pl.Int64, strict=False)
    cells = cells.with_columns(value.alias("value"), number.alias("number"))
    wrong = pl.col("cell").is_not_null() & (
        pl.col("value").is_null() | ~pl.col("number").is_finite()
    )
    if column.type == "integer" and cells.schema["cell"].is_float():
        wrong |= pl.col("value") != pl.col("number")
    bad = cells.filter(wrong)
    if bad.height:
        raise _misfit(bad.row(0, named=True), column, table, where)
    return cells.select("row", "value", pl.col("cell").cast(pl.String).alias("text"))


def _or_null(text: pl.Expr, table: ScoreTable) -> pl.Expr:
    return pl.when(~text.is_in(["", *table.missing])).then(text)


def _misfit(
    row: dict[str, object], column: ScoreColumn, table: ScoreTable, where: str
) -> UserError:
    key = f"annotate.scores.{table.name}"
    return UserError(
        f"{where}: column {column.source!r} at {row['contig']}:{row['pos']}: found "
        f"{str(row['cell'])[:_SHOWN]!r}, expected {_WORDS[column.type]}, as the type "
        f"{column.type} of {key}.columns says; declare another type, or name the text in "
        f"{key}.missing if it stands for no value"
    )


def _one_each(values: pl.DataFrame, column: ScoreColumn) -> pl.DataFrame:
    """Return `row`, each once, and its `value` by the column's rule; rows without one may lack."""
    if column.rule == "list":
        texts = values.group_by("row", maintain_order=True).agg("text")
        shown = pl.col("text").list.eval(pl.element().fill_null(_MISSING_IN_LIST)).list.join(",")
        return texts.select(
            "row",
            pl.when(pl.col("text").list.drop_nulls().list.len() > 0).then(shown).alias("value"),
        )
    values = values.select("row", "value").drop_nulls("value")
    if values["row"].is_unique().all():
        return values
    value = pl.col("value")
    chosen = {"max": value.max(), "min": value.min(), "first": value.first()}[column.rule]
    return values.group_by("row", maintain_order=True).agg(chosen)


def _placed(values: pl.DataFrame, height: int) -> pl.Series:
    """Return the value of each allele of a piece, null where there is none."""
    empty = pl.repeat(None, height, dtype=values.schema["value"], eager=True)
    return empty.scatter(values["row"], values["value"])

"""Columns that tables of published scores give to the annotated table, and what it says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.errors import UserError
from varlm.run.score_tables import ScoreColumn, ScoreTable
from varlm.tables.parquet import Column, described_table
from varlm.tables.score_kinds import ScoreKind

SCORES_ABOUT = "varlm.scores."  # Parquet metadata: what the config says of a table, after its name


@dataclass(frozen=True)
class JoinedColumn:
    """A column of the annotated table that is a table's.

    Attributes
    ----------
    name : str
    table : ScoreTable
    column : ScoreColumn
    dtype : polars.DataType
    meaning : str
    percentile : Column, optional
        Its percentiles' column, where it has one.
    """

    name: str
    table: ScoreTable
    column: ScoreColumn
    dtype: pl.DataType
    meaning: str
    percentile: Column | None = None


def percentile_column(table: ScoreTable, column: ScoreColumn) -> Column:
    """Return the column of a score's percentiles."""
    return Column(table.percentile_name(column), pl.Float32(), table.percentile_meaning(column))


def published_kind(table: ScoreTable, column: ScoreColumn) -> ScoreKind:
    """Return the kind of score that a column of a table is: its harmful end, and no more."""
    name = table.column_name(column)
    return ScoreKind(
        name=name,
        column=name,
        meaning=f"{column.source} of the table {table.name}",
        unit=column.unit,
        harmful=column.harmful or "low",
        difference=False,
        swap=None,
        alleles="sequence",
    )


def rank_values(ranks: Path | None, column: str) -> NDArray[np.float64]:
    """Return the background's values of a column, float64; none where the table has too few.

    Parameters
    ----------
    ranks : Path, optional
        `background/scores/{NAME}.parquet`, which has a column for each score that is ranked.
    column : str
        `{NAME}_{column}`.
    """
    if ranks is None or column not in pl.read_parquet_schema(ranks):
        return np.empty(0)
    values = pl.read_parquet(ranks, columns=[column])[column]
    return values.cast(pl.Float64).drop_nulls().to_numpy()


def scores_metadata(tables: Sequence[ScoreTable]) -> dict[str, str]:
    """Return the annotated table's metadata of tables of scores; an address less its query."""
    return {
        f"{SCORES_ABOUT}{table.name}": replace(table, path=table.path.partition("?")[0]).to_json()
        for table in tables
    }


def joined_tables(annotated: Path) -> list[ScoreTable]:
    """Return the tables of scores that an annotated table has, in their order.

    Raises
    ------
    UserError
        If what it says of one cannot be read.
    """
    tables = []
    for key, text in pl.read_parquet_metadata(annotated).items():
        if not key.startswith(SCORES_ABOUT):
            continue
        try:
            tables.append(ScoreTable.from_json(text))
        except (TypeError, KeyError, ValueError) as error:
            raise UserError(
                f"{annotated}: what it says of the scores {key.removeprefix(SCORES_ABOUT)} is of "
                "another version of varlm; delete it and run the workflow again"
            ) from error
    return tables


def joined_columns(annotated: Path) -> list[JoinedColumn]:
    """Return the columns that tables of scores gave to an annotated table, in their order."""
    tables = joined_tables(annotated)
    if not tables:
        return []
    columns = {column.name: column for column in described_table("annotated", annotated).columns}
    return [
        JoinedColumn(
            name,
            table,
            column,
            columns[name].dtype,
            columns[name].meaning,
            columns.get(table.percentile_name(column)),
        )
        for table in tables
        for column in table.columns
        for name in (table.column_name(column),)
    ]

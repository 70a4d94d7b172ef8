"""Columns that tables of published scores give to the annotated table, and what it says of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.annotation.published.values import score_table
from varlm.errors import UserError
from varlm.run.score_tables import ScoreColumn, ScoreTable
from varlm.scoring.background import Percentiles
from varlm.tables.parquet import Column, Table, described_table

SCORES_ABOUT = "varlm.scores."  # Parquet metadata: what the config says of a table, after its name


@dataclass(frozen=True)
class JoinedScores:
    """A table of scores, looked up for a cohort's alleles.

    Attributes
    ----------
    table : ScoreTable
    path : Path
        `scores/{NAME}.parquet`, whose rows are those of `variants.parquet`, in their order.
    joined : Table
        Its schema.
    percentiles : dict
        Column → what ranks its scores, of those that are ranked.
    """

    table: ScoreTable
    path: Path
    joined: Table
    percentiles: Mapping[str, Percentiles] = field(default_factory=dict)

    @classmethod
    def open(cls, table: ScoreTable, path: Path, ranks: Path | None = None) -> JoinedScores:
        """Return what was looked up, and what ranks it by `ranks`, the background's scores."""
        percentiles = {}
        for column in table.ranked:
            end = column.harmful or "low"
            values = rank_values(ranks, table.column_name(column))
            if values.size:
                percentiles[table.column_name(column)] = Percentiles(values, end)
        return cls(table, path, score_table(table), percentiles)

    @property
    def columns(self) -> Iterator[Column]:
        """Its columns in the annotated table, behind each that of its percentiles, if any."""
        for column, described in zip(self.table.columns, self.joined.columns, strict=True):
            yield described
            if described.name in self.percentiles:
                yield percentile_column(self.table, column)

    def ranked(self, rows: pl.DataFrame) -> list[pl.Series]:
        """Return the percentiles of alleles, `rows` of the table; null where there is no score."""
        series = []
        for column in self.table.ranked:
            name = self.table.column_name(column)
            if name in self.percentiles:
                scores = rows[name].cast(pl.Float32).fill_null(np.nan).to_numpy()
                ranks = pl.Series(self.percentiles[name](scores)).fill_nan(None)
                series.append(ranks.cast(pl.Float32).alias(self.table.percentile_name(column)))
        return series


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


def possible_columns(table: ScoreTable) -> Iterator[Column]:
    """Yield the columns that a table makes or may make in the annotated table."""
    schema = score_table(table)
    for column, described in zip(table.columns, schema.columns, strict=True):
        yield described
        if column in table.ranked:
            yield percentile_column(table, column)


def percentile_column(table: ScoreTable, column: ScoreColumn) -> Column:
    """Return the column of a score's percentiles."""
    return Column(table.percentile_name(column), pl.Float32(), table.percentile_meaning(column))


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
    """Return the annotated table's metadata of tables of scores."""
    return {f"{SCORES_ABOUT}{table.name}": table.to_json() for table in tables}


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

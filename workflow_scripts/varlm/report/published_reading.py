"""Tables of published scores as a report reads them: scales, what is counted, and records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.annotation.joined_scores import (
    JoinedColumn,
    joined_columns,
    joined_tables,
    rank_values,
)
from varlm.annotation.published.joining import ScoreJoin
from varlm.errors import UserError
from varlm.report.counts import Counted, ModelCounts
from varlm.report.distributions import bins_for, of_values
from varlm.report.inputs import ReportScore, ReportTable
from varlm.report.scales import Scale
from varlm.tables.score_kinds import ScoreKind

_SAMPLE = 500_000  # values, spread over the cohort, that a scale is made to


@dataclass(frozen=True)
class PublishedScores:
    """The columns of tables of scores that say which end is harmful.

    Attributes
    ----------
    columns : list of JoinedColumn
    scales : dict
        Column's name → scale.
    backgrounds : dict
        Column's name → values of random SNVs of the genome; empty where there are none.
    """

    columns: list[JoinedColumn]
    scales: dict[str, Scale]
    backgrounds: dict[str, NDArray[np.float64]]

    @classmethod
    def read(cls, annotated: Path, ranks: Mapping[str, Path]) -> PublishedScores:
        """Open what an annotated table has; `ranks` is table → its background's scores."""
        columns = [column for column in joined_columns(annotated) if column.column.harmful]
        backgrounds = {
            column.name: rank_values(ranks.get(column.table.name), column.name)
            for column in columns
        }
        scales = {
            column.name: _scale(annotated, column, backgrounds[column.name]) for column in columns
        }
        return cls(columns, scales, backgrounds)

    @property
    def counted(self) -> dict[str, Counted]:
        """Column's name → what is counted of it."""
        return {
            column.name: Counted(
                self.scales[column.name],
                column.name,
                percentile=column.percentile.name if column.percentile else None,
            )
            for column in self.columns
        }

    @property
    def ends(self) -> dict[str, tuple[str, str]]:
        """Column's name → the column, and its harmful end."""
        return {column.name: (column.name, column.column.harmful or "") for column in self.columns}

    def tables(
        self, annotated: Path, records: Mapping[str, Path], counts: Mapping[str, ModelCounts]
    ) -> list[ReportTable]:
        """Return the tables of an annotated table; `records` is table → what was matched of it.

        Raises
        ------
        UserError
            If what was matched of a table is not given.
        """
        return [
            ReportTable(table, _record(records, table.name), self._scores(table.name, counts))
            for table in joined_tables(annotated)
        ]

    def _scores(self, table: str, counts: Mapping[str, ModelCounts]) -> Sequence[ReportScore]:
        return [
            ReportScore(
                column.name,
                counts[column.name],
                of_values(self.backgrounds[column.name], self.scales[column.name].bins),
            )
            for column in self.columns
            if column.table.name == table
        ]


def _record(records: Mapping[str, Path], table: str) -> ScoreJoin:
    if table not in records:
        raise UserError(
            f"report: the annotated table has the scores {table}, of which no --scores is given; "
            "run the workflow again"
        )
    return ScoreJoin.read(records[table])


def _scale(annotated: Path, column: JoinedColumn, background: NDArray[np.float64]) -> Scale:
    """Return the scale of a column, made to the background's scores, or else to the cohort's."""
    values = background
    if not len(values):
        frame = pl.scan_parquet(annotated).select(column.name)
        total = int(frame.select(pl.len()).collect().item())
        sample = frame.gather_every(total // _SAMPLE + 1).collect(engine="in-memory")
        values = sample[column.name].drop_nulls().cast(pl.Float64).to_numpy()
    kind = ScoreKind(
        name=column.name,
        column=column.name,
        meaning=column.meaning,
        unit=column.column.unit,
        harmful=column.column.harmful or "low",
        difference=False,
        swap=None,
    )
    return Scale(kind, bins_for(kind, values))

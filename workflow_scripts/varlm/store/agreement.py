"""Rows that come more than once: which they are, and whether they agree."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.errors import UserError
from varlm.store.layout import Kind, Tolerance


class ConflictError(UserError):
    """Two parts with different scores of one row; `rows` names it and both values."""

    def __init__(self, one: Path, other: Path, rows: str):
        self.one, self.other = one, other
        self.found = f"this and {other} hold different scores of {rows}"
        self.remedy = (
            "one of them is wrong: delete one file and run the workflow again with --forcerun plan"
        )
        super().__init__(f"{one}: {self.found}; {self.remedy}")


def in_pieces(frames: Iterable[pl.DataFrame], kind: Kind) -> tuple[pl.DataFrame, NDArray[np.intp]]:
    """Join frames of a kind that may hold the same rows.

    Returns
    -------
    rows : polars.DataFrame
        All rows, sorted by the kind's key, then by the number of their frame, the column `piece`.
    again : int, shape (n,)
        The rows whose keys are those of the row before.
    """
    rows = pl.concat(
        frame.with_columns(piece=pl.lit(number, pl.UInt32)) for number, frame in enumerate(frames)
    ).sort(*kind.key, "piece")
    return rows, repeated(rows, kind)


def repeated(rows: pl.DataFrame, kind: Kind) -> NDArray[np.intp]:
    """Return the numbers of the rows (sorted by the key) that have the key of the one before."""
    same = pl.all_horizontal(pl.col(n) == pl.col(n).shift(1) for n in kind.key)
    return np.flatnonzero(rows.select(same.fill_null(value=False)).to_series().to_numpy())


def without(rows: pl.DataFrame, again: NDArray[np.intp]) -> pl.DataFrame:
    """Return what `in_pieces` joined without the rows that come again."""
    if len(again):
        kept = np.ones(rows.height, dtype=bool)
        kept[again] = False
        rows = rows.filter(kept)
    return rows.drop("piece")


def conflict(
    one: pl.DataFrame, other: pl.DataFrame, kind: Kind, tolerance: Tolerance
) -> tuple[int, str] | None:
    """Return the first row where two frames of the same keys differ beyond `tolerance`.

    As its number and a text that names it and both values; None where there is none.
    """
    a, b = (rows.select(kind.values).to_numpy() for rows in (one, other))
    both_absent = np.isnan(a) & np.isnan(b)
    with np.errstate(invalid="ignore"):
        wrong = ~(tolerance.allows(a, b) | both_absent)
    if not wrong.any():
        return None
    row = int(wrong.any(axis=1).argmax())
    column = int(wrong[row].argmax())
    name = " ".join(str(one[row, key]) for key in kind.key)
    return row, f"{name} ({kind.values[column]} {a[row, column]:g} and {b[row, column]:g})"

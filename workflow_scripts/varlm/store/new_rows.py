"""Which rows a store lacks, after comparing those that it has."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from varlm.errors import UserError
from varlm.store.agreement import conflict, in_pieces, repeated, without
from varlm.store.layout import Kind, Tolerance
from varlm.store.reading import Reader


class NewRows:
    """Finds the rows that are new to a model's part of a store.

    Its methods raise `UserError` for a row that is there, or comes twice, with another score.

    Parameters
    ----------
    reader : Reader
    key : str
        Model key.
    tolerance : Tolerance
        By how much two values of one row may differ.
    """

    def __init__(self, reader: Reader, key: str, tolerance: Tolerance):
        self._reader, self._key, self._tolerance = reader, key, tolerance
        self._folder: Path = reader.manifest.root / key

    def of_contig(self, contig: str, kind: Kind, frames: list[pl.DataFrame]) -> pl.DataFrame:
        """Return the rows that the store lacks, sorted, after comparing those that it has."""
        rows = self._each_once(contig, kind, frames)
        if kind.name == "background":
            stored = self._reader.read(self._key, kind, contig, 0)
            return rows if stored.is_empty() else rows.clear()
        if kind.name == "sites":
            known = self._reader.has_sites(self._key, contig, rows["pos"].to_numpy())
        else:
            known = self._reader.has_alleles(self._key, contig, rows)
        if known.any():
            mine = rows.filter(known)
            stored = self._reader.rows_at(self._key, kind, contig, mine.select(kind.key))
            self._compare(mine.select(pl.lit(contig).alias("contig"), pl.all()), stored, kind)
        return rows.filter(~known)

    def of_many(self, kind: Kind, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the rows that the store lacks, likewise; contigs in the order of their first."""
        packed = kind.packed
        rows = rows.cast(pl.Schema(packed.schema))
        rows = rows.with_row_index("piece").sort(*packed.key, "piece")
        again = repeated(rows, packed)
        self._compare_twice(rows[again - 1], rows[again], kind)
        rows = rows.with_columns(first=pl.col("piece").min().over("contig"))
        rows = without(rows, again).sort("first", *kind.key).drop("first")
        known = self._reader.has(self._key, kind, rows.select(packed.key))
        if known.any():
            mine = rows.filter(known).sort(packed.key)
            stored = self._reader.rows_of(self._key, kind, mine.select(packed.key))
            self._compare(mine, stored.sort(packed.key), kind)
        return rows.filter(~known)

    def _compare(self, mine: pl.DataFrame, stored: pl.DataFrame, kind: Kind) -> None:
        """Raise `UserError` where rows (with `contig`) are not what the store has of them."""
        where = conflict(mine, stored, kind, self._tolerance)
        if where is not None:
            raise UserError(
                f"{self._folder}: the score of {where[1]} on contig {mine['contig'][where[0]]} was "
                "computed and is in the store with another value; nothing was stored: check the "
                "machine that computed it, or set the config key store to another folder"
            )

    def _compare_twice(self, one: pl.DataFrame, other: pl.DataFrame, kind: Kind) -> None:
        """Raise `UserError` where rows (with `contig`) that came twice differ."""
        where = conflict(one, other, kind, self._tolerance)
        if where is not None:
            raise UserError(
                f"{self._folder}: the score of {where[1]} on contig {one['contig'][where[0]]} was "
                "computed twice, the second time with another value; nothing was stored: check "
                "the machine that computed it"
            )

    def _each_once(self, contig: str, kind: Kind, frames: list[pl.DataFrame]) -> pl.DataFrame:
        """Join pieces, sorted; of a row that comes in several, the first is kept."""
        frames = [frame.select(list(kind.schema)).cast(dict(kind.schema)) for frame in frames]  # type: ignore[arg-type]
        whole = pl.concat(frames).sort(kind.key)
        if not whole.select(kind.key).is_duplicated().any():
            return whole
        for frame in frames:
            refuse_duplicates(contig, kind, frame)
        rows, again = in_pieces(frames, kind)
        name = pl.lit(contig).alias("contig")
        one, other = (rows[numbers].with_columns(name) for numbers in (again - 1, again))
        self._compare_twice(one, other, kind)
        return without(rows, again)


def refuse_duplicates(contig: str, kind: Kind, rows: pl.DataFrame) -> None:
    """Raise `AssertionError` where a piece has a row twice: a defect of whoever made it."""
    if rows.select(kind.key).is_duplicated().any():
        raise AssertionError(f"duplicate {kind.name} rows in one piece for contig {contig}")

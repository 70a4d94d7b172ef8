"""Rows of a table in Parquet; sorted by contig and position, only what is near is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from varlm.annotation.published.keys import places_of
from varlm.annotation.published.wanted import Wanted
from varlm.errors import UserError
from varlm.run.score_tables import ScoreTable

# Alleles on a contig that are worth reading the file for by themselves: of a sorted file, row
# groups without them are passed over; of others, all of it is read each time.
_MANY = 10_000
_NEAR = 6  # rows of several bases are looked up in blocks of 2**6 bp


class ParquetSource:
    """A Parquet file as a `rows.Source`.

    Parameters
    ----------
    path : Path
    columns : mapping
        `contig`, `pos`, `ref`, `alt` → the file's column; without `contig`, the file is all of
        one, `one_contig`.
    values : sequence of str
        The columns of values.
    base : int
        Of the positions.
    separator : str
        What stands between several values in one cell of text.
    one_contig : str, optional
    """

    by_span = False

    def __init__(
        self,
        path: Path,
        columns: Mapping[str, str],
        values: Sequence[str],
        base: int,
        separator: str,
        one_contig: str | None = None,
    ):
        self._path, self._columns, self._values = path, columns, values
        self._shift, self.separator = 1 - base, separator
        self.contigs = self._contigs(one_contig)

    def _contigs(self, one_contig: str | None) -> Mapping[str, int | None]:
        if "contig" not in self._columns:
            assert one_contig is not None
            return {one_contig: None}
        contig = pl.col(self._columns["contig"]).cast(pl.String)
        frame = (
            pl.scan_parquet(self._path, glob=False)
            .select(contig.unique(maintain_order=True))
            .drop_nulls()
        )
        return dict.fromkeys(self._collected(frame).to_series().to_list())

    def rows(self, wanted: Mapping[str, Wanted]) -> Iterator[tuple[str, pl.DataFrame]]:
        """Yield rows; see `Source`."""
        few = {contig: w for contig, w in wanted.items() if w.alleles.height < _MANY}
        for contig, places in wanted.items():
            if contig not in few:
                yield from self._rows({contig: places})
        if few:
            yield from self._rows(few)

    def _rows(self, wanted: Mapping[str, Wanted]) -> Iterator[tuple[str, pl.DataFrame]]:
        names = self._columns
        contig = pl.col(names["contig"]).cast(pl.String) if "contig" in names else None
        keys = [
            (pl.lit(next(iter(wanted))) if contig is None else contig).alias("contig"),
            (pl.col(names["pos"]).cast(pl.Int64) + self._shift).alias("pos"),
            pl.col(names["ref"]).cast(pl.String).alias("ref"),
            pl.col(names["alt"]).cast(pl.String).alias("alt"),
        ]
        values = (pl.col(name).alias(f"value_{index}") for index, name in enumerate(self._values))
        frame = pl.scan_parquet(self._path, glob=False)
        if contig is not None:
            frame = frame.filter(self._is_of(list(wanted)))
        rows = self._collected(frame.filter(self._is_near(wanted)).select(*keys, *values))
        for (name,), part in rows.partition_by("contig", as_dict=True, include_key=False).items():
            yield str(name), part

    def _is_of(self, contigs: list[str]) -> pl.Expr:
        """Return the test for contigs, on the column as it is, so that statistics serve it."""
        name = self._columns["contig"]
        column = pl.col(name)
        if pl.scan_parquet(self._path, glob=False).collect_schema()[name].is_integer():
            numbers = [int(contig) for contig in contigs]
            return column == numbers[0] if len(numbers) == 1 else column.is_in(numbers)
        column = column.cast(pl.String)
        return column == contigs[0] if len(contigs) == 1 else column.is_in(contigs)

    def _is_near(self, wanted: Mapping[str, Wanted]) -> pl.Expr:
        """Return the test for rows that may spell an allele, on whichever of the contigs."""
        pos = pl.col(self._columns["pos"])
        places = np.unique(np.concatenate([w.places for w in wanted.values()])) - self._shift
        first, last = (
            np.concatenate([getattr(w, end) for w in wanted.values()]) - self._shift
            for end in ("first", "last")
        )
        blocks = _blocks(first, last)
        single = pl.all_horizontal(
            pl.col(self._columns[key]).cast(pl.String).str.len_bytes() == 1
            for key in ("ref", "alt")
        )
        is_place = pos.is_in(pl.Series(places).implode())
        near = (pos.cast(pl.Int64) // (1 << _NEAR)).is_in(pl.Series(blocks).implode())
        within = pos.is_between(int(first.min()), int(last.max()))
        return within & ((single & is_place) | (~single & near))

    def _collected(self, frame: pl.LazyFrame) -> pl.DataFrame:
        try:
            return frame.collect(engine="streaming")
        except (pl.exceptions.PolarsError, OSError) as error:
            said = str(error).split("\n")[0][:200]
            raise UserError(
                f"{self._path}: cannot be read as a table of scores ({said}); copy or make the "
                "file again, or correct the columns in the config"
            ) from error


def parquet_source(path: Path, table: ScoreTable, one_contig: str | None) -> ParquetSource:
    """Open a Parquet file.

    Parameters
    ----------
    path : Path
    table : ScoreTable
    one_contig : str or None
        The contig that the file is of, as its name says: it may lack a column of contigs.

    Raises
    ------
    UserError
        If it is damaged, or lacks a column.
    """
    try:
        names = list(pl.scan_parquet(path, glob=False).collect_schema())
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UserError(
            f"{path}: damaged Parquet file ({str(error).splitlines()[0]}); copy or make it again"
        ) from error
    places = places_of(table, names, len(names), str(path), of_one_contig=one_contig is not None)
    columns = {key: names[getattr(places, key)] for key in ("pos", "ref", "alt")}
    if places.contig is not None:
        columns["contig"] = names[places.contig]
    values = [names[place] for place in places.values]
    return ParquetSource(path, columns, values, table.base, ";", one_contig)


def _blocks(first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Return the blocks of 2**`_NEAR` bp that spans reach into: int64, sorted, each once."""
    low, high = first >> _NEAR, last >> _NEAR
    counts = high - low + 1
    starts = np.repeat(low, counts)
    within = np.arange(len(starts)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.unique(starts + within)

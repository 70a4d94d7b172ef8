"""A table of scores, opened: whatever it is kept as, its rows come alike."""

from __future__ import annotations

import glob
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import dropwhile
from pathlib import Path

import polars as pl

from varlm.annotation.published import delimited
from varlm.annotation.published.formats import index_of, kind_of
from varlm.annotation.published.indexed_text import IndexedText
from varlm.annotation.published.parquet_rows import ParquetSource, parquet_source
from varlm.annotation.published.rows import Source
from varlm.annotation.published.vcf_rows import IndexedVcf, all_vcf_rows
from varlm.annotation.published.wanted import Wanted
from varlm.errors import UserError, first_few
from varlm.genome.contig_names import ContigNames
from varlm.run.score_tables import CONTIG, ScoreTable
from varlm.tables.parquet import Column, Table, write_pieces

log = logging.getLogger(__name__)

_GAP = 1000  # bp that are read on over: a new place costs as much
_SHOWN = 80  # characters of a line in a message
_SEPARATOR = ";"  # between several values in one cell of a table of text, as dbNSFP writes them


@dataclass(frozen=True)
class OpenTable:
    """A table whose contigs are matched to the reference's.

    Attributes
    ----------
    source : Source
    contigs : mapping
        Contig of the reference → the table's.
    """

    source: Source
    contigs: Mapping[str, str]


def opened(table: ScoreTable, names: ContigNames, scratch: Path) -> OpenTable:
    """Open a table.

    Parameters
    ----------
    table : ScoreTable
    names : ContigNames
        What the table's contigs are matched through.
    scratch : Path
        A folder for what a table without an index is turned into.

    Raises
    ------
    UserError
        If a file is missing, is none of a table, lacks a column, or has no contig of the
        reference.
    """
    source: Source
    if table.by_contig:
        source = _pattern(table, names, scratch)
    else:
        source = _source(Path(table.path), table, scratch)
    return OpenTable(source, _matched(source.contigs, table, names))


def _source(path: Path, table: ScoreTable, scratch: Path, one_contig: str | None = None) -> Source:
    """Return what reads a file; `one_contig` is what its name says that it is of."""
    kind = kind_of(path)
    if kind == "parquet":
        return parquet_source(path, table, one_contig)
    index = index_of(path)
    if kind == "vcf":
        if index is not None:
            return IndexedVcf(path, index, table)
        return _turned(path, table, scratch, all_vcf_rows(path, table), ",")
    heading = delimited.read_heading(path)
    reader = delimited.RowReader.of(path, table, heading, index is not None)
    if index is not None:
        return IndexedTable(IndexedText(path, index), reader, table)
    rows = delimited.all_rows(path, reader, heading)
    return _turned(path, table, scratch, rows, _SEPARATOR)


def _turned(
    path: Path, table: ScoreTable, scratch: Path, rows: Iterator[pl.DataFrame], separator: str
) -> ParquetSource:
    """Turn a file without an index into Parquet, once, for it cannot be read by place."""
    log.info("%s: has no index, and is read whole; tabix makes one, and reading it faster", path)
    values = [f"value_{index}" for index in range(len(table.columns))]
    text = (Column(name, pl.String(), "") for name in values)
    key = [Column(name, pl.String(), "") for name in ("contig", "ref", "alt")]
    schema = Table("table", (*key, Column("pos", pl.Int64(), ""), *text))
    into = scratch / f"{len(list(scratch.iterdir()))}.parquet"
    write_pieces((piece.select(schema.names) for piece in rows), into, schema)
    columns = {"contig": "contig", "pos": "pos", "ref": "ref", "alt": "alt"}
    return ParquetSource(into, columns, values, 1, separator)


class IndexedTable:
    """A bgzip table of text with its index, as a `Source`."""

    separator = _SEPARATOR
    by_span = False

    def __init__(self, text: IndexedText, reader: delimited.RowReader, table: ScoreTable):
        self._text, self._reader, self._table = text, reader, table
        self.contigs: Mapping[str, int | None] = dict.fromkeys(text.contigs)
        self._checked: set[str] = set()

    def rows(self, wanted: Mapping[str, Wanted]) -> Iterator[tuple[str, pl.DataFrame]]:
        """Yield rows; see `Source`."""
        for contig, places in wanted.items():
            shift = 1 - self._reader.base
            stretches = [(low - shift, high - shift) for low, high in places.stretches(_GAP)]
            self._check(contig, stretches)
            for lines in self._text.blocks(self._pieces(contig, stretches)):
                yield contig, self._reader.rows(lines)

    def _pieces(self, contig: str, stretches: list[tuple[int, int]]) -> Iterator[Iterator[str]]:
        """Yield the lines of each stretch, as the table counts, each line in one alone."""
        for low, high in stretches:
            # An index may count from 1 what the table counts from 0.
            lines = self._text.fetch(contig, low, high + 1)
            # Before it lie rows that reach into it where the index has a column of ends.
            yield dropwhile(partial(self._is_before, low), lines)

    def _is_before(self, position: int, line: str) -> bool:
        return self._reader.position(line) < position

    def _check(self, contig: str, stretches: list[tuple[int, int]]) -> None:
        """Raise `UserError` unless the index finds rows of a contig where their positions are.

        Held against the table once a contig: its first row, and the one where reading will end,
        for positions of two assemblies may be the same where a contig begins.
        """
        if contig in self._checked:
            return
        first = self._text.first(contig)
        if first is None:
            raise self._text.is_anothers(f"where its index has rows of {contig!r} there is nothing")
        for line in (first, self._text.first(contig, stretches[-1][1])):
            if line is not None and not self._text.has(line, contig, self._reader.position(line)):
                column = self._reader.places.pos + 1
                raise UserError(
                    f"{self._reader.path}: a row of {contig!r} is not where its index has the "
                    f"position in its column {column}, that of annotate.scores."
                    f"{self._table.name}: {line[:_SHOWN]!r}; index the table by that column with "
                    "tabix (it must be sorted by it), or name the column that it is indexed by in "
                    "the table's key"
                )
        self._checked.add(contig)


class _Pattern:
    """Files of one contig each, as a `Source`; each is opened when it is asked for."""

    def __init__(
        self, paths: Mapping[str, Path], table: ScoreTable, names: ContigNames, scratch: Path
    ):
        self._paths, self._table, self._names, self._scratch = paths, table, names, scratch
        self.contigs: Mapping[str, int | None] = dict.fromkeys(paths)
        self._open: dict[str, tuple[Source, str | None]] = {}

    @cached_property
    def _first(self) -> Source:
        return self._file(next(iter(self._paths)))[0]

    @property
    def separator(self) -> str:
        """As the files have it."""
        return self._first.separator

    @property
    def by_span(self) -> bool:
        """As of the files."""
        return self._first.by_span

    def rows(self, wanted: Mapping[str, Wanted]) -> Iterator[tuple[str, pl.DataFrame]]:
        """Yield rows; see `Source`."""
        for contig, places in wanted.items():
            source, inside = self._file(contig)
            if inside is not None:
                for _, rows in source.rows({inside: places}):
                    yield contig, rows

    def _file(self, contig: str) -> tuple[Source, str | None]:
        """Return a contig's file, and what it calls it; None: it has no row of it."""
        if contig not in self._open:
            source = _source(self._paths[contig], self._table, self._scratch, contig)
            to = self._names.match(contig, self.contigs).contig
            inside = (
                name
                for name in source.contigs
                if name == contig or self._names.match(name, source.contigs).contig == to
            )
            self._open[contig] = source, next(inside, None)
        return self._open[contig]


def _pattern(table: ScoreTable, names: ContigNames, scratch: Path) -> _Pattern:
    path = Path(table.path)
    before, *behind = str(path).split(CONTIG)
    looked_for = "*".join(
        glob.escape(part) for part in str(path.relative_to(path.anchor)).split(CONTIG)
    )
    # The same name at each place of the pattern.
    same = "(?P=contig)".join(re.escape(part) for part in behind)
    named = re.compile(f"{re.escape(before)}(?P<contig>[^/]+?){same}")
    there = sorted(map(str, Path(path.anchor).glob(looked_for)))
    matches = ((named.fullmatch(name), name) for name in there)
    paths = {match["contig"]: Path(name) for match, name in matches if match}
    if not paths:
        raise UserError(
            f"annotate.scores.{table.name}.path: no file is named like {table.path!r}; {CONTIG} "
            f"stands for a contig's name: {first_few(names.lengths)}"
        )
    return _Pattern(paths, table, names, scratch)


def _matched(
    contigs: Mapping[str, int | None], table: ScoreTable, names: ContigNames
) -> dict[str, str]:
    """Return contig of the reference → the table's."""
    matched: dict[str, str] = {}
    others: list[str] = []
    for name in contigs:
        contig = names.match(name, contigs, Path(table.path)).contig
        if contig is None:
            others.append(name)
        elif contig in matched:
            raise UserError(
                f"{table.path}: its contigs {matched[contig]!r} and {name!r} are both {contig!r} "
                "of the reference; keep one"
            )
        else:
            matched[contig] = name
    if not matched:
        raise UserError(
            f"{table.path}: no contig of the reference (it has "
            f"{first_few(map(repr, contigs)) or 'none'}; reference: "
            f"{first_few(map(repr, names.lengths))}); give annotate.scores.{table.name} for this "
            f"assembly, or {names.remedy}"
        )
    if others:
        log.info("%s: not in the reference, passed over: %s", table.path, first_few(others, 20))
    log.info("%s: %d of the reference's %d contigs", table.path, len(matched), len(names.lengths))
    return matched

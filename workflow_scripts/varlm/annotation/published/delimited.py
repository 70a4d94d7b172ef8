"""Delimited text: its header, and its lines as rows."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from varlm.annotation.published.keys import Places, places_of
from varlm.errors import UserError
from varlm.files import text
from varlm.run.score_tables import ScoreTable

_EXPECTED = "a table of scores must be tab-separated text"
_BLOCK = 1 << 23  # bytes of lines read as rows at a time
_REMEDY = "is it a table, a line a row?"
_SHOWN = 200  # characters of a line, or of what a parser said


@dataclass(frozen=True)
class Heading:
    """How a file of delimited text begins.

    Attributes
    ----------
    names : list of str or None
        Of its columns; None: no line says them.
    width : int
        Number of columns.
    delimiter : str
    before : int
        Lines before the first row.
    """

    names: list[str] | None
    width: int
    delimiter: str
    before: int


def read_heading(path: Path) -> Heading:
    """Return how a file begins.

    Lines that begin with '#' are comments; the last of them that has as many columns as the rows
    names them. Else the first line does, if none of its columns is a whole number: a row has one.

    Raises
    ------
    UserError
        If the file cannot be read, or has no columns.
    """
    comments: list[str] = []
    header: list[str] | None = None
    before = 0
    for number, line in enumerate(_first_lines(path), 1):
        if line.startswith("#") or not line.strip():
            comments.append(line)
            continue
        delimiter = "\t" if "\t" in line else ","
        fields = line.split(delimiter)
        if header is None and not any(_is_whole(field) for field in fields):
            header, before = fields, number
            continue
        for comment in comments if header is None else ():
            names = comment.removeprefix("#").split(delimiter)
            header = names if len(names) == len(fields) and len(names) > 1 else header
        if len(fields) < 2 or (header is not None and len(header) != len(fields)):
            expected = "columns with tabs between them" if header is None else f"{len(header)}"
            raise UserError(
                f"{path}, line {number}: found {len(fields)} columns, expected {expected}, as the "
                "header has; a table of scores is text with tabs between columns"
            )
        return Heading(header, len(fields), delimiter, number - 1)
    named = header or (comments[-1].removeprefix("#").split("\t") if comments else [])
    if len(named) < 2:
        raise UserError(f"{path}: found no row; {_EXPECTED}")
    return Heading(named, len(named), "\t", max(before, len(comments)))


def _first_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a file; bytes that are no UTF-8 become U+FFFD, here as in the rows."""
    pieces = text.content(path, _EXPECTED)
    for lines, _ in text.whole_lines(pieces, path, 1, text.LONGEST, _REMEDY):
        shown = lines.decode("utf-8", "replace").replace("\r\n", "\n")
        yield from shown.removesuffix("\n").split("\n")


def _is_whole(field: str) -> bool:
    return field.strip().strip('"').lstrip("-").isdigit()


@dataclass(frozen=True)
class RowReader:
    """Reads lines as rows of a `rows.Source`, with a column `contig` in front.

    Attributes
    ----------
    path : Path
        For messages.
    places : Places
    width : int
        Columns of a line.
    delimiter : str
    base : int
        Of its positions.
    """

    path: Path
    places: Places
    width: int
    delimiter: str
    base: int

    @classmethod
    def of(cls, path: Path, table: ScoreTable, heading: Heading, one_contig: bool) -> RowReader:
        """Return what reads the rows of a file."""
        places = places_of(table, heading.names, heading.width, str(path), of_one_contig=one_contig)
        return cls(path, places, heading.width, heading.delimiter, table.base)

    def position(self, line: str) -> int:
        """Return the position of a line, as the table counts.

        Raises
        ------
        UserError
            If it has none.
        """
        column = self.places.pos
        try:
            return int(line.split(self.delimiter, column + 1)[column])
        except (IndexError, ValueError):
            raise UserError(
                f"{self.path}: found the line {line[:_SHOWN]!r}, expected a position, a whole "
                f"number, in column {column + 1}; mend the line, or name the column of positions "
                "in the key of the table"
            ) from None

    def rows(self, lines: bytes) -> pl.DataFrame:
        """Return `contig` (where there is a column of it), `pos`, `ref`, `alt`, `value_0`, ….

        Raises
        ------
        UserError
            If a line has more columns than the header, or a position is no whole number.
        """
        places = self.places
        keys = {} if places.contig is None else {"contig": places.contig}
        keys |= {"pos": places.pos, "ref": places.ref, "alt": places.alt}
        keys |= {f"value_{index}": column for index, column in enumerate(places.values)}
        names = [f"column_{index}" for index in range(self.width)]
        schema: dict[str, pl.DataType] = dict.fromkeys(names, pl.String())
        schema[names[places.pos]] = pl.Int64()
        needed = sorted({names[column] for column in keys.values()}, key=names.index)
        try:
            frame = pl.read_csv(
                io.BytesIO(lines),
                has_header=False,
                schema=schema,
                columns=needed,
                separator=self.delimiter,
                quote_char='"' if self.delimiter == "," else None,
                encoding="utf8" if lines.isascii() else "utf8-lossy",
            )
        except pl.exceptions.PolarsError as error:
            said = str(error).split("\n")[0][:_SHOWN]
            raise UserError(
                f"{self.path}: has a line that does not read as {self.width} columns with a "
                f"position, a whole number, in column {places.pos + 1} ({said}); mend the line, or "
                "name the column of positions in the key of the table"
            ) from error
        # One column may have two parts: a value and a part of the key.
        rows = frame.select(pl.col(names[column]).alias(key) for key, column in keys.items())
        return rows if self.base == 1 else rows.with_columns(pl.col("pos") + 1)


def all_rows(path: Path, reader: RowReader, heading: Heading) -> Iterator[pl.DataFrame]:
    """Yield all rows of a file, plain or gzip, without need of an index.

    Raises
    ------
    UserError
        As `RowReader.rows`, and if the file is damaged.
    """
    pieces = text.content(path, _EXPECTED)
    to_skip = heading.before
    for lines, _ in text.whole_lines(pieces, path, _BLOCK, text.LONGEST, _REMEDY):
        while to_skip and lines:
            end = lines.find(b"\n") + 1 or len(lines)
            lines, to_skip = lines[end:], to_skip - 1
        if lines:
            yield reader.rows(lines)

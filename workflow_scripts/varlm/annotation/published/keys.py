"""Which columns of a table are contig, position, REF, ALT and the values: by name or number."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from varlm.errors import UserError, first_few
from varlm.run.score_tables import ScoreTable, Source

# As CADD, AlphaMissense, REVEL, dbNSFP, GPN and VCF call them, without case and '#'.
NAMES = {
    "contig": ("chrom", "chr", "chromosome", "contig", "seqname", "seqnames", "seqid"),
    "pos": ("pos", "position", "pos(1-based)", "start", "coordinate"),
    "ref": ("ref", "reference", "ref_allele", "reference_allele", "refallele"),
    "alt": ("alt", "alternate", "alt_allele", "alternate_allele", "altallele", "alternative"),
}
_USUAL = {"contig": 0, "pos": 1, "ref": 2, "alt": 3}  # of a table without a header


@dataclass(frozen=True)
class Places:
    """Columns of a table, counted from 0.

    Attributes
    ----------
    contig : int or None
        None where a file is of one contig, and its name says which.
    pos, ref, alt : int
    values : tuple of int
        In the order of `ScoreTable.columns`.
    """

    contig: int | None
    pos: int
    ref: int
    alt: int
    values: tuple[int, ...]


def places_of(
    table: ScoreTable,
    names: Sequence[str] | None,
    width: int,
    where: str,
    *,
    of_one_contig: bool = False,
) -> Places:
    """Return where a table's columns are.

    Parameters
    ----------
    table : ScoreTable
    names : sequence of str or None
        What the header calls them; None: there is no header.
    width : int
        Number of columns.
    where : str
        The file, for messages.
    of_one_contig : bool
        Whether a column of contigs may lack.

    Raises
    ------
    UserError
        If a column is not there, or it is not clear which it is.
    """
    finder = _Finder(table, names, width, where)
    contig = finder.key("contig", needed=not of_one_contig)
    pos, ref, alt = (finder.key(what) for what in ("pos", "ref", "alt"))
    assert pos is not None
    assert ref is not None
    assert alt is not None
    values = tuple(
        finder.column(column.source, f"columns.{column.name}") for column in table.columns
    )
    return Places(contig, pos, ref, alt, values)


@dataclass(frozen=True)
class _Finder:
    """Finds columns of one file."""

    table: ScoreTable
    names: Sequence[str] | None
    width: int
    where: str

    def key(self, what: str, *, needed: bool = True) -> int | None:
        """Return a column of the key, as the config or the header says."""
        if self.table.key is not None and what in self.table.key:
            return self.column(self.table.key[what], f"key.{what}")
        if self.names is None:
            return _USUAL[what]
        plain = [name.lstrip("#").strip().casefold() for name in self.names]
        columns = [index for index, name in enumerate(plain) if name in NAMES[what]]
        if len(columns) == 1:
            return columns[0]
        if not columns and not needed:
            return None
        problem = (
            f"no column is called as one of {what} is ({', '.join(NAMES[what])}; columns: "
            f"{first_few(self.names, 20)})"
            if not columns
            else f"{' and '.join(repr(self.names[index]) for index in columns)} may be {what}"
        )
        raise UserError(f"{self.where}: {problem}; name it in {self._config(f'key.{what}')}")

    def column(self, source: Source, key: str) -> int:
        """Return the column of a name, or of a number from 1."""
        if isinstance(source, int):
            if 1 <= source <= self.width:
                return source - 1
            raise UserError(
                f"{self.where}: {self._config(key)}: found {source}, but the file has "
                f"{self.width} columns"
            )
        if self.names is None:
            raise UserError(
                f"{self.where}: {self._config(key)}: found the name {source!r}, but the file has "
                "no line with the columns' names; give the column's number, from 1"
            )
        stripped = [name.lstrip("#").strip() for name in self.names]
        for names in (list(self.names), stripped):
            if names.count(source) == 1:
                return names.index(source)
        close = difflib.get_close_matches(source, stripped, n=3, cutoff=0.5)
        close = [name for name in stripped if name.casefold() == source.casefold()] or close
        problem = "two columns have this name" if source in stripped else "no column has this name"
        hint = f"is it {', '.join(close)}?" if close else f"columns: {first_few(stripped, 20)}"
        raise UserError(
            f"{self.where}: {self._config(key)}: found {source!r}, but {problem} ({hint})"
        )

    def _config(self, key: str) -> str:
        return f"annotate.scores.{self.table.name}.{key}"

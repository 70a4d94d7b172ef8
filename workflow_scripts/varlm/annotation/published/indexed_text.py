"""The lines of a bgzip table with an index, by place: pysam's tabix, its lines in blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import pysam

from varlm.errors import UserError

BLOCK = 1 << 22  # bytes of lines read as rows at a time: a call of the parser has its price
_LINES = 1000  # lines joined at a time: of a wide table, some megabytes
_BYTES = "latin-1"  # each byte a letter: what is no UTF-8 is the parser's to mend


class IndexedText:
    """A table of text and its index, .tbi or .csi.

    Parameters
    ----------
    path, index : Path

    Attributes
    ----------
    contigs : list of str
        As the index names them.

    Raises
    ------
    UserError
        If they cannot be read as such.
    """

    def __init__(self, path: Path, index: Path):
        self._path = path
        try:
            self._file = pysam.TabixFile(str(path), index=str(index), encoding=_BYTES)
            self.contigs = self._file.contigs
        except (OSError, ValueError) as error:
            raise UserError(
                f"{index}: not readable as the index of a table ({error}); make it again: "
                "'tabix -f -s 1 -b 2 -e 2 TABLE' with the table's columns of contig and position"
            ) from error

    def fetch(self, contig: str, low: int = 1, high: int | None = None) -> Iterator[str]:
        """Return the lines of a contig that the index has in a stretch, in the table's order.

        One such iterator is read at a time, by `first` or `blocks`.

        Parameters
        ----------
        contig : str
            One of `contigs`.
        low, high : int
            1-based, both included; None: to the contig's end. The index knows a line by the
            columns that it was made of, and may count what the table counts from 0 from 1.
        """
        end = "" if high is None else f"-{max(high, 1)}"
        # In braces, a name with a colon is one. As bytes, a name is UTF-8.
        region = f"{{{contig}}}:{max(low, 1)}{end}".encode()
        lines: Iterator[str] = self._file.fetch(region=region)
        return lines

    def first(self, contig: str, low: int = 1, high: int | None = None) -> str | None:
        """Return the first line of `fetch`, or None.

        Raises
        ------
        UserError
            If the table is damaged, or the index is not its own.
        """
        return next(self._guarded(self.fetch(contig, low, high)), None)

    def has(self, line: str, contig: str, position: int) -> bool:
        """Return whether the index has a line at a position, counted from 0 or from 1."""
        return line in self._guarded(self.fetch(contig, position, position + 1))

    def blocks(self, pieces: Iterable[Iterator[str]]) -> Iterator[bytes]:
        """Yield lines in blocks of some `BLOCK` bytes, as they are in the file.

        Parameters
        ----------
        pieces : iterable of iterator of str
            Of `fetch`.

        Raises
        ------
        UserError
            As `first`.
        """
        some: list[str] = []
        size = 0
        for lines in pieces:
            while text := self._joined(lines):
                some.append(text)
                size += len(text)
                if size >= BLOCK:
                    yield "".join(some).encode(_BYTES)
                    some, size = [], 0
        if some:
            yield "".join(some).encode(_BYTES)

    def is_anothers(self, what: str) -> UserError:
        """Return the error of an index that leads elsewhere."""
        return UserError(
            f"{self._path}: {what}; the index is another file's: make it again with tabix"
        )

    def _joined(self, lines: Iterator[str]) -> str:
        try:
            some = list(islice(lines, _LINES))
        except (OSError, ValueError) as error:
            raise self._damaged(error) from error
        return "\n".join([*some, ""])

    def _guarded(self, lines: Iterator[str]) -> Iterator[str]:
        try:
            yield from lines
        except (OSError, ValueError) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> UserError:
        return UserError(
            f"{self._path}: damaged, or its index is another file's ({error}); copy or download "
            "both again, or make the index again with tabix"
        )

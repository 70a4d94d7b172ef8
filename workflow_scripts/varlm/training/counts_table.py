"""Tables of n-gram counts: what followed each context, and how often.

Columns `context` (the n − 1 tokens before, separated by blanks), `next` and `count`, separated by
tabs; plain or gzip. Tokens are A, C, G, T, and one each that stands before and after a sequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from varlm.errors import UserError
from varlm.files.text import decoded_lines
from varlm.genome.bases import BASES
from varlm.models.markov import MOST

Counts = NDArray[np.int64]

COLUMNS = ("context", "next", "count")
_EXPECTED = f"expected a table of counts with the columns {', '.join(COLUMNS)}"


@dataclass(frozen=True)
class Padding:
    """The tokens before and after a sequence."""

    start: str
    end: str

    def check(self) -> None:
        """Raise `UserError` unless both can be told from each other and from the bases."""
        for option, token in (("--start", self.start), ("--end", self.end)):
            if not token or len(token.split()) != 1 or token.upper() in BASES:
                raise UserError(f"{option}: found {token!r}; expected a token that is no base")
        if self.start == self.end:
            raise UserError(f"--end: found {self.end!r}, as --start; expected another token")


@dataclass(frozen=True)
class NgramCounts:
    """What a table holds. Contexts of k bases are numbers, as in `varlm.models.markov.table_name`.

    Attributes
    ----------
    order : int
        Tokens of a context, n − 1.
    bases : list of int64, shape (4^k, 4)
        k = 0, 1, …, order: how often each base came next.
    ends : list of int64, shape (4^k,)
        How often the end did.
    totals : list of int64, shape (4^k,)
        How often anything did.
    tokens : frozenset of str
        All that the table names.
    """

    order: int
    bases: list[Counts]
    ends: list[Counts]
    totals: list[Counts]
    tokens: frozenset[str]


def read_counts(path: Path, padding: Padding) -> NgramCounts:
    """Read a table of counts.

    A context of `order` − k start tokens and k bases is what stands at the k-th base of a sequence:
    it becomes order k. Without any start token the lower orders are sums over the bases further
    away. Contexts with the end in them follow no base, and are passed over.

    Parameters
    ----------
    path : Path
    padding : Padding

    Raises
    ------
    UserError
        If a column is missing, a row has another number of cells, a context another number of
        tokens than the first, a token is none of those expected, a count is no whole number from
        0 up, a row repeats another, or there is none. The message names the line.
    """
    padding.check()
    lines = decoded_lines(path, _EXPECTED)
    _, header = next(lines, (1, ""))
    columns = header.split("\t")
    missing = [name for name in COLUMNS if name not in columns]
    if missing:
        raise UserError(f"{path}, line 1: no column {', '.join(missing)}; {_EXPECTED}")
    places = [columns.index(name) for name in COLUMNS]
    table: _Table | None = None
    for number, line in lines:
        cells = line.split("\t")
        if len(cells) != len(columns):
            raise UserError(
                f"{path}, line {number}: {len(cells)} cells, expected {len(columns)}, as in line 1"
            )
        context, token, count = (cells[place] for place in places)
        try:
            table = table or _Table(len(context.split()), padding)
            table.add(context.split(), token, count)
        except ValueError as error:
            raise UserError(f"{path}, line {number}: {error}") from error
    if table is None:
        raise UserError(f"{path}: no row; {_EXPECTED}")
    return table.counts()


@dataclass
class _Table:
    """The counts so far; −1 where no row was."""

    order: int
    padding: Padding
    tokens: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        if self.order > MOST:
            raise ValueError(f"a context of {self.order} tokens, expected at most {MOST}")
        orders = range(self.order + 1)
        # The fifth column is the end, the sixth a start.
        self.cells = [np.full((4**k, 6), -1, np.int64) for k in orders]
        self.columns = {base: i for i, base in enumerate(BASES)}
        self.columns |= {self.padding.end: 4, self.padding.start: 5}

    def add(self, context: Sequence[str], following: str, count: str) -> None:
        """Add a row; raise `ValueError` saying what is wrong with it."""
        if len(context) != self.order:
            raise ValueError(
                f"a context of {len(context)} tokens, expected {self.order}, as in the first row"
            )
        columns = [self._column(token) for token in context]
        column = self._column(following)
        if not (count.isascii() and count.isdecimal() and len(count) < 16):
            raise ValueError(f"found the count {count!r}; expected a whole number from 0 up")
        bases = [i for i in columns if i < 4]
        starts, ends = columns.count(5), columns.count(4)
        if columns != [5] * starts + bases + [4] * ends:
            raise ValueError(
                f"found the context {' '.join(context)!r}; expected {self.padding.start} before "
                f"and {self.padding.end} after the bases"
            )
        if ends:
            return
        row = 0
        for code in bases:
            row = 4 * row + code
        cell = self.cells[len(bases)]
        if cell[row, column] >= 0:
            raise ValueError(f"{' '.join([*context, following])!r} was counted in a row before")
        cell[row, column] = int(count)

    def _column(self, token: str) -> int:
        name = token if token in self.columns else token.upper()
        if name not in self.columns:
            raise ValueError(
                f"found the token {token!r}; expected A, C, G, T, {self.padding.start} or "
                f"{self.padding.end} (options --start and --end)"
            )
        self.tokens.add(name)
        return self.columns[name]

    def counts(self) -> NgramCounts:
        cells = [np.maximum(cell, 0) for cell in self.cells]
        if not any((cell >= 0).any() for cell in self.cells[:-1]):
            for k in range(self.order, 0, -1):  # the oldest base is the first digit
                cells[k - 1] = cells[k].reshape(4, 4 ** (k - 1), 6).sum(0)
        return NgramCounts(
            order=self.order,
            bases=[cell[:, :4] for cell in cells],
            ends=[cell[:, 4] for cell in cells],
            totals=[cell.sum(1) for cell in cells],
            tokens=frozenset(self.tokens),
        )

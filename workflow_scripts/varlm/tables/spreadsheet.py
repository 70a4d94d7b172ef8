r"""Text that neither a spreadsheet nor a reader of tables takes for something else.

A cell of text is a formula to a spreadsheet when it starts with =, +, - or @; to pandas, polars,
DuckDB and R, with their defaults, it may be a missing value (NA, null), a number (1e5, 007), a date
or the start of a quotation that swallows the next row. What each of them takes for what was found
out by trial on some 50,000 texts (pandas 3.1, polars 1.44, DuckDB 2.0, R 4.2; tests/tables/
test_readers.py tries again). Such a cell gets an apostrophe in front, and single letters become
`\xHH`; `unescaped` undoes both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial

import polars as pl

# Letters that end a cell or a quotation somewhere. An apostrophe counts at the ends: in front it
# is ours, and DuckDB guesses that texts are quoted by it where one begins and another ends so; it
# sees past spaces.
_LETTERS = r'[\x00-\x1f\x7f"\\]|^\'|\'(?=\s*\Z)|^ (?=\s*\Z)'
_SPECIAL = r'[\x00-\x1f\x7f"\\]|^\'|\'\s*$|^\s*$'  # where those are, and empty text
_FORMULA = r"^[=+\-@]"
_INTEGER = r"^(0|[1-9][0-9]{0,14})$"  # that every reader shows as it is written
_DECIMAL = r"^(0|[1-9][0-9]{0,7})\.(0|[0-9]{0,5}[1-9])$"


def _any_case(*words: str) -> str:
    # Not (?i:…): Python takes ı for i there, Rust does not.
    return "|".join("".join(f"[{c}{c.upper()}]" for c in word) for word in words)


# `\d` and `\s` are those of Unicode: polars stops at a column of other digits than 0 to 9.
_TYPED = "|".join(
    (
        r"^(N/A|n/a|NA|<NA>|NULL|null|None|1\.#IND|1\.#QNAN)$",
        r"^#",  # #N/A; in the first column a comment, to tabix and, by its guess, to DuckDB
        r"^\s*(\d+\.?\d*|\.\d+)([eE][+\-]?\d+)?\s*$",
        r"^\s*0[xXbB]",
        rf"^\s*({_any_case('inf', 'infinity', 'nan', 'epoch', 'true', 'false')})\s*$",
        r"^\s*\d+(-\d+-|/\d+/|\s+\d+\s+)\d",
        r"^\s*\d+\.\d+\.\d+(\s.*)?$",
        r"^\s*\d+:\d+(:\d+(\.\d+)?)?\s*$",
    )
)
# Of R, and short words of DuckDB, which are so read only where the whole column is.
_TYPED_ALONE = "|".join(
    (
        r"^\s+$",
        rf"^\s*({_any_case('t', 'f', 'yes', 'no')})\s*$",
        r"^\s*[\d.]+[eE][+\-]?\s*$",
        r"^\s*[\d.eE+\-]*i\s*$",
    )
)


@dataclass(frozen=True)
class Marking:
    """Which cells of a column get an apostrophe in front, beside those like formulas.

    Attributes
    ----------
    pattern : str or None
        A regular expression of them; None: no others.
    integers : bool
        Whether plain integers do, where they match.
    """

    pattern: str | None
    integers: bool = True

    def marks(self, text: str) -> bool:
        """Return whether an escaped text gets the apostrophe."""
        if re.search(_FORMULA, text):
            return True
        if self.pattern is None or (not self.integers and re.search(_INTEGER, text)):
            return False
        return re.search(self.pattern, text) is not None


NUMBERS = Marking(None)  # a column of numbers alone: they stay numbers
TEXT = Marking(_TYPED)  # a column with words
TYPED = Marking(f"{_TYPED}|{_TYPED_ALONE}")  # a column without, but not of numbers alone


def spreadsheet_safe(column: pl.Series, marking: Marking = TEXT) -> pl.Series:
    """Return a text column escaped; where no row is special, the column itself."""
    patterns = (_SPECIAL, _FORMULA, *filter(None, [marking.pattern]))
    special = column.str.contains("|".join(patterns))
    if not marking.integers:
        special &= ~column.str.contains(_INTEGER)
    if not special.any():
        return column
    texts = column.filter(special).unique()
    safe = texts.map_elements(partial(escaped, marking=marking), return_dtype=pl.String)
    return column.replace(texts, safe)


def escaped(text: str, marking: Marking = TEXT) -> str:
    r"""Return one text as `spreadsheet_safe` writes it; `spreadsheetSafe` of page.js is the same.

    Empty text is `\x`, since an empty cell is a missing value.
    """
    if not text:
        return r"\x"
    text = re.sub(_LETTERS, lambda letter: f"\\x{ord(letter[0]):02x}", text)
    return "'" + text if marking.marks(text) else text


def unescaped(text: str) -> str:
    """Return the text that `spreadsheet_safe` was given."""
    # Tables of before have apostrophes of their own in front of words.
    if text[:1] == "'" and TYPED.marks(text[1:]):
        text = text[1:]
    return re.sub(r"\\x([0-9a-f]{2})?", lambda code: chr(int(code[1], 16)) if code[1] else "", text)


def column_marking(pieces: Iterable[pl.Series], *, keep_integers: bool = False) -> Marking:
    """Return how a text column is to be written, judged by all of its rows.

    A column of integers, or of decimals, stays as it is. In every other one what looks like a
    number is marked too: polars and DuckDB guess from the first rows what all of them are.

    Parameters
    ----------
    pieces : iterable of polars.Series
        The column's rows; taken until there is a word, which for most columns the first piece has.
    keep_integers : bool
        Whether integers are never marked.
    """
    content = _Content()
    for piece in pieces:
        content.add(piece.drop_nulls().unique())
        if content.words:
            break
    return replace(content.marking, integers=not keep_integers)


@dataclass
class _Content:
    """What there is in a column."""

    words: bool = False
    integers: bool = False
    decimals: bool = False
    others: bool = False  # that some reader may take for something else than text

    def add(self, texts: pl.Series) -> None:
        """Look at more of its texts."""
        typed = texts.str.contains(str(TYPED.pattern))
        integers, decimals = texts.str.contains(_INTEGER), texts.str.contains(_DECIMAL)
        self.words |= not typed.all()
        self.integers |= integers.any()
        self.decimals |= decimals.any()
        self.others |= (typed & ~integers & ~decimals).any()

    @property
    def marking(self) -> Marking:
        """How the column is to be written."""
        if self.words:
            return TEXT
        return TYPED if self.others or (self.integers and self.decimals) else NUMBERS

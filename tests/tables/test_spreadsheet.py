"""Text for spreadsheets and readers: nothing runs, and each text comes back."""

import re

import polars as pl
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from varlm.tables.spreadsheet import (
    NUMBERS,
    TEXT,
    TYPED,
    column_marking,
    escaped,
    spreadsheet_safe,
    unescaped,
)

HOSTILE = st.one_of(
    st.text(max_size=12),
    st.text("'=+-@\\x27\t\n a\x7f\"", max_size=8),
    st.sampled_from(["NA", "nan", "007", "1e5", "T", "12E", "1", "2.5", "2024-01-01", " ", "' "]),
)
LIKE_FORMULAS = ["=1", "'=1", "''=1", "\\x27=1", "\\'=1", "'", "'a", "'\\x27-", "", "=", "'="]
MARKINGS = st.sampled_from([TEXT, TYPED, NUMBERS])


@given(HOSTILE, MARKINGS)
@example("'=1", TEXT)
@example("'NA", TEXT)
@example("a'", TEXT)
@example("", NUMBERS)
def test_each_text_comes_back(text, marking):
    assert unescaped(escaped(text, marking)) == text


@given(st.lists(HOSTILE, unique=True, max_size=6), MARKINGS)
@example(LIKE_FORMULAS, TEXT)
def test_no_two_texts_become_one_and_none_runs(texts, marking):
    column = spreadsheet_safe(pl.Series("x", texts, pl.String), marking)
    assert column.to_list() == [escaped(text, marking) for text in texts]
    assert column.n_unique() == len(texts)
    assert not column.str.contains(r"^[=+\-@]|[\x00-\x1f\x7f\"]|^$").any()


def test_missing_rows_stay_missing():
    column = spreadsheet_safe(pl.Series("x", [None, "=1", None, "a"]))
    assert column.to_list() == [None, "'=1", None, "a"]
    assert spreadsheet_safe(pl.Series("x", [None], pl.String)).to_list() == [None]


@pytest.mark.parametrize(
    ("texts", "written"),
    [
        (["1", "20", None], ["1", "20", None]),
        (["0.5", "20.25"], ["0.5", "20.25"]),
        (["1", "0.5"], ["'1", "'0.5"]),
        (["1", "007"], ["'1", "'007"]),
        (["1", "x"], ["'1", "x"]),
        (["T", "F"], ["'T", "'F"]),
        (["T", "x", "12E"], ["T", "x", "12E"]),
        (["NA", "x", "null"], ["'NA", "x", "'null"]),
        (["1" * 16], ["'" + "1" * 16]),
        (["5'UTR", "b'"], ["5'UTR", "b\\x27"]),
    ],
)
def test_what_a_column_as_a_whole_would_be_taken_for(texts, written):
    column = pl.Series("x", texts, pl.String)
    assert spreadsheet_safe(column, column_marking([column])).to_list() == written


def test_a_column_is_looked_at_until_there_is_a_word():
    def pieces():
        yield pl.Series(["1", None])
        yield pl.Series(["chrX"])
        raise AssertionError("read on")

    assert column_marking(pieces()) == TEXT
    bare = column_marking([pl.Series(["1", "X", "007"])], keep_integers=True)
    assert [escaped(text, bare) for text in ("1", "X", "007", "-1")] == ["1", "X", "'007", "'-1"]


def first(text):
    """What was written before apostrophes were escaped: one form for "=1" and "'=1"."""
    text = "".join(f"\\x{ord(c):02x}" if c < " " or c in "\x7f\\" else c for c in text)
    return "'" + text if text[:1] in ("=", "+", "-", "@") else text


def before(text):
    """What was written before quotation marks and words such as NA were escaped."""
    return "\\x27" + first(text)[1:] if re.match(r"'[=+\-@]", text) else first(text)


@given(HOSTILE)
@example("'abc")
@example("'=1")
@pytest.mark.parametrize("write", [first, before])
def test_files_of_before_are_read_as_they_were(write, text):
    written = write(text)
    # An apostrophe that was the text's own, before NA or the like, cannot be told from ours.
    assume(not (text[:1] == written[:1] == "'" and TYPED.marks(written[1:])))
    assert unescaped(written) == text

"""Text for spreadsheets: nothing runs, and each text comes back."""

import re

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from varlm.tables.spreadsheet import escaped, spreadsheet_safe, unescaped

TEXT = st.one_of(st.text(max_size=12), st.text("'=+-@\\x27\t\n a\x7f", max_size=8))
LIKE_FORMULAS = ["=1", "'=1", "''=1", "\\x27=1", "\\'=1", "'", "'a", "'\\x27-", "", "=", "'="]


@given(TEXT)
@example("'=1")
def test_each_text_comes_back(text):
    assert unescaped(escaped(text)) == text


@given(st.lists(TEXT, unique=True, max_size=6))
@example(LIKE_FORMULAS)
def test_no_two_texts_become_one_and_none_runs(texts):
    column = pl.DataFrame({"x": texts}, {"x": pl.String}).select(spreadsheet_safe(pl.col("x")))["x"]
    assert column.to_list() == [escaped(text) for text in texts]
    assert column.n_unique() == len(texts)
    assert not column.str.contains(r"^[=+\-@]|[\x00-\x1f\x7f]").any()


def before(text):
    """What was written before apostrophes were escaped: one form for "=1" and "'=1"."""
    text = "".join(f"\\x{ord(c):02x}" if c < " " or c in "\x7f\\" else c for c in text)
    return "'" + text if text[:1] in ("=", "+", "-", "@") else text


@given(TEXT.filter(lambda text: not re.match(r"'[=+\-@]", text)))
@pytest.mark.parametrize("write", [before, escaped])
def test_files_of_before_are_read_as_they_were(write, text):
    assert unescaped(write(text)) == text
    assert escaped(text) == before(text)

"""Rows that a plan made sure of and that are gone: what to do about it."""

import pytest

from varlm.errors import UserError
from varlm.scoring.lost_rows import lost_rows_told


def test_the_error_says_where_what_and_what_to_do():
    with (
        pytest.raises(
            UserError, match=r"^store: 3 sites: rows were lost .*--forcerun plan$"
        ) as raised,
        lost_rows_told("store"),
    ):
        raise LookupError("3 sites")
    assert isinstance(raised.value.__cause__, LookupError)


def test_other_errors_pass():
    with pytest.raises(ZeroDivisionError), lost_rows_told("store"):
        raise ZeroDivisionError

"""Lists of names in messages."""

from varlm.errors import first_few


def test_first_few_says_how_many_there_are_where_some_are_left_out():
    assert first_few([]) == ""
    assert first_few("abcde") == "a, b, c, d, e"
    assert first_few(iter("abcdef")) == "a, b, c, d, e, … (6 in all)"
    assert first_few([1, "x" * 99], 1) == "1, … (2 in all)"
    assert first_few(["x" * 99]) == "x" * 60

"""Numbers, shares, durations and long text, as a reader sees them."""

import pytest

from varlm.report import text


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "–"), (-1.234, "−1.23"), (1234.5, "1,234.50"), (-0.001, "0.00"), (0.0, "0.00")],
)
def test_decimals(value, said):
    assert text.decimals(value) == said


def test_cut_text_says_so():
    assert text.cut("abcdef", 6) == "abcdef"
    assert text.cut("abcdefg", 6) == "abcde…"


def test_undecodable_file_names_are_shown_as_utf_8():
    name = b"caf\xe9.vcf".decode("utf-8", "surrogateescape")
    assert text.shown(name) == "caf\\udce9.vcf"


@pytest.mark.parametrize(
    ("value", "said"), [(None, "not set"), (True, "yes"), (False, "no"), (0.10, "0.1"), (7, "7")]
)
def test_values_of_a_config(value, said):
    assert text.shown(value) == said


@pytest.mark.parametrize(
    ("seconds", "said"), [(3.25, "3.2 s"), (125, "2 min 05 s"), (7325, "2 h 02 min")]
)
def test_durations(seconds, said):
    assert text.duration(seconds) == said


@pytest.mark.parametrize(
    ("part", "total", "said"),
    [
        (0, 0, "–"),
        (0, 5, "0 %"),
        (5, 5, "100 %"),
        (1, 10**6, "< 0.01 %"),
        (10**6 - 1, 10**6, "> 99.99 %"),
        (1, 3, "33.33 %"),
    ],
)
def test_shares(part, total, said):
    assert text.share(part, total) == said


def test_counts_and_percents_of_nothing_are_a_dash():
    assert text.count(1234567) == "1,234,567"
    assert text.percent(0.12345) == "12.35 %"
    assert text.count(None) == text.percent(None) == "–"

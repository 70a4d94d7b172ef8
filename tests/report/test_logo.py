"""Sequence logos: heights by the formula, letters where they belong, text escaped."""

import xml.etree.ElementTree as ET
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from varlm.report.logo import Picture, axis_height, draw, glyphs, letter_heights

SVG = "{http://www.w3.org/2000/svg}"


def drawn(picture, axis=2.0, label="x"):
    return ET.fromstring(str(draw(picture, axis, label)))


def picture(heights, sequence=None, pos=10, ref="A", alt="G", start=10):
    heights = np.array(heights, dtype=float)
    positions = np.arange(start, start + len(heights))
    return Picture(positions, sequence or "A" * len(heights), heights, pos, ref, alt)


def test_heights_by_hand():
    even = np.zeros(4)
    certain = np.array([0.0, 50.0, 0.0, 0.0])
    halves = np.array([3.0, -90.0, 3.0, -90.0])
    one_strand = np.stack([certain, np.full(4, np.nan)])
    logits = np.stack([np.stack([x, x]) for x in (even, certain, halves)] + [one_strand])
    expected = [[0, 0, 0, 0], [0, 2, 0, 0], [0.5, 0, 0.5, 0], [0, 2, 0, 0]]
    np.testing.assert_allclose(letter_heights(logits), expected, atol=1e-9)


@given(st.lists(st.floats(-20, 20), min_size=8, max_size=8))
def test_columns_are_between_no_and_two_bits(values):
    heights = letter_heights(np.array(values, dtype=np.float64).reshape(1, 2, 4))
    assert (heights >= -1e-12).all()
    assert heights.sum() <= 2 + 1e-9


def test_letters_stand_on_each_other_the_likeliest_on_top():
    root = drawn(picture([[0.2, 1.0, 0.1, 0.0]]), axis=2.0)
    letters = root.findall(f"{SVG}use")
    assert [use.get("class") for use in letters] == ["G", "A", "C"]
    matrices = [[float(x) for x in use.get("transform")[7:-1].split()] for use in letters]
    # Each letter's lower edge is the upper edge of the one before; y grows downwards.
    for below, above in pairwise(matrices):
        assert above[5] + 100 * above[3] == pytest.approx(below[5], abs=0.02)
    share = [100 * m[3] / 110 * 2.0 for m in matrices]
    assert share == pytest.approx([0.1, 0.2, 1.0], abs=1e-3)


def test_missing_positions_are_blank():
    root = drawn(picture([[np.nan] * 4, [1, 0, 0, 0], [np.nan] * 4], sequence=" AN"))
    assert len(root.findall(f"{SVG}use")) == 1
    bases = [t.text for t in root.findall(f"{SVG}text") if "base" in t.get("class")]
    assert bases == ["A", "N", "G"]


def test_reference_bases_of_the_allele_are_marked():
    root = drawn(picture(np.zeros((5, 4)), sequence="CATGC", pos=11, ref="ATG", alt="A"))
    marked = [t.text for t in root.findall(f"{SVG}text") if "marked" in t.get("class")]
    assert marked == ["A", "T", "G"]
    site = root.find(f"{SVG}rect")
    assert float(site.get("width")) == 3 * 16
    assert float(site.get("x")) == 44 + 16


def test_text_is_escaped_and_label_is_the_title():
    label = "chr<1>&\"'</title><script>"
    root = drawn(picture(np.zeros((3, 4)), alt="<b>&"), label=label)
    assert root.find(f"{SVG}title").text == label
    assert root.get("role") == "img"
    assert "<b>&" in [t.text for t in root.findall(f"{SVG}text")]


@pytest.mark.parametrize(
    ("highest", "axis"), [(0.03, 0.1), (0.1, 0.1), (0.3, 0.5), (1.2, 1.5), (1.99, 2.0)]
)
def test_axis_is_the_lowest_round_number_that_holds_all(highest, axis):
    low = picture([[0.01, 0, 0, 0]])
    assert axis_height([low, picture([[highest, 0, 0, 0], [np.nan] * 4])]) == axis


def test_axis_without_pictures():
    assert axis_height([]) == 0.1
    assert axis_height([picture([[np.nan] * 4])]) == 0.1


def test_glyphs_are_defined_once_each():
    root = ET.fromstring(str(glyphs()))
    assert [path.get("id") for path in root.iter("path")] == [f"base-{b}" for b in "ACGT"]

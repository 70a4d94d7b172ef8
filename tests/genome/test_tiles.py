"""The grid of dense scoring: every position once, in the middle of its window."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from varlm.genome.tiles import Tiles

PAD = ord("-")


def array(text):
    return np.frombuffer(text.encode(), np.uint8)


@pytest.mark.parametrize(
    ("window", "size", "expected"),
    [
        (512, None, Tiles(256, 128)),
        (510, None, Tiles(256, 127)),
        (513, None, Tiles(257, 128)),
        (5994, None, Tiles(2998, 1498)),
        (481, 512, Tiles(512, 240)),  # PhyloGPN's: 240 bp on each side of each base
    ],
)
def test_a_grid_follows_from_the_window(window, size, expected):
    tiles = Tiles.within(window, size)
    assert tiles == expected
    assert tiles.window == (window if size is None else size + 2 * (window // 2))


@given(
    text=st.text("ACGT", min_size=1, max_size=60),
    size=st.integers(1, 20),
    context=st.integers(0, 12),
    circular=st.booleans(),
)
@settings(max_examples=200)
def test_each_position_is_where_places_says(text, size, context, circular):
    tiles, sequence = Tiles(size, context), array(text)
    positions = np.arange(len(text))
    numbers = tiles.of(positions)
    windows = tiles.windows(sequence, numbers, circular, PAD)
    places = tiles.places(positions, len(text))
    assert windows.shape == (len(text), size + 2 * context)
    assert (places >= 0).all()
    assert (places < size).all()
    np.testing.assert_array_equal(windows[positions, context + places], sequence)


@given(text=st.text("ACGT", min_size=4, max_size=60), size=st.integers(1, 20))
def test_a_window_of_a_circle_has_each_base_once(text, size):
    tiles, sequence = Tiles(size, 30), array(text)
    numbers = np.unique(tiles.of(np.arange(len(text))))
    windows = tiles.windows(sequence, numbers, True, PAD)
    for window in windows:
        read = bytes(window).decode().strip("-")
        assert len(read) == min(len(text), tiles.window)
        assert read in text + text
    linear = tiles.windows(sequence, numbers, False, PAD)
    assert bytes(linear[0]).decode().startswith("-")


def test_what_is_read_around_a_last_short_tile_is_around_its_middle():
    tiles = Tiles(8, 2)
    sequence = array("ACGTACGTAC")  # a tile of 8 and one of 2
    windows = tiles.windows(sequence, np.array([0, 1]), False, PAD)
    assert [bytes(window).decode() for window in windows] == ["--ACGTACGTAC", "TACGTAC-----"]
    assert tiles.places(np.array([0, 7, 8, 9]), 10).tolist() == [0, 7, 3, 4]

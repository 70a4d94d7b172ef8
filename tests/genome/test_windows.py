"""Windows: exact slices on both strands, N past the ends; indels and MNVs as in the design."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from making.scoring import ascii_array
from varlm.errors import UserError
from varlm.genome.windows import (
    AlleleWindows,
    allele_windows,
    centre,
    reverse_complement,
    site_windows,
    strip_shared,
)

DNA = st.text("ACGTN", min_size=1, max_size=60)


def texts(windows: np.ndarray) -> list[str]:
    return [row.tobytes().decode() for row in windows]


def cut(text: str, start: int, stop: int) -> str:
    """The definition: text[start:stop], N outside."""
    return "".join(text[i] if 0 <= i < len(text) else "N" for i in range(start, stop))


@given(DNA, st.integers(1, 40), st.data())
def test_site_windows_are_the_slices_of_run_vep(text, window, data):
    positions = data.draw(st.lists(st.integers(0, len(text) - 1), min_size=1, max_size=8))
    windows = texts(site_windows(ascii_array(text), np.array(positions), window))
    expected = [cut(text, p - window // 2, p + window // 2 + window % 2) for p in positions]
    assert windows == expected
    assert [row[centre(window)] for row in windows] == [text[p] for p in positions]


def test_the_centre_of_even_windows_moves_on_the_reverse_strand():
    text = "AACCGTTGCA"
    for window, forward, reverse in ((4, 2, 1), (5, 2, 2), (1, 0, 0), (2, 1, 0)):
        assert centre(window) == forward
        assert centre(window, "reverse") == reverse
        windows = site_windows(ascii_array(text), np.array([4]), window)
        assert chr(windows[0, forward]) == "G"
        assert chr(reverse_complement(windows)[0, reverse]) == "C"


def test_reverse_complement_knows_iupac_codes():
    windows = np.stack([ascii_array("AACGTRYSWKMBDHVN")])
    assert texts(reverse_complement(windows)) == ["NBDHVKMWSRYACGTT"]
    np.testing.assert_array_equal(reverse_complement(reverse_complement(windows)), windows)


def test_windows_come_from_a_memory_map_and_are_copies(tmp_path):
    path = tmp_path / "genome"
    path.write_bytes(b"ACGTACGTAC")
    sequence = np.memmap(path, dtype=np.uint8, mode="r")
    windows = site_windows(sequence, np.array([5, 0, 9]), 4)
    assert texts(windows) == ["TACG", "NNAC", "TACN"]
    windows[:] = 0  # writable, and the genome is untouched
    assert path.read_bytes() == b"ACGTACGTAC"


def test_no_positions_make_no_windows():
    assert site_windows(ascii_array("ACGT"), np.array([], dtype=int), 8).shape == (0, 8)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((9, "A", "G"), (9, "A", "G")),
        ((9, "C", "CA"), (10, "", "A")),  # the anchor of an insertion
        ((9, "CA", "C"), (10, "A", "")),
        ((9, "CAGT", "CTGT"), (10, "A", "T")),
        ((9, "AA", "A"), (9, "A", "")),  # the right end first: leftmost
        ((9, "ACG", "TC"), (9, "ACG", "TC")),
    ],
)
def test_strip_shared(given, expected):
    assert strip_shared(*given) == expected


def test_allele_windows_of_an_insertion_by_hand():
    #       0123456789012345
    text = "AACCGGTTACGTACGT"
    windows = allele_windows(ascii_array(text), np.array([7]), ["T"], ["TGG"], 8)
    # Stripped: r = 0, a = 2, s = 8; the windows begin at 4.
    assert texts(windows.reference) == ["GGTTACGT"]
    assert texts(windows.alternate) == ["GGTTGGAC"]
    assert windows.reference_scored[0].astype(int).tolist() == [1, 1, 1, 1, 1, 1, 0, 0]
    assert windows.alternate_scored[0].astype(int).tolist() == [1] * 8


def test_allele_windows_of_a_deletion_by_hand():
    text = "AACCGGTTACGTACGT"
    windows = allele_windows(ascii_array(text), np.array([7]), ["TAC"], ["T"], 9)
    # Stripped: r = 2, a = 0, s = 8; the windows begin at 4, five on the right.
    assert texts(windows.reference) == ["GGTTACGTA"]
    assert texts(windows.alternate) == ["GGTTGTACG"]
    assert windows.reference_scored[0].astype(int).tolist() == [1] * 9
    assert windows.alternate_scored[0].astype(int).tolist() == [1, 1, 1, 1, 1, 1, 1, 0, 0]


@given(
    st.text("ACGT", min_size=30, max_size=60),
    st.integers(0, 29),
    st.integers(1, 6),
    st.text("ACGT", min_size=1, max_size=6),
    st.integers(14, 33),
)
def test_allele_windows_hold_the_haplotypes_and_score_the_same_flanks(
    text, position, length, alt, window
):
    ref = text[position : position + length]
    if ref == alt:
        return
    windows = allele_windows(ascii_array(text), np.array([position]), [ref], [alt], window)
    start, shorter_ref, shorter_alt = strip_shared(position, ref, alt)
    r, a = len(shorter_ref), len(shorter_alt)
    begin = start - window // 2
    mutated = text[:position] + alt + text[position + len(ref) :]
    assert texts(windows.reference) == [cut(text, begin, begin + window)]
    assert texts(windows.alternate) == [cut(mutated, begin, begin + window)]
    # The scored bases: the same left flank, the allele, the same right flank.
    left, right = window // 2, window - window // 2 - max(r, a)
    for row, scored, size in (
        (windows.reference[0], windows.reference_scored[0], r),
        (windows.alternate[0], windows.alternate_scored[0], a),
    ):
        counted = np.arange(window) < left + size + right
        np.testing.assert_array_equal(scored, counted & (row != ord("N")))
    flank = slice(start + r, start + r + right)
    assert texts(windows.reference)[0][left + r : left + r + right] == cut(
        text, flank.start, flank.stop
    )
    assert texts(windows.alternate)[0][left + a : left + a + right] == cut(
        text, flank.start, flank.stop
    )


def test_swapping_the_alleles_swaps_the_windows():
    text, other = "ACGTTGCAACGGTACGTTAC", "ACGTTGCAACTTTGTACGTTAC"
    forth = allele_windows(ascii_array(text), np.array([9]), ["CGG"], ["CTTTG"], 12)
    back = allele_windows(ascii_array(other), np.array([9]), ["CTTTG"], ["CGG"], 12)
    assert texts(forth.reference) == texts(back.alternate)
    assert texts(forth.alternate) == texts(back.reference)
    np.testing.assert_array_equal(forth.reference_scored, back.alternate_scored)
    np.testing.assert_array_equal(forth.alternate_scored, back.reference_scored)


def test_a_ref_that_the_reference_does_not_hold_is_an_error():
    with pytest.raises(UserError, match=r"position 3: REF is 'AA', but the reference holds 'GT'"):
        allele_windows(ascii_array("ACGT"), np.array([2]), ["AA"], ["A"], 8)


def test_an_allele_longer_than_the_right_half_is_an_error():
    with pytest.raises(UserError, match=r"position 1: an allele of 5 bp does not fit"):
        allele_windows(ascii_array("ACGT"), np.array([0]), ["A"], ["ACCCCC"], 8)


def test_concatenate_joins_rows_in_order():
    text = ascii_array("AACCGGTTACGTACGT")
    parts = [allele_windows(text, np.array([p]), ["T"], ["TG"], 8) for p in (6, 7)]
    both = allele_windows(text, np.array([6, 7]), ["T", "T"], ["TG", "TG"], 8)
    joined = AlleleWindows.concatenate(parts)
    for name in ("reference", "alternate", "reference_scored", "alternate_scored"):
        np.testing.assert_array_equal(getattr(joined, name), getattr(both, name))


# Circular contigs

CIRCLE = st.text("ACGT", min_size=1, max_size=50)


def circular_window(text, position, window):
    return texts(site_windows(ascii_array(text), np.array([position]), window, circular=True))[0]


def turned(text: str, by: int) -> str:
    """The same circle, written down from another base on."""
    return text[by:] + text[:by]


@given(st.text("ACGT", min_size=60, max_size=90), st.integers(1, 60), st.data())
def test_windows_of_a_circle_are_those_of_the_contig_turned_so_that_the_site_is_inside(
    text, window, data
):
    positions = data.draw(st.lists(st.integers(0, len(text) - 1), min_size=1, max_size=8))
    windows = site_windows(ascii_array(text), np.array(positions), window, circular=True)
    for row, position in zip(windows, positions, strict=True):
        inside = data.draw(st.integers(window // 2, len(text) - (window - window // 2)))
        other = turned(text, (position - inside) % len(text))
        linear = site_windows(ascii_array(other), np.array([inside]), window)
        assert row.tobytes() == linear.tobytes()
        assert b"N" not in row.tobytes()


@given(CIRCLE, st.integers(1, 120), st.data())
def test_a_circle_that_is_shorter_than_the_window_comes_once_with_the_site_in_its_middle(
    text, window, data
):
    position = data.draw(st.integers(0, len(text) - 1))
    by = data.draw(st.integers(0, len(text) - 1))
    other = turned(text, by)
    alike = circular_window(other, (position - by) % len(text), window)
    assert circular_window(text, position, window) == alike
    cut_opposite = turned(text, (position - len(text) // 2) % len(text))
    assert alike == cut(
        cut_opposite, len(text) // 2 - window // 2, len(text) // 2 + window - window // 2
    )
    if window > 2 * len(text):
        assert sorted(alike.replace("N", "")) == sorted(text)


def test_windows_over_the_origin_by_hand():
    assert circular_window("AACCGGTT", 0, 5) == "TTAAC"
    assert circular_window("AACCGGTT", 7, 6) == "GGTTAA"
    assert circular_window("AACCGGTT", 0, 8) == "GGTTAACC"
    assert circular_window("AACCGGTT", 1, 12) == "NNGTTAACCGNN"
    assert circular_window("ACG", 0, 7) == "NNGACNN"
    assert circular_window("A", 0, 4) == "NNAN"


@given(st.data())
def test_alleles_of_a_circle_are_those_of_the_contig_cut_opposite_to_them(data):
    text = data.draw(CIRCLE)
    window = data.draw(st.integers(8, 80))
    position = data.draw(st.integers(0, len(text) - 1))
    longest = min(len(text) - position, window // 2)
    ref = text[position : position + data.draw(st.integers(1, longest))]
    alt = data.draw(st.text("ACGT", min_size=1, max_size=window // 2))
    # REF lies on the turned contig whole once it is stripped; an insertion needs none of it.
    start, deleted, inserted = strip_shared(position, ref, alt)
    # Opposite to the allele; where it is more than half of the contig, not within it.
    inside = min(len(text) // 2, len(text) - len(deleted))
    linear = turned(text, (start - inside) % len(text))
    here = allele_windows(
        ascii_array(text), np.array([position]), [ref], [alt], window, circular=True
    )
    there = allele_windows(ascii_array(linear), np.array([inside]), [deleted], [inserted], window)
    for name in ("reference", "alternate", "reference_scored", "alternate_scored"):
        np.testing.assert_array_equal(getattr(here, name), getattr(there, name))


@given(st.text("ACGT", min_size=60, max_size=90), st.integers(8, 20), st.data())
def test_alleles_of_a_circle_do_not_depend_on_where_it_is_written_down_from(text, window, data):
    length = data.draw(st.integers(1, window // 2))
    position = data.draw(st.integers(0, len(text) - length))
    ref = text[position : position + length]
    alt = data.draw(st.text("ACGT", min_size=1, max_size=window // 2))
    inside = data.draw(st.integers(window, len(text) - 2 * window))
    other = turned(text, (position - inside) % len(text))
    here = allele_windows(
        ascii_array(text), np.array([position]), [ref], [alt], window, circular=True
    )
    there = allele_windows(ascii_array(other), np.array([inside]), [ref], [alt], window)
    np.testing.assert_array_equal(here.reference, there.reference)
    np.testing.assert_array_equal(here.alternate, there.alternate)


def test_a_deletion_over_which_the_window_meets_itself_is_cut_at_the_same_base_everywhere():
    """A contig as long as the window: the alternate one has r bases less, and N for them."""
    text = "ACGTTGCATCAG"
    for by in range(len(text)):
        other = turned(text, by)
        position = (6 - by) % len(text)
        if position > len(text) - 3:
            continue  # REF would pass the origin
        windows = allele_windows(
            ascii_array(other), np.array([position]), ["CAT"], ["C"], 12, circular=True
        )
        assert texts(windows.reference) == ["CGTTGCATCAGA"]
        assert texts(windows.alternate) == ["CGTTGCCAGANN"]

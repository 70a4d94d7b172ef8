"""Windows: exact slices on both strands, N past the ends; indels and MNVs as in the design."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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


def ascii_array(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), np.uint8)


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

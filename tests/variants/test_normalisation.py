"""One allele has one spelling, that of `bcftools norm`."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from varlm.variants.normalisation import Trimmed, left_align, trim

DNA = st.text("ACGT", min_size=1, max_size=12)


def normalised(sequence, start, ref, alt):
    array = np.frombuffer(sequence.encode(), np.uint8)
    assert sequence[start : start + len(ref)] == ref
    pos, ref_, alt_, kind = left_align(array, trim(start, ref.encode(), alt.encode()))
    return pos, ref_.decode(), alt_.decode(), kind


def applied(sequence, pos, ref, alt):
    assert sequence[pos - 1 : pos - 1 + len(ref)] == ref
    return sequence[: pos - 1] + alt + sequence[pos - 1 + len(ref) :]


@pytest.mark.parametrize(
    ("sequence", "start", "ref", "alt", "expected"),
    [
        ("GATTTC", 4, "T", "TT", (2, "A", "AT", "ins")),
        ("GATTTC", 3, "TT", "T", (2, "AT", "A", "del")),
        ("GATTTC", 1, "ATT", "CTT", (2, "A", "C", "snv")),
        ("GATTTC", 0, "GA", "CT", (1, "GA", "CT", "mnv")),
        ("GATTTC", 0, "GAT", "CAG", (1, "GAT", "CAG", "mnv")),
        ("GATTTC", 1, "ATT", "G", (2, "ATT", "G", "delins")),
        ("CACACAG", 4, "CAG", "G", (1, "CAC", "C", "del")),
        ("AAAC", 1, "AA", "A", (1, "AA", "A", "del")),  # no base before: the one behind
        ("AAAC", 2, "A", "AA", (1, "A", "AA", "ins")),
        ("ACGT", 3, "T", "TA", (4, "T", "TA", "ins")),
        ("A", 0, "A", "AA", (1, "A", "AA", "ins")),
    ],
)
def test_by_hand(sequence, start, ref, alt, expected):
    assert normalised(sequence, start, ref, alt) == expected


@given(sequence=st.text("AC", min_size=1, max_size=30), data=st.data(), alt=DNA)
def test_same_variant_same_spelling(sequence, data, alt):
    start = data.draw(st.integers(0, len(sequence) - 1))
    end = data.draw(st.integers(start + 1, len(sequence)))
    ref = sequence[start:end]
    if ref == alt:
        return
    pos, ref_, alt_, kind = normalised(sequence, start, ref, alt)
    assert applied(sequence, pos, ref_, alt_) == applied(sequence, start + 1, ref, alt)
    # Padded with flanking sequence, it is the same variant and gets the same spelling.
    left = data.draw(st.integers(0, start))
    right = data.draw(st.integers(end, len(sequence)))
    padded = sequence[left:start] + alt + sequence[end:right]
    assert normalised(sequence, left, sequence[left:right], padded) == (pos, ref_, alt_, kind)
    assert normalised(sequence, pos - 1, ref_, alt_) == (pos, ref_, alt_, kind)


@given(
    ref=st.one_of(st.text("AC", min_size=1, max_size=8), st.text("A", min_size=30, max_size=70)),
    alt=st.one_of(st.text("AC", min_size=1, max_size=8), st.text("A", min_size=30, max_size=70)),
)
@example(ref="A" * 40 + "C" + "A" * 40, alt="A" * 40 + "G" + "A" * 40)
def test_trim_takes_all_that_is_shared(ref, alt):
    trimmed = trim(10, ref.encode(), alt.encode())
    r, a = trimmed.ref.decode(), trimmed.alt.decode()
    left = trimmed.start - 10
    right = len(ref) - left - len(r)
    assert ref == ref[:left] + r + ref[len(ref) - right :]
    assert alt == ref[:left] + a + ref[len(ref) - right :]
    if r and a:
        assert r[0] != a[0]
        assert r[-1] != a[-1]


@pytest.mark.parametrize(
    ("ref", "alt", "kind", "length"),
    [
        (b"A", b"C", "snv", 1),
        (b"AC", b"GT", "mnv", 2),
        (b"", b"AAA", "ins", 3),
        (b"AAAA", b"", "del", 4),
        (b"AC", b"G", "delins", 2),
    ],
)
def test_kind_and_length(ref, alt, kind, length):
    allele = Trimmed(0, ref, alt)
    assert (allele.kind, allele.length) == (kind, length)


def test_fault_16_a_shift_of_thousands_of_bases():
    sequence = "G" + "A" * 6000 + "C"
    assert normalised(sequence, 6000, "AC", "C")[:3] == (1, "GA", "G")
    repeat = "G" + "ACT" * 2000 + "G"
    assert normalised(repeat, 6001, "G", "ACTG") == (1, "G", "GACT", "ins")
    # A shift that is no multiple of the allele's length turns the allele.
    assert normalised("GCT" + repeat[1:], 6002, "TG", "TACTG") == (1, "G", "GCTA", "ins")

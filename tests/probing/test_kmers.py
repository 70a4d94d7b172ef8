import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from varlm.probing.kmers import base_codes, gc_share, kmer_counts, of_alleles


@given(st.lists(st.text("ACGTN", min_size=9, max_size=9), min_size=1, max_size=5))
def test_each_kmer_is_counted(sequences):
    counts = kmer_counts(base_codes(sequences), 3)
    words = ["".join(w) for k in (1, 2, 3) for w in itertools.product("ACGT", repeat=k)]
    assert counts.shape == (len(sequences), len(words))
    for row, sequence in zip(counts, sequences, strict=True):
        by_hand = [
            sum(sequence[i : i + len(word)] == word for i in range(len(sequence))) for word in words
        ]
        assert row.tolist() == by_hand


def test_many_sequences_are_counted_in_pieces(monkeypatch):
    codes = np.random.default_rng(0).integers(0, 5, (50, 20)).astype(np.uint8)
    whole = kmer_counts(codes, 2)
    monkeypatch.setattr("varlm.probing.kmers._PIECE", 60)
    assert (kmer_counts(codes, 2) == whole).all()


def test_a_sequence_shorter_than_the_kmer_has_none_of_it():
    assert kmer_counts(base_codes(["AC"]), 3).sum() == 3  # A, C and AC


def test_gc_share_leaves_unknown_bases_out():
    assert gc_share(base_codes(["GCNA", "nnnn", "attt"]))[:, 0].tolist() == [2 / 3, 0.5, 0]


def test_two_alleles_are_the_reference_and_the_change():
    reference, alternate = np.array([[1.0, 2]]), np.array([[4.0, 1]])
    assert of_alleles([reference, alternate]).tolist() == [[1, 2, 3, -1]]
    assert of_alleles([reference]) is reference


def test_shorter_sequences_are_filled_with_unknown_bases():
    codes = base_codes(["ACG", "t"])
    assert codes.tolist() == [[0, 1, 2], [3, 4, 4]]
    assert kmer_counts(codes, 2).sum(axis=1).tolist() == [5, 1]

"""Shuffled sequences have the same dinucleotides, and each that has them is as likely."""

from collections import Counter
from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from varlm.genome.bases import BASES, CODES
from varlm.training.shuffling import dinucleotide_shuffle


def codes(text):
    return CODES[np.frombuffer(text.encode(), np.uint8)]


def text(codes):
    return "".join(BASES[code] for code in codes)


def dinucleotides(text):
    return Counter(map("".join, pairwise(text)))


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=BASES, max_size=60), st.integers(0, 2**32))
def test_counts_and_both_ends_are_kept(sequence, seed):
    shuffled = text(dinucleotide_shuffle(codes(sequence), np.random.default_rng(seed)))
    assert dinucleotides(shuffled) == dinucleotides(sequence)
    assert (shuffled[:1], shuffled[-1:]) == (sequence[:1], sequence[-1:])


@pytest.mark.parametrize("sequence", ["ACGTCAGACT", "AACATAGATA", "GGTGTTGATG", "ACACACGCGA"])
def test_all_sequences_with_the_same_dinucleotides_are_drawn_alike(sequence):
    """Of all orders of the letters, those that qualify; chi-squared over 4,000 draws."""
    orders = {"".join(order) for order in permutations(sequence[1:-1])}
    orders = {sequence[0] + order + sequence[-1] for order in orders}
    qualify = sorted(o for o in orders if dinucleotides(o) == dinucleotides(sequence))
    assert len(qualify) > 3
    random = np.random.default_rng(1)
    drawn = Counter(text(dinucleotide_shuffle(codes(sequence), random)) for _ in range(4000))
    assert set(drawn) == set(qualify)
    assert chisquare([drawn[order] for order in qualify]).pvalue > 0.001


def test_the_seed_decides():
    sequence = codes("ACGTTGCAACGGTACGATCA" * 5)
    first, again, other = (
        dinucleotide_shuffle(sequence, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first, sequence)


def test_a_long_run_is_no_trouble():
    """Where one dinucleotide of a thousand leads on, nothing has to be drawn a thousand times."""
    sequence = "A" * 1000 + "CGT" + "A" * 1000 + "C"
    shuffled = text(dinucleotide_shuffle(codes(sequence), np.random.default_rng(0)))
    assert dinucleotides(shuffled) == dinucleotides(sequence)

"""Motifs in neutral windows: where, on which strand, beside what."""

import logging
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from making.training import bases, write_genome
from varlm.errors import UserError
from varlm.genome.encoding import index_reference
from varlm.genome.reference import Genome
from varlm.training.footprints import neutral_windows, with_motifs
from varlm.training.meme import Motif

CONTIGS = {"a": bases(200, 1), "b": "N" * 50 + bases(60, 2), "short": bases(9, 3)}


def motif(consensus, name="m"):
    return Motif(name, None, np.eye(4)[["ACGT".index(base) for base in consensus]])


def text(row):
    return row.tobytes().decode()


def reverse_complement(sequence):
    return sequence[::-1].translate(str.maketrans("ACGT", "TGCA"))


@pytest.fixture
def genome(tmp_path):
    index_reference(write_genome(tmp_path / "g.fa", CONTIGS), tmp_path / "reference")
    return Genome.open(tmp_path / "reference")


def test_background_is_shuffled_sequence_of_the_contigs(genome):
    windows = neutral_windows(genome, ["a", "b", "short"], 20, 40, 0)
    assert windows.shape == (40, 20)
    real = {
        name: {
            frozenset(Counter(pairwise(sequence[at : at + 20])).items()): sequence[at : at + 20]
            for at in range(len(sequence) - 19)
        }
        for name, sequence in CONTIGS.items()
    }
    sources = []
    for row in windows:
        counts = frozenset(Counter(pairwise(text(row))).items())
        names = [name for name in real if counts in real[name]]
        sources += names[:1]
        assert names
    assert set(sources) == {"a", "b"}
    assert not any(text(row) in CONTIGS["a"] for row in windows[:10])
    again, other = (neutral_windows(genome, ["a", "b", "short"], 20, 40, seed) for seed in (0, 1))
    assert np.array_equal(windows, again)
    assert not np.array_equal(windows, other)


@pytest.mark.parametrize("contigs", [["short"], ["n"]])
def test_too_little_sequence_is_an_error(tmp_path, contigs):
    sequences = {"short": bases(9, 3), "n": "N" * 60}
    index_reference(write_genome(tmp_path / "g.fa", sequences), tmp_path / "reference")
    with pytest.raises(UserError, match=f"0 windows of 20 bp .* on {contigs[0]}, 5 wanted"):
        neutral_windows(Genome.open(tmp_path / "reference"), contigs, 20, 5, 0)


def test_real_and_control_have_the_same_bases_in_the_middle(genome):
    windows = neutral_windows(genome, ["a"], 21, 60, 0)
    ((_, contrasts),) = with_motifs([motif("TGACTCA")], windows, 0)
    assert set(contrasts.start) == {7}
    assert set(contrasts.stop) == {14}
    orders = set()
    for row, window in enumerate(windows):
        real, control = text(contrasts.real[row]), text(contrasts.control[row])
        assert real[:7] == control[:7] == text(window)[:7]
        assert real[14:] == control[14:] == text(window)[14:]
        site, order = real[7:14], control[7:14]
        if row % 2:
            site, order = reverse_complement(site), reverse_complement(order)
        assert site == "TGACTCA"
        assert sorted(order) == sorted(site)
        assert order not in (site, reverse_complement(site))
        orders.add(order)
    assert len(orders) > 30


def test_motifs_that_cannot_be_measured_are_left_out_with_a_warning(genome, caplog):
    windows = neutral_windows(genome, ["a"], 10, 3, 0)
    motifs = [motif("AAAA", "run"), motif("ACGTACGTACG", "long"), motif("AT", "two")]
    with caplog.at_level(logging.WARNING):
        names = [kept.name for kept, _ in with_motifs(motifs, windows, 0)]
    assert names == ["two"]
    assert "motif run: AAAA is the same in any order of its bases; left out" in caplog.text
    assert "motif long: 11 bp, longer than a window; left out" in caplog.text

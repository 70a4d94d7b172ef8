"""Sequences and the same with mutations: of which kinds, how many, and of which contigs."""

import logging

import numpy as np
import pytest

from making.training import bases, make_corpus, small_corpus
from varlm.genome.bases import CODES
from varlm.training.pairs import KINDS, mutate, sample_pairs

HELD = bases(500, 2)


def codes(text):
    return CODES[np.frombuffer(text.encode(), np.uint8)]


def one_step(text):
    """Return what one mutation makes of a text, by its kind; those that change nothing left out."""
    length = range(len(text))
    steps = {
        "insertion": {text[:i] + b + text[i:] for i in range(len(text) + 1) for b in "ACGT"},
        "deletion": {text[:i] + text[i + 1 :] for i in length},
        "swap": {text[:i] + text[i + 1] + text[i] + text[i + 2 :] for i in length[:-1]},
        "substitution": {text[:i] + b + text[i + 1 :] for i in length for b in "ACGT"},
    }
    return {kind: texts - {text} for kind, texts in steps.items()}


@pytest.mark.parametrize("kind", KINDS["all"])
def test_every_mutation_of_a_kind_and_no_other_is_drawn(kind):
    text = "ACCGT"
    random = np.random.default_rng(0)
    seen = {"".join("ACGT"[i] for i in mutate(codes(text), 1, [kind], random)) for _ in range(2000)}
    assert seen == one_step(text)[kind]


def test_kinds_are_drawn_alike():
    """Lengths tell: a quarter each is longer or shorter, half as long as before."""
    random = np.random.default_rng(0)
    text = codes(bases(60, 1))
    changes = [mutate(text, 1, KINDS["all"], random).size - 60 for _ in range(4000)]
    shares = np.bincount(np.array(changes) + 1) / 4000
    assert shares == pytest.approx([0.25, 0.5, 0.25], abs=0.03)


def test_one_to_so_many_mutations_are_drawn_alike():
    random = np.random.default_rng(0)
    text = codes(bases(5000, 1))
    changed = [
        int((mutate(text, 5, KINDS["substitutions"], random) != text).sum()) for _ in range(2000)
    ]
    assert np.bincount(changed, minlength=6) / 2000 == pytest.approx([0] + [0.2] * 5, abs=0.04)


def test_a_homopolymer_has_no_two_neighbours_to_swap():
    random = np.random.default_rng(0)
    mutated = mutate(codes("A" * 12), 1, ["swap"], random)
    assert mutated.size == 12
    assert (mutated != 0).sum() == 1


def test_mutations_that_undo_each_other_are_drawn_again():
    random = np.random.default_rng(0)
    text = codes("AC")
    assert all(
        (mutate(text, 2, ["swap"], random) != text).any()  # two swaps are none
        for _ in range(50)
    )


def test_sequences_are_of_the_set_and_the_same_for_every_number(tmp_path):
    genome = {"g": {"a": bases(500, 1), "h": HELD}}
    corpus = make_corpus(tmp_path, genome, "--held-out", "h", window=40, stride=20)
    pairs = sample_pairs(corpus, "held_out", 60, [5, 1, 5], "all", 0)
    assert len(pairs.real) == 60
    assert {real.tobytes().decode() in HELD for real in pairs.real} == {True}
    assert {real.size for real in pairs.real} == {35}  # with five insertions as long as a window
    assert len({real.tobytes() for real in pairs.real}) > 40
    assert list(pairs.mutated) == [1, 5]
    for most, sequences in pairs.mutated.items():
        assert len(sequences) == 60
        for real, mutated in zip(pairs.real, sequences, strict=True):
            assert abs(mutated.size - real.size) <= most
            assert mutated.tobytes() != real.tobytes()
            assert set(mutated.tobytes()) <= set(b"ACGT")


def test_the_seed_and_nothing_else_decides(tmp_path):
    corpus = small_corpus(tmp_path)

    def drawn(most, seed):
        pairs = sample_pairs(corpus, "held_out", 20, most, "all", seed)
        return [s.tobytes() for s in pairs.real], [s.tobytes() for s in pairs.mutated[3]]

    assert drawn([3, 8], 1) == drawn([8, 1, 3], 1)  # other numbers change nothing of this one's
    assert drawn([3], 1) != drawn([3], 2)


def test_sequences_with_unknown_bases_are_left_out(tmp_path):
    held = HELD[:200] + "N" + HELD[201:]
    corpus = make_corpus(
        tmp_path, {"g": {"a": bases(500, 1), "h": held}}, "--held-out", "h", window=40, stride=20
    )
    pairs = sample_pairs(corpus, "held_out", 200, [4], "all", 0)
    assert 100 < len(pairs.real) < 200
    assert {real.tobytes().decode() in held for real in pairs.real} == {True}
    assert not any(b"N" in real.tobytes() for real in pairs.real)


def test_more_mutations_than_windows_bear_are_left_out_with_a_warning(tmp_path, caplog):
    corpus = small_corpus(tmp_path)  # windows of 32 bp
    with caplog.at_level(logging.WARNING):
        pairs = sample_pairs(corpus, "held_out", 5, [1, 8, 9, 10], "substitutions", 0)
    assert list(pairs.mutated) == [1, 8]
    assert "mutated.most: 9, 10 mutations are too many for windows of 32 bp" in caplog.text
    assert sample_pairs(corpus, "held_out", 5, [9], "all", 0).real == []

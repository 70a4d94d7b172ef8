"""Batches: functions of the seed and their number; masking, strands, weights."""

import numpy as np
import pytest

from making.training import bases, make_corpus, small_corpus
from varlm.training.batches import MASK, Sampler, masked, oriented, read
from varlm.training.corpus import BASE, SOFT_MASKED


@pytest.fixture
def corpus(tmp_path):
    return small_corpus(tmp_path)


def same(one, other):
    return all(np.array_equal(getattr(one, n), getattr(other, n)) for n in vars(one))


def test_a_batch_is_a_function_of_seed_and_number(corpus):
    sampler = Sampler(corpus, 16, seed=1, jitter=8)
    batches = [sampler.batch(i) for i in range(4)]
    again = Sampler(corpus, 16, seed=1, jitter=8)
    assert all(same(again.batch(i), batches[i]) for i in (3, 0, 2, 1))
    assert not same(batches[0], batches[1])
    assert not same(Sampler(corpus, 16, seed=2, jitter=8).batch(0), batches[0])


def test_masking_is_that_of_bert():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (400, 500)).astype(np.uint8)
    batch = masked(codes, np.ones(codes.shape, np.float32), rng, 0.15)
    chosen = batch.weights > 0
    assert chosen.mean() == pytest.approx(0.15, abs=0.005)
    assert (batch.inputs[~chosen] == batch.targets[~chosen]).all()
    shown = batch.inputs[chosen]
    hidden = shown == MASK
    kept = shown == batch.targets[chosen]
    assert hidden.mean() == pytest.approx(0.8, abs=0.01)
    # 10 % stay, and a quarter of the 10 % random bases happen to be the same
    assert kept.mean() == pytest.approx(0.125, abs=0.01)
    others = shown[~hidden & ~kept]
    assert np.bincount(others, minlength=7)[3:] == pytest.approx([len(others) / 4] * 4, rel=0.1)


def test_windows_are_those_of_the_corpus_on_either_strand(tmp_path):
    corpus = make_corpus(tmp_path, {"g": {"a": bases(64, 1)}}, window=32, stride=32)
    text = "acgt"
    found = set()
    for number in range(20):
        for row in Sampler(corpus, 4, seed=1).batch(number).targets:
            found.add("".join(text[i - 3] for i in row))
    whole = bases(64, 1).lower()
    turned = whole.translate(str.maketrans("acgt", "tgca"))[::-1]
    assert found == {whole[:32], whole[32:], turned[:32], turned[32:]}


def test_both_strands_keep_mask_and_region_with_their_bases():
    codes = np.array([[0, 1 | SOFT_MASKED, 4, 3 | 0b1000000]], np.uint8)
    turned = oriented(codes, np.array([True]))
    assert turned.tolist() == [[0 | 0b1000000, 4, 2 | SOFT_MASKED, 3]]
    assert oriented(codes, np.array([False])).tolist() == codes.tolist()


def test_soft_masked_bases_count_less_and_unknown_ones_never(tmp_path):
    text = bases(300, 1)
    corpus = make_corpus(
        tmp_path, {"g": {"a": text[:140].lower() + "NN" + text[142:]}}, window=300, stride=300
    )
    batch = Sampler(corpus, 200, seed=0, soft_masked_weight=0.25).batch(0)
    codes = read(corpus, np.zeros(1, np.int64))[0]
    assert (codes[140:142] & BASE == 4).all()
    total = batch.weights + batch.weights[:, ::-1]  # the order of the strands does not matter
    assert set(np.unique(batch.weights)) == {0.0, 0.25, 1.0}
    assert not batch.weights[:, [140, 141, 158, 159]].any() or total[:, 140].max() <= 1.0
    unknown = batch.targets == 2
    assert unknown.sum() == 2 * 200
    assert not batch.weights[unknown].any()


def test_jitter_stays_within_the_contig(tmp_path):
    contigs = {"a": "A" * 70, "c": "C" * 70, "n": bases(64, 1)}
    corpus = make_corpus(
        tmp_path, {"g": contigs}, "--keep-copies", "--keep-similar", window=32, stride=16
    )
    batch = Sampler(corpus, 500, seed=1, jitter=64).batch(0)
    kinds = {frozenset(row.tolist()) for row in batch.targets}
    assert {frozenset({3}), frozenset({6}), frozenset({4}), frozenset({5})} <= kinds
    assert frozenset({3, 4}) not in kinds
    assert frozenset({5, 6}) not in kinds


def test_windows_are_drawn_by_their_weights(corpus):
    sampler = Sampler(corpus, 64, seed=1)
    weights = corpus.of("train")["weight"].to_numpy()
    sampler._cumulative = np.cumsum(np.where(np.arange(weights.size) == 5, 1.0, 0.0))
    start = corpus.of("train")["start"][5]
    codes = read(corpus, np.array([start]))[0] & BASE
    tokens = {tuple(codes + 3), tuple((3 - codes[::-1].astype(int)) + 3)}
    assert {tuple(row) for row in sampler.batch(0).targets} == tokens


def test_held_out_windows_are_never_drawn(corpus):
    drawn = Sampler(corpus, 10, seed=1)
    first = corpus.windows.filter(corpus.windows["set"] != "train")["start"].min()
    assert drawn._starts.max() < first
    assert drawn._high.max() + corpus.window <= first

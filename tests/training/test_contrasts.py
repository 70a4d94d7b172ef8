"""Real windows against controls: likelihoods by the definition, what cannot tell, what ties are."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import wilcoxon

from making.toy_models import ToyModel
from making.training import bases
from varlm.models.loading import load_model
from varlm.models.markov import MODEL_TYPE, table_name
from varlm.training.checkpoints import write_checkpoint
from varlm.training.contrasts import Contrasts, differences, summary
from varlm.training.recognition import wilson
from varlm.training.shuffling import dinucleotide_shuffle

LENGTH, START, STOP = 40, (4, 11, 0, 7), (30, 40, 22, 27)


def ascii_codes(text):
    return np.frombuffer(text.encode(), np.uint8)


def some_contrasts(shuffled=True):
    """Four windows whose elements are shuffled, one with an unknown base beside its element."""
    texts = [bases(LENGTH, seed) for seed in range(4)]
    texts[3] = "N" + texts[3][1:]
    real = np.stack([ascii_codes(text) for text in texts])
    control = real.copy()
    random = np.random.default_rng(0)
    order = {letter: code for code, letter in enumerate(b"ACGT")}
    for row, (start, stop) in enumerate(zip(START, STOP, strict=True)):
        codes = np.array([order[letter] for letter in real[row, start:stop]], np.uint8)
        codes = dinucleotide_shuffle(codes, random) if shuffled else random.permutation(codes)
        control[row, start:stop] = ascii_codes("ACGT")[codes]
    return Contrasts(real, control, np.array(START), np.array(STOP))


def chain(folder, order, p=None):
    """Write and load a Markov chain, random or with the probabilities `p` everywhere."""
    random = np.random.default_rng(order)
    tensors = {}
    for k in range(order + 1):
        table = random.dirichlet(np.ones(4), 4**k) if p is None else np.tile(p, (4**k, 1))
        tensors[table_name(k)] = torch.from_numpy(np.log(table))
    config = {"model_type": MODEL_TYPE, "order": order, "vocabulary": 4, "end": False}
    write_checkpoint(folder, config, tensors, 64)
    return load_model(folder)


def log_p(model, text, index, masked):
    """Log p of the base at an index, by the toy model's own definition."""
    logits = model.answer(text, index, masked=masked)
    own = logits["ACGT".index(text[index])]
    return own - math.log(sum(map(math.exp, logits)))


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_a_masked_models_likelihoods_by_the_definition(batch_size):
    model, contrasts = ToyModel(seed=1), some_contrasts()
    by_kind = differences(model, contrasts, batch_size, 3)
    assert list(by_kind) == ["pseudo", "masked"]
    for kind, count in (("pseudo", 4), ("masked", 3)):
        expected = []
        for row in range(count):
            real, control = (
                windows[row].tobytes().decode() for windows in (contrasts.real, contrasts.control)
            )
            places = range(START[row], STOP[row])
            is_masked = kind == "masked"
            expected.append(
                sum(
                    log_p(model, real, i, is_masked) - log_p(model, control, i, is_masked)
                    for i in places
                )
            )
        assert by_kind[kind] == pytest.approx(expected, abs=1e-4)
        assert np.abs(expected).min() > 0.01


def test_without_masked_pairs_no_base_is_masked():
    model = ToyModel()
    assert list(differences(model, some_contrasts(), 2, 0)) == ["pseudo"]


@pytest.mark.parametrize("order", [0, 1])
def test_a_chain_of_order_0_or_1_cannot_tell_a_dinucleotide_shuffle(tmp_path, order):
    """Rounding aside: all pairs are ties, and so the share is a half."""
    contrasts = some_contrasts()
    assert not np.array_equal(contrasts.real, contrasts.control)
    by_kind = differences(chain(tmp_path, order), contrasts, 2, 2)
    assert list(by_kind) == ["causal"]
    numbers = summary(by_kind["causal"], contrasts.stop - contrasts.start)
    assert (numbers["ties"], numbers["share"], numbers["p"], numbers["difference"]) == (
        4,
        0.5,
        1.0,
        0.0,
    )


def test_a_chain_of_order_2_can(tmp_path):
    contrasts = some_contrasts()
    difference = differences(chain(tmp_path, 2), contrasts, 2, 0)["causal"]
    assert (np.abs(difference) > 0.01).sum() >= 3


def test_uniform_probabilities_cannot_tell_anything(tmp_path):
    contrasts = some_contrasts(shuffled=False)
    difference = differences(chain(tmp_path, 1, [0.25] * 4), contrasts, 2, 0)["causal"]
    assert summary(difference, contrasts.stop - contrasts.start)["share"] == 0.5
    skewed = differences(chain(tmp_path / "skewed", 1), contrasts, 2, 0)["causal"]
    assert (np.abs(skewed) > 0.01).all()


def test_a_summary():
    difference = np.array([3.0, 1.0, -2.0, 0.0, 4e-7, 5.0])
    bases_of = np.array([10, 10, 10, 10, 10, 20])
    numbers = summary(difference, bases_of)
    assert (numbers["likelier"], numbers["ties"], numbers["share"]) == (4.0, 2, 4 / 6)
    assert (numbers["share_low"], numbers["share_high"]) == wilson(4, 6)
    assert numbers["difference"] == pytest.approx((0.3 + 0.1 - 0.2 + 0.25) / 6)
    oracle = wilcoxon([0.3, 0.1, -0.2, 0.25], alternative="greater", method="exact")
    assert numbers["p"] == pytest.approx(oracle.pvalue)

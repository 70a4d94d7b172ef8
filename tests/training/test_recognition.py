"""Real sequence against mutated: likelihoods in closed form, decisions, intervals."""

import math

import numpy as np
import pytest
import torch

from making.toy_models import ToyModel
from making.training import bases, periodic_corpus
from varlm.models.loading import load_model
from varlm.models.markov import MODEL_TYPE, end_name, table_name
from varlm.tables.model_schemas import MUTATED
from varlm.training.checkpoints import write_checkpoint
from varlm.training.families import new_network
from varlm.training.markov import fit
from varlm.training.pairs import Pairs, sample_pairs
from varlm.training.recognition import (
    Likelihoods,
    log_likelihoods,
    measure,
    recognised,
    wilson,
)


def sequence(text):
    return np.frombuffer(text.encode(), np.uint8)


TEXTS = [bases(30, 1), bases(12, 2), "ACGNT" + bases(25, 3), bases(12, 4), "GA", bases(30, 5)]


def chain(folder, order, vocabulary=4, *, end=False):
    """Write and load a random chain; return it with its probabilities by context."""
    rng = np.random.default_rng(order)
    tables, tensors = [], {}
    for k in range(order + 1):
        p = rng.dirichlet(np.ones(vocabulary), 4**k)
        tables.append(p)
        tensors[table_name(k)] = torch.from_numpy(np.log(p[:, :4]))
        if end:
            tensors[end_name(k)] = torch.from_numpy(np.log(p[:, 4]))
    config = {"model_type": MODEL_TYPE, "order": order, "vocabulary": vocabulary, "end": end}
    write_checkpoint(folder, config, tensors, 64)
    return load_model(folder), tables


def log_p(tables, text, at, column):
    """Log p of a column of the table (a base, the end) at a place, from what is before it."""
    known = 0
    while known < len(tables) - 1 and at - known > 0 and text[at - known - 1] != "N":
        known += 1
    context = text[at - known : at]
    row = sum("ACGT".index(base) * 4**i for i, base in enumerate(context[::-1]))
    return math.log(tables[known][row, column])


@pytest.mark.parametrize("order", [0, 1, 3])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_chains_likelihood_in_closed_form(tmp_path, order, batch_size):
    model, tables = chain(tmp_path, order)
    likelihoods = log_likelihoods(model, [sequence(text) for text in TEXTS], batch_size)
    expected = [
        sum(log_p(tables, t, i, "ACGT".index(t[i])) for i in range(len(t)) if t[i] != "N")
        for t in TEXTS
    ]
    assert likelihoods.total == pytest.approx(expected, abs=1e-4)
    assert likelihoods.count.tolist() == [len(text) - text.count("N") for text in TEXTS]


@pytest.mark.parametrize("order", [0, 1, 3])
def test_the_end_is_a_token_of_whole_sequences(tmp_path, order):
    model, tables = chain(tmp_path, order, 7, end=True)
    sequences = [sequence(text) for text in [*TEXTS, "ACGTN"]]
    open_ended = log_likelihoods(model, sequences, 4)
    whole = log_likelihoods(model, sequences, 4, ends=True)
    ends = [log_p(tables, text, len(text), 4) for text in [*TEXTS, "ACGTN"]]
    assert whole.total - open_ended.total == pytest.approx(ends, abs=1e-5)
    assert (whole.count - open_ended.count == 1).all()


def test_a_chain_without_an_end_has_none(tmp_path):
    model, _ = chain(tmp_path, 1)
    with pytest.raises(ValueError, match="knows no end"):
        log_likelihoods(model, [sequence("ACGT")], 4, ends=True)


@pytest.mark.parametrize("family", ["lstm", "gpt"])
def test_networks_read_from_left_to_right(tmp_path, family):
    torch.manual_seed(0)
    options = {"num_attention_heads": 2, "intermediate_size": 8} if family == "gpt" else {}
    model = {"family": family, "hidden_size": 8, "num_hidden_layers": 1, **options}
    new = new_network(model, 64)
    write_checkpoint(tmp_path, new.config, new.network.tensors(), 64)
    model = load_model(tmp_path)
    texts = [text for text in TEXTS if "N" not in text]
    likelihoods = log_likelihoods(model, [sequence(text) for text in texts], 4)
    for text, total in zip(texts, likelihoods.total, strict=True):
        logits = model.base_logits(torch.from_numpy(model.encode(sequence(text)[None])))[0]
        own = [logits[i].log_softmax(-1)["ACGT".index(base)] for i, base in enumerate(text)]
        assert total == pytest.approx(float(sum(own)), abs=1e-4)


@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_masked_model_is_asked_once_with_nothing_masked(batch_size):
    model = ToyModel(seed=1)
    likelihoods = log_likelihoods(model, [sequence(text) for text in TEXTS], batch_size)
    expected = []
    for text in TEXTS:
        total = 0.0
        for i, base in enumerate(text):
            logits = np.array(model.answer(text, i, masked=False))
            if base != "N":
                total += logits["ACGT".index(base)] - np.logaddexp.reduce(logits)
        expected.append(total)
    assert likelihoods.total == pytest.approx(expected, abs=1e-4)
    assert likelihoods.count.tolist() == [len(text) - text.count("N") for text in TEXTS]
    lengths = {shape[1] for shape in model.batches}
    assert lengths == {len(text) for text in TEXTS}  # nothing is padded


def test_both_decisions_and_ties():
    real = Likelihoods(np.array([-10.0, -10.0, -10.0]), np.array([10, 10, 10]))
    mutated = Likelihoods(np.array([-9.5, -10.5, -10.0]), np.array([9, 11, 10]))
    decisions = recognised(real, mutated)
    assert decisions["mean"].tolist() == [True, False, False]  # 1.0 a base, 1.06, 0.95, 1.0
    assert decisions["sum"].tolist() == [False, True, False]


def test_a_chain_that_knows_nothing_prefers_what_is_shorter(tmp_path):
    tensors = {table_name(0): torch.full((1, 4), 0.25).log()}
    write_checkpoint(tmp_path, {"model_type": MODEL_TYPE, "order": 0}, tensors, 64)
    real = [sequence("ACGTACGT")] * 5
    longer, shorter = sequence("ACGTACGTA"), sequence("ACGTACG")
    pairs = Pairs(real, {1: [longer, longer, shorter, sequence("TCGTACGT"), longer]}, "all")
    table = measure("none", load_model(tmp_path), pairs, 4)
    assert MUTATED.check(table, "here").rows() == [
        ("none", "causal", 1, "all", "mean", 5, 0, 0.0, *wilson(0, 5)),
        ("none", "causal", 1, "all", "sum", 5, 3, 0.6, *wilson(3, 5)),
    ]


def test_a_chain_that_learnt_recognises_its_genome(tmp_path):
    corpus = periodic_corpus(tmp_path)
    tables, _ = fit(corpus, 4)
    tensors = {table_name(k): torch.from_numpy(table) for k, table in enumerate(tables)}
    write_checkpoint(tmp_path / "m", {"model_type": MODEL_TYPE, "order": 4}, tensors, 32)
    pairs = sample_pairs(corpus, "held_out", 200, [1, 5], "substitutions", 0)
    table = measure("chain", load_model(tmp_path / "m"), pairs, 16)
    assert table["pairs"].to_list() == [200] * 4
    assert table["share"].min() > 0.9
    # Of equal lengths, mean and sum decide alike.
    assert table["recognised"].to_list()[::2] == table["recognised"].to_list()[1::2]


def test_wilsons_interval():
    """Figures of Newcombe 1998 (Stat. Med. 17, 857), table I, the score method."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0000, 0.1611), abs=5e-5)
    assert wilson(29, 29) == pytest.approx((0.8830, 1.0), abs=5e-5)

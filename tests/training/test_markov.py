"""Markov chains: counts, back-off, and scores in closed form."""

import itertools

import numpy as np
import pytest
import torch

from making.training import bases, make_corpus, periodic_corpus
from varlm.cli import main
from varlm.errors import UserError
from varlm.models.loading import load_model
from varlm.models.markov import MODEL_TYPE, table_name
from varlm.training.checkpoints import write_checkpoint
from varlm.training.markov import both_strands, count, fit

COMPLEMENT = str.maketrans("ACGT", "TGCA")


def number(word):
    return sum("ACGT".index(base) * 4**i for i, base in enumerate(word[::-1]))


def counted(text, order):
    found = np.zeros(4 ** (order + 1))
    for i in range(len(text) - order):
        word = text[i : i + order + 1]
        if "N" not in word:
            found[number(word)] += 1
    return found.reshape(-1, 4)


def test_counts_are_of_every_run_of_bases(tmp_path):
    text = bases(150, 1) + "N" + bases(149, 2)
    corpus = make_corpus(tmp_path, {"g": {"a": text}}, "--keep-copies", window=300, stride=300)
    for order in (0, 1, 3):
        assert np.array_equal(count(corpus, order, "train"), counted(text, order))
        turned = text.translate(COMPLEMENT)[::-1]
        both = both_strands(counted(text, order), order)
        assert np.array_equal(both, counted(text, order) + counted(turned, order))


def test_counts_go_by_the_windows_weights(tmp_path):
    text = bases(400, 1)
    corpus = make_corpus(tmp_path, {"a": {"x": text}, "b": {"x": text}}, window=400, stride=400)
    assert count(corpus, 2, "train") == pytest.approx(counted(text, 2))  # twice a half


def test_pieces_do_not_change_the_counts(tmp_path, monkeypatch):
    text = bases(500, 1)
    corpus = make_corpus(tmp_path, {"g": {"a": text}}, window=100, stride=50)
    whole = count(corpus, 3, "train")
    monkeypatch.setattr("varlm.training.markov._PIECE", 37)
    assert np.allclose(count(corpus, 3, "train"), whole)


def test_tables_are_probabilities_and_more_order_does_no_harm(tmp_path):
    corpus = periodic_corpus(tmp_path)
    tables, curve = fit(corpus, 4)
    for k, table in enumerate(tables):
        assert table.shape == (4**k, 4)
        assert np.exp(table).sum(1) == pytest.approx(np.ones(4**k), abs=1e-5)
    losses = [row["validation_loss"] for row in curve]
    assert losses[0] == pytest.approx(np.log(4), abs=0.01)
    assert losses[1] < 0.5  # both strands: a base is one more or one less than the one before
    assert all(later <= earlier + 0.01 for earlier, later in itertools.pairwise(losses))


def markov(folder, order, seed=0):
    rng = np.random.default_rng(seed)
    tables = []
    for k in range(order + 1):
        p = rng.dirichlet(np.ones(4), 4**k)
        tables.append(np.log(p).astype(np.float32))
    write_checkpoint(
        folder,
        {"model_type": MODEL_TYPE, "order": order},
        {table_name(k): torch.from_numpy(table) for k, table in enumerate(tables)},
        64,
    )
    return tables, load_model(folder)


def log_p(tables, text, i):
    """Log p of each base at i, from the longest known run before it, at most the order."""
    known = 0
    while known < len(tables) - 1 and i - known > 0 and text[i - known - 1] != "N":
        known += 1
    return tables[known][number(text[i - known : i])]


@pytest.mark.parametrize("order", [0, 1, 3])
def test_scores_in_closed_form(tmp_path, order):
    tables, model = markov(tmp_path, order)
    texts = [bases(20, 1), bases(9, 2) + "N" + bases(10, 3), "NN" + bases(18, 4)]
    windows = np.array([np.frombuffer(text.encode(), np.uint8) for text in texts])
    ids = torch.from_numpy(model.encode(windows))
    found = model.base_logits(ids).numpy()
    for row, text in enumerate(texts):
        expected = [log_p(tables, text, i) for i in range(20)]
        assert found[row] == pytest.approx(np.array(expected), abs=1e-5)
    for index in (0, 2, 10, 19):
        sites = model.site_logits(ids, index).numpy()
        for row, text in enumerate(texts):
            likelihoods = []
            for base in "ACGT":
                changed = text[:index] + base + text[index + 1 :]
                likelihoods.append(
                    sum(
                        log_p(tables, changed, i)["ACGT".index(changed[i])]
                        for i in range(20)
                        if changed[i] != "N"
                    )
                )
            shown = sites[row] - sites[row, 0]
            assert shown == pytest.approx(np.array(likelihoods) - likelihoods[0], abs=1e-4)


def test_a_wrong_checkpoint_is_an_error(tmp_path):
    markov(tmp_path, 2)
    config = tmp_path / "config.json"
    for text, message in (
        ('{"model_type": "VarlmMarkov", "order": 3}', "do not hold the tables of order 0 to 3"),
        ('{"model_type": "VarlmMarkov", "order": "x"}', "order is 'x', expected a whole number"),
        ('{"model_type": "VarlmMarkov", "order": 99}', "from 0 to 12"),
    ):
        config.write_text(text)
        with pytest.raises(UserError, match=message):
            load_model(tmp_path)
    write_checkpoint(
        tmp_path, {"model_type": MODEL_TYPE, "order": 0}, {"log_p.0": torch.zeros(1, 4)}, 64
    )
    with pytest.raises(UserError, match="do not add up to 1"):
        load_model(tmp_path)


def test_the_step_makes_one(tmp_path, capsys):
    import json

    from making.training import SETTINGS

    periodic_corpus(tmp_path)
    command = [
        *("train", "--corpus", str(tmp_path / "corpus"), "--settings", json.dumps(SETTINGS)),
        *("--state", str(tmp_path / "s"), "--out", str(tmp_path / "m")),
        *("--curve", str(tmp_path / "c.tsv"), "--model"),
    ]
    assert main([*command, '{"family": "markov", "order": 2}']) == 0
    assert load_model(tmp_path / "m").describe() == "Markov chain of order 2"
    assert main([*command, '{"family": "markov", "size": 2}']) == 2
    assert "size: no option of a Markov chain" in capsys.readouterr().err


def test_one_side_of_a_site(tmp_path):
    """What a causal model says from the left, and from the right on the other strand."""
    from varlm.training.perplexity import one_sided

    tables, model = markov(tmp_path, 2)
    texts = [bases(21, seed) for seed in range(5)]
    windows = np.array([np.frombuffer(text.encode(), np.uint8) for text in texts])
    found = one_sided(model, windows, batch_size=2)
    for row, text in enumerate(texts):
        turned = text.translate(COMPLEMENT)[::-1]
        assert found[row, 0] == pytest.approx(log_p(tables, text, 10), abs=1e-5)
        assert found[row, 1] == pytest.approx(log_p(tables, turned, 10)[::-1], abs=1e-5)


@pytest.mark.parametrize("options", [(), ("--held-out", "h")])
def test_without_validation_contigs_the_back_off_is_fixed(tmp_path, options):
    """Held-out contigs do not choose it: they would not be unseen any more."""
    corpus = make_corpus(tmp_path, {"g": {"a": bases(600, 1), "h": bases(300, 2)}}, *options)
    tables, curve = fit(corpus, 2)
    assert [row["validation_loss"] for row in curve] == [None] * 3
    assert [row["strength"] for row in curve] == [1.0, 100.0, 100.0]
    assert np.exp(tables[2]).sum(1) == pytest.approx(np.ones(16), abs=1e-5)

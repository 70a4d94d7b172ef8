"""Embeddings of every base: the hidden states of the authors' classes, and one base's of each."""

import numpy as np
import pytest
import torch

from making import berts, dnabert2
from making.causal_transformers import write_causal
from making.phylogpns import random_tensors, write_phylogpn
from making.toy_models import CONFIGS, VARIANTS, make_checkpoint
from varlm.models.causal import KINDS, config_of
from varlm.models.loading import load_model
from varlm.training.checkpoints import write_checkpoint

WIDTH = 48


def drawn(count=3, width=WIDTH, letters=b"ACGTN-", seed=0):
    return np.random.default_rng(seed).choice(np.frombuffer(letters, np.uint8), (count, width))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_gpns_are_its_own_models_last_hidden_states(tmp_path, name):
    from gpn import register_auto_classes
    from transformers import AutoModel
    from transformers.utils import logging

    register_auto_classes("gpn")
    logging.disable_progress_bar()
    folder = make_checkpoint(tmp_path, CONFIGS[name])
    model, windows = load_model(folder), drawn()
    theirs = AutoModel.from_pretrained(folder)
    with torch.inference_mode():
        ids = torch.from_numpy(model.encode(windows)).long()
        expected = theirs(input_ids=ids).last_hidden_state
    assert expected.std() > 0.1
    torch.testing.assert_close(
        model.base_embeddings(windows, 0, WIDTH), expected, atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("name", sorted(CONFIGS | VARIANTS))
def test_gpns_head_makes_its_logits_of_them(tmp_path, name):
    """Of the middle alone, which asks for less of each layer."""
    model, windows = load_model(make_checkpoint(tmp_path, (CONFIGS | VARIANTS)[name])), drawn()
    whole = model.base_embeddings(windows, 0, WIDTH)
    middle = model.base_embeddings(windows, 20, 29)
    torch.testing.assert_close(middle, whole[:, 20:29], atol=1e-5, rtol=0)
    norm = getattr(model.module.model, "ln_f", None)
    logits = whole
    with torch.inference_mode():
        for module in model.module.head:
            logits = logits if module is norm else module(logits)
    expected = model.base_logits(torch.from_numpy(model.encode(windows)))
    torch.testing.assert_close(logits[:, :, model.tokens.bases], expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("k", [1, 3])
def test_berts_are_transformers_own_hidden_states(tmp_path, k):
    """Of k-mers one base apart, the mean over those that hold the base."""
    theirs = berts.species_lm(tmp_path, k=k)
    model = load_model(tmp_path, family="species_lm", options={"species": "homo_sapiens"})
    width = 30  # of 48 positions
    windows = drawn(width=width, letters=b"ACGTN")
    with torch.inference_mode():
        ids = torch.from_numpy(model.encode(windows))
        states = theirs(input_ids=ids, output_hidden_states=True).hidden_states[-1]
    first = len(model.tokeniser.prefix)
    tokens = width - k + 1
    expected = [
        states[:, first + max(base - k + 1, 0) : first + min(base, tokens - 1) + 1].mean(1)
        for base in range(width)
    ]
    ours = model.base_embeddings(windows, 0, width)
    torch.testing.assert_close(ours, torch.stack(expected, 1), atol=1e-5, rtol=0)
    middle = model.base_embeddings(windows, 10, 25)
    torch.testing.assert_close(middle, ours[:, 10:25], atol=1e-5, rtol=0)


def phylogpn(folder):
    return load_model(write_phylogpn(folder, random_tensors())), 10, 30


def byte_pairs(folder):
    return load_model(dnabert2.make_checkpoint(folder, num_hidden_layers=2)), 3, 40


def llama(folder):
    write_causal(folder, "llama")
    return load_model(folder), 0, WIDTH


@pytest.mark.parametrize("make", [phylogpn, byte_pairs, llama])
def test_each_is_the_embedding_of_a_variant_there(tmp_path, make):
    model, start, stop = make(tmp_path / "model")
    windows = drawn(letters=b"ACGTN")
    states = model.base_embeddings(windows, start, stop)
    assert states.dtype == torch.float32
    assert states.shape[:2] == (len(windows), stop - start)
    for base in range(start, stop):
        expected = model.variant_embeddings(windows, base, "variant")
        torch.testing.assert_close(states[:, base - start], expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["VarlmLSTM", "VarlmGPT"])
def test_a_causal_models_know_the_base_and_none_behind_it(tmp_path, name):
    options_class, network_class = KINDS[name]
    options = options_class(hidden_size=16, num_hidden_layers=2)
    torch.manual_seed(0)
    network = network_class(options)
    write_checkpoint(tmp_path, config_of(name, options), network.state_dict(), WIDTH)
    model, windows = load_model(tmp_path), drawn()
    states = model.base_embeddings(windows, 0, WIDTH)
    other = windows.copy()
    other[:, 21:] = ord("A")
    torch.testing.assert_close(
        model.base_embeddings(other, 10, 21), states[:, 10:21], atol=1e-5, rtol=0
    )
    other[:, 20] = np.where(windows[:, 20] == ord("C"), ord("G"), ord("C"))
    assert (model.base_embeddings(other, 20, 21) - states[:, 20:21]).abs().min() > 0
    logits = model.base_logits(torch.from_numpy(model.encode(windows)))
    with torch.inference_mode():
        after = model.network.logits(states)[..., model._bases].log_softmax(-1)
    torch.testing.assert_close(after[:, :-1], logits[:, 1:], atol=1e-5, rtol=0)


def test_a_markov_chain_has_none(tmp_path):
    from varlm.models.markov import Markov

    chain = Markov([torch.full((1, 4), -1.386)], tokens=None, device=torch.device("cpu"))
    with pytest.raises(ValueError, match="Markov has no embeddings: it has no hidden states"):
        chain.base_embeddings(drawn(), 0, 2)

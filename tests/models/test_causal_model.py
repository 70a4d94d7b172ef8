"""Causal models: one prefix and four suffixes say what four whole windows do."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from varlm.models.causal_model import CausalModel
from varlm.models.loading import load_model
from varlm.models.markov import MODEL_TYPE, table_name
from varlm.models.tokens import KmerTokeniser
from varlm.training.checkpoints import write_checkpoint
from varlm.training.families import new_network

A, C, G, T, N, BOS, EOS = 3, 1, 4, 2, 5, 0, 6
WIDTH = 24


class Counting(CausalModel):
    """Logits that follow from all tokens so far: their sum, weighted by their places."""

    def __init__(self, prefix, suffix, counted):
        self.tokeniser = KmerTokeniser(
            k=1,
            stride=1,
            ids={"A": A, "C": C, "G": G, "T": T},
            unknown=N,
            size=7,
            prefix=prefix,
            suffix=suffix,
        )
        self.device, self.counted = torch.device("cpu"), counted

    def describe(self):
        return "counting"

    def hidden(self, ids, at=None):
        raise NotImplementedError

    def _go_on(self, total, place, ids):
        places = place + torch.arange(1, ids.shape[-1] + 1)
        sums = total[..., None] + (ids * places).cumsum(-1)
        return torch.sin(sums[..., None] * torch.arange(1, 8))

    def logits(self, ids, at=None):
        logits = self._go_on(torch.zeros(len(ids)), 0, ids)
        return logits if at is None else logits[:, list(at)]

    def prefix(self, ids):
        total = (ids * torch.arange(1, ids.shape[1] + 1)).sum(-1)
        return (total, ids.shape[1]), self.logits(ids)[:, -1]

    def suffixes(self, state, ids):
        total, place = state
        return self._go_on(total[:, None], place, ids)


def log_likelihood(model, ids):
    """Of one sequence, by hand."""
    log_p = model.logits(torch.tensor([ids]))[0].double().log_softmax(-1)
    counted = range(7) if model.counted == "all" else (A, C, G, T, N)
    return sum(log_p[i, own].item() for i, own in enumerate(ids[1:]) if own in counted)


@given(
    letters=st.text("ACGTN", min_size=1, max_size=12),
    place=st.integers(0, 11),
    ends=st.sampled_from([((), ()), ((BOS,), ()), ((BOS,), (EOS,)), ((), (EOS,))]),
    counted=st.sampled_from(["all", "nucleotides"]),
)
def test_a_site_is_the_likelihood_of_four_windows(letters, place, ends, counted):
    model = Counting(*ends, counted)
    index = place % len(letters)
    window = np.frombuffer(letters.encode(), np.uint8)[None]
    ids = model.encode(window)
    changed = [ids[0].tolist() for _ in "ACGT"]
    for row, base in zip(changed, (A, C, G, T), strict=True):
        row[index + len(ends[0])] = base
    expected = np.array([log_likelihood(model, row) for row in changed])
    site = model.site_logits(torch.from_numpy(ids), index)[0].numpy()
    assert site - site[0] == pytest.approx(expected - expected[0], abs=1e-5)
    whole = model.log_likelihood(torch.tensor(changed)).numpy()
    assert whole == pytest.approx(expected, abs=1e-5)
    tokens = (BOS,) * len(ends[0]) + (N,) * len(letters) + (EOS,) * len(ends[1])
    predicted = tokens[1:] if counted == "all" else [token for token in tokens[1:] if token == N]
    assert model.counts(torch.from_numpy(ids)).tolist() == [len(predicted)]


# varlm's own -------------------------------------------------------------------------------------

OWN = {
    "lstm": {"family": "lstm", "hidden_size": 12, "num_hidden_layers": 2},
    "gpt": {
        **{"family": "gpt", "hidden_size": 16, "num_hidden_layers": 2},
        **{"num_attention_heads": 2, "intermediate_size": 20},
    },
}


def write_markov(folder, order=3):
    draw = np.random.default_rng(1)
    tables = [np.log(draw.dirichlet(np.ones(4), 4**k)).astype(np.float32) for k in range(order + 1)]
    tensors = {table_name(k): torch.from_numpy(table) for k, table in enumerate(tables)}
    write_checkpoint(folder, {"model_type": MODEL_TYPE, "order": order}, tensors, 64)


def write_network(folder, name):
    torch.manual_seed(5)
    new = new_network(OWN[name], WIDTH)
    for parameter in new.network.parameters():  # far from 0, so that differences show
        torch.nn.init.normal_(parameter, std=0.4)
    write_checkpoint(folder, new.config, new.network.tensors(), WIDTH)


@pytest.fixture(params=["lstm", "gpt", "markov"])
def own(request, tmp_path):
    if request.param == "markov":
        write_markov(tmp_path)
    else:
        write_network(tmp_path, request.param)
    return load_model(tmp_path)


def windows_with_n():
    letters = np.frombuffer(b"ACGT", np.uint8)
    windows = np.random.default_rng(2).choice(letters, (3, WIDTH))
    windows[1, [0, 7, WIDTH - 1]] = ord("N")
    return windows


def test_likelihoods_are_sums_over_the_known_bases(own):
    windows = windows_with_n()
    ids = torch.from_numpy(own.encode(windows))
    log_p = own.base_logits(ids).double().numpy()
    expected, counts = np.zeros(3), np.zeros(3, int)
    for row, place in itertools.product(range(3), range(WIDTH)):
        if windows[row, place] != ord("N"):
            expected[row] += log_p[row, place, "ACGT".index(chr(windows[row, place]))]
            counts[row] += 1
    likelihood = own.log_likelihood(ids)
    assert likelihood.dtype == torch.float64
    assert likelihood.numpy() == pytest.approx(expected, abs=1e-5)
    assert own.counts(ids).tolist() == counts.tolist() == [WIDTH, WIDTH - 3, WIDTH]


def test_every_site_of_a_window_is_four_windows(own):
    windows = windows_with_n()
    ids = torch.from_numpy(own.encode(windows))
    for index in range(WIDTH):
        four = []
        for base in b"ACGT":
            changed = windows.copy()
            changed[:, index] = base
            four.append(own.log_likelihood(torch.from_numpy(own.encode(changed))))
        expected = torch.stack(four, 1)
        site = own.site_logits(ids, index)
        torch.testing.assert_close(
            (site - site[:, :1]).double(), expected - expected[:, :1], rtol=0, atol=1e-5
        )


@pytest.mark.parametrize("name", OWN)
def test_a_state_can_go_on_twice(tmp_path, name):
    write_network(tmp_path, name)
    network = load_model(tmp_path).network
    ids = torch.randint(3, 7, (3, WIDTH), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        whole, _ = network.read(ids)
        first, state = network.read(ids[:, :9])
        middle, more = network.read(ids[:, 9:15], state)
        twice, _ = network.read(ids[:, 9:].repeat_interleave(2, 0), network.repeated(state, 2))
        last, _ = network.read(ids[:, 15:], more)
    assert torch.allclose(torch.cat([first, middle, last], 1), whole, atol=1e-5)
    assert torch.allclose(twice[::2], whole[:, 9:], atol=1e-5)
    assert torch.allclose(twice[1::2], whole[:, 9:], atol=1e-5)

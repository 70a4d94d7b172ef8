"""Networks in training: the same function and gradients as the package gpn, saved as it loads."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from making.training import MODEL
from varlm.errors import UserError
from varlm.models.causal import START
from varlm.models.loading import load_model
from varlm.training.checkpoints import write_checkpoint
from varlm.training.families import new_network
from varlm.training.networks import loss_sum

WINDOW = 48
GPNS = {
    "convnet": {"num_hidden_layers": 3, "rest_kernel_size": 3, "intermediate_size": 20},
    "one layer": {"num_hidden_layers": 1, "first_kernel_size": 5},
    "bias, even kernels": {
        **{"num_hidden_layers": 3, "bias": True, "first_kernel_size": 4, "rest_kernel_size": 6},
    },
    "depthwise": {"num_hidden_layers": 3, "depthwise": True, "dilation_cycle": 2},
    "embedding": {"num_hidden_layers": 2, "embedding": "embedding", "mlm_head_transform": False},
    "bytenet": {"encoder": "bytenet", "num_hidden_layers": 3},
    "bytenet slim": {"encoder": "bytenet", "num_hidden_layers": 3, "slim": True, "bias": True},
    "roformer": {
        **{"encoder": "roformer", "num_hidden_layers": 2, "num_attention_heads": 2},
        **{"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
    },
}


def gpn_model(folder):
    gpn = pytest.importorskip("gpn")
    from transformers import AutoModelForMaskedLM

    gpn.register_auto_classes("gpn")
    return AutoModelForMaskedLM.from_pretrained(folder).eval()


def saved(folder, model):
    torch.manual_seed(7)
    new = new_network(
        {"family": "gpn", "hidden_size": 16, "intermediate_size": 16, **model}, WINDOW
    )
    write_checkpoint(folder, new.config, new.network.tensors(), WINDOW)
    return new


def example(seed=0):
    torch.manual_seed(seed)
    inputs = torch.randint(1, 7, (3, WINDOW))
    places = (torch.rand(inputs.shape) < 0.3).flatten().nonzero()[:, 0]
    return inputs, places


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", GPNS)
def test_logits_and_gradients_are_those_of_gpn(tmp_path, name, capfd):
    new = saved(tmp_path, GPNS[name])
    theirs = gpn_model(tmp_path)
    inputs, places = example()
    targets = torch.randint(3, 7, places.shape)
    weights = torch.rand(places.shape)

    logits = new.network.at(inputs, places)
    expected = theirs(input_ids=inputs).logits.flatten(0, 1)[places]
    assert torch.allclose(logits, expected, atol=2e-6)

    loss_sum(logits, targets, weights).backward()
    (F.cross_entropy(expected, targets, reduction="none") * weights).sum().backward()
    ours = {k: v.grad for k, v in new.network.named_parameters()}
    prefix = "model." if name == "roformer" else "skeleton."
    compared = 0
    for key, parameter in theirs.named_parameters():
        if parameter.grad is not None and "embed_positions" not in key:
            scale = parameter.grad.abs().max() + 1e-6
            assert torch.allclose(ours[prefix + key] / scale, parameter.grad / scale, atol=1e-4), (
                key
            )
            compared += 1
    assert compared >= len(ours) - 2


@pytest.mark.parametrize("name", GPNS)
def test_varlm_scores_with_what_it_trained(tmp_path, name):
    new = saved(tmp_path, GPNS[name])
    model = load_model(tmp_path)
    inputs, _ = example()
    inputs[:, 20] = 1
    at = torch.arange(3) * WINDOW + 20
    expected = new.network.eval().at(inputs, at)[:, 3:7]
    letters = np.frombuffer(b"NNNACGT", np.uint8)[inputs.numpy()]
    ids = torch.from_numpy(model.encode(letters)).long()
    same = inputs == 1  # only the site may be a mask there
    same[:, 20] = False
    ids[same] = 1
    found = model.site_logits(ids, 20)
    assert torch.allclose(found, expected.detach(), atol=2e-5)


def test_first_values_are_drawn_as_gpn_draws_them():
    torch.manual_seed(0)
    new = new_network({"family": "gpn", "hidden_size": 128, "num_hidden_layers": 2}, WINDOW)
    for key, tensor in new.network.tensors().items():
        if tensor.ndim == 2:
            assert tensor.std().item() == pytest.approx(0.02, rel=0.05), key
        elif tensor.ndim == 3:  # torch's own: uniform within 1 / sqrt(inputs × taps)
            bound = (tensor.shape[1] * tensor.shape[2]) ** -0.5
            assert tensor.abs().max().item() == pytest.approx(bound, rel=0.01), key
        else:
            assert tensor.unique().tolist() == [1.0], key
    torch.manual_seed(0)
    again = new_network({"family": "gpn", "hidden_size": 128, "num_hidden_layers": 2}, WINDOW)
    assert all(torch.equal(again.network.tensors()[k], v) for k, v in new.network.tensors().items())


def test_dropout_acts_in_training_only():
    torch.manual_seed(0)
    new = new_network({**MODEL, "hidden_dropout_prob": 0.5}, WINDOW)
    inputs, places = example()
    network = new.network.train()
    assert not torch.equal(network.at(inputs, places), network.at(inputs, places))
    network.eval()
    assert torch.equal(network.at(inputs, places), network.at(inputs, places))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"family": "gpn", "hidden": 3}, "hidden is no option of this family; known: vocab_size"),
        ({"family": "gpn", "hidden_size": "x"}, "hidden_size is 'x', expected a whole number"),
        ({"family": "gpn", "hidden_size": 4}, "hidden_size is 4, expected at least vocab_size"),
        ({"family": "gpn", "n_aux_features": 2}, "n_aux_features: expected 0"),
        ({"family": "lstm", "hidden_size": 0}, "hidden_size is 0, expected a whole number"),
        ({"family": "lstm", "encoder": "x"}, "encoder is no option of this family"),
        ({"family": "gpt", "hidden_size": 6}, "expected heads of an even, whole number"),
    ],
)
def test_options_that_cannot_be(model, message):
    with pytest.raises(UserError, match=message):
        new_network(model, WINDOW)


# Causal models ---------------------------------------------------------------------------------

CAUSAL = {
    "lstm": {"family": "lstm", "hidden_size": 12, "num_hidden_layers": 2},
    "gpt": {
        **{"family": "gpt", "hidden_size": 16, "num_hidden_layers": 2},
        **{"num_attention_heads": 2, "intermediate_size": 20},
    },
}


@pytest.fixture(params=CAUSAL)
def causal(request, tmp_path):
    torch.manual_seed(5)
    new = new_network(CAUSAL[request.param], WINDOW)
    for parameter in new.network.parameters():  # far from 0, so that differences show
        torch.nn.init.normal_(parameter, std=0.4)
    write_checkpoint(tmp_path, new.config, new.network.tensors(), WINDOW)
    return new.network.eval(), load_model(tmp_path)


def test_a_base_depends_on_those_before_it_alone(causal):
    network, _ = causal
    inputs, _ = example()
    places = torch.arange(inputs.numel())
    before = network.at(inputs, places).view(3, WINDOW, -1)
    changed = inputs.clone()
    changed[:, 20] = 9 - changed[:, 20].clamp(3, 6)
    after = network.at(changed, places).view(3, WINDOW, -1)
    assert torch.allclose(before[:, :21], after[:, :21], atol=1e-6)
    assert not torch.allclose(before[:, 21], after[:, 21], atol=1e-3)
    assert START not in inputs


def test_site_logits_are_log_likelihoods_of_the_window(causal):
    network, model = causal
    rng = np.random.default_rng(0)
    letters = rng.choice(np.frombuffer(b"ACGT", np.uint8), (2, WINDOW))
    letters[1, 30] = ord("N")
    found = model.site_logits(torch.from_numpy(model.encode(letters)), 20)

    for row in range(2):
        likelihoods = []
        for base in b"ACGT":
            text = letters[row].copy()
            text[20] = base
            ids = torch.from_numpy(model.encode(text[None])).long()
            logits = network.at(ids, torch.arange(WINDOW))
            log_p = logits[:, 3:7].log_softmax(-1)
            own = [
                log_p[i, "ACGT".index(chr(letter))].item()
                for i, letter in enumerate(text)
                if letter != ord("N")
            ]
            likelihoods.append(sum(own))
        expected = np.array(likelihoods) - likelihoods[0]
        shown = found[row].numpy() - found[row, 0].item()
        assert shown == pytest.approx(expected, abs=1e-4)


def test_base_logits_add_up_to_the_same(causal):
    _, model = causal
    rng = np.random.default_rng(1)
    reference = rng.choice(np.frombuffer(b"ACGT", np.uint8), (1, WINDOW))
    alternate = reference.copy()
    alternate[0, 20] = ord("A") if reference[0, 20] != ord("A") else ord("C")

    def likelihood(text):
        log_p = model.base_logits(torch.from_numpy(model.encode(text))).log_softmax(-1)[0]
        codes = ["ACGT".index(chr(letter)) for letter in text[0]]
        return sum(log_p[i, code].item() for i, code in enumerate(codes))

    site = model.site_logits(torch.from_numpy(model.encode(reference)), 20)[0]
    ratio = site["ACGT".index(chr(alternate[0, 20]))] - site["ACGT".index(chr(reference[0, 20]))]
    assert ratio.item() == pytest.approx(likelihood(alternate) - likelihood(reference), abs=1e-4)


def test_a_damaged_causal_checkpoint_is_an_error(tmp_path):
    import json

    new = new_network(CAUSAL["lstm"], WINDOW)
    write_checkpoint(tmp_path, new.config, new.network.tensors(), WINDOW)
    config = json.loads((tmp_path / "config.json").read_text())
    for change, message in (
        ({"hidden_size": 13}, "by config.json; one of the two files belongs to another model"),
        ({"hidden_size": -1}, "does not describe a VarlmLSTM"),
        ({"num_hidden_layers": 3}, "it lacks"),
        ({"vocab_size": 5}, "the model knows only 5"),
    ):
        (tmp_path / "config.json").write_text(json.dumps({**config, **change}))
        with pytest.raises(UserError, match=message):
            load_model(tmp_path)

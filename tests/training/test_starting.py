"""Training on from a checkpoint: its weights come first, and another model's are refused."""

import json

import pytest
import torch

from making.training import MODEL, command, new_training, small_corpus
from varlm.cli import main
from varlm.errors import UserError
from varlm.models import weights
from varlm.training.checkpoints import write_checkpoint
from varlm.training.families import new_network
from varlm.training.starting import start_from

LSTM = {"family": "lstm", "hidden_size": 8, "num_hidden_layers": 1}
GPT = {"family": "gpt", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
ROFORMER = {**MODEL, "encoder": "roformer", "num_attention_heads": 2}


def new(model, seed=1):
    torch.manual_seed(seed)
    return new_network(model, 32)


def written(folder, model, seed=1):
    made = new(model, seed)
    write_checkpoint(folder, made.config, made.network.tensors(), 32)
    return made.network.tensors()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model", [MODEL, ROFORMER, LSTM, GPT], ids=["gpn", "roformer", "l", "gpt"])
def test_the_first_weights_are_the_checkpoints(tmp_path, model):
    expected = written(tmp_path / "one", model)
    other = new(model, 2)
    assert start_from(other, tmp_path / "one")
    found = other.network.tensors()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    assert any(parameter.requires_grad for parameter in other.network.parameters())


def test_dropout_may_differ(tmp_path):
    written(tmp_path / "one", MODEL)
    assert start_from(new({**MODEL, "hidden_dropout_prob": 0.1}, 2), tmp_path / "one")


def test_a_convnet_with_more_layers_first_says_what_the_checkpoint_says(tmp_path):
    written(tmp_path / "one", MODEL)
    shallow, deep = new(MODEL, 2), new({**MODEL, "num_hidden_layers": 5}, 2)
    assert start_from(shallow, tmp_path / "one") == start_from(deep, tmp_path / "one")
    inputs, places = torch.randint(3, 7, (2, 32)), torch.arange(64)
    before = shallow.network.eval().at(inputs, places)
    logits = deep.network.eval().at(inputs, places)
    torch.testing.assert_close(logits, before, rtol=0, atol=1e-5)
    logits.square().sum().backward()
    last = deep.network.skeleton.layers()[-1]
    assert last.post[-1].weight.grad.abs().max() > 0  # it learns from the first step on


def test_fewer_layers_or_another_encoder_are_refused(tmp_path):
    written(tmp_path / "one", {**MODEL, "num_hidden_layers": 4})
    with pytest.raises(UserError, match=r"has num_hidden_layers 4 \(here 3\); .* may have fewer"):
        start_from(new({**MODEL, "num_hidden_layers": 3}), tmp_path / "one")
    written(tmp_path / "two", ROFORMER)
    with pytest.raises(UserError, match="has num_hidden_layers"):
        start_from(new({**ROFORMER, "num_hidden_layers": 9}), tmp_path / "two")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (LSTM, "config.json: model_type is 'GPN', expected 'VarlmLSTM'"),
        ({**MODEL, "hidden_size": 32}, r"has hidden_size 16 \(here 32\); a training starts from"),
        ({**MODEL, "dilation_max": 4}, r"has dilation_max 9999 \(here 4\)"),
    ],
)
def test_another_model_is_refused(tmp_path, model, message):
    written(tmp_path / "one", MODEL)
    with pytest.raises(UserError, match=message):
        start_from(new(model), tmp_path / "one")


def test_a_checkpoint_that_is_not_whole_is_refused(tmp_path):
    folder = tmp_path / "one"
    with pytest.raises(UserError, match=r"one: no such folder; train\.<name>\.start must name"):
        start_from(new(MODEL), folder)
    tensors = written(folder, MODEL)
    gone = next(iter(tensors))
    made = new(MODEL)
    write_checkpoint(folder, made.config, {k: v for k, v in tensors.items() if k != gone}, 32)
    with pytest.raises(UserError, match=f"the tensors {gone} are not those that config.json"):
        start_from(new(MODEL), folder)
    text = json.loads((folder / "tokenizer.json").read_text())
    text["model"]["vocab"] |= {"a": 4, "c": 3}
    (folder / "tokenizer.json").write_text(json.dumps(text))
    with pytest.raises(UserError, match=r"A, C, G, T and the mask are \(4, 3, 5, 6\) and 1"):
        start_from(new(MODEL), folder)


def test_a_training_goes_on_from_a_checkpoint(tmp_path, capsys):
    corpus = small_corpus(tmp_path)
    first = tmp_path / "first"
    assert main([str(a) for a in command(tmp_path, first)]) == 0
    start = ["--start", str(first / "checkpoint")]
    still = {"learning_rate": 0.0, "seed": 8}
    out = tmp_path / "second"
    assert main([*map(str, command(tmp_path, out, **still)), *start]) == 0
    one, other = (weights.read_tensors(f / "checkpoint") for f in (first, out))
    assert all(torch.equal(one[name], other[name]) for name in one)

    # The state remembers where it began.
    assert main([*map(str, command(tmp_path, out, **still))]) == 2
    assert "another training: start changed since" in capsys.readouterr().err
    assert new_training(corpus).network.tensors().keys() == one.keys()

    chain = command(tmp_path, tmp_path / "chain", {"family": "markov", "order": 2})
    assert main([*map(str, chain), *start]) == 2
    assert "a Markov chain is counted anew" in capsys.readouterr().err

"""Weight files are read once: digest and tensors are of the same bytes."""

import json
import sys

import pytest
import torch
from safetensors.torch import save_file

from making.training import MODEL
from varlm.errors import UserError
from varlm.models import checkpoint, preparing, weights
from varlm.models.loading import load_model
from varlm.training.checkpoints import write_checkpoint
from varlm.training.families import new_network


@pytest.fixture(params=["whole", "sharded", "pickle"])
def folder(request, tmp_path):
    """A checkpoint, as one safetensors file, as two with an index, or as a pickle."""
    torch.manual_seed(1)
    model = new_network(MODEL, 32)
    write_checkpoint(tmp_path, model.config, model.network.tensors(), 32)
    if request.param == "whole":
        return tmp_path
    (tmp_path / "model.safetensors").unlink()
    tensors = {name: t.detach().contiguous() for name, t in model.network.tensors().items()}
    if request.param == "pickle":
        torch.save(tensors, tmp_path / "pytorch_model.bin")
        return tmp_path
    names = list(tensors)
    places = {name: f"model-{i % 2 + 1}-of-2.safetensors" for i, name in enumerate(names)}
    for file in set(places.values()):
        part = {name: tensors[name] for name in names if places[name] == file}
        save_file(part, tmp_path / file)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    return tmp_path


def test_each_file_is_read_once(folder, monkeypatch):
    """Each is gone once it is read; nothing but Python's `open` is left to read it."""
    described = preparing.describe(folder)
    load_model(folder)  # imports
    opened = []

    def count(event, words):
        if event == "open" and str(words[0]).endswith((".safetensors", ".bin")):
            opened.append(str(words[0]))

    sys.addaudithook(lambda event, words: watching and count(event, words))
    watching = True
    check = checkpoint.check_digest

    def check_and_remove(path, *digests):
        check(path, *digests)
        if path.name in described.weights:
            path.rename(path.with_suffix(".gone"))

    monkeypatch.setattr(checkpoint, "check_digest", check_and_remove)
    load_model(folder, described.files)
    watching = False
    assert sorted(opened) == sorted(str(folder / name) for name in described.weights)


def test_the_digests_are_those_of_the_description(folder):
    described = preparing.describe(folder)
    digests = weights.read_weights(folder).digests
    assert digests == {name: described.files[name] for name in described.weights}


def test_a_changed_file_is_an_error_before_it_is_used(folder):
    described = preparing.describe(folder)
    path = folder / described.weights[-1]
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"{path.name}: SHA-256 .* differs from the"):
        load_model(folder, described.files)


def test_weights_that_were_not_described_are_an_error(folder):
    """Safetensors go first: put beside a described pickle they would be loaded in its place."""
    described = preparing.describe(folder)
    if "model.safetensors" in described.files:
        pytest.skip("they are what was described")
    save_file(weights.read_tensors(folder), folder / "model.safetensors")
    with pytest.raises(UserError, match=r"model.safetensors: was not there when the model was"):
        load_model(folder, described.files)


def test_a_missing_file_is_an_error(folder):
    described = preparing.describe(folder)
    (folder / described.weights[0]).unlink()
    with pytest.raises(UserError, match="it was there when the model was prepared"):
        load_model(folder, described.files)

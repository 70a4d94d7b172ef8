"""Files of a checkpoint that are damaged, or hold what is no tensor: told before it is scored."""

import json
import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file

from making import berts
from varlm.errors import UserError
from varlm.models.loading import load_model
from varlm.models.preparing import describe

FAMILY = "splicebert"


@pytest.fixture
def folder(tmp_path):
    berts.splicebert(tmp_path / "model")
    return tmp_path / "model"


def sharded(folder):
    """Split the weights in two files with an index; return the index's weight_map."""
    tensors = load_file(folder / "model.safetensors")
    names = sorted(tensors)
    place = {name: f"model-0000{1 + i % 2}-of-00002.safetensors" for i, name in enumerate(names)}
    for file in set(place.values()):
        part = {name: tensors[name] for name in names if place[name] == file}
        save_file(part, folder / file)
    (folder / "model.safetensors").unlink()
    write_index(folder, place)
    return place


def write_index(folder, place):
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": place}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content[: len(content) // 2], r"bytes of tensors, expected \d+ by its"),
        (lambda content: content[:100], "100 bytes, too few for its header"),
        (lambda content: content[:4], "4 bytes, too few for its header"),
        (lambda content: content + b"xx", "bytes of tensors, expected"),
        (lambda content: content[:8] + b"x" * (len(content) - 8), "not readable as safetensors"),
        (lambda _: (2).to_bytes(8, "little") + b"[]", "not readable as safetensors"),
        (lambda _: (7).to_bytes(8, "little") + b'{"a":1}', "not readable as safetensors"),
    ],
)
def test_damaged_safetensors_are_known_before_any_tensor_is_read(folder, change, message):
    path = folder / "model.safetensors"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(UserError, match=rf"model\.safetensors: .*{message}.*download it again"):
        describe(folder, FAMILY)


def test_an_index_lists_what_its_files_hold(folder):
    place = sharded(folder)
    assert describe(folder, FAMILY).weights == tuple(sorted(set(place.values())))
    name = sorted(place)[3]
    write_index(folder, {key: file for key, file in place.items() if key != name})
    with pytest.raises(UserError, match=rf"does not list what its files hold \({name}\)"):
        describe(folder, FAMILY)
    swapped = next(file for file in place.values() if file != place[name])
    write_index(folder, {**place, name: swapped})
    with pytest.raises(UserError, match=rf"does not list what its files hold \({name}\)"):
        describe(folder, FAMILY)
    write_index(folder, place)
    tensors = load_file(folder / swapped)
    save_file({**tensors, name: torch.zeros(2)}, folder / swapped)
    with pytest.raises(UserError, match=rf"the tensor {name} is in model-.* as well"):
        describe(folder, FAMILY)
    (folder / swapped).unlink()
    with pytest.raises(UserError, match=r"not found, but model.*index.json lists it"):
        describe(folder, FAMILY)


class Runs:
    """A pickle of it would write a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("writes", [torch.save, lambda held, path: path.write_bytes(held_as(held))])
def test_a_pickle_that_would_run_something_does_not(folder, writes):
    (folder / "model.safetensors").unlink()
    path, ran = folder / "pytorch_model.bin", folder / "ran"
    writes({"x": Runs(ran)}, path)
    with pytest.raises(UserError, match=r"it asks for .*open\).*which varlm never runs") as error:
        load_model(folder, family=FAMILY)
    assert "weights_only" not in str(error.value)  # no advice to run it
    assert not ran.exists()


def held_as(held):
    return pickle.dumps(held, protocol=2)


@pytest.mark.parametrize(
    ("held", "message"),
    [
        ({"epoch": 3, "state_dict": {}}, "found epoch: int, state_dict: dict, expected tensors by"),
        ([1], "found list, expected tensors by their names"),
        (torch.nn.Linear(2, 2), r"it asks for torch\.nn.*Linear\)"),
    ],
)
def test_a_pickle_of_something_else(folder, held, message):
    (folder / "model.safetensors").unlink()
    torch.save(held, folder / "pytorch_model.bin")
    with pytest.raises(UserError, match=message):
        load_model(folder, family=FAMILY)


@pytest.mark.parametrize(
    "content", [b"abcdefghijk" * 40, b"\x80\x02.", b"PK\x03\x04", b"\x80\x04]"]
)
def test_a_pickle_that_is_none(folder, content):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(content)
    with pytest.raises(UserError, match="not readable as plain tensors"):
        load_model(folder, family=FAMILY)


def test_a_pickle_that_was_cut(folder):
    path = folder / "pytorch_model.bin"
    torch.save(load_file(folder / "model.safetensors"), path)
    (folder / "model.safetensors").unlink()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match="not readable as plain tensors"):
        load_model(folder, family=FAMILY)

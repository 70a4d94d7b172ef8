"""A safetensors file as views: what the package reads of it, and a damaged one as an error."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from varlm.models.safetensors_views import tensors_in

TENSORS = {
    "wide": torch.arange(6.0).reshape(2, 3),
    "half": torch.tensor([1.5, -2.0, float("inf")], dtype=torch.float16),
    "brain": torch.tensor([[3.0], [0.1]], dtype=torch.bfloat16),
    "double": torch.tensor(2.5, dtype=torch.float64),
    "none": torch.zeros(0, 4),
    "flags": torch.tensor([True, False, True]),
    "ids": torch.tensor([-1, 7]),
    "bytes": torch.tensor([0, 255], dtype=torch.uint8),
}


def content(data):
    return torch.from_numpy(np.frombuffer(bytearray(data), np.uint8))


def with_header(header, data=b"\0" * 8):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(start, stop, shape=(2,), dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, stop]}


def test_the_tensors_are_those_that_the_package_reads():
    data = save(TENSORS, metadata={"format": "pt"})
    found, expected = tensors_in(content(data)), load(data)
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        assert found[name].shape == tensor.shape
        assert torch.equal(found[name], tensor)


def test_they_share_the_files_memory():
    held = content(save(TENSORS))
    pointers = {t.untyped_storage().data_ptr() for t in tensors_in(held).values()}
    assert pointers == {held.untyped_storage().data_ptr()}


def test_a_header_that_is_not_aligned():
    data = np.array([1.5, -3.0], np.float32).tobytes()
    for spaces in range(8):
        text = json.dumps({"a": entry(0, 8)}).encode() + b" " * spaces
        assert tensors_in(content(with_header(text, data)))["a"].tolist() == [1.5, -3.0]


def test_every_truncation_is_an_error():
    data = save(TENSORS)
    for length in range(len(data)):
        with pytest.raises(ValueError, match=r"."):
            tensors_in(content(data[:length]))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (with_header([]), "no JSON object"),
        (with_header(b"{"), "Expecting"),
        (with_header(b"\xff\xfe\xff"), "decode"),
        ((2**63).to_bytes(8, "little") + b"{}", "too few for its header"),
        (with_header({"a": 3}), "does not describe the tensor a"),
        (with_header({"a": entry(0, 8, [-2])}), "the shape"),
        (with_header({"a": entry(0, 8, [True, 2])}), "the shape"),
        (with_header({"a": entry(0, 8, dtype="F8_E4M3")}), "type 'F8_E4M3', expected one of BOOL"),
        (with_header({"a": entry(0, 8, [3])}), "at 0 to 8 of 8 bytes, expected 12 bytes"),
        (with_header({"a": entry(8, 16)}), "at 8 to 16 of 8 bytes"),
        (with_header({"a": entry(4, 8, [1])}), "leaves out or repeats bytes from 0 on"),
        (with_header({"a": entry(0, 8), "b": entry(0, 8)}), "repeats bytes from 0 on"),
        (with_header({"a": entry(0, 4, [1])}), "8 bytes of tensors, expected 4 by its header"),
    ],
)
def test_a_header_that_is_wrong(data, message):
    with pytest.raises(ValueError, match=message):
        tensors_in(content(data))

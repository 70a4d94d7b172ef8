"""Tensors of a safetensors file that is in memory already: views of its bytes, no copy.

The package `safetensors` maps a file, which reads it once more, or copies what it is given. The
format: the header's length (8 bytes, little endian), the header (JSON: name → dtype, shape, where
its bytes are), then the tensors' bytes one after the other, little endian and without gaps
(https://github.com/safetensors/safetensors#format).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import torch

_LENGTH = 8  # bytes of the header's length
_DTYPES = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "I16": torch.int16,
    "I32": torch.int32,
    "I64": torch.int64,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
}


def tensors_in(content: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return tensor name → tensor, which shares its memory with the file's bytes.

    Parameters
    ----------
    content : uint8, shape (bytes,)
        The whole file.

    Raises
    ------
    ValueError
        If it is truncated, has gaps or bytes left over, or its header is not as the format has it.
    """
    header, data = _split(content)
    tensors = {name: _tensor(name, entry, data) for name, entry in header.items()}
    end = 0
    for start, stop in sorted(entry["data_offsets"] for entry in header.values()):
        if start != end:
            raise ValueError(f"its header leaves out or repeats bytes from {min(start, end)} on")
        end = stop
    if end != len(data):
        raise ValueError(f"{len(data)} bytes of tensors, expected {end} by its header")
    return tensors


def _split(content: torch.Tensor) -> tuple[dict[str, Any], torch.Tensor]:
    """Return the header, without its metadata, and the bytes of all tensors."""
    length = int.from_bytes(content[:_LENGTH].numpy().tobytes(), "little")
    if not _LENGTH < _LENGTH + length <= len(content):
        raise ValueError(f"{len(content)} bytes, too few for its header")
    header = json.loads(content[_LENGTH : _LENGTH + length].numpy().tobytes())
    if not isinstance(header, dict):
        raise ValueError("its header is no JSON object")
    header.pop("__metadata__", None)
    return header, content[_LENGTH + length :]


def _tensor(name: str, entry: object, data: torch.Tensor) -> torch.Tensor:
    """Return one tensor."""
    if not isinstance(entry, Mapping) or not entry.keys() >= {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"its header does not describe the tensor {name}")
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not (_are_counts(shape) and _are_counts(offsets) and len(offsets) == 2):
        raise ValueError(f"the tensor {name} has the shape {shape} and the place {offsets}")
    dtype = _DTYPES.get(entry["dtype"])
    if dtype is None:
        raise ValueError(
            f"the tensor {name} is of type {entry['dtype']!r}, expected one of {', '.join(_DTYPES)}"
        )
    start, stop = offsets
    size = math.prod(shape) * dtype.itemsize
    if stop - start != size or stop > len(data):
        raise ValueError(
            f"the tensor {name} is at {start} to {stop} of {len(data)} bytes, expected {size} bytes"
        )
    part = data[start:stop]
    if part.storage_offset() % dtype.itemsize:  # old writers did not align the header
        part = part.clone()
    return part.view(dtype).reshape(shape)


def _are_counts(values: object) -> bool:
    """Whether it is a list of whole numbers, none below 0."""
    return isinstance(values, list) and all(type(n) is int and n >= 0 for n in values)

"""A checkpoint's tensors, and proof that a model holds them and nothing else.

`transformers` 5 builds models on the meta device: a missing or renamed tensor, or a buffer that
no file holds, can be left with random values and still give plausible scores. Here every tensor
of the file must be found in the model, of the same shape and equal bit for bit, and no tensor of
the model may come from anywhere else.
"""

from __future__ import annotations

import hashlib
import io
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from varlm.errors import UserError, first_few
from varlm.models import checkpoint
from varlm.models.safetensors_views import tensors_in

_SAFE = ".safetensors"
_PIECE = 1 << 22  # bytes read at once: what is hashed is still in the processor's cache

_AGAIN = "the file is damaged or truncated: copy or download it again"


@dataclass(frozen=True)
class Weights:
    """What a checkpoint's weight files hold.

    Attributes
    ----------
    tensors : dict
        Tensor name → tensor, as stored.
    digests : dict
        File name → SHA-256 (hexadecimal) of the bytes that the tensors come from.
    """

    tensors: dict[str, torch.Tensor]
    digests: dict[str, str]


def read_tensors(
    folder: Path, expected: Mapping[str, str] | None = None
) -> dict[str, torch.Tensor]:
    """Return the tensors of `read_weights`."""
    return read_weights(folder, expected).tensors


def read_weights(folder: Path, expected: Mapping[str, str] | None = None) -> Weights:
    """Read the weight files in `folder`, each once: digest and tensors are of the same bytes.

    Safetensors first; pickles only through `torch.load(weights_only=True)`, which runs no code.

    Parameters
    ----------
    folder : Path
    expected : file name → SHA-256, optional
        Of the files as they were described.

    Raises
    ------
    UserError
        If a file is not the one expected, is damaged, holds anything but tensors, or disagrees
        with its index.
    """
    names, index = checkpoint.weight_files(folder)
    tensors: dict[str, torch.Tensor] = {}
    digests: dict[str, str] = {}
    for name in names:
        path = folder / name
        content, digests[name] = _read(path)
        if expected is not None:
            checkpoint.check_digest(path, digests[name], expected.get(name))
        stored = _stored(path, content)
        del content  # a pickle's tensors are copies of it
        for key, tensor in stored.items():
            if key in tensors:
                raise UserError(f"{path}: the tensor {key} is in another file as well")
            tensors[key] = tensor
    if index:
        listed = set(checkpoint.shard_map(folder / index[0]))
        if listed != set(tensors):
            raise UserError(
                f"{folder / index[0]}: does not list what its files hold "
                f"({first_few(sorted(listed ^ set(tensors)), 4)}); copy or download the "
                "checkpoint again"
            )
    return Weights(tensors, digests)


def _read(path: Path) -> tuple[NDArray[np.uint8] | bytes, str]:
    """Return the bytes of a file and their SHA-256, in one pass over it.

    Those of safetensors as an array, which the tensors can share; of a pickle as bytes, which
    `io.BytesIO` does not copy.
    """
    if path.suffix != _SAFE:
        pickled = path.read_bytes()
        return pickled, hashlib.sha256(pickled).hexdigest()
    content = np.empty(path.stat().st_size, np.uint8)
    digest = hashlib.sha256()
    end = 0
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(content.data[end : end + _PIECE]):
            digest.update(content.data[end : end + count])
            end += count
    return content[:end], digest.hexdigest()


def fill(
    model: nn.Module,
    tensors: Mapping[str, torch.Tensor],
    folder: Path,
    derived: Mapping[str, torch.Tensor],
) -> None:
    """Give a model that was built on the meta device its tensors, as float32, and check them.

    Parameters
    ----------
    model : nn.Module
        Built under `torch.device("meta")`: it has shapes, but no values that could be left over.
    tensors : name → tensor
        What the checkpoint's files hold.
    folder : Path
        For messages.
    derived : name → tensor
        Tensors that the model needs and the files may leave out, because they follow from the
        config or are another's alias. A tensor of the file goes first.

    Raises
    ------
    UserError
        If a tensor is missing, left over, of another shape, not floating, or not finite.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    missing = shapes.keys() - tensors.keys() - derived.keys()
    surplus = tensors.keys() - shapes.keys()
    if missing or surplus:
        parts = [f"it lacks {first_few(sorted(missing), 4)}"] if missing else []
        parts += [f"it has {first_few(sorted(surplus), 4)} too many"] if surplus else []
        raise UserError(
            f"{folder}: the weights do not fit config.json: {' and '.join(parts)}; expected the "
            f"{len(shapes)} tensors of its {type(model).__name__}: one of the files belongs to "
            "another model, or to a class of it with another head"
        )
    state = {}
    for name, shape in shapes.items():
        tensor = tensors[name] if name in tensors else derived[name]
        if tuple(tensor.shape) != shape:
            raise UserError(
                f"{folder}: the tensor {name} has the shape {tuple(tensor.shape)}, expected "
                f"{shape} by config.json; one of the two files belongs to another model"
            )
        if not tensor.is_floating_point() or not torch.isfinite(tensor).all():
            raise UserError(
                f"{folder}: the tensor {name} ({tensor.dtype}) holds values that are not finite "
                f"floating-point numbers; {_AGAIN}"
            )
        state[name] = tensor.to(torch.float32)
    model.load_state_dict(state, strict=True, assign=True)
    model.requires_grad_(False)
    model.eval()
    _check(model, tensors, derived, folder)


def fill_built(
    model: nn.Module,
    tensors: Mapping[str, torch.Tensor],
    folder: Path,
    ignored: Sequence[str] = (),
) -> None:
    """Give a model that was built on the CPU its tensors, as `fill` does.

    Its buffers that no checkpoint stores stay as they were built. Of tensors that the model ties,
    the files may hold one or all.

    Parameters
    ----------
    model : nn.Module
        Of `varlm.models.networks.native.build`, or built on the CPU in another way.
    tensors, folder
        As in `fill`.
    ignored : sequence of str
        Regular expressions: names of tensors that the family's files may hold and no model reads.

    Raises
    ------
    UserError
        As `fill`, or if tensors that the model ties differ in the files.
    """
    kept = {
        name: tensor
        for name, tensor in tensors.items()
        if not any(re.fullmatch(pattern, name) for pattern in ignored)
    }
    fill(model, kept, folder, _tied(model, kept, folder))


def _tied(
    model: nn.Module, tensors: Mapping[str, torch.Tensor], folder: Path
) -> dict[str, torch.Tensor]:
    """Return the tensors that the files leave out, since the model has them by another name."""
    groups: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        groups.setdefault(id(parameter), []).append(name)
    aliases: dict[str, torch.Tensor] = {}
    for names in groups.values():
        stored = [name for name in names if name in tensors]
        for name in stored[1:]:
            if not torch.equal(tensors[name], tensors[stored[0]]):
                raise UserError(
                    f"{folder}: the tensors {stored[0]} and {name} differ, but config.json ties "
                    "them: one of the files belongs to another model"
                )
        if stored:
            aliases |= {name: tensors[stored[0]] for name in names if name not in tensors}
    return aliases


def _check(
    model: nn.Module,
    tensors: Mapping[str, torch.Tensor],
    derived: Mapping[str, torch.Tensor],
    folder: Path,
) -> None:
    """Compare the model with what was read of the files, bit for bit."""
    held: dict[str, torch.Tensor] = dict(model.named_parameters(remove_duplicate=False))
    held |= dict(model.named_buffers(remove_duplicate=False))
    stored = model.state_dict().keys()
    for name, tensor in held.items():
        if name not in stored and not tensor.is_meta:
            continue  # a buffer that follows from the config, as it was built
        expected = tensors.get(name, derived.get(name))
        if expected is None or tensor.is_meta:
            raise UserError(
                f"{folder}: the model's tensor {name} comes from no file; varlm does not score "
                "with values that nobody stored"
            )
        same = tensor.detach().view(torch.int32).equal(expected.to(torch.float32).view(torch.int32))
        if not same:
            raise UserError(f"{folder}: the tensor {name} was not loaded as stored; {_AGAIN}")


def _stored(path: Path, content: NDArray[np.uint8] | bytes) -> dict[str, torch.Tensor]:
    return _pickle(path, content) if isinstance(content, bytes) else _safetensors(path, content)


def _safetensors(path: Path, content: NDArray[np.uint8]) -> dict[str, torch.Tensor]:
    try:
        return tensors_in(torch.from_numpy(content))
    except ValueError as error:
        raise UserError(f"{path}: not readable as safetensors ({error}); {_AGAIN}") from error


def _pickle(path: Path, content: bytes) -> dict[str, torch.Tensor]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what matters raises
            stored = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle makes the unpickler raise whatever it may
        raise UserError(
            f"{path}: not readable as plain tensors ({_reason(error)}); it is damaged, or holds "
            "more than tensors, which varlm never runs: copy or download it again, or convert it "
            "to safetensors where you trust it"
        ) from error
    tensors = stored if isinstance(stored, dict) else {}
    others = [f"{key}: {type(value).__name__}" for key, value in tensors.items()]
    others = [text for text in others if not text.endswith((": Tensor", ": Parameter"))]
    if not tensors or others:
        raise UserError(
            f"{path}: found {first_few(others, 4) or type(stored).__name__}, expected tensors by "
            "their names: save the model's state_dict() alone, as safetensors"
        )
    return tensors


def _reason(error: Exception) -> str:
    """Return why torch reads no tensors, without its advice to run what the file holds."""
    text = " ".join(str(error).split())
    asked = re.search(r"[Uu]nsupported (?:global: )?GLOBAL (\S+)", text)
    if asked is not None:
        return f"it asks for {asked[1].rstrip('.')}"
    if text.startswith("Weights only load failed"):
        return "it is no archive of tensors"
    return text.split(". ")[0][:200] or type(error).__name__

"""Checkpoint folders: what is in them, and that it is what was described. No torch here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from varlm.errors import UserError, first_few
from varlm.files import sniff
from varlm.files.whole import sha256

_SAFETENSORS = ("model.safetensors", "model.safetensors.index.json")
# Suffix → what such a file holds, in the words of `varlm.files.sniff`.
_KINDS = {
    ".json": "JSON text",
    ".txt": "a vocabulary, a token a line",
    ".safetensors": "tensors (safetensors)",
    ".bin": "tensors (a zip archive of torch.save, or an older pickle)",
}
_WEIGHTS = (".safetensors", ".bin")
_LENGTH = 8  # bytes of the length of a safetensors file's header
_PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")


def verify(folder: Path, expected: Mapping[str, str]) -> None:
    """Check that each file named in `expected` is there, and the SHA-256 of all but the weights.

    Those are large: `varlm.models.weights.read_weights` checks them as it reads them.

    Raises
    ------
    UserError
        If a file is missing, or is not the one that was described: a bit flip in a weight file
        loads without an error, and scores.
    """
    for name, digest in expected.items():
        path = folder / name
        if not path.is_file():
            raise UserError(
                f"{path}: not found; it was there when the model was prepared. Restore it (is the "
                "folder seen from this machine?), or delete models/*.json in the results folder to "
                "have the model prepared again"
            )
        if path.suffix not in _WEIGHTS:
            check_digest(path, sha256(path), digest)


def check_digest(path: Path, digest: str, expected: str | None) -> None:
    """Raise `UserError` unless a file is the one that was described.

    Parameters
    ----------
    path : Path
    digest : str
        SHA-256 of what it holds.
    expected : str or None
        Of what it held; None: it was not there.
    """
    if expected is None:
        raise UserError(
            f"{path}: was not there when the model was prepared; remove it, or delete "
            "models/*.json in the results folder to score with it"
        )
    if digest != expected:
        raise UserError(
            f"{path}: SHA-256 {digest[:16]}… differs from the {expected[:16]}… of the model "
            "that was prepared; restore the file, or delete models/*.json in the results "
            "folder to score with the new one"
        )


def read_config(folder: Path) -> dict[str, Any]:
    """Return config.json of a checkpoint.

    Raises
    ------
    UserError
        If the folder or file is missing, or is not a JSON object.
    """
    if not folder.is_dir():
        raise UserError(
            f"{folder}: no such folder; expected that of a checkpoint. Restore it (is it seen from "
            "this machine?), or name another"
        )
    return read_object(folder / "config.json")


def weight_files(folder: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the files with tensors, and the index file when they are sharded.

    Safetensors are preferred to pickles.

    Raises
    ------
    UserError
        If there are none, or an index names a file that is missing or outside the folder.
    """
    for whole, index in (_SAFETENSORS, _PICKLES):
        if (folder / whole).is_file():
            return (whole,), ()
        if (folder / index).is_file():
            names = sorted(set(shard_map(folder / index).values()))
            for name in names:
                if not (folder / name).is_file():
                    raise UserError(
                        f"{folder / name}: not found, but {index} lists it; the checkpoint is "
                        "incomplete: copy or download it again"
                    )
            return tuple(names), (index,)
    raise UserError(
        f"{folder}: no weights; expected one of {', '.join((*_SAFETENSORS, *_PICKLES))}"
    )


def shard_map(index: Path) -> dict[str, str]:
    """Return tensor name → file name of a sharded checkpoint's index.

    Raises
    ------
    UserError
        If it is not such an index, or names a file outside its folder.
    """
    weight_map = read_object(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise UserError(f"{index}: no 'weight_map'; copy or download the file again")
    for name in weight_map.values():
        if not isinstance(name, str) or Path(name).name != name:
            raise UserError(
                f"{index}: found {name!r}, expected the name of a file beside it; copy or download "
                "the file again"
            )
    return weight_map


def check_headers(folder: Path, weights: Sequence[str], index: Sequence[str]) -> None:
    """Check that the safetensors files of a checkpoint are whole, and hold what their index lists.

    The tensors are read in the first score job, minutes later.

    Parameters
    ----------
    folder : Path
    weights, index : sequence of str
        As `weight_files` returns them; pickles are left alone.

    Raises
    ------
    UserError
        If one is truncated or no such file, or disagrees with the index.
    """
    if not all(Path(name).suffix == _WEIGHTS[0] for name in weights):
        return
    place_of: dict[str, str] = {}
    for name in weights:
        for tensor in _names_in(folder / name):
            if tensor in place_of:
                raise UserError(
                    f"{folder / name}: the tensor {tensor} is in {place_of[tensor]} as well; copy "
                    "or download the checkpoint again"
                )
            place_of[tensor] = name
    for file in index:
        listed = shard_map(folder / file)
        wrong = {
            tensor
            for tensor in listed.keys() | place_of.keys()
            if listed.get(tensor) != place_of.get(tensor)
        }
        if wrong:
            raise UserError(
                f"{folder / file}: does not list what its files hold "
                f"({first_few(sorted(wrong), 4)}); copy or download the checkpoint again"
            )


def _names_in(path: Path) -> list[str]:
    """Return the names of the tensors of a safetensors file, which is as long as it says."""
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(_LENGTH), "little")
            if not _LENGTH < _LENGTH + length <= size:
                raise ValueError(f"{size} bytes, too few for its header")
            header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        end = max((entry["data_offsets"][1] for entry in header.values()), default=0)
        if _LENGTH + length + end != size:
            raise ValueError(
                f"{size - _LENGTH - length} bytes of tensors, expected {end} by its header"
            )
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise UserError(
            f"{path}: not readable as safetensors ({error}); the file is damaged or truncated: "
            "copy or download it again"
        ) from error
    return [*header]


def refuse_others(path: Path) -> None:
    """Raise `UserError` where a file of a checkpoint is empty, or another kind of file.

    Weights are not read before the first score job, minutes later, and by then from a copy.
    """
    if not path.is_file():  # whoever reads it says so
        return
    with path.open("rb") as file:
        head = file.read(sniff.HEAD)
    kind = _KINDS.get(path.suffix, path.suffix)
    if not head:
        raise UserError(
            f"{path}: the file is empty (0 bytes), expected {kind}; copy or download it again"
        )
    found = sniff.foreign(head, kind, json=path.suffix == ".json")
    if found is not None:
        remedy = found.remedy if found.stands_for else "copy or download the file again"
        raise UserError(f"{path}: found {found.what}, expected {kind}; {remedy}")


def read_object(path: Path, *, needed: bool = True) -> dict[str, Any]:
    """Return the JSON object that a file of a checkpoint holds; empty where it may be missing.

    Raises
    ------
    UserError
        If it is needed and not there, or holds anything else.
    """
    if not path.is_file():
        if not needed:
            return {}
        raise UserError(
            f"{path}: not found; a checkpoint needs config.json, the files of its tokeniser and "
            "weights, in the Hugging Face layout (docs/models.md)"
        )
    refuse_others(path)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(
            f"{path}: not readable as JSON ({error}); copy or download the file again"
        ) from error
    if not isinstance(document, dict):
        raise UserError(
            f"{path}: found a {type(document).__name__}, expected a JSON object; copy or download "
            "the file again"
        )
    return document


def token_text(token: object) -> str | None:
    """Return the text of a token as JSON files of tokenisers have it, bare or with settings."""
    if isinstance(token, Mapping):
        token = token.get("content")
    return token if isinstance(token, str) else None

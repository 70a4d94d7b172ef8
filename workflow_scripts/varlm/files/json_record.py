"""JSON files that are frozen dataclasses: checked when they are read, always written alike.

A step's JSON may be read weeks after it was written, by another version of varlm. What is missing
or of another type is an error that names the file, the key and the step that makes it anew. What
is unknown is passed over, since a count or a remark that a newer version adds changes nothing that
is read here; a record whose every key changes what is computed says so (`EVERY_KEY_COUNTS`).
"""

from __future__ import annotations

import dataclasses
import functools
import json
import types
import typing
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, Union, get_args, get_origin

from varlm.errors import UserError
from varlm.files.whole import atomic_path

_MAY_BE_MISSING, _ABSENT_IF_NONE = "may_be_missing", "absent_if_none"
_SHOWN = 60  # characters of a wrong value that an error shows
_NAMES = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    Path: "a path",
    dict: "an object",
    tuple: "a list",
    type(None): "null",
}


def may_be_missing(default: object) -> Any:
    """Return a dataclass field that has a default where the file, an old one, lacks its key."""
    return dataclasses.field(default=default, metadata={_MAY_BE_MISSING: True})


def absent_if_none() -> Any:
    """Return a dataclass field that is None where the file lacks its key, and then not written."""
    marks = {_MAY_BE_MISSING: True, _ABSENT_IF_NONE: True}
    return dataclasses.field(default=None, metadata=marks)


class JsonRecord:
    """Base of the frozen, keyword-only dataclasses that are a JSON file.

    The order of the fields is that of the keys. Fields may be text, numbers, `Path`, `Literal`,
    dataclasses, `tuple[X, ...]`, `dict[str, X]` and `X | None`; all of them are needed but those
    of `may_be_missing` and `absent_if_none`.

    Attributes
    ----------
    MADE_BY : str
        The step that writes the file.
    TO_DELETE : str
        What must go for Snakemake to run that step again.
    EVERY_KEY_COUNTS : bool
        Whether a key that is not known here is an error.
    INDENT, ASCII : int or None, bool
        How the file is written; old files and the digests of new ones depend on the bytes.
    """

    MADE_BY: ClassVar[str]
    TO_DELETE: ClassVar[str] = "it"
    EVERY_KEY_COUNTS: ClassVar[bool] = False
    INDENT: ClassVar[int | None] = 2
    ASCII: ClassVar[bool] = True

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return what a file says.

        Raises
        ------
        UserError
            If the file is not there, is no JSON, or is not of this shape.
        """
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UserError(
                f"{path}: not found; run the workflow again: the step {cls.MADE_BY} makes it"
            ) from None
        except ValueError as error:  # of the JSON, or of the UTF-8
            raise UserError(f"{path}: not readable as JSON ({error}); {cls._remedy()}") from error
        return cls.from_json(document, path)

    @classmethod
    def from_json(cls, document: object, path: Path) -> Self:
        """Return what JSON values say; `path` is where they are from, for the error.

        Raises
        ------
        UserError
            As in `read`.
        """
        try:
            record = _record(cls, document, "", strict=cls.EVERY_KEY_COUNTS)
        except _ShapeError as error:
            raise UserError(f"{path}: {error}; {cls._remedy()}") from None
        return typing.cast("Self", record)

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON values, keys in the file's order."""
        return typing.cast("dict[str, Any]", _plain(self))

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        text = json.dumps(self.to_json(), indent=self.INDENT, ensure_ascii=self.ASCII)
        with atomic_path(path) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")

    @classmethod
    def _remedy(cls) -> str:
        return (
            f"delete {cls.TO_DELETE} and run the workflow again: the step {cls.MADE_BY} makes it "
            "anew"
        )


class _ShapeError(ValueError):
    """JSON that is not of the expected shape; the text says where, what was found and expected."""


def _mismatch(where: str, value: object, expected: str) -> _ShapeError:
    shown = json.dumps(value)
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
    return _ShapeError(f"{where + ': ' if where else ''}found {shown}, expected {expected}")


def _record(kind: type, document: object, where: str, strict: bool = False) -> object:
    """Return a dataclass of the values of a JSON object at the key `where`."""
    if not isinstance(document, dict):
        raise _mismatch(where, document, "a JSON object")
    fields = {field.name: field for field in dataclasses.fields(kind)}
    needed = {n for n, field in fields.items() if _MAY_BE_MISSING not in field.metadata}
    prefix = f"{where}: " if where else ""
    if missing := sorted(needed - document.keys()):
        raise _ShapeError(f"{prefix}lacks {', '.join(missing)}")
    if strict and (unknown := sorted(document.keys() - fields.keys())):
        raise _ShapeError(
            f"{prefix}has {', '.join(unknown)}, which this version of varlm does not know and "
            "which may change what is computed; go on with the version that wrote it, or"
        )
    kinds = _kinds(kind)
    dotted = f"{where}." if where else ""
    return kind(
        **{
            name: _value(kinds[name], document[name], f"{dotted}{name}")
            for name in fields
            if name in document
        }
    )


@functools.cache  # 30 µs each, and a genome may have 100,000 contigs
def _kinds(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _value(kind: Any, value: object, where: str) -> object:
    """Return a JSON value as the type `kind`."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        (some,) = (argument for argument in arguments if argument is not type(None))
        return _value(some, value, where)
    if origin is Literal:
        if value not in arguments:
            raise _mismatch(where, value, f"one of {', '.join(map(str, arguments))}")
        return value
    if dataclasses.is_dataclass(kind):
        return _record(typing.cast("type", kind), value, where)
    if origin is tuple and isinstance(value, list):
        return tuple(_value(arguments[0], v, f"{where}[{i}]") for i, v in enumerate(value))
    if origin is dict and isinstance(value, dict):
        return {key: _value(arguments[1], v, f"{where}.{key}") for key, v in value.items()}
    if _is(kind, value):
        return Path(value) if kind is Path else value  # type: ignore[arg-type]
    raise _mismatch(where, value, _NAMES[origin or kind])


def _is(kind: Any, value: object) -> bool:
    """Return whether a JSON value is of a plain type; true is no number, and 1 is a float."""
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is Path:
        return isinstance(value, str)
    return type(value) is kind


def _plain(value: object) -> object:
    """Return dataclasses, tuples and paths as JSON values."""
    if dataclasses.is_dataclass(value):
        return {
            field.name: _plain(content)
            for field in dataclasses.fields(value)
            if (content := getattr(value, field.name)) is not None
            or _ABSENT_IF_NONE not in field.metadata
        }
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return str(value) if isinstance(value, Path) else value

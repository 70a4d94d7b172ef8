"""Files that are whole or not there, and the digests that say so."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

import polars as pl

from varlm.errors import UserError


def digest_path(path: Path) -> Path:
    """Return where the digest of a file lies: beside it, as `sha256sum` writes it."""
    return path.with_name(path.name + ".sha256")


def write_digest(path: Path) -> str:
    """Write the SHA-256 of a finished file beside it and return it (hexadecimal)."""
    digest = sha256(path)
    with atomic_path(digest_path(path)) as temporary:
        temporary.write_text(f"{digest}  {path.name}\n")
    return digest


def check_digest(path: Path) -> None:
    """Raise `UserError` unless the file is the one that `write_digest` saw.

    Later steps read what earlier ones wrote, perhaps weeks before; the modification time does
    not tell whether it is still the same.
    """
    beside = digest_path(path)
    for needed in (path, beside):
        if not needed.exists():
            raise UserError(f"{needed}: not found; run the workflow again: it is made anew")
    expected = beside.read_text().split()[0]
    digest = sha256(path)
    if digest != expected:
        raise UserError(
            f"{path}: changed since varlm wrote it (SHA-256 {digest[:16]}…, expected "
            f"{expected[:16]}…); delete it and run the workflow again: it is made anew"
        )


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def raise_os_error(error: BaseException | None, path: Path) -> None:
    """Raise the `OSError` that Polars wrapped in an error of its own (a full disk), if it did."""
    if isinstance(error, pl.exceptions.PolarsError):
        match = re.search(r"\(os error (\d+)\)", str(error))
        if match:
            number = int(match[1])
            raise OSError(number, os.strerror(number), str(path)) from error


class atomic_path:  # noqa: N801
    """Context manager: a path to write to, renamed onto `path` on success, removed on failure.

    The data is on disk (fsync) before the rename, so that a crash leaves the old file or the
    new one, never a part of it.
    """

    def __init__(self, path: Path):
        self.path = path
        self.temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")

    def __enter__(self) -> Path:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return self.temporary

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, *_: object
    ) -> None:
        if kind is not None:
            self.temporary.unlink(missing_ok=True)
            raise_os_error(error, self.path)
            return
        descriptor = os.open(self.temporary, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self.temporary.replace(self.path)

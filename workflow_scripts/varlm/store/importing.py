"""Bring an archive that `varlm.store.archive` describes into a store, after checking all of it."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from tqdm import tqdm

from varlm.errors import UserError
from varlm.store.archive import ARCHIVE, MANIFEST, checksum, member_name
from varlm.store.layout import READABLE, Part
from varlm.store.store import Store
from varlm.store.verification import part_fault
from varlm.store.writing import CommitBuilder

_CHUNK = 8 << 20  # bytes
# What can be a folder's name in a store, and fits the 155 bytes that tar has for both.
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_CONTIG = re.compile(r"(?!commits$|damaged$|lock$)[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass
class Imported:
    """What an import did to one model: rows that were new and known, parts that came to be."""

    key: str
    rows: int = 0
    known: int = 0
    parts: int = 0


@dataclass(frozen=True)
class Archived:
    """What an archive says that it has of one model.

    Attributes
    ----------
    model : dict
        What the model is.
    rows : dict
        Digest of a contig or of a background, or `layout.PACKED` → number of rows.
    """

    model: dict[str, Any]
    rows: dict[str, int]


def list_archive(archive: Path) -> dict[str, Archived]:
    """Return model key → what an archive has of it, by its manifest; parts are not looked at.

    Raises
    ------
    UserError
        If the archive's beginning is damaged, or is not one of `export`.
    """
    with _Archive(archive) as source:
        source.check(parts=False)
        archived = {}
        for key, parts in source.parts.items():
            rows: dict[str, int] = {}
            for part in parts:
                rows[part.contig] = rows.get(part.contig, 0) + part.rows
            archived[key] = Archived(source.models[key], rows)
        return archived


def import_archive(
    store: Store,
    archive: Path,
    keys: Collection[str] | None = None,
    contigs: Collection[str] | None = None,
) -> list[Imported]:
    """Add an archive's rows to a store, those that it lacks.

    The whole archive is checked before anything is written. Then each model's parts come in one
    commit: as they are where all their rows are new, else the unknown rows in a part of their own.

    Parameters
    ----------
    store : Store
        Need not exist.
    archive : Path
    keys : collection of str, optional
        Model keys to import; all by default.
    contigs : collection of str, optional
        Digests of contigs and backgrounds whose parts to import, and `layout.PACKED`; all by
        default.

    Raises
    ------
    UserError
        If the archive is damaged, truncated or not one of `export` (nothing has changed then), or
        a row is in the store with another score (nothing of that model is stored then).
    """
    with _Archive(archive) as source:
        source.check()
        imported = []
        with tqdm(total=source.size, unit="B", unit_scale=True, desc="import", disable=None) as bar:
            for key in source.models:
                if keys is None or key in keys:
                    imported.append(_import_model(store, source, key, contigs, bar))
        return imported


def _import_model(
    store: Store, source: _Archive, key: str, contigs: Collection[str] | None, bar: tqdm[Any]
) -> Imported:
    imported = Imported(key)
    with store.committing(key, source.models[key]) as commit:
        listed = {part.sha256 for part in store.parts(key)}
        for part in source.parts[key]:
            bar.update(part.bytes)
            if contigs is not None and part.contig not in contigs:
                continue
            if part.sha256 in listed and store.manifest.faults(key, [part]) == [None]:
                new = 0
            else:
                new = _add_part(commit, source, key, part)
            imported.rows += new
            imported.known += part.rows - new
    imported.parts = len(commit.done.parts)
    return imported


def _add_part(commit: CommitBuilder, source: _Archive, key: str, part: Part) -> int:
    """Add the unknown rows of a part, and return how many they are."""
    content = source.read(key, part)
    try:
        return commit.add_part(part, content)
    except UserError as error:
        raise UserError(f"{source.path}: not imported, model {key}: {error}") from error


class _Archive:
    """An archive that is read: its manifest and, after `check`, its parts."""

    def __init__(self, path: Path):
        self.path = path
        self.models: dict[str, dict[str, Any]] = {}
        self.parts: dict[str, list[Part]] = {}
        self._offsets: dict[str, int] = {}  # of each part's content in the file

    def __enter__(self) -> _Archive:
        try:
            self._file: BinaryIO = self.path.open("rb")
        except OSError as error:
            raise UserError(
                f"{self.path}: cannot be read ({error.strerror}); give an archive that "
                "`varlm store export` wrote"
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def size(self) -> int:
        """The size of all parts, bytes."""
        return sum(part.bytes for parts in self.parts.values() for part in parts)

    def check(self, *, parts: bool = True) -> None:
        """Check the whole archive: its members, their checksums, and what the parts hold.

        Parameters
        ----------
        parts : bool
            False: the manifest alone.
        """
        try:
            with tarfile.open(fileobj=self._file, mode="r:") as tar:
                self._read_manifest(tar)
                if not parts:
                    return
                total = self.size
                with tqdm(
                    total=total, unit="B", unit_scale=True, desc="check", disable=None
                ) as bar:
                    for key, of_model in self.parts.items():
                        for part in of_model:
                            self._check_part(tar, key, part)
                            bar.update(part.bytes)
                self._check_end(tar)
        except tarfile.TarError as error:
            self._refuse(f"no whole, uncompressed tar file ({error})")

    def read(self, key: str, part: Part) -> bytes:
        """Return a part's bytes."""
        self._file.seek(self._offsets[member_name(key, part)])
        content = self._file.read(part.bytes)
        if hashlib.sha256(content).hexdigest() != part.sha256:
            self._refuse(f"{member_name(key, part)} changed while it was read")
        return content

    def _refuse(self, reason: str) -> NoReturn:
        raise UserError(
            f"{self.path}: {reason}; nothing was imported: get the archive again from whoever "
            "exported it"
        )

    def _next(self, tar: tarfile.TarFile, name: str, size: int | None) -> tarfile.TarInfo:
        """Return the next member, which must be a plain file of this name and size."""
        member = tar.next()
        if member is None:
            self._refuse(f"truncated or damaged: it ends before {name}")
        if member.name != name:
            self._refuse(f"has the member {member.name[:200]!r} where {name} is expected")
        if member.type != tarfile.REGTYPE or member.pax_headers:
            self._refuse(f"its member {name} is no plain file")
        if size is not None and member.size != size:
            self._refuse(f"its member {name} has {member.size} bytes, {MANIFEST} says {size}")
        return member

    def _content(self, member: tarfile.TarInfo) -> bytes:
        self._file.seek(member.offset_data)
        content = self._file.read(member.size)
        if len(content) != member.size:
            self._refuse(f"truncated within {member.name}")
        return content

    def _read_manifest(self, tar: tarfile.TarFile) -> None:
        text = self._content(self._next(tar, MANIFEST, None))
        try:
            manifest = json.loads(text)
            if checksum(manifest) != manifest["checksum"]:
                self._refuse(f"{MANIFEST} is damaged: its checksum does not match")
            if manifest["archive"] != ARCHIVE or manifest["layout"] not in READABLE:
                self._refuse(
                    f"written as archive {manifest['archive']} of layout {manifest['layout']}, "
                    f"this varlm reads archive {ARCHIVE} of layouts {READABLE[0]} to "
                    f"{READABLE[-1]}"
                )
            for key, entry in sorted(manifest["keys"].items()):
                self._add_model(key, entry)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            self._refuse(f"{MANIFEST} is not what `varlm store export` writes ({error})")

    def _add_model(self, key: str, entry: Mapping[str, Any]) -> None:
        model = dict(entry["model"])
        parts = [Part(**part) for part in entry["parts"]]
        if not _KEY.fullmatch(key) or model.get("key", key) != key or not parts:
            raise ValueError(f"model key {key[:80]!r}")
        for part in parts:
            for field in fields(Part):
                if type(getattr(part, field.name)).__name__ != field.type:
                    raise TypeError(f"{field.name} of a part is {getattr(part, field.name)!r}")
            if not (_CONTIG.fullmatch(part.contig) and _SHA256.fullmatch(part.sha256)):
                raise ValueError(f"part {part.contig[:80]!r}/{part.sha256[:80]!r}")
        if [(p.contig, p.sha256) for p in parts] != sorted({(p.contig, p.sha256) for p in parts}):
            raise ValueError(f"the parts of {key} are not sorted, or twice there")
        self.models[key], self.parts[key] = model, parts

    def _check_part(self, tar: tarfile.TarFile, key: str, part: Part) -> None:
        name = member_name(key, part)
        member = self._next(tar, name, part.bytes)
        content = self._content(member)
        actual = hashlib.sha256(content).hexdigest()
        if actual != part.sha256:
            self._refuse(f"{name} is damaged: its SHA-256 is {actual}")
        fault = part_fault(part, key, io.BytesIO(content))
        if fault is not None:
            self._refuse(f"{name}: {fault}")
        self._offsets[name] = member.offset_data

    def _check_end(self, tar: tarfile.TarFile) -> None:
        """Only the blank blocks that close a tar file may follow."""
        member = tar.next()
        if member is not None:
            self._refuse(f"has the member {member.name[:200]!r}, which {MANIFEST} does not list")
        self._file.seek(tar.offset)
        blank = 0
        while chunk := self._file.read(_CHUNK):
            if chunk.strip(b"\0"):
                self._refuse("damaged: something follows its last member")
            blank += len(chunk)
        if blank < tarfile.BLOCKSIZE:
            self._refuse("truncated: the end of a tar file is missing")

"""A store, or some of it, as one portable file: an uncompressed tar of parts and a manifest.

The archive's members, in this order:

- `varlm-store.json`: the archive's and the store's layout, varlm's version, and for each model key
  what the model is and which parts follow, with checksums. Its `checksum` is the SHA-256 of all
  else in it (as JSON with sorted keys and without blanks).
- `{model key}/{contig digest}/{sha256}.parquet` for each part, sorted by this name.

Equal rows in equal parts give equal bytes, whoever exports them and when: names, sizes and order
are all that the tar headers hold. Where the model's files lay on the exporting machine is not in
it (`varlm.store.identity.portable`).
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, NoReturn

import polars as pl
from tqdm import tqdm

from varlm import __version__
from varlm.errors import UserError
from varlm.files.whole import atomic_path
from varlm.store.identity import one_model, portable
from varlm.store.layout import KINDS, PACKED, Kind, Part, layout_of
from varlm.store.manifest import LOST
from varlm.store.part_file import part_of, write_rows
from varlm.store.store import Store

log = logging.getLogger("varlm")

ARCHIVE = 1  # raised when an older varlm would misread the archive
MANIFEST = "varlm-store.json"


@dataclass(frozen=True)
class Exported:
    """What an archive holds, all models together."""

    models: int
    parts: int
    rows: int
    bytes: int


class _MovedError(Exception):
    """A part was replaced by a compaction while it was looked for."""


def export(
    store: Store, archive: Path, keys: Iterable[str], contigs: Iterable[str] | None = None
) -> Exported:
    """Write an archive of some models' parts, each verified while it is copied.

    Parameters
    ----------
    store : Store
    archive : Path
        Written whole or not at all.
    keys : iterable of str
        Model keys.
    contigs : iterable of str, optional
        Digests of the contigs (or backgrounds) to export; all by default.

    Raises
    ------
    UserError
        If a part is damaged or lost, or there is nothing to export.
    """
    keys, digests = sorted(keys), None if contigs is None else set(contigs)
    while True:
        try:
            return _export(store, archive, keys, digests)
        except _MovedError:
            log.info("%s: parts were merged meanwhile; starting again", store.root)


def _export(store: Store, archive: Path, keys: list[str], digests: set[str] | None) -> Exported:
    parts: dict[str, list[Part]] = {}
    cut: dict[str, bytes] = {}
    for key in keys:
        store.manifest.forget(key)
        chosen = [part for part in store.parts(key) if digests is None or part.contig in digests]
        for part, content in _cut_parts(store, key, digests):
            chosen.append(part)
            cut[part.sha256] = content
        if chosen:
            parts[key] = chosen
    if not parts:
        raise UserError(f"{store.root}: no scores to export; check --key and --contig")
    return write_archive(store, archive, parts, cut)


def write_archive(
    store: Store, archive: Path, parts: Mapping[str, list[Part]], cut: Mapping[str, bytes]
) -> Exported:
    """Write an archive of parts, whole or not at all.

    Parameters
    ----------
    store : Store
    archive : Path
    parts : mapping
        Model key → its parts, in any order, at least one.
    cut : mapping
        SHA-256 → content of the parts that are no files of the store.

    Raises
    ------
    UserError
        If a part is damaged or lost.
    """
    parts = {
        key: sorted(of_model, key=lambda part: (part.contig, part.sha256))
        for key, of_model in parts.items()
    }
    exported = [part for of_model in parts.values() for part in of_model]
    text = _manifest_text(parts, {key: _portable_model(store, key) for key in parts})
    total = sum(part.bytes for part in exported)
    with (
        atomic_path(archive) as temporary,
        tarfile.open(temporary, "w:", format=tarfile.USTAR_FORMAT) as tar,
        tqdm(total=total, unit="B", unit_scale=True, desc="export", disable=None) as bar,
    ):
        tar.addfile(_member(MANIFEST, len(text)), io.BytesIO(text))
        for key, of_model in parts.items():
            for part in of_model:
                if part.sha256 in cut:
                    member = _member(member_name(key, part), part.bytes)
                    tar.addfile(member, io.BytesIO(cut[part.sha256]))
                else:
                    _add_part(tar, store, key, part)
                bar.update(part.bytes)
    return Exported(len(parts), len(exported), sum(part.rows for part in exported), total)


def _cut_parts(store: Store, key: str, digests: set[str] | None) -> Iterator[tuple[Part, bytes]]:
    """Yield packed parts of the rows that packed parts have of some contigs, and their content."""
    for kind in KINDS.values():
        wanted = [contig for contig in store.packed_runs(key, kind) if contig in (digests or ())]
        if wanted:
            rows = store.read_packed(key, kind, wanted).sort(kind.packed.key)
            yield made_part(key, kind, PACKED, rows)


def made_part(key: str, kind: Kind, contig: str, rows: pl.DataFrame) -> tuple[Part, bytes]:
    """Return a part of rows (sorted, unique) and its content; equal rows make equal bytes."""
    content = io.BytesIO()
    write_rows(content, key, kind, contig, rows)
    digest = hashlib.sha256(content.getvalue()).hexdigest()
    return part_of(kind, contig, rows, digest, content.tell()), content.getvalue()


def _portable_model(store: Store, key: str) -> dict[str, Any]:
    """Return what the commits say of a model, whatever their order."""
    models = [portable(commit.model) for commit in store.commits(key)]
    # The one that says most first: another may have lost its path.
    return one_model(sorted(models, key=lambda m: (-len(m), json.dumps(m, sort_keys=True))))


def _manifest_text(parts: Mapping[str, list[Part]], models: Mapping[str, dict[str, Any]]) -> bytes:
    manifest = {
        "archive": ARCHIVE,
        "layout": layout_of(part for of_model in parts.values() for part in of_model),
        "varlm": __version__,
        "keys": {
            key: {"model": models[key], "parts": [asdict(part) for part in of_model]}
            for key, of_model in parts.items()
        },
    }
    manifest["checksum"] = checksum(manifest)
    return json.dumps(manifest, indent=1, sort_keys=True).encode() + b"\n"


def checksum(manifest: Mapping[str, Any]) -> str:
    """Return the SHA-256 of all else in a manifest."""
    rest = {name: value for name, value in manifest.items() if name != "checksum"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)  # time, owner and group are 0
    member.size = size
    return member


def _add_part(tar: tarfile.TarFile, store: Store, key: str, part: Part) -> None:
    path = part.path(store.root / key)
    try:
        file = path.open("rb")
    except FileNotFoundError:
        store.manifest.forget(key)
        if part.sha256 not in {listed.sha256 for listed in store.parts(key)}:
            raise _MovedError from None
        _refuse_part(path, LOST)
    with file:
        source = _Hashing(file)
        try:
            tar.addfile(_member(member_name(key, part), part.bytes), source)
        except OSError as error:
            if error.errno is not None:  # the disk's, not tarfile's word for a short file
                raise
            _refuse_part(path, "damaged: it is cut short")
        if source.hash.hexdigest() != part.sha256 or file.read(1):
            _refuse_part(path, "damaged: its SHA-256 is not its name")


def _refuse_part(path: Path, fault: str) -> NoReturn:
    raise UserError(
        f"{path}: {fault}; nothing was exported: run `varlm store verify --repair` first"
    )


class _Hashing(io.RawIOBase):
    """Passes a file on and hashes what is read."""

    def __init__(self, file: IO[bytes]):
        self.file = file
        self.hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        data = self.file.read(size)
        self.hash.update(data)
        return data


def member_name(key: str, part: Part) -> str:
    """Return what a part is called in an archive."""
    return f"{key}/{part.contig}/{part.sha256}.parquet"

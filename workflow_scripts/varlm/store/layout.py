"""What the store's files are: kinds of rows, parts, commits, and how a file comes into place."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.errors import UserError
from varlm.files.whole import raise_os_error, sha256
from varlm.tables.schemas import ALLELES, BACKGROUND, SITES
from varlm.tables.score_kinds import SCORE_KINDS

LAYOUT = 2  # raised when the files change in a way that an older varlm would misread
PACKED_LAYOUT = 3  # of packed parts and the commits that list any: an older varlm refuses these
READABLE = (1, 2, 3)  # 1: parts without metadata of their own
PACKED = "packed"  # in place of a digest: the part holds rows of many contigs
# Rows from which a contig has parts of its own, and how many contigs with fewer rows still have:
# a file takes some 4 kB and a few ms, whatever is in it.
SMALL = 5_000
FEW = 50
PART_ROWS = 4_000_000  # a part's rows at most (130 MB of sites): what a reader holds at once
PACKED_ROWS = 1_000_000  # a packed part's: who writes one holds its rows several times
METADATA = "varlm.store"  # the key in a part's Parquet metadata

LAST = 2**32 - 1  # the highest `pos` that a row can have

# Where one key has two values, they may differ by what the precision setting allows (nats; else of
# the value, where that is above one): two machines, or two of the modes that `auto` chooses from,
# round differently. Beyond, one is wrong.
CONFLICT = {"float32": 1e-3}
CONFLICT_REDUCED = 0.2

SITE_KEY = ["pos"]
ALLELE_KEY = ["pos", "ref", "alt"]
BACKGROUND_KEY = ["contig", "pos", "ref", "alt"]
SITE_SCHEMA = {n: t for n, t in SITES.schema.items() if n != "contig"}
ALLELE_SCHEMA = {n: t for n, t in ALLELES.schema.items() if n != "contig"}


@dataclass(frozen=True)
class Kind:
    """What a part may hold: its columns and those that identify a row."""

    name: str
    schema: dict[str, pl.DataType]
    key: list[str]

    @property
    def values(self) -> list[str]:
        """The columns that are scores."""
        return [name for name, dtype in self.schema.items() if dtype == pl.Float32]

    @property
    def packed(self) -> Kind:
        """The kind as a packed part has it: with the digest of each row's contig."""
        return Kind(self.name, {"contig": pl.String(), **self.schema}, ["contig", *self.key])


KINDS = {
    kind.name: kind
    for kind in (
        Kind("sites", SITE_SCHEMA, SITE_KEY),
        Kind("alleles", ALLELE_SCHEMA, ALLELE_KEY),
        Kind("background", BACKGROUND.schema, BACKGROUND_KEY),
    )
}


@dataclass(frozen=True)
class Part:
    """One file of rows: what it holds and the checksum that it must have.

    `first` and `last` are the lowest and highest `pos` (1-based) in it.
    """

    kind: str  # sites, alleles or background
    contig: str  # digest; of the background's definition, where it is one; or PACKED
    sha256: str
    bytes: int
    rows: int
    first: int
    last: int

    def path(self, model: Path) -> Path:
        """Where the part lies below the model's folder."""
        return model / self.contig / f"{self.sha256}.parquet"

    @property
    def packed(self) -> bool:
        """Whether it holds rows of many contigs."""
        return self.contig == PACKED

    def has(self) -> Kind:
        """Return the columns that it has, and those that identify a row; `KeyError` if unknown."""
        kind = KINDS[self.kind]
        return kind.packed if self.packed else kind


@dataclass(frozen=True)
class Commit:
    """One commit file: its path, the model it is about, its parts and those they replace."""

    path: Path
    layout: int
    model: dict[str, Any]
    parts: tuple[Part, ...]
    replaces: frozenset[str] = frozenset()


class DamagedCommitError(UserError):
    """A commit file that is not what its name says."""

    def __init__(self, path: Path, reason: str):
        super().__init__(
            f"{path}: {reason}; run the workflow again with --forcerun plan: it sets the file aside"
        )
        self.reason = reason


def read_commit(path: Path) -> Commit:
    """Read a commit file.

    Raises
    ------
    DamagedCommitError
        If its content has not the SHA-256 of its name.
    UserError
        If a newer varlm wrote it.
    """
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != path.stem:
        raise DamagedCommitError(path, "damaged, or no commit of a varlm score store")
    entry: dict[str, Any] = json.loads(content)
    if entry.get("layout") not in READABLE:
        raise UserError(
            f"{path}: written with store layout {entry.get('layout')!r}, this varlm reads layouts "
            f"{READABLE[0]} to {READABLE[-1]}; use the varlm that wrote it, or name another store "
            "in the config"
        )
    return Commit(
        path,
        entry["layout"],
        entry["model"],
        tuple(Part(**part) for part in entry["parts"]),
        frozenset(entry.get("replaces", ())),
    )


def layout_of(parts: Iterable[Part]) -> int:
    """Return the layout of a commit or archive that lists these parts."""
    return PACKED_LAYOUT if any(part.packed for part in parts) else LAYOUT


def describe_part(path: Path, key: str) -> Part:
    """Return what a part's own metadata and rows say that it is.

    Raises
    ------
    ValueError, LookupError
        If the file is no part, or one of another model or contig.
    """
    about = json.loads(pl.read_parquet_metadata(path)[METADATA])
    kind = KINDS[about["kind"]]
    if about["layout"] not in READABLE:
        raise ValueError(f"layout {about['layout']}")
    if (about["key"], about["contig"]) != (key, path.parent.name):
        raise ValueError(f"belongs to model {about['key']}, contig {about['contig']}")
    rows = pl.scan_parquet(path)
    columns = kind.packed if about["contig"] == PACKED else kind
    if rows.collect_schema() != pl.Schema(columns.schema):
        raise ValueError("other columns")
    count, first, last = (
        rows.select(pl.len(), pl.col("pos").min().alias("a"), pl.col("pos").max().alias("b"))
        .collect(engine="in-memory")
        .row(0)
    )
    if kind.name == "background":
        first = last = 0
    size = path.stat().st_size
    return Part(kind.name, about["contig"], path.stem, size, count, int(first), int(last))


@dataclass(frozen=True)
class Tolerance:
    """By how much two values of one row may differ.

    Attributes
    ----------
    most : float
        Of log-ratios, nats.
    relative : bool
        Whether it is a share of the smaller value, where that is above one: of scores that have no
        natural size, as distances of embeddings.
    """

    most: float
    relative: bool = False

    def allows(self, one: NDArray[np.floating], other: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Return where two arrays agree; NaN agrees with nothing."""
        most: NDArray[np.floating] | float = self.most
        if self.relative:
            most = self.most * np.maximum(1, np.minimum(np.abs(one), np.abs(other)))
        allowed: NDArray[np.bool_] = np.abs(one - other) <= most
        return allowed


def tolerance(model: Mapping[str, Any]) -> Tolerance:
    """Return by how much two values of one row of a model may differ."""
    most = CONFLICT.get(model.get("precision") or "", CONFLICT_REDUCED)
    kind = SCORE_KINDS.get(model.get("score") or "masked")
    return Tolerance(most, relative=kind is None or not kind.is_llr)


def place(write: Callable[[BinaryIO], object], folder: Path, suffix: str) -> tuple[str, int]:
    """Write a file named by its SHA-256, whole or not at all; return that and its size, bytes.

    Raises
    ------
    OSError
        If the disk is full, fails or cannot be written; it names a file or folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{uuid.uuid4().hex}.tmp"
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        digest, size = sha256(temporary), temporary.stat().st_size
        temporary.chmod(0o444)
        temporary.replace(folder / f"{digest}{suffix}")
        sync_folder(folder)
    except OSError as error:
        error.filename = error.filename or str(folder)
        raise
    except pl.exceptions.PolarsError as error:
        raise_os_error(error, folder)
        raise
    finally:
        temporary.unlink(missing_ok=True)
    return digest, size


def sync_folder(folder: Path) -> None:
    """Have the folder's entries on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""The score store: site logits and allele scores that outlive runs.

Layout::

    {store}/{model key}/commits/{id}.json        which parts exist: the only source of truth
    {store}/{model key}/{contig digest}/{sha256}.parquet   the parts, named by their content
    {store}/{model key}/damaged/                 parts that failed their checksum, set aside

A commit writes each part beside its place, syncs it, renames it to the name of its SHA-256 and
then does the same with one small commit file that lists the parts. Parts that no commit lists do
not exist for a reader, so a crash at any instant leaves the old state or the new one, and two
writers never touch the same file with different content. The protocol is the one that survived
random kills where plain writes did not (content-addressed objects, as in git and DVC).

The contig digest, not the contig's name, is in the path: `chr1` and `1` share their rows.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import uuid
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from varlm.errors import UserError
from varlm.schemas import ALLELES, LOGIT_COLUMNS, SITES

log = logging.getLogger("varlm")

LAYOUT = 1  # raised when the files change in a way that an older varlm would misread
ROW_GROUP = 100_000  # rows: 64k to 256k read equally fast, and a reader can skip by position

SITE_KEY = ["pos"]
ALLELE_KEY = ["pos", "ref", "alt"]
SITE_SCHEMA = {n: t for n, t in SITES.schema.items() if n != "contig"}
ALLELE_SCHEMA = {n: t for n, t in ALLELES.schema.items() if n != "contig"}


@dataclass(frozen=True)
class Part:
    """One file of rows: what it holds and the checksum that it must have.

    `first` and `last` are the lowest and highest `pos` (1-based) in it.
    """

    kind: str  # sites or alleles
    contig: str  # digest
    sha256: str
    bytes: int
    rows: int
    first: int
    last: int

    def path(self, model: Path) -> Path:
        """Where the part lies below the model's folder."""
        return model / self.contig / f"{self.sha256}.parquet"


class Store:
    """All scores under one folder; see the module's text for the layout.

    Parameters
    ----------
    root : Path
        Need not exist: an absent store is an empty one.
    """

    def __init__(self, root: Path):
        self.root = root
        self._verified: set[str] = set()
        self._parts: dict[str, list[Part]] = {}

    def read_sites(
        self, key: str, contig: str, start: int = 1, end: int = 2**32 - 1
    ) -> pl.DataFrame:
        """Return the site rows of a contig, sorted by `pos`, each position once.

        Parameters
        ----------
        key : str
            Model key.
        contig : str
            Contig digest.
        start, end : int
            First and last position to return, 1-based, both included.

        Returns
        -------
        polars.DataFrame
            `pos` and the eight logits of `varlm.schemas.LOGIT_COLUMNS`.

        Raises
        ------
        UserError
            If a part is damaged or lost (`discard_damaged` sets such parts aside).
        """
        return self._read(key, "sites", contig, start, end, SITE_SCHEMA, SITE_KEY)

    def read_alleles(
        self, key: str, contig: str, start: int = 1, end: int = 2**32 - 1
    ) -> pl.DataFrame:
        """Return the allele rows of a contig: `pos`, `ref`, `alt`, `llr_fwd`, `llr_rev`.

        Sorted by pos, ref, alt, each allele once; arguments and errors as in `read_sites`.
        """
        return self._read(key, "alleles", contig, start, end, ALLELE_SCHEMA, ALLELE_KEY)

    def known_sites(self, key: str, contig: str) -> pl.DataFrame:
        """Return only `pos` of the contig's site rows, sorted and unique."""
        return self._read(key, "sites", contig, 1, 2**32 - 1, {"pos": pl.UInt32()}, SITE_KEY)

    def known_alleles(self, key: str, contig: str) -> pl.DataFrame:
        """Return only `pos`, `ref` and `alt` of the contig's allele rows, sorted and unique."""
        schema = {name: ALLELE_SCHEMA[name] for name in ALLELE_KEY}
        return self._read(key, "alleles", contig, 1, 2**32 - 1, schema, ALLELE_KEY)

    def _read(
        self,
        key: str,
        kind: str,
        contig: str,
        start: int,
        end: int,
        schema: dict[str, pl.DataType],
        by: list[str],
    ) -> pl.DataFrame:
        frames = []
        for part in self.parts(key):
            if part.kind == kind and part.contig == contig and part.first <= end:
                if part.last < start:
                    continue
                path = self._checked(key, part)
                lazy = pl.scan_parquet(path).select(list(schema))
                if start > part.first or end < part.last:
                    lazy = lazy.filter(pl.col("pos").is_between(start, end))
                frames.append(lazy.collect(engine="in-memory"))
        if not frames:
            return pl.DataFrame(schema=schema)
        rows = pl.concat(frames)
        if len(frames) > 1:
            # Two runs may have computed the same rows at once; both are right, one is kept.
            rows = rows.unique(subset=by, keep="first", maintain_order=True).sort(by)
        return rows

    def parts(self, key: str) -> list[Part]:
        """Return the parts that the model's commits list, each once, in a fixed order.

        The commits are read once in the life of this object, and again after its own writes: a
        step sees one state of the store, whatever other runs commit meanwhile.
        """
        if key not in self._parts:
            self._parts[key] = self._list_parts(key)
        return self._parts[key]

    def _list_parts(self, key: str) -> list[Part]:
        found: dict[str, Part] = {}
        for path in sorted((self.root / key / "commits").glob("*.json")):
            for entry in _read_commit(path)["parts"]:
                part = Part(**entry)
                found[part.sha256] = part
        folder = self.root / key
        return [
            part
            for part in sorted(found.values(), key=lambda p: (p.contig, p.kind, p.first, p.sha256))
            if not (folder / "damaged" / f"{part.sha256}.parquet").exists()
        ]

    def discard_damaged(self, key: str) -> list[Part]:
        """Set aside every part that is lost or fails its checksum; return those parts.

        Afterwards their rows count as unknown, so that `plan` has them computed again.
        """
        folder = self.root / key
        bad = []
        for part in self.parts(key):
            fault = self._fault(key, part)
            if fault is None:
                continue
            log.warning("%s: %s; its %d rows count as unknown", part.path(folder), fault, part.rows)
            (folder / "damaged").mkdir(exist_ok=True)
            aside = folder / "damaged" / f"{part.sha256}.parquet"
            if part.path(folder).exists():
                part.path(folder).replace(aside)
            else:
                aside.touch()
            bad.append(part)
        self._parts.pop(key, None)
        return bad

    def _checked(self, key: str, part: Part) -> Path:
        fault = self._fault(key, part)
        path = part.path(self.root / key)
        if fault is not None:
            raise UserError(
                f"{path}: {fault}; run the workflow again with --forcerun plan: "
                "it sets the file aside and computes its rows again"
            )
        return path

    def _fault(self, key: str, part: Part) -> str | None:
        path = part.path(self.root / key)
        if part.sha256 in self._verified:
            return None
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            return "this part of the score store is lost"
        if found != part.sha256:
            return f"damaged: its SHA-256 is {found}, expected {part.sha256}"
        self._verified.add(part.sha256)
        return None

    def commit(
        self,
        key: str,
        model: dict[str, Any],
        sites: Iterable[tuple[str, pl.DataFrame]],
        alleles: Iterable[tuple[str, pl.DataFrame]],
    ) -> list[Part]:
        """Add rows, atomically: either all of them are there afterwards or none.

        Parameters
        ----------
        key : str
            Model key.
        model : dict
            What the key stands for; kept in the commit for a human.
        sites, alleles : iterables of (contig digest, polars.DataFrame)
            Rows as `read_sites` and `read_alleles` return them; a contig may come in pieces.

        Returns
        -------
        list of Part
            What was written; empty when there were no rows.
        """
        folder = self.root / key
        parts = [
            self._write_part(folder, kind, contig, rows, by)
            for kind, pieces, by in (("sites", sites, SITE_KEY), ("alleles", alleles, ALLELE_KEY))
            for contig, rows in pieces
            if rows.height
        ]
        if not parts:
            return []
        entry = {
            "layout": LAYOUT,
            "model": model,
            "parts": [asdict(part) for part in parts],
        }
        text = json.dumps(entry, indent=1, sort_keys=True).encode()
        _place(text, folder / "commits", hashlib.sha256(text).hexdigest() + ".json")
        self._parts.pop(key, None)
        return parts

    def _write_part(
        self, folder: Path, kind: str, contig: str, rows: pl.DataFrame, by: list[str]
    ) -> Part:
        schema = SITE_SCHEMA if kind == "sites" else ALLELE_SCHEMA
        rows = rows.select(list(schema)).cast(dict(schema)).sort(by)  # type: ignore[arg-type]
        if rows.select(by).is_duplicated().any():
            raise AssertionError(f"duplicate {kind} rows in one commit for contig {contig}")
        place = folder / contig
        place.mkdir(parents=True, exist_ok=True)
        temporary = place / f".{uuid.uuid4().hex}.tmp"
        try:
            rows.write_parquet(
                temporary, compression="zstd", compression_level=3, row_group_size=ROW_GROUP
            )
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            part = Part(
                kind,
                contig,
                digest,
                temporary.stat().st_size,
                rows.height,
                int(rows["pos"][0]),
                int(rows["pos"][-1]),
            )
            # A part that was set aside as damaged may come again, bit for bit.
            (folder / "damaged" / f"{digest}.parquet").unlink(missing_ok=True)
            temporary.chmod(0o444)
            temporary.replace(part.path(folder))
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(place)
        return part


def _read_commit(path: Path) -> dict[str, Any]:
    try:
        entry: dict[str, Any] = json.loads(path.read_bytes())
    except ValueError as error:
        raise UserError(
            f"{path}: not a commit of a varlm score store ({error}); delete this file: "
            "the rows it listed are computed again"
        ) from error
    if entry.get("layout") != LAYOUT:
        raise UserError(
            f"{path}: written with store layout {entry.get('layout')!r}, this varlm reads layout "
            f"{LAYOUT}; use the varlm that wrote it, or name another store in the config"
        )
    return entry


def _place(content: bytes, folder: Path, name: str) -> None:
    """Put a file there whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{uuid.uuid4().hex}.tmp"
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o444)
        temporary.replace(folder / name)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


__all__ = ["LOGIT_COLUMNS", "Part", "Store"]

"""Reading and writing the score store; `varlm.store` describes its layout."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import filelock
import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.errors import UserError
from varlm.files.whole import sha256
from varlm.run.progress import Progress
from varlm.store.layout import (
    ALLELE_KEY,
    KINDS,
    LAST,
    LAYOUT,
    METADATA,
    PART_ROWS,
    Commit,
    Kind,
    Part,
    place,
    read_commit,
    tolerance,
)
from varlm.tables.parquet import ROW_GROUP

log = logging.getLogger("varlm")

# Gap (bp) between wanted rows from which two reads are cheaper than one, and the widest read.
_GAP, _SPAN = 200_000, 2_000_000

LOST = "this part of the score store is lost"

_T = TypeVar("_T")


@dataclass
class Committed:
    """What a commit did: the parts written, and the rows that were in the store already."""

    parts: list[Part] = field(default_factory=list)
    known: int = 0


class ConflictError(UserError):
    """Two parts with different scores of one row; `rows` names it and both values."""

    def __init__(self, one: Path, other: Path, rows: str):
        self.one, self.other = one, other
        self.found = f"this and {other} hold different scores of {rows}"
        self.remedy = (
            "one of them is wrong: delete one file and run the workflow again with --forcerun plan"
        )
        super().__init__(f"{one}: {self.found}; {self.remedy}")


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
        self._excluded: set[str] = set()  # damaged, in a store that cannot be written
        self._commits: dict[str, list[Commit]] = {}
        self._parts: dict[str, dict[tuple[str, str], list[Part]]] = {}

    # Reading

    def read_sites(self, key: str, contig: str, start: int = 1, end: int = LAST) -> pl.DataFrame:
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
            `pos` and the eight logits of `varlm.tables.schemas.LOGIT_COLUMNS`.

        Raises
        ------
        UserError
            If a part is damaged or lost (`repair` sets such parts aside), or two parts hold
            different values for one row.
        """
        return self.read(key, KINDS["sites"], contig, start, end)

    def read_alleles(self, key: str, contig: str, start: int = 1, end: int = LAST) -> pl.DataFrame:
        """Return the allele rows of a contig: `pos`, `ref`, `alt`, `llr_fwd`, `llr_rev`.

        Sorted by pos, ref, alt, each allele once; arguments and errors as in `read_sites`.
        """
        return self.read(key, KINDS["alleles"], contig, start, end)

    def read_background(self, key: str, background: str) -> pl.DataFrame | None:
        """Return the scores of a background (`varlm.scoring.background`), or None."""
        rows = self.read(key, KINDS["background"], background, 0)
        return None if rows.is_empty() else rows

    def sites_at(self, key: str, contig: str, positions: NDArray[np.uint32]) -> pl.DataFrame:
        """Return the site rows at these positions (1-based, sorted), those that are known."""
        wanted = pl.DataFrame({"pos": positions}, schema={"pos": pl.UInt32()})
        return self._rows_at(key, KINDS["sites"], contig, wanted)

    def has_sites(self, key: str, contig: str, positions: NDArray[np.uint32]) -> NDArray[np.bool_]:
        """Return which positions (1-based, sorted) have a row, in memory bounded by one part."""
        known = np.zeros(len(positions), dtype=bool)
        for low, high, rows in self._overlaps(key, KINDS["sites"], contig, positions):
            present = rows["pos"].to_numpy()
            asked = positions[low:high]
            at = np.searchsorted(present, asked)
            at[at == len(present)] = 0
            known[low:high] |= present[at] == asked
        return known

    def has_alleles(self, key: str, contig: str, alleles: pl.DataFrame) -> NDArray[np.bool_]:
        """Return which alleles (`pos`, `ref`, `alt`, sorted by pos) have a row; memory likewise."""
        known = np.zeros(alleles.height, dtype=bool)
        positions = alleles["pos"].to_numpy()
        for low, high, rows in self._overlaps(key, KINDS["alleles"], contig, positions):
            asked = alleles[low:high].with_row_index("row")
            found = asked.join(rows, on=ALLELE_KEY, how="semi")["row"].to_numpy()
            known[low + found] = True
        return known

    def _overlaps(
        self, key: str, kind: Kind, contig: str, positions: NDArray[np.uint32]
    ) -> Iterator[tuple[int, int, pl.DataFrame]]:
        """For each part: which of `positions` it may hold (from, to) and its keys among them."""
        if not len(positions):
            return

        def keys(part: Part) -> tuple[int, int, pl.DataFrame] | None:
            low = int(np.searchsorted(positions, part.first))
            high = int(np.searchsorted(positions, part.last, side="right"))
            if low == high:
                return None
            start, end = int(positions[low]), int(positions[high - 1])
            rows = self._part_rows(key, part, start, end, kind.key)
            return (low, high, rows) if rows.height else None

        yield from self._each_part(key, kind, contig, int(positions[0]), int(positions[-1]), keys)

    def read(
        self, key: str, kind: Kind, contig: str, start: int = 1, end: int = LAST
    ) -> pl.DataFrame:
        """Return the rows of any kind; arguments, order and errors as in `read_sites`."""
        columns = list(kind.schema)
        frames = list(
            self._each_part(
                key,
                kind,
                contig,
                start,
                end,
                lambda part: (part, self._part_rows(key, part, start, end, columns)),
            )
        )
        if not frames:
            return pl.DataFrame(schema=kind.schema)
        if len(frames) == 1:
            return frames[0][1]
        rows = pl.concat(
            rows.with_columns(part=pl.lit(number, pl.UInt32))
            for number, (_, rows) in enumerate(frames)
        ).sort(*kind.key, "part")
        # Without locks, two runs may have stored the same rows: both are right, one is kept.
        same = pl.all_horizontal(pl.col(n) == pl.col(n).shift(1) for n in kind.key)
        again = rows.select(same.fill_null(value=False)).to_series()
        if again.any():
            twice = np.flatnonzero(again.to_numpy())
            where = self.conflict(rows[twice - 1], rows[twice], kind, self._tolerance(key))
            if where is not None:
                row, text = where
                numbers = (rows["part"][int(twice[row]) - 1], rows["part"][int(twice[row])])
                one, other = (frames[n][0].path(self.root / key) for n in numbers)
                raise ConflictError(one, other, text)
            rows = rows.filter(~again)
        return rows.drop("part")

    @staticmethod
    def conflict(
        one: pl.DataFrame, other: pl.DataFrame, kind: Kind, tolerance: float
    ) -> tuple[int, str] | None:
        """Return the first row where two frames of the same keys differ beyond `tolerance`.

        As its number and a text that names it and both values; None where there is none.
        """
        a, b = (rows.select(kind.values).to_numpy() for rows in (one, other))
        both_absent = np.isnan(a) & np.isnan(b)
        with np.errstate(invalid="ignore"):
            wrong = ~((np.abs(a - b) <= tolerance) | both_absent)
        if not wrong.any():
            return None
        row = int(wrong.any(axis=1).argmax())
        column = int(wrong[row].argmax())
        name = " ".join(str(one[row, key]) for key in kind.key)
        return row, f"{name} ({kind.values[column]} {a[row, column]:g} and {b[row, column]:g})"

    def _rows_at(self, key: str, kind: Kind, contig: str, wanted: pl.DataFrame) -> pl.DataFrame:
        """Return the rows whose keys `wanted` has (sorted by pos), read in narrow ranges."""
        found = [pl.DataFrame(schema=kind.schema)]
        positions = wanted["pos"].to_numpy().astype(np.int64)
        for low, high in _clusters(positions):
            rows = self.read(key, kind, contig, int(positions[low]), int(positions[high - 1]))
            found.append(rows.join(wanted[low:high], on=kind.key, how="semi"))
        return pl.concat(found).sort(kind.key)

    def _part_rows(
        self, key: str, part: Part, start: int, end: int, columns: list[str]
    ) -> pl.DataFrame:
        lazy = pl.scan_parquet(part.path(self.root / key)).select(columns)
        if start > part.first or end < part.last:  # row groups outside are not read
            lazy = lazy.filter(pl.col("pos").is_between(start, end))
        return lazy.collect(engine="in-memory")

    def _each_part(
        self,
        key: str,
        kind: Kind,
        contig: str,
        start: int,
        end: int,
        read: Callable[[Part], _T | None],
    ) -> Iterator[_T]:
        """Yield what `read` makes of each part with rows in the range, verified before.

        A part that a compaction has replaced since it was listed is looked for in a new listing.
        """
        done: set[str] = set()
        while True:
            parts = [
                part
                for part in self._by_contig(key).get((contig, kind.name), [])
                if part.first <= end and part.last >= start and part.sha256 not in done
            ]
            gone = False
            for part, fault in zip(parts, self.faults(key, parts), strict=True):
                if fault is None:
                    try:
                        result = read(part)
                    except FileNotFoundError:
                        fault = LOST
                if fault is not None:
                    self.forget(key)
                    if fault == LOST and part.sha256 not in {p.sha256 for p in self.parts(key)}:
                        gone = True
                        break
                    raise UserError(
                        f"{part.path(self.root / key)}: {fault}; run the workflow again with "
                        "--forcerun plan: it sets the file aside and computes its rows again"
                    )
                done.add(part.sha256)
                if result is not None:
                    yield result
            if not gone:
                return

    # The manifest

    def keys(self) -> list[str]:
        """Return the model keys that have commits, sorted."""
        return sorted(path.parent.name for path in self.root.glob("*/commits") if path.is_dir())

    def parts(self, key: str) -> list[Part]:
        """Return the parts that the model's commits list, each once, in a fixed order.

        The commits are read once in the life of this object, and again after its own writes: a
        step sees one state of the store, whatever other runs commit meanwhile.
        """
        return [part for parts in self._by_contig(key).values() for part in parts]

    def _by_contig(self, key: str) -> dict[tuple[str, str], list[Part]]:
        """Return the parts by contig and kind."""
        if key not in self._parts:
            found = {part.sha256: part for commit in self.commits(key) for part in commit.parts}
            aside = self.root / key / "damaged"
            absent = {path.stem for path in aside.glob("*.parquet")} | self._excluded
            by_contig: dict[tuple[str, str], list[Part]] = {}
            for part in sorted(found.values(), key=lambda p: (p.contig, p.kind, p.first, p.sha256)):
                if part.sha256 not in absent:
                    by_contig.setdefault((part.contig, part.kind), []).append(part)
            self._parts[key] = by_contig
        return self._parts[key]

    def commits(self, key: str) -> list[Commit]:
        """Return the model's commit files, in a fixed order.

        Raises
        ------
        UserError
            If one is damaged, or was written by a newer varlm.
        """
        while key not in self._commits:
            # A file that a compaction has replaced since it was listed: the list is read again.
            with contextlib.suppress(FileNotFoundError):
                self._commits[key] = [read_commit(path) for path in self.commit_files(key)]
        return self._commits[key]

    def exclude(self, sha: str) -> None:
        """Pass over a part or commit, by its SHA-256, in the life of this object."""
        self._excluded.add(sha)

    def forget(self, key: str) -> None:
        """Read the model's commits anew when they are next asked for."""
        self._commits.pop(key, None)
        self._parts.pop(key, None)

    def commit_files(self, key: str) -> list[Path]:
        """List the commit files; while another run replaces some by others, list again."""
        folder = self.root / key / "commits"
        names: list[str] = []
        while True:
            with contextlib.suppress(FileNotFoundError):
                again = sorted(
                    path.name
                    for path in folder.iterdir()
                    if path.suffix == ".json" and not path.name.startswith(".")
                )
                if again != names:
                    names = again
                    continue
            return [folder / name for name in names if name[:-5] not in self._excluded]

    def _tolerance(self, key: str) -> float:
        precisions = {commit.model.get("precision") for commit in self.commits(key)}
        return max(tolerance({"precision": p}) for p in precisions)

    # Checksums

    def faults(self, key: str, parts: list[Part]) -> list[str | None]:
        """Return what is wrong with each part; those that passed once are not read again."""
        folder = self.root / key
        new = [part for part in parts if part.sha256 not in self._verified]
        if len(new) < 2:  # the common case needs no threads
            return [self._fault(folder, part) for part in parts]
        count = Progress(sum(part.bytes for part in new), "bytes verified")

        def check(part: Part) -> None:
            if self._fault(folder, part) is None:
                count(part.bytes)

        with ThreadPoolExecutor(min(len(os.sched_getaffinity(0)), 8)) as pool:
            list(pool.map(check, new))
        return [self._fault(folder, part) for part in parts]

    def _fault(self, folder: Path, part: Part) -> str | None:
        if part.sha256 in self._verified:
            return None
        try:
            found = sha256(part.path(folder))
        except FileNotFoundError:
            return LOST
        if found != part.sha256:
            return f"damaged: its SHA-256 is {found}, expected {part.sha256}"
        self._verified.add(part.sha256)
        return None

    # Writing

    def writable(self, key: str = "") -> bool:
        """Return whether a commit could be written, by writing a file.

        Parameters
        ----------
        key : str, optional
            Model key: another user may own its folder in a shared store.
        """
        folder = self.root / key / "commits" if key else self.root
        while not folder.exists():
            folder = folder.parent
        probe = folder / f".{uuid.uuid4().hex}.tmp"
        try:
            probe.touch()
            probe.unlink()
        except OSError:
            return False
        return True

    def commit(
        self,
        key: str,
        model: Mapping[str, Any],
        sites: Iterable[tuple[str, pl.DataFrame]] = (),
        alleles: Iterable[tuple[str, pl.DataFrame]] = (),
        background: Iterable[tuple[str, pl.DataFrame]] = (),
    ) -> Committed:
        """Add the rows that are not there yet, atomically.

        Rows that another run stored meanwhile are compared and left as they are, so that a
        value, once stored, never changes.

        Parameters
        ----------
        key : str
            Model key.
        model : mapping
            What the key stands for; kept in the commit for a human. `precision` says how far
            two values of one row may differ.
        sites, alleles : iterables of (contig digest, polars.DataFrame)
            Rows as `read_sites` and `read_alleles` return them, in any order; a contig may come
            in pieces, and is stored in one part where it comes in consecutive ones.
        background : iterable of (background's digest, polars.DataFrame)
            `varlm.tables.schemas.BACKGROUND`.

        Raises
        ------
        UserError
            If a row is in the store with another score; nothing is added then.
        """
        done = Committed()
        allowed = tolerance(model)
        with self.writing(key), self.discarding(key, done.parts):
            given = {"sites": sites, "alleles": alleles, "background": background}
            for kind in KINDS.values():
                for contig, rows in _merged(given[kind.name]):
                    new = self.unknown(key, kind, contig, rows, allowed)
                    done.known += rows.height - new.height
                    if new.height:
                        part = self.write_part(key, kind, contig, new)
                        done.parts.append(part)
                        if kind.name != "background":  # which is there as a whole or not
                            self.preview(key, part)  # a later piece may hold the same row
            if done.parts:
                self.write_commit(key, model, done.parts)
        return done

    def unknown(
        self, key: str, kind: Kind, contig: str, rows: pl.DataFrame, allowed: float
    ) -> pl.DataFrame:
        """Return the rows that the store lacks, sorted, after comparing those that it has.

        Raises
        ------
        UserError
            If a row is in the store with a score that differs by more than `allowed` (nats).
        """
        rows = rows.select(list(kind.schema)).cast(dict(kind.schema)).sort(kind.key)  # type: ignore[arg-type]
        if rows.select(kind.key).is_duplicated().any():
            raise AssertionError(f"duplicate {kind.name} rows in one commit for contig {contig}")
        if kind.name == "background":
            return rows.clear() if self.read_background(key, contig) is not None else rows
        if kind.name == "sites":
            known = self.has_sites(key, contig, rows["pos"].to_numpy())
        else:
            known = self.has_alleles(key, contig, rows)
        if known.any():
            mine = rows.filter(known)
            stored = self._rows_at(key, kind, contig, mine.select(kind.key))
            where = self.conflict(mine, stored, kind, allowed)
            if where is not None:
                raise UserError(
                    f"{self.root / key}: the score of {where[1]} on contig {contig} was computed "
                    "and is in the store with another value; nothing was stored: check the "
                    "machine that computed it, or set the config key store to another folder"
                )
        return rows.filter(~known)

    def write_part(self, key: str, kind: Kind, contig: str, rows: pl.DataFrame) -> Part:
        """Write rows (sorted, unique) as a part; it exists once a commit lists it."""
        about = {"layout": LAYOUT, "key": key, "kind": kind.name, "contig": contig}

        def write(file: BinaryIO) -> None:
            rows.write_parquet(
                file,
                compression="zstd",
                compression_level=3,
                row_group_size=ROW_GROUP,
                metadata={METADATA: json.dumps(about)},
            )

        digest, size = self._place_part(key, contig, write)
        at_site = kind.name != "background"
        first, last = (int(rows["pos"][i]) if at_site else 0 for i in (0, -1))
        return Part(kind.name, contig, digest, size, rows.height, first, last)

    def copy_part(self, key: str, contig: str, content: bytes) -> None:
        """Put a part there as it is, byte for byte; it exists once a commit lists it."""
        self._place_part(key, contig, lambda file: file.write(content))

    def _place_part(
        self, key: str, contig: str, write: Callable[[BinaryIO], object]
    ) -> tuple[str, int]:
        folder = self.root / key
        digest, size = place(write, folder / contig, ".parquet")
        # A part that was set aside as damaged may come again, bit for bit.
        (folder / "damaged" / f"{digest}.parquet").unlink(missing_ok=True)
        self._verified.discard(digest)
        return digest, size

    def preview(self, key: str, part: Part) -> None:
        """Have this object read a part as if its commit were written, until the next `forget`."""
        self._by_contig(key).setdefault((part.contig, part.kind), []).append(part)

    @contextlib.contextmanager
    def discarding(self, key: str, parts: list[Part]) -> Iterator[None]:
        """After an error, delete those of `parts` that no commit lists: `repair` would use them."""
        try:
            yield
        except BaseException:
            self.forget(key)
            listed = {part.sha256 for commit in self.commits(key) for part in commit.parts}
            for part in parts:
                if part.sha256 not in listed:
                    part.path(self.root / key).unlink(missing_ok=True)
            raise

    def write_commit(
        self,
        key: str,
        model: Mapping[str, Any],
        parts: Iterable[Part],
        replaces: Iterable[str] = (),
    ) -> Path:
        """Write the commit file that makes `parts` exist; `replaces`: SHA-256 of merged parts."""
        entry = {
            "layout": LAYOUT,
            "model": dict(model),
            "parts": [asdict(part) for part in parts],
            "replaces": sorted(replaces),
        }
        text = json.dumps(entry, indent=1, sort_keys=True).encode()
        folder = self.root / key / "commits"
        digest, _ = place(lambda file: file.write(text), folder, ".json")
        self.forget(key)
        return folder / f"{digest}.json"

    @contextlib.contextmanager
    def writing(self, key: str) -> Iterator[None]:
        """Hold the model's lock, and see the newest state; the kernel frees it after a crash."""
        folder = self.root / key
        folder.mkdir(parents=True, exist_ok=True)
        # Where the kernel has no locks there is none: a lock that is a file outlives a crash.
        lock = filelock.FileLock(folder / "lock", mode=0o666, fallback_to_soft=False)
        try:
            try:
                lock.acquire(timeout=1)
            except filelock.Timeout:
                log.info("%s: another run is writing; waiting for it", folder)
                lock.acquire()
        except (OSError, NotImplementedError) as error:
            if not self.writable(key):
                raise
            log.warning("%s: no locks on this file system (%s); writing without", folder, error)
        self.forget(key)
        try:
            yield
        finally:
            lock.release()


def _merged(
    pieces: Iterable[tuple[str, pl.DataFrame]],
) -> Iterator[tuple[str, pl.DataFrame]]:
    """Join consecutive pieces of a contig, and cut what is longer than `PART_ROWS`."""
    held: list[pl.DataFrame] = []
    name = ""
    for contig, rows in pieces:
        if held and (contig != name or sum(r.height for r in held) + rows.height > PART_ROWS):
            yield name, pl.concat(held)
            held = []
        name = contig
        for start in range(0, rows.height, PART_ROWS):
            held.append(rows[start : start + PART_ROWS])
            if start + PART_ROWS < rows.height:
                yield name, pl.concat(held)
                held = []
    if held:
        yield name, pl.concat(held)


def _clusters(positions: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Cut sorted positions into stretches (from, to) without gaps and of bounded width."""
    start = 0
    edges = np.flatnonzero(np.diff(positions) > _GAP) + 1
    for end in [*edges.tolist(), len(positions)]:
        while start < end:
            stop = int(np.searchsorted(positions[start:end], positions[start] + _SPAN)) + start
            yield start, stop
            start = stop

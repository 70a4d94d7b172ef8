"""Verify a score store: checksums, what each part holds, and whether the parts agree."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import polars as pl
from tqdm import tqdm

from varlm.store.agreement import ConflictError
from varlm.store.layout import (
    KINDS,
    LAST,
    METADATA,
    PACKED,
    READABLE,
    Commit,
    DamagedCommitError,
    Kind,
    Part,
    read_commit,
)
from varlm.store.manifest import LOST
from varlm.store.packed import batches
from varlm.store.repair import unlisted
from varlm.store.store import Store
from varlm.store.stretches import stretches

log = logging.getLogger("varlm")

ABANDONED = 86_400  # seconds after which a temporary file is no writer's any more

_CHECKSUM = re.compile(r"[0-9a-f]{64}")
_TEMPORARY = re.compile(r"\.[0-9a-f]{32}\.tmp")  # as `layout.place` calls them
_STRETCH = 1_000_000  # rows compared at a time

_REPAIR = "run `varlm store verify --repair`, then the workflow again: it computes what is missing"
_DELETE = "delete the file and run the workflow again with --forcerun plan"


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: which file, what was found, what to do."""

    path: Path
    found: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.path}: {self.found}; {self.remedy}"


def verify(root: Path, key: str) -> list[Fault]:
    """Return what is wrong with a model's files; nothing is changed.

    Reads every file once, and rows of overlapping parts once more to compare them; memory holds
    one part, or a million rows.

    Parameters
    ----------
    root : Path
        The store's folder.
    key : str
        Model key.
    """
    store = Store(root)  # of its own: files with a fault are then passed over
    faults: list[Fault] = []
    sound_commits(store, key, faults)
    faults += _part_faults(store, key)
    faults += _conflicts(store, key)
    faults += [
        Fault(
            path,
            "no commit lists it (unless a run is about to)",
            "run `varlm store verify --repair`: it lists a whole part, and sets other files aside",
        )
        for path in _unlisted(store, key)
    ]
    return faults


def _unlisted(store: Store, key: str) -> list[Path]:
    """Return the files that no commit lists, and none has begun to meanwhile."""
    before = set(unlisted(store, key))
    store.manifest.forget(key)
    return [path for path in unlisted(store, key) if path in before]


def model_keys(store: Store) -> list[str]:
    """Return the model keys that have commits, or parts that lost them, sorted.

    Only files whose names are checksums count: `verify --repair` sets foreign files aside, and must
    not take a folder that is no store's for a model.
    """
    files = (*store.root.glob("*/commits/*.json"), *store.root.glob("*/*/*.parquet"))
    return sorted({path.parent.parent.name for path in files if _CHECKSUM.fullmatch(path.stem)})


def sound_commits(store: Store, key: str, faults: list[Fault] | None = None) -> list[Commit]:
    """Return the commits that can be read; `store` passes over the others, `faults` names them."""
    for path in store.manifest.commit_files(key):
        try:
            read_commit(path)
        except FileNotFoundError:
            continue  # replaced by a compaction meanwhile
        except DamagedCommitError as error:
            fault = Fault(path, f"{error.reason}, its parts may be unlisted now", _REPAIR)
            log.warning("%s", fault) if faults is None else faults.append(fault)
            store.manifest.exclude(path.stem)
            store.manifest.forget(key)
    return store.commits(key)


def abandoned(root: Path, keys: Iterable[str]) -> list[Fault]:
    """Return the temporary files of a store and some models that are over a day old."""
    folders = [root]
    for key in keys:
        folders += [root / key, *sorted(path for path in (root / key).iterdir() if path.is_dir())]
    faults = []
    for path in (path for folder in folders for path in sorted(folder.glob(".*.tmp"))):
        try:
            age = time.time() - path.stat().st_mtime
        except FileNotFoundError:
            continue  # its writer has renamed it
        if age > ABANDONED and _TEMPORARY.fullmatch(path.name):
            text = f"left {age / ABANDONED:.0f} days ago by a writer that was stopped"
            faults.append(Fault(path, text, "delete it, or use --repair"))
    return faults


# Each part for itself


def _part_faults(store: Store, key: str) -> list[Fault]:
    """Check each part; those with a fault are excluded from `store`."""
    faults: dict[Part, str] = {}
    checked: set[str] = set()
    while new := [part for part in store.parts(key) if part.sha256 not in checked]:
        checked.update(part.sha256 for part in new)
        faults.update(_check(store, key, new))
        store.manifest.forget(key)  # again, for a compaction may have replaced some
    listed = {part.sha256 for part in store.parts(key)}
    of_listed = []
    for part, text in faults.items():
        if part.sha256 not in listed:
            continue
        store.manifest.exclude(part.sha256)
        remedy = _REPAIR if text == LOST or text.startswith("damaged") else _DELETE
        of_listed.append(Fault(part.path(store.root / key), text, remedy))
    store.manifest.forget(key)
    return of_listed


def _check(store: Store, key: str, parts: list[Part]) -> Iterator[tuple[Part, str]]:
    """Yield the parts with a fault, and the fault."""
    total = sum(part.bytes for part in parts)
    with (
        tqdm(total=total, unit="B", unit_scale=True, desc="verify", disable=None) as bar,
        ThreadPoolExecutor(min(len(os.sched_getaffinity(0)), 8)) as pool,
    ):
        # Threads read for the checksums; the rows of one part at a time are in memory.
        for part, (fault,) in zip(
            parts, pool.map(lambda part: store.manifest.faults(key, [part]), parts), strict=True
        ):
            text = fault or part_fault(part, key, part.path(store.root / key))
            bar.update(part.bytes)
            if text is not None:
                yield part, text


def part_fault(part: Part, key: str, source: Path | io.BytesIO) -> str | None:
    """Return where a part's content differs from what its commit says of it, or None.

    Parameters
    ----------
    part : Part
    key : str
        Model key.
    source : Path or BytesIO
        The part's file, whose checksum is right.
    """
    try:
        return _content_fault(part, key, source)
    except FileNotFoundError:
        return LOST
    except (OSError, ValueError, LookupError, TypeError, pl.exceptions.PolarsError) as error:
        return f"no part of a varlm score store ({str(error).splitlines()[0]})"


def _content_fault(part: Part, key: str, source: Path | io.BytesIO) -> str | None:
    size = source.stat().st_size if isinstance(source, Path) else source.getbuffer().nbytes
    if size != part.bytes:
        return f"{size} bytes, its commit says {part.bytes}"
    if part.kind not in KINDS:
        return f"its commit says that it holds {part.kind!r}, which this varlm does not know"
    about = _metadata(source)
    if about is not None:
        if about["layout"] not in READABLE:
            return f"its own metadata has layout {about['layout']}, this varlm reads {READABLE}"
        own = (about["key"], about["kind"], about["contig"])
        if own != (key, part.kind, part.contig):
            says = f"model {key}, {part.kind} of {part.contig}"
            return f"its own metadata says model {own[0]}, {own[1]} of {own[2]}, its commit {says}"
    kind, rows = part.has(), pl.scan_parquet(source)
    schema = rows.collect_schema()
    if schema != pl.Schema(kind.schema):
        columns = ", ".join(f"{name}: {dtype}" for name, dtype in schema.items())
        return f"other columns than {part.kind} have: {columns}"
    return _row_fault(part, kind, rows.collect(engine="in-memory"))


def _metadata(source: Path | io.BytesIO) -> dict[str, object] | None:
    """Return what a part says of itself; None for one of layout 1, which says nothing."""
    text = pl.read_parquet_metadata(source).get(METADATA)
    if isinstance(source, io.BytesIO):
        source.seek(0)
    if text is None:
        return None
    about = json.loads(text)
    if not isinstance(about, dict):
        raise ValueError(f"metadata {text[:60]!r}")
    return about


def _row_fault(part: Part, kind: Kind, rows: pl.DataFrame) -> str | None:
    keys = rows.select(kind.key)
    if keys.height != part.rows:
        return f"{keys.height} rows, its commit says {part.rows}"
    if keys.is_empty():
        return "no rows"
    if any(keys.null_count().row(0)):
        return "rows without a position, allele or contig"
    # Strictly ascending in (pos, ref, …): compared from the last column to the first.
    ascending = pl.lit(value=False)
    for name in reversed(KINDS[part.kind].key):
        now, before = pl.col(name), pl.col(name).shift(1)
        ascending = (now > before) | ((now == before) & ascending)
    if part.packed:
        runs = keys["contig"].rle().struct.field("value")
        if runs.is_duplicated().any():
            twice = runs.filter(runs.is_duplicated()).to_list()
            return f"rows of contig {twice[0]} in several places"
        ascending |= pl.col("contig") != pl.col("contig").shift(1)
    wrong = keys.select(~ascending).to_series()
    row = wrong[1:].arg_max() if wrong[1:].any() else None
    if row is not None:
        texts = [" ".join(map(str, keys.row(n))) for n in (row, row + 1)]
        return f"rows not sorted or twice: {texts[0]}, then {texts[1]}"
    # A null stands for the strand that is not scored.
    finite = pl.all_horizontal(
        pl.col(name).is_finite() | pl.col(name).is_null() for name in kind.values
    )
    absent = rows.filter(~finite)
    if absent.height:
        return f"{absent.height} rows without a finite score, the first at {absent['pos'][0]}"
    ends = keys.select(pl.col("pos").min(), pl.col("pos").max().alias("last")).row(0)
    bounds = (0, 0) if kind.name == "background" else ends
    if bounds != (part.first, part.last):
        return f"positions {bounds[0]} to {bounds[1]}, its commit says {part.first} to {part.last}"
    return None


# Parts among each other


def _conflicts(store: Store, key: str) -> list[Fault]:
    """Return the places where two parts hold different scores of one row."""
    groups = [
        overlapping
        for (contig, _), same in groupby(store.parts(key), lambda part: (part.contig, part.kind))
        if contig != PACKED
        for overlapping in _overlapping(list(same))
    ]
    total = sum(part.rows for group in groups for part in group)
    faults: dict[tuple[Path, Path], Fault] = {}  # one for each pair of files
    with tqdm(total=total, unit="row", unit_scale=True, desc="compare", disable=None) as bar:
        for group in groups:
            for error in _group_conflicts(store, key, group):
                pair = (error.one, error.other)
                faults.setdefault(pair, Fault(error.one, error.found, error.remedy))
            bar.update(sum(part.rows for part in group))
    for error in _packed_conflicts(store, key):
        faults.setdefault((error.one, error.other), Fault(error.one, error.found, error.remedy))
    return list(faults.values())


def _overlapping(parts: list[Part]) -> Iterator[list[Part]]:
    """Yield the sets of two or more parts that overlap, directly or through each other."""
    group: list[Part] = []
    last = -1
    for part in sorted(parts, key=lambda part: part.first):
        if part.first > last and group:
            if len(group) > 1:
                yield group
            group = []
        group.append(part)
        last = max(last, part.last)
    if len(group) > 1:
        yield group


def _packed_conflicts(store: Store, key: str) -> Iterator[ConflictError]:
    """Yield the conflicts of contigs that have rows in a packed part, and in another one."""
    for kind in KINDS.values():
        in_packed: dict[str, int] = {}
        for contig, runs in store.packed_runs(key, kind).items():
            own = store.manifest.parts_of(key, contig, kind.name)
            if own:
                yield from _group_conflicts(store, key, own, everywhere=True)
            elif len(runs) > 1:
                in_packed[contig] = sum(run.count for run in runs)
        for contigs in batches(in_packed, _STRETCH):
            try:
                store.read_packed(key, kind, contigs)
            except ConflictError:
                for contig in contigs:
                    yield from _read_conflict(store, key, kind, contig, 1, LAST)


def _group_conflicts(
    store: Store, key: str, group: list[Part], *, everywhere: bool = False
) -> Iterator[ConflictError]:
    """Yield the conflicts of a contig where some of its own parts are, or everywhere."""
    kind, contig = KINDS[group[0].kind], group[0].contig
    try:
        ranges = list(stretches(store, key, group, _STRETCH, everywhere=everywhere))
    except FileNotFoundError:
        return  # compacted meanwhile: the compaction has compared them
    for start, end in ranges:
        yield from _read_conflict(store, key, kind, contig, start, end)


def _read_conflict(
    store: Store, key: str, kind: Kind, contig: str, start: int, end: int
) -> Iterator[ConflictError]:
    try:
        store.read(key, kind, contig, start, end)
    except ConflictError as error:
        yield error

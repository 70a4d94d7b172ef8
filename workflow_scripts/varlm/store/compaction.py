"""Merge the many small parts that runs leave into few, while others read the store."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import polars as pl
from tqdm import tqdm

from varlm.errors import UserError
from varlm.store import layout
from varlm.store.identity import one_model
from varlm.store.layout import KINDS, LAST, PACKED, Commit, Kind, Part, sync_folder
from varlm.store.packed import batches
from varlm.store.store import Store
from varlm.store.stretches import stretches
from varlm.store.verification import part_fault
from varlm.store.writing import CommitBuilder


@dataclass(frozen=True)
class Compacted:
    """What a compaction did to a model: parts, their bytes, and commit files, before and after."""

    parts: tuple[int, int]
    bytes: tuple[int, int]
    commits: tuple[int, int]


def compact(store: Store, key: str) -> Compacted:
    """Merge a model's small parts, and its commit files into one.

    Of each contig and kind, the parts of less than half `layout.PART_ROWS` rows are merged where
    there are two or more; each row is kept once. Larger parts stay as they are: rewriting them
    would cost more than it saves. Contigs of less than `layout.SMALL` rows are packed, where they
    are more than `layout.FEW`, and those that have grown are unpacked. Memory holds about one part.

    At any instant a reader finds all rows: the new parts are whole before the one new commit
    lists them, old commits go only then, and old parts last. A reader that looks for one of these
    lists the parts again (`Reader`). Old parts that a crash leaves, the next compaction deletes;
    new ones that no commit lists yet are written again under the same names, or `repair` finds
    them.

    Parameters
    ----------
    store : Store
    key : str
        Model key.

    Raises
    ------
    UserError
        If a part to be merged is damaged or lost, or two hold different scores of one row.
        Nothing has changed then.
    """
    with store.committing(key, {}) as commit:
        commits = store.commits(key)
        before = store.parts(key)
        choice = _choose(store, key)
        reader = _reader(store, key, choice)
        old = reader.parts(key)
        _refuse_faults(reader, key, old)
        if old or len(commits) > 1:
            merged = list(_merge(reader, key, old, choice, commit))
            _swap_commits(store, key, commit, old, merged)
        _remove_replaced(store, key)
        return Compacted(
            (len(before), len(store.parts(key))),
            (sum(part.bytes for part in before), sum(part.bytes for part in store.parts(key))),
            (len(commits), len(store.commits(key))),
        )


@dataclass
class _Choice:
    """What is to be merged: parts, by their SHA-256, and the contigs to be packed, by kind."""

    parts: set[str] = field(default_factory=set)
    packed: dict[str, dict[str, int]] = field(default_factory=dict)  # digest → rows, at most


def _choose(store: Store, key: str) -> _Choice:
    choice = _Choice()
    for kind in KINDS.values():
        parts = [part for part in store.parts(key) if part.kind == kind.name and not part.packed]
        own = {contig: list(same) for contig, same in groupby(parts, lambda part: part.contig)}
        for of_contig in own.values():
            small = _small(of_contig, layout.PART_ROWS)
            if len(small) > 1:
                choice.parts.update(small)
        if kind.name != "background":
            _choose_packed(store, key, kind, own, choice)
    return choice


def _small(parts: Iterable[Part], rows: int) -> list[str]:
    """Return the parts of less than half so many rows."""
    return [part.sha256 for part in parts if 2 * part.rows < rows]


def _choose_packed(
    store: Store, key: str, kind: Kind, own: Mapping[str, list[Part]], choice: _Choice
) -> None:
    """Choose the small contigs to pack, and those to unpack for they have grown."""
    packed = _small(store.manifest.parts_of(key, PACKED, kind.name), layout.PACKED_ROWS)
    rows: dict[str, int] = {}
    for contig, runs in store.packed_runs(key, kind).items() if packed else ():
        count = sum(run.count for run in runs if run.part.sha256 in packed)
        if count:
            rows[contig] = count
    in_packed = set(rows)
    for contig, parts in own.items():
        rows[contig] = rows.get(contig, 0) + sum(part.rows for part in parts)
    small = {contig: count for contig, count in rows.items() if count < layout.SMALL}
    grown = in_packed - small.keys()
    if len(packed) > 1 or grown or (len(small) > layout.FEW and small.keys() & own.keys()):
        choice.packed[kind.name] = small
        choice.parts.update(packed)
        for contig in own.keys() & (small.keys() | grown):
            choice.parts.update(_small(own[contig], layout.PART_ROWS))


def _reader(store: Store, key: str, choice: _Choice) -> Store:
    """Return a store whose parts are those to be merged; it passes over all others."""
    reader = Store(store.root)
    for part in reader.parts(key):
        if part.sha256 not in choice.parts:
            reader.manifest.exclude(part.sha256)
    reader.manifest.forget(key)
    return reader


def _refuse_faults(store: Store, key: str, parts: list[Part]) -> None:
    """Check all that is to be merged: rows that a part does not admit to would be lost."""
    for part, damage in zip(parts, store.manifest.faults(key, parts), strict=True):
        path = part.path(store.root / key)
        fault = damage or part_fault(part, key, path)
        if fault is not None:
            raise UserError(f"{path}: {fault}; run `varlm store verify` and do what it says first")


def _merge(
    reader: Store, key: str, old: list[Part], choice: _Choice, commit: CommitBuilder
) -> Iterator[Part]:
    """Write the rows of `old` as new parts, and yield these."""
    total = sum(part.rows for part in old)
    with tqdm(total=total, unit="row", unit_scale=True, desc="compact", disable=None) as bar:
        for kind in KINDS.values():
            small = choice.packed.get(kind.name, {})
            own = {part.contig for part in old if part.kind == kind.name} - {PACKED}
            alone = own | reader.packed_runs(key, kind).keys()
            if len(small) > layout.FEW:
                alone -= small.keys()
                frames = _packed_rows(reader, key, kind, small, bar.update)
                for rows in _pieces(frames, layout.PACKED_ROWS):
                    yield commit.write(PACKED, kind, rows)
            for contig in sorted(alone):
                for rows in _pieces(
                    _ranges(reader, key, kind, contig, bar.update), layout.PART_ROWS
                ):
                    yield commit.write(contig, kind, rows)


def _packed_rows(
    reader: Store, key: str, kind: Kind, small: Mapping[str, int], done: Callable[[int], object]
) -> Iterator[pl.DataFrame]:
    """Yield the merged rows of small contigs, with `contig`, some contigs at a time."""
    for contigs in batches(small, max(layout.PACKED_ROWS // 4, 1)):
        own = [contig for contig in contigs if reader.manifest.parts_of(key, contig, kind.name)]
        frames = [reader.read_packed(key, kind, set(contigs).difference(own))]
        for contig in own:
            rows = reader.read(key, kind, contig)
            frames.append(rows.select(pl.lit(contig).alias("contig"), pl.all()))
        order = pl.DataFrame({"contig": contigs}).with_row_index("number")
        rows = pl.concat(frames).join(order, on="contig").sort("number", *kind.key)
        done(rows.height)
        yield rows.drop("number")


def _ranges(
    reader: Store, key: str, kind: Kind, contig: str, done: Callable[[int], object]
) -> Iterator[pl.DataFrame]:
    """Yield the merged rows of one contig and kind, a range of positions at a time."""
    parts = reader.manifest.parts_of(key, contig, kind.name)
    grown = contig in reader.packed_runs(key, kind)
    rows_at_once = max(layout.PART_ROWS // 4, 1)
    ranges = stretches(reader, key, parts, rows_at_once, everywhere=grown) if parts else [(1, LAST)]
    for start, end in ranges:
        rows = reader.read(key, kind, contig, start, end)
        done(rows.height)
        yield rows


def _pieces(frames: Iterator[pl.DataFrame], size: int) -> Iterator[pl.DataFrame]:
    """Cut consecutive frames anew, into pieces of `size` rows and a rest."""
    held: list[pl.DataFrame] = []
    for frame in frames:
        held.append(frame)
        while sum(rows.height for rows in held) >= size:
            rows = pl.concat(held)
            yield rows[:size]
            held = [rows[size:]]
    rest = pl.concat(held)
    if rest.height:
        yield rest


def _swap_commits(
    store: Store, key: str, commit: CommitBuilder, old: list[Part], merged: list[Part]
) -> None:
    """Write the one commit that lists what is to exist, then remove those before it."""
    commits = store.commits(key)
    gone = {part.sha256 for part in old} - {part.sha256 for part in merged}
    kept = [part for part in store.parts(key) if part.sha256 not in gone]
    parts = list({part.sha256: part for part in [*kept, *merged]}.values())
    new = commit.replace(
        one_model(before.model for before in sorted(commits, key=_age)),
        parts,
        gone | _still_there(store, key, commits),
    )
    for before in commits:
        if before.path != new:
            before.path.unlink(missing_ok=True)
    sync_folder(new.parent)
    store.manifest.forget(key)


def _age(commit: Commit) -> float:
    """Newest first: the model's place on disk that its last run knew is the one to keep."""
    try:
        return -commit.path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _still_there(store: Store, key: str, commits: list[Commit]) -> set[str]:
    """Return the parts that commits have replaced and whose files a crash left."""
    replaced = {sha for commit in commits for sha in commit.replaces}
    on_disk = {path.stem for path in (store.root / key).glob("*/*.parquet")}
    return replaced & on_disk


def _remove_replaced(store: Store, key: str) -> None:
    """Delete the files of replaced parts, unless a commit lists them again."""
    store.manifest.forget(key)
    commits = store.commits(key)
    replaced = {sha for commit in commits for sha in commit.replaces}
    listed = {part.sha256 for commit in commits for part in commit.parts}
    folders: set[Path] = set()
    for path in (store.root / key).glob("*/*.parquet"):
        if path.stem in replaced - listed and path.parent.name != "damaged":
            path.unlink(missing_ok=True)
            folders.add(path.parent)
    for folder in folders:
        sync_folder(folder)
        with contextlib.suppress(OSError):  # there is more in it
            folder.rmdir()

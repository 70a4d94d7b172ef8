"""Set aside what is damaged or foreign in a store, and list again whole parts of lost commits."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from varlm.files.whole import sha256
from varlm.store.layout import PACKED, DamagedCommitError, Part, describe_part, read_commit
from varlm.store.store import Store
from varlm.store.writing import CommitBuilder

log = logging.getLogger("varlm")


@dataclass
class Repairs:
    """What was done.

    Attributes
    ----------
    damaged : dict
        File set aside → what was wrong with it.
    recovered : list of Part
        Whole parts that no commit listed, and one does now.
    """

    damaged: dict[str, str] = field(default_factory=dict)
    recovered: list[Part] = field(default_factory=list)


def repair(
    store: Store, key: str, model: Mapping[str, Any], contigs: Iterable[str] | None = None
) -> Repairs:
    """Verify a model's files; what is damaged, lost or foreign does not exist afterwards.

    The rows of lost and damaged parts then count as unknown, so that `plan` has them computed
    again. In a store that cannot be written nothing is moved: `store` then passes over them.

    Parameters
    ----------
    store : Store
    key : str
        Model key.
    model : mapping
        For the commit that lists parts anew.
    contigs : iterable of str, optional
        Contig digests to look at, besides all backgrounds and packed parts; all by default.
    """
    digests = None if contigs is None else set(contigs)
    store.manifest.forget(key)
    if not _suspect(store, key, digests):
        return Repairs()
    # Under the lock and with a second look: another run may be about to commit or repair.
    with (
        store.committing(key, model) if store.writable(key) else contextlib.nullcontext() as commit
    ):
        return _Repair(store, key, commit).run(digests)


def unlisted(store: Store, key: str, contigs: Iterable[str] | None = None) -> list[Path]:
    """Return the files in the contigs' folders that no commit lists or has replaced."""
    folder = store.root / key
    commits = store.commits(key)
    known = {part.sha256 for commit in commits for part in commit.parts}
    known.update(sha for commit in commits for sha in commit.replaces)
    wanted = None if contigs is None else {PACKED, *contigs}
    # The folders that are there may be few, the contigs that are wanted many.
    return [
        path
        for place in sorted(folder.glob("*"))
        if (wanted is None or place.name in wanted)
        and place.name not in ("commits", "damaged")
        and place.is_dir()
        for path in sorted(place.iterdir())
        if not path.name.startswith(".") and path.name.removesuffix(".parquet") not in known
    ]


def _suspect(store: Store, key: str, contigs: set[str] | None) -> bool:
    """Return whether anything is damaged, lost or unlisted."""
    if not (store.root / key).is_dir():
        return False
    try:
        store.commits(key)
    except DamagedCommitError:
        return True
    return any(_faults(store, key, contigs).values()) or bool(unlisted(store, key, contigs))


def _faults(store: Store, key: str, contigs: set[str] | None) -> dict[Part, str | None]:
    parts = [
        part
        for part in store.parts(key)
        if contigs is None or part.contig in contigs or part.kind == "background" or part.packed
    ]
    return dict(zip(parts, store.manifest.faults(key, parts), strict=True))


class _Repair:
    def __init__(self, store: Store, key: str, commit: CommitBuilder | None):
        self.store, self.key, self.commit = store, key, commit
        self.folder = store.root / key
        self.done = Repairs()

    def run(self, contigs: set[str] | None) -> Repairs:
        for path, reason in self._damaged_commits().items():
            self._set_aside(path, reason)
        for part, fault in _faults(self.store, self.key, contigs).items():
            if fault is not None:
                text = f"{fault}; its {part.rows} rows count as unknown"
                self._set_aside(part.path(self.folder), text)
        looked_at = [self._whole_part(path) for path in unlisted(self.store, self.key, contigs)]
        recovered = [part for part in looked_at if part is not None]
        if recovered and self.commit is None:
            log.warning("%s: cannot be written: whole parts stay unlisted", self.folder)
        elif recovered and self.commit is not None:
            log.warning(
                "%s: %d parts that no commit lists are whole, their %d rows are used again",
                self.folder,
                len(recovered),
                sum(part.rows for part in recovered),
            )
            self.commit.add_listing(recovered)
            self.done.recovered = recovered
        return self.done

    def _damaged_commits(self) -> dict[Path, str]:
        """Return the reasons of all, before anything is moved: a newer varlm's file stops it."""
        damaged = {}
        for path in self.store.manifest.commit_files(self.key):
            try:
                read_commit(path)
            except DamagedCommitError as error:
                damaged[path] = error.reason
        return damaged

    def _whole_part(self, path: Path) -> Part | None:
        """Return the part that an unlisted file is, or set the file aside as foreign."""
        try:
            actual = sha256(path)
            if path.name != f"{actual}.parquet":
                raise ValueError(f"its SHA-256 is {actual}, not its name")
            return describe_part(path, self.key)
        except FileNotFoundError:
            return None  # a writer's or a compaction's, meanwhile done with it
        except (OSError, ValueError, LookupError, TypeError, pl.exceptions.PolarsError) as error:
            # Not under its own name there, which would count a listed part of that name as damaged.
            aside = f"foreign.{path.parent.name}.{path.name}"
            self._set_aside(path, f"no part of this store ({str(error).splitlines()[0]})", aside)
            return None

    def _set_aside(self, path: Path, reason: str, name: str | None = None) -> None:
        log.warning("%s: %s; set aside", path, reason)
        self.done.damaged[str(path)] = reason
        aside = self.folder / "damaged" / (name or path.name)
        try:
            aside.parent.mkdir(exist_ok=True)
            if path.exists():
                path.replace(aside)
            else:
                aside.touch()
        except OSError as error:
            log.warning("%s: cannot be moved (%s); passed over", path, error.strerror)
            self.store.manifest.exclude(path.stem)
        self.store.manifest.forget(self.key)

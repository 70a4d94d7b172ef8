"""What the commit files of a store list, and whether the listed files are whole."""

from __future__ import annotations

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from varlm.files.whole import sha256
from varlm.run.progress import Progress
from varlm.store.layout import Commit, Part, Tolerance, read_commit, tolerance

LOST = "this part of the score store is lost"


class Manifest:
    """The parts that exist in a store: those that commit files list, less those set aside.

    A model's commits are read once in the life of this object, and again after `forget`: a step
    sees one state of the store, whatever other runs commit meanwhile.

    Parameters
    ----------
    root : Path
        The store's folder; need not exist.
    """

    def __init__(self, root: Path):
        self.root = root
        self._verified: set[str] = set()
        self._excluded: set[str] = set()  # damaged, in a store that cannot be written
        self._commits: dict[str, list[Commit]] = {}
        self._parts: dict[str, dict[tuple[str, str], list[Part]]] = {}

    def keys(self) -> list[str]:
        """Return the model keys that have commits, sorted."""
        return sorted(path.parent.name for path in self.root.glob("*/commits") if path.is_dir())

    def parts(self, key: str) -> list[Part]:
        """Return the parts that the model's commits list, each once, in a fixed order."""
        return [part for parts in self._by_contig(key).values() for part in parts]

    def parts_of(self, key: str, contig: str, kind: str) -> list[Part]:
        """Return the parts of one contig (its digest) and kind, by `first` position."""
        return self._by_contig(key).get((contig, kind), [])

    def _by_contig(self, key: str) -> dict[tuple[str, str], list[Part]]:
        if key not in self._parts:
            listed = {part.sha256: part for commit in self.commits(key) for part in commit.parts}
            aside = self.root / key / "damaged"
            absent = {path.stem for path in aside.glob("*.parquet")} | self._excluded
            by_contig: dict[tuple[str, str], list[Part]] = {}
            for part in sorted(
                listed.values(), key=lambda p: (p.contig, p.kind, p.first, p.sha256)
            ):
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

    def tolerance(self, key: str) -> Tolerance:
        """Return by how much two values of one row of the model may differ."""
        tolerances = {tolerance(commit.model) for commit in self.commits(key)}
        return max(tolerances, key=lambda allowed: (allowed.most, allowed.relative))

    def exclude(self, sha: str) -> None:
        """Pass over a part or commit, by its SHA-256, in the life of this object."""
        self._excluded.add(sha)

    def forget(self, key: str) -> None:
        """Read the model's commits anew when they are next asked for."""
        self._commits.pop(key, None)
        self._parts.pop(key, None)

    def preview(self, key: str, part: Part) -> None:
        """Count a part as listed, as if its commit were written, until the next `forget`."""
        self._by_contig(key).setdefault((part.contig, part.kind), []).append(part)

    def distrust(self, sha: str) -> None:
        """Verify a part again when it is next read: its file has been written anew."""
        self._verified.discard(sha)

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
            actual = sha256(part.path(folder))
        except FileNotFoundError:
            return LOST
        if actual != part.sha256:
            return f"damaged: its SHA-256 is {actual}, expected {part.sha256}"
        self._verified.add(part.sha256)
        return None

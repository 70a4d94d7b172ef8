"""The scores of a shard so far, on disk: what a job that was stopped leaves to the next one.

A folder of its own, to which a file is added every few seconds, and which is removed when the
shard is done. It is never an output: a shard's tables are written whole, from it, at the end.

Files are numbered in the order in which they were written, whole and renamed into place, and carry
the CRC-32 of their bytes in their names, as an Arrow file does not: `000000-1a2b3c4d.json` says
what the scores are of and how the following ones are made, `000001-….arrow` holds the scores of a
stretch of rows (Arrow IPC), one column a score, and the seconds that each row took. The first file
that is missing, cut or changed ends the resumption: it and what follows are removed.

Kinds of rows differ in their columns: the scores of a kind are the stretches with its columns, in
order. What kinds there are, this module need not know.
"""

from __future__ import annotations

import io
import itertools
import json
import logging
import re
import shutil
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl
from filelock import FileLock, Timeout

from varlm.files.whole import atomic_path
from varlm.scoring.partial_file import read_partial_file

log = logging.getLogger("varlm")

_VERSION = 2  # 1 was one file: `varlm.scoring.partial_file`
_NAME = re.compile(r"(\d{6,})-([0-9a-f]{8})\.(json|arrow)")
_SECONDS = "seconds"  # column of a stretch beside its scores
_WAIT = 20.0  # seconds for another job on the same shard, an orphan most likely, to end


@dataclass(frozen=True)
class Method:
    """How scores are made: what a resumed job must do alike, for the same numbers.

    Attributes
    ----------
    mode : str
        One of `varlm.models.language_model.MODES`.
    batch_size : int
        Windows a batch, as they are in force.
    device : str
        cpu, cuda or mps.
    asked : int or None
        Windows a batch that the user asked for; None: varlm's choice.
    halvings : int
        How often the parent had told the job to halve them (`varlm.run.heartbeat`).
    """

    mode: str
    batch_size: int
    device: str
    asked: int | None = None
    halvings: int = 0


@dataclass
class PartialScores:
    """The scores of a shard's first rows, by kind; open it with `open_partial_scores`.

    Attributes
    ----------
    path : Path
        The folder.
    identity : dict
        What the scores are of.
    method : Method or None
        How the last of them were made; None where there are none.
    resumed : int
        Rows, of all kinds, found on opening.
    seconds : float
        Time that the rows at hand took, those found on opening included.
    """

    path: Path
    identity: dict[str, Any]
    method: Method | None = None
    resumed: int = 0
    seconds: float = 0.0
    _stretches: list[pl.DataFrame] = field(default_factory=list)
    _lock: FileLock | None = None  # None: nothing is kept on disk
    _files: int = 0

    def scores(self, schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
        """Return the scores so far of the kind of rows that has these columns, in order."""
        mine = [part for part in self._stretches if dict(part.schema) == dict(schema)]
        return pl.concat([pl.DataFrame(schema=schema), *mine], rechunk=True)

    def begin(self, method: Method) -> None:
        """Say how the following rows are made."""
        if method == self.method:
            return
        self.method = method
        text = {"version": _VERSION, "identity": self.identity, "method": asdict(method)}
        self._write(json.dumps(text).encode(), "json")

    def add(self, scores: pl.DataFrame, seconds: float, batch_size: int) -> None:
        """Keep the scores of the next rows of a kind.

        Parameters
        ----------
        scores : polars.DataFrame
            One column a score; the columns and their types say which kind it is.
        seconds : float
            That they took.
        batch_size : int
            Windows a batch that are in force now: fewer than before where memory ran out.
        """
        if self.method is None:
            raise ValueError("begin says how scores are made, before the first are added")
        self.begin(replace(self.method, batch_size=batch_size))
        self._stretches.append(scores)
        self.seconds += seconds
        share = pl.lit(seconds / max(scores.height, 1), pl.Float64).alias(_SECONDS)
        file = io.BytesIO()
        scores.with_columns(share).write_ipc(file)
        self._write(file.getvalue(), "arrow")

    def remove(self) -> None:
        """Remove the folder: the shard's tables are written."""
        if self._lock is not None:
            _clear(self.path)
            Path(self._lock.lock_file).unlink(missing_ok=True)
            self._lock.release()

    def _write(self, data: bytes, kind: str) -> None:
        if self._lock is None:
            return
        name = f"{self._files:06}-{zlib.crc32(data):08x}.{kind}"
        with atomic_path(self.path / name) as temporary:
            temporary.write_bytes(data)
        self._files += 1

    def _read(self) -> None:
        """Take the files that are as they were written, and remove the others."""
        kept = set()
        for path, data in _whole_files(self.path):
            if path.suffix == ".arrow" and self.method is not None:
                stretch = pl.read_ipc(io.BytesIO(data))
                self.seconds += float(stretch[_SECONDS].sum())
                self._stretches.append(stretch.drop(_SECONDS))
            else:
                self.method = _method(data, self.identity)
                if self.method is None:
                    self._discard()
                    return
            kept.add(path)
        self._files = len(kept)
        self.resumed = sum(stretch.height for stretch in self._stretches)
        self._remove_all_but(kept)

    def _remove_all_but(self, kept: set[Path]) -> None:
        others = [path for path in self.path.iterdir() if path not in kept]
        damaged = [path.name for path in others if _NAME.fullmatch(path.name)]
        if damaged:
            log.warning(
                "%s: %s is cut or changed; %d files from it on are not used",
                self.path,
                min(damaged),
                len(damaged),
            )
        for path in others:
            path.unlink()

    def _read_old(self) -> None:
        """Take over what a job of an earlier version left: one file, in place of the folder."""
        old = read_partial_file(self.path, self.identity)
        if old is None:
            self._discard()
            return
        _clear(self.path)
        self.begin(Method(**old.method))
        for scores, seconds in old.stretches:
            self.add(scores, seconds, old.method["batch_size"])
        self.resumed = sum(scores.height for scores, _ in old.stretches)

    def _discard(self) -> None:
        log.warning("%s: scores of another shard, model or genome; not used", self.path)
        _clear(self.path)
        self._stretches.clear()
        self.seconds = 0.0


def open_partial_scores(path: Path | None, identity: dict[str, Any]) -> PartialScores:
    """Open the scores of a shard, with what a job before left of them.

    Parameters
    ----------
    path : Path or None
        The folder, made where it is not there; None: nothing is kept on disk.
    identity : dict
        What the scores are of; scores of anything else are discarded. JSON values.
    """
    partial = PartialScores(path or Path(), identity)
    if path is None:
        return partial
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_name(f"{path.name}.lock"))
    try:
        lock.acquire(timeout=_WAIT)
    except Timeout:
        log.warning(
            "%s: another job is scoring this shard; going on beside it, from the start", path
        )
        return partial
    partial._lock = lock
    if path.is_file():
        partial._read_old()
    elif path.exists():
        partial._read()
    return partial


def _clear(path: Path) -> None:
    """Remove the folder, or the file in its place, if there is one."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _whole_files(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Yield files and their bytes in order, up to the first that is not as it was written."""
    named: dict[int, list[tuple[Path, str]]] = {}
    for path in folder.iterdir():
        if match := _NAME.fullmatch(path.name):
            named.setdefault(int(match[1]), []).append((path, match[2]))
    for number in itertools.count():
        files = named.get(number, [])
        if len(files) != 1:
            return
        path, digest = files[0]
        data = path.read_bytes()
        if f"{zlib.crc32(data):08x}" != digest:
            return
        yield path, data


def _method(text: bytes, identity: dict[str, Any]) -> Method | None:
    """Return how scores are made; None where they are of something else."""
    try:
        entry = json.loads(text)
        if entry["version"] == _VERSION and entry["identity"] == identity:
            return Method(**entry["method"])
    except (ValueError, KeyError, TypeError):
        log.debug("not an entry of this version: %r", text[:100])
    return None

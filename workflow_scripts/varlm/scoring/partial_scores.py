"""The scores of a shard so far, on disk: what a job that was stopped leaves to the next one.

A file of its own, appended to every few seconds and removed when the shard is done. It is never
an output: a shard's tables are written whole, from it, at the end.

Layout, little endian: a line of JSON that says what the scores are of (`identity`) and how they
are made (`mode`, `batch_size`, `device`); then records, each a head (kind, first row, rows,
seconds, CRC-32) and its numbers. What follows the last whole record is cut off on opening: a
write that was under way when the power went.
"""

from __future__ import annotations

import json
import logging
import os
import struct
import time
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

log = logging.getLogger("varlm")

_VERSION = 1
_HEAD = struct.Struct("<cIIfI")
_SITES, _ALLELES = b"s", b"a"
_SHAPES: dict[bytes, tuple[tuple[int, ...], np.dtype[Any]]] = {
    _SITES: ((2, 4), np.dtype("<f4")),
    _ALLELES: ((2,), np.dtype("<f8")),
}

_SYNC = 5.0  # seconds between two fsyncs at least
_WAIT = 20.0  # seconds for another job on the same shard, an orphan most likely, to end


@dataclass(frozen=True)
class Method:
    """How the scores are made: what a resumed job must do alike, for the same numbers.

    Attributes
    ----------
    mode : str
        One of `varlm.models.language_model.MODES`.
    batch_size : int
        Windows a batch.
    device : str
        cpu, cuda or mps.
    """

    mode: str
    batch_size: int
    device: str


@dataclass
class PartialScores:
    """The scores of a shard's first rows, by kind; open it with `open_partial_scores`.

    Attributes
    ----------
    method : Method or None
        How the job before made them; None where there are none.
    resumed : int
        Rows, of both kinds, found on opening.
    seconds : float
        Time that the rows at hand took, those found on opening included.
    """

    path: Path
    identity: dict[str, Any]
    method: Method | None = None
    resumed: int = 0
    seconds: float = 0.0
    _parts: dict[bytes, list[NDArray[Any]]] = field(
        default_factory=lambda: {_SITES: [], _ALLELES: []}
    )
    _file: BinaryIO | None = None
    _lock: FileLock | None = None
    _synced: float = 0.0

    def sites(self) -> NDArray[np.float32]:
        """Return the logits of the first sites, shape (rows so far, 2, 4)."""
        return self._rows(_SITES)

    def alleles(self) -> NDArray[np.float64]:
        """Return the log-likelihood ratios of the first alleles, shape (rows so far, 2)."""
        return self._rows(_ALLELES)

    def begin(self, method: Method) -> None:
        """Say how the following rows are made; write the header where the file is new."""
        self.method = method
        if self._lock is None or self._file is not None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("ab", buffering=0)
        if self._file.tell() == 0:
            header = {"version": _VERSION, "identity": self.identity, "method": vars(method)}
            self._file.write(json.dumps(header).encode() + b"\n")

    def add_sites(self, logits: NDArray[np.float32], seconds: float) -> None:
        """Keep the logits of the next sites, shape (n, 2, 4), which took `seconds`."""
        self._add(_SITES, logits, seconds)

    def add_alleles(self, ratios: NDArray[np.float64], seconds: float) -> None:
        """Keep the ratios of the next alleles, shape (n, 2), which took `seconds`."""
        self._add(_ALLELES, ratios, seconds)

    def remove(self) -> None:
        """Remove the file: the shard's tables are written."""
        if self._file is not None:
            self._file.close()
        if self._lock is not None:
            self.path.unlink(missing_ok=True)
            Path(self._lock.lock_file).unlink(missing_ok=True)
            self._lock.release()

    def _rows(self, kind: bytes) -> NDArray[Any]:
        shape, dtype = _SHAPES[kind]
        return np.concatenate([np.empty((0, *shape), dtype), *self._parts[kind]])

    def _add(self, kind: bytes, rows: NDArray[Any], seconds: float) -> None:
        shape, dtype = _SHAPES[kind]
        rows = np.ascontiguousarray(rows, dtype)
        if rows.shape[1:] != shape:
            raise ValueError(f"rows of shape {rows.shape[1:]}, expected {shape}")
        start = sum(len(part) for part in self._parts[kind])
        self._parts[kind].append(rows)
        self.seconds += seconds
        if self._file is None:
            return
        data = rows.tobytes()
        self._file.write(_head(kind, start, len(rows), seconds, data) + data)
        if time.monotonic() - self._synced > _SYNC:
            os.fsync(self._file.fileno())
            self._synced = time.monotonic()


def open_partial_scores(path: Path | None, identity: dict[str, Any]) -> PartialScores:
    """Open the file of a shard, with what a job before left in it.

    Parameters
    ----------
    path : Path or None
        None: nothing is kept on disk.
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
    if path.exists():
        _read(partial, path.read_bytes())
    return partial


def _head(kind: bytes, start: int, count: int, seconds: float, data: bytes) -> bytes:
    head = _HEAD.pack(kind, start, count, seconds, 0)
    return _HEAD.pack(kind, start, count, seconds, zlib.crc32(data, zlib.crc32(head)))


def _read(partial: PartialScores, text: bytes) -> None:
    """Take the whole records of a file's `text`; cut the file after the last."""
    end = text.find(b"\n") + 1
    try:
        header = json.loads(text[:end])
        known = header["version"] == _VERSION and header["identity"] == partial.identity
        method = Method(**header["method"])
    except (ValueError, KeyError, TypeError):
        known = False
    if not known:
        log.warning("%s: scores of another shard, model or genome; not used", partial.path)
        partial.path.unlink()
        return
    rows = {_SITES: 0, _ALLELES: 0}
    while len(text) - end >= _HEAD.size:
        kind, start, count, seconds, _ = _HEAD.unpack_from(text, end)
        if kind not in _SHAPES or start != rows[kind]:
            break
        shape, dtype = _SHAPES[kind]
        size = count * int(np.prod(shape)) * dtype.itemsize
        data = text[end + _HEAD.size : end + _HEAD.size + size]
        if text[end : end + _HEAD.size] != _head(kind, start, count, seconds, data):
            break
        partial._parts[kind].append(np.frombuffer(data, dtype).reshape(count, *shape))
        partial.seconds += seconds
        rows[kind] += count
        end += _HEAD.size + size
    if end < len(text):
        lost = len(text) - end
        log.warning("%s: the last %d bytes are no whole record; cut off", partial.path, lost)
        os.truncate(partial.path, end)
    partial.method = method
    partial.resumed = sum(rows.values())

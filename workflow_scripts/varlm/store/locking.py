"""Who may write to a score store: the lock of each model, and whether the folder takes files."""

from __future__ import annotations

import contextlib
import logging
import uuid
from collections.abc import Iterator
from pathlib import Path

import filelock

log = logging.getLogger("varlm")


def writable(root: Path, key: str = "") -> bool:
    """Return whether a commit could be written, by writing a file.

    Parameters
    ----------
    root : Path
        The store's folder.
    key : str, optional
        Model key: another user may own its folder in a shared store.
    """
    folder = root / key / "commits" if key else root
    while not folder.exists():
        folder = folder.parent
    probe = folder / f".{uuid.uuid4().hex}.tmp"
    try:
        probe.touch()
        probe.unlink()
    except OSError:
        return False
    return True


@contextlib.contextmanager
def locked(root: Path, key: str) -> Iterator[None]:
    """Hold the lock of a model's folder, which is made; the kernel frees it after a crash."""
    folder = root / key
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
        if not writable(root, key):
            raise
        log.warning("%s: no locks on this file system (%s); writing without", folder, error)
    try:
        yield
    finally:
        lock.release()

"""One job, one GPU: which of a machine's devices a job may use, by a lock for each.

Jobs that run side by side on a machine (`snakemake --resources gpu=8`) each take the first device
that no other holds. The lock is the kernel's (`flock`, through `filelock`), on a file that all
users of the machine share: a job that ends in any way, SIGKILL too, frees its device.

Devices are those in CUDA_VISIBLE_DEVICES, where a scheduler or the user sets it, else all; their
UUIDs name the locks, so that two jobs that see different parts of the machine, under whatever
numbers, meet at the right ones.
"""

from __future__ import annotations

import contextlib
import logging
import os
import random
import re
import stat
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from varlm.errors import UserError

log = logging.getLogger("varlm")

_POLL = (0.2, 1.0)  # seconds between two looks, at random: waiting jobs do not look in step
_PATIENCE = 30.0  # seconds of waiting before the log says so


@dataclass(frozen=True)
class Lease:
    """A device that is this process's alone until it ends or calls `release`.

    Attributes
    ----------
    index : int
        Place among the visible devices: torch's `cuda:{index}`.
    name : str
        The machine's name of it (`visible_devices`).
    """

    index: int
    name: str
    lock: FileLock

    def release(self) -> None:
        """Free the device."""
        self.lock.release()


def visible_devices(uuids: Sequence[str], environment: str | None) -> list[str]:
    """Return names of the visible CUDA devices that no other device of the machine has.

    A number in CUDA_VISIBLE_DEVICES is none: where a scheduler confines a job to its devices, the
    first is 0 in every job. The name of a slice (MIG) is, while its UUID may be the whole GPU's.

    Parameters
    ----------
    uuids : sequence of str
        Of the devices that torch sees, in its order.
    environment : str or None
        CUDA_VISIBLE_DEVICES: numbers or names, separated by commas; CUDA stops at the first that
        is not there.
    """
    given = [name.strip() for name in (environment or "").split(",")]
    names = [*given, *[""] * len(uuids)]
    return [
        uuid if not name or name.isdigit() else name
        for uuid, name in zip(uuids, names, strict=False)
    ]


def lease(devices: Sequence[str], wanted: int | None = None, folder: Path | None = None) -> Lease:
    """Take a device that no other job holds; wait until there is one.

    Parameters
    ----------
    devices : sequence of str
        Names of the visible devices (`visible_devices`).
    wanted : int, optional
        Only this one, by its place among them (`scoring.device: cuda:1`).
    folder : Path, optional
        Where the locks lie; by default `varlm-devices` in the machine's temporary folder.

    Raises
    ------
    UserError
        If there is no such device, or the folder of locks is not one that can be trusted.
    """
    if not devices or (wanted is not None and not 0 <= wanted < len(devices)):
        asked = "cuda" if wanted is None else f"cuda:{wanted}"
        raise UserError(
            f"scoring.device: {asked} is not here; {len(devices)} CUDA devices are visible "
            f"({', '.join(devices) or 'none'})"
        )
    chosen = range(len(devices)) if wanted is None else [wanted]
    folder = _lock_folder(folder)
    started, told = time.monotonic(), False
    while True:
        for index in chosen:
            held = _take(folder, devices[index])
            if held is not None:
                return Lease(index, devices[index], held)
        if not told and time.monotonic() - started > _PATIENCE:
            told = True
            log.warning(
                "every one of the %d devices is used by another varlm job; waiting. Give snakemake "
                "--resources gpu=%d, so that no more jobs start than there are devices",
                len(chosen),
                len(chosen),
            )
        time.sleep(random.uniform(*_POLL))


def _take(folder: Path, name: str) -> FileLock | None:
    """Return the lock of a device, or None while another process holds it."""
    safe = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
    lock = FileLock(folder / f"{safe}.lock", mode=0o666)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return None
    return lock


def _lock_folder(folder: Path | None) -> Path:
    """Return the folder of locks, made for all users where it is not there."""
    folder = folder or Path(tempfile.gettempdir()) / "varlm-devices"
    with contextlib.suppress(FileExistsError):  # another job made it
        folder.mkdir(parents=True)
        folder.chmod(0o1777)  # all may add a lock, none may take another's away
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or not os.access(folder, os.W_OK):
        raise UserError(
            f"{folder}: is no folder that can be written, so that jobs could not agree which GPU "
            "is whose; remove it, or set TMPDIR to another folder"
        )
    return folder

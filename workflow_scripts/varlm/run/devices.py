"""One job, its own GPUs: which of a machine's devices a job may use, by a lock for each.

Jobs that run side by side on a machine (`snakemake --resources gpu=8`) each take the first device
that no other holds, a training on several GPUs as many as it has processes. The lock is the
kernel's (`flock`), on a file that all users of the machine share: a job that ends in any way,
SIGKILL too, frees its devices. A process that is handed the lock's descriptor holds the lock too
(which `filelock` has no way to do), so that a device is free when the last of them has ended.

Devices are those in CUDA_VISIBLE_DEVICES, where a scheduler or the user sets it, else all; their
UUIDs name the locks, so that two jobs that see different parts of the machine, under whatever
numbers, meet at the right ones.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import random
import re
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from varlm.errors import UserError

log = logging.getLogger("varlm")

T = TypeVar("T")

_POLL = (0.2, 1.0)  # seconds between two looks, at random: waiting jobs do not look in step
_PATIENCE = 30.0  # seconds of waiting before the log says so
_TURN = "several"  # lock of the job that is taking several devices


@dataclass(frozen=True)
class Lease:
    """A device that is this process's alone until it ends or calls `release`.

    Attributes
    ----------
    index : int
        Place among the visible devices: torch's `cuda:{index}`.
    name : str
        The machine's name of it (`visible_devices`).
    descriptor : int
        Of the lock's file. A child that inherits it holds the device as well.
    """

    index: int
    name: str
    descriptor: int

    def release(self) -> None:
        """Free the device."""
        os.close(self.descriptor)


def cuda_devices() -> list[str]:
    """Return the machine's names of the CUDA devices that torch sees, in its order."""
    import torch

    uuids = [
        str(torch.cuda.get_device_properties(number).uuid)
        for number in range(torch.cuda.device_count())
    ]
    return visible_devices(uuids, os.environ.get("CUDA_VISIBLE_DEVICES"))


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
    named = [name.strip() for name in (environment or "").split(",")]
    return [
        uuid if not name or name.isdigit() else name
        for uuid, name in zip(uuids, [*named, *[""] * len(uuids)], strict=False)
    ]


def lease(devices: Sequence[str], index: int | None = None, folder: Path | None = None) -> Lease:
    """Take a device that no other job holds; wait until there is one.

    Parameters
    ----------
    devices : sequence of str
        Names of the visible devices (`visible_devices`).
    index : int, optional
        Only this one, by its place among them (`scoring.device: cuda:1`).
    folder : Path, optional
        Where the locks lie; by default `varlm-devices` in the machine's temporary folder.

    Raises
    ------
    UserError
        If there is no such device, or the folder of locks is not one that can be trusted.
    """
    if not devices or (index is not None and not 0 <= index < len(devices)):
        asked = "cuda" if index is None else f"cuda:{index}"
        raise UserError(
            f"scoring.device: {asked} is not here; {len(devices)} CUDA devices are visible "
            f"({', '.join(devices) or 'none'})"
        )
    chosen = range(len(devices)) if index is None else [index]
    folder = _lock_folder(folder)
    return _wait_for(
        lambda: next(_free(folder, devices, chosen), None),
        lambda: f"every one of the {len(chosen)} devices is used by another varlm job",
        len(chosen),
    )


def lease_several(devices: Sequence[str], count: int, folder: Path | None = None) -> list[Lease]:
    """Take so many devices that no other job holds; wait until there are as many.

    One job at a time takes several: two that each hold one of two devices would wait for each
    other for ever. It keeps what it has while it waits for more, as single jobs would otherwise
    take each device that becomes free.

    Parameters
    ----------
    devices, folder
        As `lease` has them.
    count : int

    Raises
    ------
    UserError
        If there are fewer devices, or the folder of locks is not one that can be trusted.
    """
    if count > len(devices):
        raise UserError(
            f"train.<name>.gpus: {count} devices are asked for; {len(devices)} CUDA devices are "
            f"visible ({', '.join(devices) or 'none'})"
        )
    folder = _lock_folder(folder)
    held: list[Lease] = []

    def collect() -> list[Lease] | None:
        for lease_of_one in _free(folder, devices, range(len(devices))):
            held.append(lease_of_one)
            if len(held) == count:
                return held
        return None

    turn = _wait_for(
        lambda: _take(folder, _TURN),
        lambda: "another varlm job is waiting for several devices",
        len(devices),
    )
    try:
        return _wait_for(
            collect,
            lambda: (
                f"{count} devices are needed, {len(held)} of the {len(devices)} are this job's and "
                "the others are used by other varlm jobs"
            ),
            len(devices),
        )
    finally:
        os.close(turn)


def _wait_for(look: Callable[[], T | None], reason: Callable[[], str], devices: int) -> T:
    """Look until there is something; tell the reason once if that takes long."""
    started, is_told = time.monotonic(), False
    while (result := look()) is None:
        if not is_told and time.monotonic() - started > _PATIENCE:
            is_told = True
            log.warning(
                "%s; waiting. Give snakemake --resources gpu=%d, so that no more jobs start than "
                "there are devices",
                reason(),
                devices,
            )
        time.sleep(random.uniform(*_POLL))
    return result


def _free(folder: Path, devices: Sequence[str], chosen: Sequence[int]) -> Iterator[Lease]:
    """Yield leases of those chosen that nobody holds, each taken when it is asked for."""
    for index in chosen:
        descriptor = _take(folder, devices[index])
        if descriptor is not None:
            yield Lease(index, devices[index], descriptor)


def _take(folder: Path, name: str) -> int | None:
    """Return the descriptor of a lock, or None while another process holds it."""
    path = folder / f"{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}.lock"
    flags = os.O_RDWR | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags | os.O_CREAT, 0o666)
    except PermissionError:  # another user's: O_CREAT is refused there (fs.protected_regular)
        descriptor = os.open(path, flags)
    with contextlib.suppress(PermissionError):  # another user's, which is open to all already
        os.fchmod(descriptor, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _lock_folder(folder: Path | None) -> Path:
    """Return the folder of locks, made for all users where it is not there."""
    folder = folder or Path(tempfile.gettempdir()) / "varlm-devices"
    with contextlib.suppress(FileExistsError):  # another job made it
        folder.mkdir(parents=True)
        folder.chmod(0o1777)  # all may add a lock, none may take another's away
    if not stat.S_ISDIR(folder.lstat().st_mode) or not os.access(folder, os.W_OK):
        raise UserError(
            f"{folder}: is no folder that can be written, so that jobs could not agree which GPU "
            "is whose; remove it, or set TMPDIR to another folder"
        )
    return folder

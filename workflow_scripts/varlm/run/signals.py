"""Stop in good order: on a signal, and when the process that started this one is gone.

A scheduler's time limit and Ctrl-C come as signals. SIGKILL of Snakemake, or of the job's parent,
comes as nothing at all: an orphan would go on for hours, holding a GPU and writing beside the next
run. So each step watches the process that started it, and ends as if a signal had come.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
import time
from collections.abc import Sequence
from types import FrameType

from varlm.run import environment

GRACE = 5.0  # seconds between a signal and the end by force
_LOOK = 1.0  # seconds between two looks at a process, where the system does not tell of its end


class Stopped(BaseException):
    """The step was told to stop; no error, so that no handler of errors swallows it.

    Attributes
    ----------
    why : str
    status : int
        128 + the signal's number, as shells have it.
    """

    def __init__(self, why: str, status: int):
        super().__init__(why)
        self.why, self.status = why, status


def stop_in_good_order(parent: int | None = None) -> None:
    """From now on raise `Stopped` in the main thread on SIGTERM, SIGINT, SIGHUP or an end above.

    What does not listen for `GRACE` seconds, such as a long computation in C, is ended by force.
    An ignored signal (`nohup`) stays ignored. Call it in the main thread; once more after a fork.

    Parameters
    ----------
    parent : int, optional
        The process without which there is no point in going on; by default the one that
        `VARLM_SNAKEMAKE` names, none where it is not set.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    gone: list[Stopped] = []
    raise_on_signals(gone)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    threading.Thread(target=_end_by_force, args=(reading,), daemon=True).start()

    watched = parent or snakemake()
    if watched is None:
        return

    def ended() -> None:
        wait_for_end(watched)
        gone.append(without_parent(watched))
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=ended, daemon=True).start()


def raise_on_signals(instead: Sequence[Stopped] = ()) -> None:
    """From now on raise `Stopped` in the main thread on SIGTERM, SIGINT and SIGHUP; no thread.

    Parameters
    ----------
    instead : sequence of Stopped
        Looked at when a signal comes: its first, where there is one, is raised.
    """

    def stop(number: int, _: FrameType | None) -> None:
        if instead:
            raise instead[0]
        raise Stopped(f"stopped by {signal.Signals(number).name}", 128 + number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, stop)


def without_parent(pid: int) -> Stopped:
    """Return what to raise when the process that started this one is gone."""
    why = f"stopped, since the process that started it ({pid}) is gone"
    return Stopped(why, 128 + signal.SIGTERM)


def snakemake() -> int | None:
    """Return the process in VARLM_SNAKEMAKE, if it is one of this machine and namespace."""
    pid = environment.snakemake_process()
    return pid if pid is not None and alive(pid) else None


def alive(pid: int) -> bool:
    """Return whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def wait_for_end(pid: int) -> None:
    """Return when a process, not necessarily a child, has ended."""
    try:
        descriptor = end_of(pid)
    except ProcessLookupError:
        return
    if descriptor is None:
        while alive(pid):
            time.sleep(_LOOK)
        return
    select.select([descriptor], [], [])
    os.close(descriptor)


def end_of(pid: int) -> int | None:
    """Return a descriptor that can be read once a process has ended, a zombie too.

    None where the system has none: it is not Linux, or an old one.

    Raises
    ------
    ProcessLookupError
        If there is no such process.
    """
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        raise
    except (AttributeError, OSError):
        return None


def _end_by_force(signals: int) -> None:
    """End the process `GRACE` seconds after a signal, if it is still there."""
    stopping = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
    while (number := os.read(signals, 1)[0]) not in stopping:
        continue
    time.sleep(GRACE)
    with contextlib.suppress(OSError):
        os.write(2, b"error: did not stop in time; ended by force\n")
    os._exit(128 + number)

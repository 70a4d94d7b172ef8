"""Run a step in a child process that is watched: it may run out of memory, crash or hang.

The kernel ends a process that takes too much memory without a word, and a driver can leave it
hanging for ever. The parent imports next to nothing and so survives; it starts the step again,
which goes on from what it kept (`varlm.scoring.partial_scores`).

The child is a fork and no second interpreter, which would cost a tenth of a second a shard. A fork
copies only the thread that calls it, with every lock that another one holds, so that the parent has
no other: it waits for the child, for signals and for the end of Snakemake in one `select`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from typing import NoReturn

from varlm.errors import UserError
from varlm.run import environment
from varlm.run.signals import (
    Stopped,
    alive,
    end_of,
    raise_on_signals,
    snakemake,
    without_parent,
)

log = logging.getLogger("varlm")


PATIENCE = 900.0  # seconds without a batch after which the child is taken for hung
_OUT_OF_MEMORY = 6  # starts with ever smaller batches, at most
_TICK = 1.0  # seconds
_GRACE = 3.0  # seconds for the child to end by itself


def supervise(work: Callable[[], int], name: str, patience: float = PATIENCE) -> int:
    """Do some work in a child; return its exit status.

    A child that the kernel killed (SIGKILL: out of memory) is started again with half the batch;
    one that crashed, or that reported nothing for `patience` seconds, once with the same.

    Parameters
    ----------
    work : callable
        Returns an exit status. It is called in the child, and must listen to signals there.
    name : str
        Of the step, for messages.
    patience : float
        Seconds.

    Raises
    ------
    UserError
        If that does not help.
    Stopped
        If this process was told to stop; the child has ended then.
    """
    raise_on_signals()
    halved = crashes = 0
    while True:
        status, hung = _run(work, patience, halved)
        if status >= 0 and not hung:
            return status
        if status == -signal.SIGKILL and not hung:
            halved += 1
            if halved > _OUT_OF_MEMORY:
                raise UserError(
                    f"the step {name} was ended by SIGKILL {halved} times, most likely since "
                    f"memory ran out, even with a {2 ** (halved - 1)}th of the batch; give the job "
                    "more memory, or lower scoring.window"
                )
            log.warning(
                "the step was ended by SIGKILL, most likely since memory ran out; starting it "
                "again with half the batch (scoring.batch_size sets a smaller one from the start)"
            )
            continue
        crashes += 1
        what = (
            f"no batch was done for {patience:.0f} s"
            if hung
            else f"it was ended by {signal.Signals(-status).name}"
        )
        if crashes > 1:
            raise UserError(
                f"the step {name} failed twice: {what}; the device or its driver may be at "
                "fault: try another (scoring.device) and run again; what was scored is kept"
            )
        log.warning("%s; starting the step once more", what)


def _run(work: Callable[[], int], patience: float, halved: int) -> tuple[int, bool]:
    """Run the child once; return its status, negative for a signal, and whether it hung."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _work(work, writing, halved)
    os.close(writing)
    try:
        hung = _hangs(reading, patience)
        if hung:
            os.kill(child, signal.SIGKILL)
        return _ended(child), hung
    except Stopped:
        _end(child)
        raise
    finally:
        os.close(reading)


def _work(work: Callable[[], int], heartbeat: int, halved: int) -> NoReturn:
    """In the child: do the work, and end with its exit status."""
    status = 1
    try:
        os.set_blocking(heartbeat, False)
        environment.spin_shortly()
        if platform.machine() == "x86_64":  # numpy's threads spin too; torch has others there
            os.environ["OPENBLAS_NUM_THREADS"] = "1"
        os.environ |= environment.for_watched(heartbeat, halved, os.getppid())
        status = work()
    except Stopped as stopped:  # told so before the work listened itself
        status = stopped.status
    except BaseException:  # as the interpreter would, but without unwinding into the parent's code
        traceback.print_exc()
    finally:
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _ended(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _end(child: int) -> None:
    """End the child, by force where it does not listen."""
    os.kill(child, signal.SIGTERM)
    until = time.monotonic() + _GRACE
    while time.monotonic() < until:
        if os.waitpid(child, os.WNOHANG)[0]:
            return
        time.sleep(0.05)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def _hangs(reading: int, patience: float) -> bool:
    """Wait until the other end of the pipe is closed: False; or silent for too long: True.

    Ticks are counted, each as a few seconds at most, so that a machine or a job that was
    suspended for a while is not taken for hung.

    Raises
    ------
    Stopped
        If the process that started this one is gone.
    """
    parent = snakemake()
    silent = 0.0
    with _watched(parent) as watched:
        while silent < patience:
            before = time.monotonic()
            ready = select.select([reading, *watched], [], [], _TICK)[0]
            if parent is not None and (set(watched) & set(ready) or not alive(parent)):
                raise without_parent(parent)
            if reading not in ready:
                silent += min(time.monotonic() - before, 3 * _TICK)
            elif os.read(reading, 4096):
                silent = 0.0
            else:
                return False
    return True


@contextlib.contextmanager
def _watched(pid: int | None) -> Iterator[list[int]]:
    """Give the descriptor of a process' end, or none where there is none."""
    descriptor = None
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):  # gone just now, as `alive` will find
            descriptor = end_of(pid)
    try:
        yield [] if descriptor is None else [descriptor]
    finally:
        if descriptor is not None:
            os.close(descriptor)

"""Start the processes of one training, each on a device of its own, and end them together."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from varlm.errors import UserError
from varlm.run import environment
from varlm.run.devices import Lease

# What each process is told: which it is, of how many, and the file in which they meet, as a URI.
RANK, COUNT, MEETING = "VARLM_RANK", "VARLM_PROCESSES", "VARLM_MEETING"

_LOOK = 0.2  # seconds between two looks at the processes
_GRACE = 3.0  # seconds for them to end by themselves; `varlm.run.signals.GRACE` ends this one


def launch(command: Sequence[str], count: int, leases: Sequence[Lease] = ()) -> None:
    """Run a command as the processes of one training; return when all are done.

    Each inherits the lock of its device, so that nobody else gets the device before it has ended,
    even where this process is killed; it watches this process and then ends as well. Only the
    first one logs: the others do the same.

    Parameters
    ----------
    command : sequence of str
        The step `train`, to which `--device cuda:N` is added for those with a lease.
    count : int
    leases : sequence of Lease
        As many as processes, or none: they compute on the CPU.

    Raises
    ------
    UserError
        If one of them failed; the others are ended.
    """
    with tempfile.TemporaryDirectory(prefix="varlm-training-") as folder:
        children: list[subprocess.Popen[bytes]] = []
        try:
            for rank in range(count):
                lease = leases[rank] if leases else None
                children.append(_start(command, rank, count, lease, Path(folder) / "meeting"))
            _wait(children)
        finally:
            _end(children)


def _start(
    command: Sequence[str], rank: int, count: int, lease: Lease | None, meeting: Path
) -> subprocess.Popen[bytes]:
    """Start one of the processes."""
    variables = {
        **os.environ,
        RANK: str(rank),
        COUNT: str(count),
        MEETING: meeting.as_uri(),
        environment.SNAKEMAKE: str(os.getpid()),
    }
    if rank:
        variables.setdefault(environment.LOG_LEVEL, "WARNING")
    device = [] if lease is None else ["--device", f"cuda:{lease.index}"]
    return subprocess.Popen(
        [*command, *device],
        env=variables,
        pass_fds=() if lease is None else (lease.descriptor,),
    )


def _wait(children: Sequence[subprocess.Popen[bytes]]) -> None:
    """Return when all have ended well; raise `UserError` as soon as one has not."""
    while True:
        statuses = [child.poll() for child in children]
        for rank, status in enumerate(statuses):
            if status:
                end = f"status {status}" if status > 0 else signal.Signals(-status).name
                raise UserError(
                    f"process {rank + 1} of the {len(children)} of this training ended with {end}; "
                    "what it said is above. SIGKILL means, most likely, that memory ran out: lower "
                    "train.<name>.micro_batch"
                )
        if None not in statuses:
            return
        time.sleep(_LOOK)


def _end(children: Sequence[subprocess.Popen[bytes]]) -> None:
    """End those that are still there, by force where they do not listen."""
    for child in children:
        child.terminate()
    until = time.monotonic() + _GRACE
    for child in children:
        try:
            child.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

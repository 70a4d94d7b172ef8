"""What Snakemake's own process does for varlm: pass signals on, and clear a dead run's locks.

Snakemake answers SIGTERM by waiting for the jobs that run, which a scheduler's time limit cuts
off half a minute later: then its locks stay behind. So its signals are passed on to the steps
that it started on this machine; they end within seconds, and Snakemake then ends by itself.
rules/common.smk calls `watch_over` where it is read by the main process. Jobs on other machines
go on; their scheduler ends them.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

_RECORD = "varlm-run.json"


def watch_over(folder: Path) -> str | None:
    """Pass signals on from now on; remove the locks that a killed run left.

    Call it in Snakemake's main process.

    Parameters
    ----------
    folder : Path
        The working directory's `.snakemake`.

    Returns
    -------
    str or None
        What was removed and why, to be told.
    """
    if threading.current_thread() is threading.main_thread():
        _pass_signals_on()
    cleared = None
    # A run that lacks the right to write here fails by itself, with Snakemake's own message.
    with contextlib.suppress(OSError):
        last = _last_run(folder)
        if last is None or not _lives(last):  # else a dry run, beside a run
            cleared = _clear_locks(folder, last)
            folder.mkdir(exist_ok=True)
            (folder / _RECORD).write_text(json.dumps(_identity(psutil.Process())) + "\n")
    return cleared


def let_signals_in(scheduler: Any) -> None:
    """Let a signal that comes while the scheduler's lock is held be taken, not waited for.

    Snakemake 9.27 takes its lock in the handler of SIGTERM (`JobScheduler.exit_gracefully`). Where
    the main thread has it already, as it does while it tidies up after a job that the same signal
    ended, it waits for itself for ever. With a lock that a thread may take twice it goes on.
    """
    if isinstance(getattr(scheduler, "_lock", None), type(threading.Lock())):
        scheduler._lock = threading.RLock()


def at_the_end(workflow: Any, tell: Callable[[], None]) -> None:
    """Have something told after a run of a workflow that imports varlm, whatever it tells itself.

    A handler that the importing workflow declares below its `module` takes the place of this one.
    """
    for name in ("_onsuccess", "_onerror"):
        before = getattr(workflow, name, None)
        if before is not None:
            setattr(workflow, name, _both(before, tell))


def _both(before: Callable[[Any], object], tell: Callable[[], None]) -> Callable[[Any], None]:
    def handler(log: Any) -> None:
        before(log)
        tell()

    return handler


def _pass_signals_on() -> None:
    """Send SIGTERM to the steps below this process whenever it gets SIGTERM or SIGINT."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)

    def forward() -> None:
        while number := os.read(reading, 1):
            if number[0] in (signal.SIGTERM, signal.SIGINT):
                for child in psutil.Process().children(recursive=True):
                    with contextlib.suppress(psutil.Error):
                        if _is_step(child):
                            child.terminate()

    threading.Thread(target=forward, daemon=True).start()


def _is_step(process: psutil.Process) -> bool:
    """Return whether a process is a step of varlm: `python …/workflow_scripts STEP …`."""
    package = str(Path(__file__).resolve().parents[2])
    words = process.cmdline()
    return len(words) > 2 and os.path.realpath(words[1]) == package


def _identity(process: psutil.Process) -> dict[str, Any]:
    return {
        "host": socket.gethostname(),
        "boot": psutil.boot_time(),
        "pid": process.pid,
        "started": process.create_time(),
    }


def _last_run(folder: Path) -> dict[str, Any] | None:
    """Return the record of the last run in the folder, if it ran on this machine as it is up."""
    this_process = _identity(psutil.Process())
    try:
        record = json.loads((folder / _RECORD).read_text())
        same = (
            record["host"] == this_process["host"]
            and abs(record["boot"] - this_process["boot"]) < 60
        )
        return record if same and record["pid"] > 0 and record["started"] > 0 else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _lives(record: dict[str, Any]) -> bool:
    try:
        process = psutil.Process(record["pid"])
        return process.status() != psutil.STATUS_ZOMBIE and (
            abs(process.create_time() - record["started"]) < 1
        )
    except psutil.NoSuchProcess:
        return False


def _clear_locks(folder: Path, last: dict[str, Any] | None) -> str | None:
    """Remove Snakemake's locks if the last run, which is dead, made them.

    It did if none is older than it. Locks of a run on another machine, or of another workflow in
    the same folder that started earlier, stay.
    """
    locks = [path for path in (folder / "locks").glob("*.lock") if path.is_file()]
    if not locks or last is None:
        return None
    if min(path.stat().st_mtime for path in locks) < last["started"]:
        return None
    for path in locks:
        path.unlink(missing_ok=True)
    return (
        f"the run before (process {last['pid']}) was killed and left its lock on this folder; "
        "the lock is removed, and the run goes on"
    )

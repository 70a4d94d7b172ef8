"""bcftools in a child process: its errors told in a line, its crashes as crashes.

In this process, each error of pysam's bcftools leaks descriptors, a call holds the interpreter
lock until it ends, and malformed input can end the process with a segmentation fault.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import IO

_PIECE = 1 << 20  # bytes read from a child at a time
_SHOWN = 300  # characters of what it said
_CHILD = (
    "import sys, pysam.bcftools\n"
    "try:\n"
    "    getattr(pysam.bcftools, sys.argv[1])(*sys.argv[2:], catch_stdout=False)\n"
    "except pysam.utils.SamtoolsError as error:\n"
    "    sys.exit(str(error))\n"
)


class BcftoolsError(RuntimeError):
    """bcftools refused its input; the message is the last line that it said."""


class BcftoolsCrashError(BcftoolsError):
    """A signal ended bcftools."""


def run(subcommand: str, *arguments: str) -> None:
    """Run a subcommand that writes a file (`-o`).

    Raises
    ------
    BcftoolsCrashError, BcftoolsError
        If it crashed, or failed.
    """
    for _ in output(subcommand, *arguments):
        pass


def output(subcommand: str, *arguments: str) -> Iterator[bytes]:
    """Yield what a subcommand writes to its standard output; closed early, it is ended.

    Raises
    ------
    BcftoolsCrashError, BcftoolsError
        If it crashed, or failed; after what it wrote before.
    """
    command = [sys.executable, "-P", "-c", _CHILD, subcommand, *arguments]
    with (
        tempfile.TemporaryFile() as messages,
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=messages
        ) as child,
    ):
        assert child.stdout is not None
        try:
            while piece := child.stdout.read(_PIECE):
                yield piece
        except GeneratorExit:
            child.kill()
            raise
        if child.wait():
            raise _error(subcommand, child.returncode, messages)


def _error(subcommand: str, status: int, messages: IO[bytes]) -> BcftoolsError:
    if status < 0:
        return BcftoolsCrashError(f"bcftools {subcommand} crashed: {signal_name(-status)}")
    messages.seek(0)
    text = messages.read().decode("utf-8", "replace")
    # pysam's error is the repr of 'bcftools returned …, stderr=' and all that bcftools said.
    said = text.rpartition("stderr=")[2].replace("\\n", "\n").strip(" \n'\"").splitlines()
    return BcftoolsError(said[-1][:_SHOWN] if said else f"exit status {status}")


def signal_name(number: int) -> str:
    """Return a signal as people know it: 'signal 11 (SIGSEGV)'."""
    try:
        return f"signal {number} ({signal.Signals(number).name})"
    except ValueError:  # a real-time signal has no name
        return f"signal {number}"

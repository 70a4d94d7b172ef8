"""What several tests look at and none changes: made once a session, by whichever needs it first.

Tests are dealt out to processes one by one, so that a fixture of a module is wanted in several of
them. A finished run of the workflow costs seconds; the others wait for the first to make it.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return the folder that `make` fills; it is called in one process of the session only.

    Parameters
    ----------
    factory : pytest.TempPathFactory
    name : str
        Of the folder: one name for one `make` in all tests.
    make : callable
        Called with an empty folder. Where it fails, the next process tries again.
    """
    top = factory.getbasetemp()
    if top.name.startswith("popen-"):  # a process of pytest-xdist has a folder of its own there
        top = top.parent
    folder = top / "once" / name
    folder.parent.mkdir(exist_ok=True)
    done = folder.with_name(f"{name}.done")
    with FileLock(folder.with_name(f"{name}.lock")):
        if not done.exists():
            attempt = 0
            while folder.exists():  # what a failed attempt left, for whoever looks into it
                attempt += 1
                folder = folder.with_name(f"{name}.{attempt}")
            folder.mkdir()
            make(folder)
            done.write_text(folder.name)
    return folder.with_name(done.read_text())

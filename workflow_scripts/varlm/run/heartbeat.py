"""How a watched step tells its parent that it goes on."""

from __future__ import annotations

import contextlib
import os

from varlm.run.environment import halvings, heartbeat

__all__ = ["beat", "halvings"]


def beat() -> None:
    """Tell the parent, where there is one, that a batch is done."""
    descriptor = heartbeat()
    if descriptor is not None:
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            os.write(descriptor, b".")

"""What a watched step and its parent tell each other."""

from __future__ import annotations

import contextlib
import os

HEARTBEAT = "VARLM_HEARTBEAT"  # descriptor that the child writes to whenever a batch is done
HALVINGS = "VARLM_HALVINGS"  # how often the batch is to be halved before the start


def beat() -> None:
    """Tell the parent, where there is one, that a batch is done."""
    descriptor = os.environ.get(HEARTBEAT)
    if descriptor is not None:
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            os.write(int(descriptor), b".")


def halvings() -> int:
    """Return how often the batch is to be halved, since memory ran out with a larger one."""
    return int(os.environ.get(HALVINGS, "0"))

"""Progress in the log: how much is done, how fast, how long it will take."""

from __future__ import annotations

import logging
import time

log = logging.getLogger(__name__)


class Progress:
    """Logs the sites done, the rate and the time left: after 5 s, then ever more rarely.

    Parameters
    ----------
    total : int
    what : str
        What is counted, in the plural.
    done : int
        How many are done before the start; they do not count in the rate.
    """

    def __init__(self, total: int, what: str, done: int = 0):
        self.total, self.what = total, what
        self.done = self._before = done
        self.started = time.monotonic()
        self.next = 5.0  # seconds after the start

    def __call__(self, count: int) -> None:
        """Count `count` more; log if it is time."""
        self.done += count
        elapsed = time.monotonic() - self.started
        if self.done > self._before and (elapsed >= self.next or self.done == self.total):
            rate = (self.done - self._before) / max(elapsed, 1e-9)
            left = (self.total - self.done) / rate
            log.info(
                "%d of %d %s (%.0f %%), %.3g a second, %s left",
                self.done,
                self.total,
                self.what,
                100 * self.done / self.total,
                rate,
                duration(left),
            )
            # 5 s, 10 s, 20 s, … and at most every five minutes.
            self.next = elapsed + min(max(elapsed, 5.0), 300.0)


def duration(seconds: float) -> str:
    """Write a time as people do: `1 d 3 h`, `2 h 5 min`, `3 min 20 s`, `9 s`."""
    whole = round(seconds)
    for size, unit, part, subunit in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // part} {subunit}"
    return f"{whole} s"

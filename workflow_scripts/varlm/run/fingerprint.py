"""Whether an input file is still the same, told by its content, cheaply.

Snakemake compares modification times: a file that was replaced by one with an older time, or
edited under a clock that runs late, looks unchanged to it. The rules therefore carry this
fingerprint of their inputs as a parameter. The Snakefile imports it: nothing heavy here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

from varlm.run.config_keys import is_address

WHOLE = 64 << 20  # bytes up to which a file is read whole (0.05 s)
_PIECE, _PIECES = 1 << 18, 64  # of a larger one: evenly spaced pieces, both ends among them


def fingerprints(paths: Iterable[str | None], is_made: Callable[[str], bool]) -> list[str]:
    """Return what the content of input files is known by, for a rule's params; None is left out.

    Only files that are here before the run have a content to know them by. What another rule
    makes and what lies elsewhere is known by its time, as Snakemake does it: their content would
    be "absent" in one run, and something else in the next.

    Parameters
    ----------
    paths : iterable of str or None
    is_made : callable
        Whether a rule makes the file.
    """

    def known_by(path: str) -> str:
        if is_address(path):
            return path
        return "made by a rule" if is_made(path) else fingerprint(path)

    return [known_by(path) for path in paths if path is not None]


@cache
def fingerprint(path: str) -> str:
    """Return the size and a hash of a file's content; "absent" where there is none.

    A file above 64 MB is known by 64 pieces of 256 kB and its modification time: a change that
    keeps all three is not seen. (A compressed file changes from the edited place to its end.)
    """
    try:
        with Path(path).open("rb") as file:
            size = file.seek(0, 2)
            if size <= WHOLE:
                file.seek(0)
                return f"{size}-{hashlib.file_digest(file, 'sha256').hexdigest()[:32]}"
            sha = hashlib.sha256(str(Path(path).stat().st_mtime_ns).encode())
            for number in range(_PIECES):
                file.seek((size - _PIECE) * number // (_PIECES - 1))
                sha.update(file.read(_PIECE))
            return f"{size}-{sha.hexdigest()[:32]}"
    except OSError:
        return "absent"

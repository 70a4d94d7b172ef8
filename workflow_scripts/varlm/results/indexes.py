"""Indexes of annotated VCFs: tabix where contigs are short enough, else CSI."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pysam

from varlm.errors import UserError
from varlm.files import inflate

log = logging.getLogger(__name__)
TBI_LIMIT = 1 << 29  # bp; positions beyond it need a .csi index


def check_lines(path: Path, expected: int) -> None:
    """Read the file again, every checksum, and count its lines."""
    with path.open("rb") as file:
        lines = sum(piece.count(b"\n") for piece in inflate.inflate(file, path, lambda _: None))
    if lines != expected:
        raise UserError(
            f"{path}: {lines} lines on disk, {expected} written; the disk may be failing: run again"
        )


@contextmanager
def placed_indexes(
    temporary: Path, path: Path, kinds: Sequence[str], layout: Mapping[str, object]
) -> Iterator[list[Path]]:
    """Index `temporary`; on leaving without an error, place the indexes beside `path`.

    `path` itself gets its name afterwards. Indexes of an older output are then removed, so that
    none is older than its file. Where a .tbi cannot hold a record (INFO/END beyond 2²⁹), a .csi is
    made; where that cannot either (a POS of ten digits, rejected but kept), there is none, with a
    warning.

    Yields
    ------
    list of Path
        The indexes, beside `temporary`, for who wants to try them.
    """
    indexes: list[Path] = []
    try:
        for kind in kinds if "csi" in kinds else (*kinds, "csi"):
            if kind in kinds or not indexes:
                indexes += _indexes(temporary, path, kind, layout)
        if not indexes:
            log.warning(
                "%s: has no index: a position in it is beyond what one can hold, or the records "
                "of a contig are not together (see the lines above)",
                path,
            )
        yield indexes
        for suffix in (".tbi", ".csi"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        for index in indexes:
            index.replace(path.with_name(path.name + index.suffix))
    finally:
        for index in indexes:
            index.unlink(missing_ok=True)


def _indexes(temporary: Path, path: Path, kind: str, layout: Mapping[str, object]) -> list[Path]:
    """Make one index; return it, or nothing if it cannot hold the file's positions.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    index = temporary.with_name(f"{temporary.name}.{kind}")
    try:
        pysam.tabix_index(str(temporary), force=True, csi=kind == "csi", index=str(index), **layout)
        with index.open("rb") as file:
            os.fsync(file.fileno())
    except (OSError, pysam.SamtoolsError) as error:
        # htslib says only that it failed. It begins the file once it has held all positions.
        begun = index.exists()
        index.unlink(missing_ok=True)
        if begun:
            raise UserError(
                f"{path}.{kind}: could not be written ({error}); is the disk full? Free some space "
                "and run again"
            ) from error
        index.touch()  # an error here: the folder takes no new file
        index.unlink()
        return []
    return [index]

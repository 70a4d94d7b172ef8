"""Indexes of annotated tables and VCFs: tabix where contigs are short enough, else CSI."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pysam

from varlm.errors import UserError
from varlm.files import inflate
from varlm.run.environment import Kind
from varlm.run.index_kind import TBI_LIMIT

log = logging.getLogger(__name__)


def check_lines(path: Path, expected: int) -> None:
    """Read the file again, every checksum, and count its lines."""
    with path.open("rb") as file:
        lines = sum(piece.count(b"\n") for piece in inflate.inflate(file, path, lambda _: None))
    if lines != expected:
        raise UserError(
            f"{path}: {lines} lines on disk, {expected} written; the disk may be failing: run again"
        )


@contextmanager
def placed_index(
    temporary: Path,
    path: Path,
    last: int,
    declared: Kind | None,
    layout: Mapping[str, object],
    also_csi: bool = False,
) -> Iterator[Path | None]:
    """Index `temporary`; on leaving without an error, place the index beside `path`.

    `path` itself gets its name afterwards. Indexes of an older output are then removed, so that
    none belongs to another file.

    Where a .tbi cannot hold a record (INFO/END beyond 2²⁹), a CSI is made; where that cannot either
    (a POS of ten digits, rejected but kept), there is none, with a warning. A name that a rule
    declared is there all the same: what it names is then a CSI, which htslib tells by its content,
    or an empty file.

    Parameters
    ----------
    temporary, path : Path
        The file as it lies now, and the name that it will have.
    last : int
        The last position in it, 1-based: tells the kind where none is declared.
    declared : str or None
        The kind whose name a rule declares.
    layout : mapping
        What `pysam.tabix_index` takes.
    also_csi : bool
        Whether the index has the name .csi too. Several names are of one file, since Snakemake
        gives the one that it knows a new time.

    Yields
    ------
    Path or None
        The index, beside `temporary`, for who wants to try it; None where there is none.
    """
    made: list[Path] = []
    try:
        for kind in dict.fromkeys((declared or ("csi" if last >= TBI_LIMIT else "tbi"), "csi")):
            if not made:
                made += _index(temporary, path, kind, layout)
        if not made:
            log.warning(
                "%s: has no index: a position in it is beyond what one can hold, or the records "
                "of a contig are not together (see the lines above)",
                path,
            )
        yield made[0] if made else None
        for suffix in (".tbi", ".csi"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        names = _names(path, declared, made, also_csi)
        if made:
            made[0].replace(names[0])
            for other in names[1:]:
                _name_too(names[0], other)
        elif names:
            names[0].touch()
    finally:
        for index in made:
            index.unlink(missing_ok=True)


def _names(path: Path, declared: Kind | None, made: list[Path], also_csi: bool) -> list[Path]:
    """Return the names of an index, the declared one first."""
    suffixes = [f".{declared}"] if declared else []
    if made:
        suffixes += [made[0].suffix, *([".csi"] if also_csi else [])]
    return [path.with_name(path.name + suffix) for suffix in dict.fromkeys(suffixes)]


def _name_too(index: Path, other: Path) -> None:
    """Give a file another name; a copy where the file system knows one name a file."""
    try:
        other.hardlink_to(index)
    except OSError:
        other.write_bytes(index.read_bytes())


def _index(temporary: Path, path: Path, kind: str, layout: Mapping[str, object]) -> list[Path]:
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

"""The encoded genome read as its users' tools read it: by pyfaidx, through the index beside it.

`genome.fa` and its `.fai` are bytes of our own making; pyfaidx is an independent reader of them.
Every base of every contig is read and its digest compared with `contigs.parquet`; memory holds one
piece of a contig.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NoReturn

from pyfaidx import Faidx

from varlm.errors import UserError
from varlm.genome.reference import Contig, refget_digest
from varlm.tables.parquet import read_table
from varlm.tables.schemas import CONTIGS

_PIECE = 8 << 20  # bases read at a time
_FILES = ("genome.fa.fai", "contigs.parquet", "genome.fa")
_BLAME = (
    "this is a defect of varlm or of the disk: the genome is not kept; run again, and report it if "
    "it comes back"
)


class ReadBackError(UserError):
    """pyfaidx does not read from `genome.fa` what was written."""


def check_or_remove(folder: Path) -> None:
    """Compare the genome that `index_reference` wrote into `folder` with what pyfaidx reads of it.

    No file is written; the three are removed if pyfaidx reads something else, so that no later
    step takes them.

    Raises
    ------
    ReadBackError
        Naming the file, the contig, what pyfaidx reads and what `contigs.parquet` has.
    """
    try:
        check(folder)
    except UserError:
        for name in _FILES:
            (folder / name).unlink(missing_ok=True)
        raise


def check(folder: Path) -> None:
    """Do as `check_or_remove` does, and remove nothing."""
    fasta, index = folder / "genome.fa", folder / "genome.fa.fai"
    contigs = read_table(folder / "contigs.parquet", CONTIGS)
    # Tools that find an older index make it anew, pyfaidx among them; here it must not.
    if index.stat().st_mtime_ns < fasta.stat().st_mtime_ns:
        raise ReadBackError(f"{index}: older than {fasta.name}, which was written before; {_BLAME}")
    try:
        reader = Faidx(fasta, as_raw=True, strict_bounds=True, rebuild=False, build_index=False)
    except ValueError as error:
        raise ReadBackError(f"{index}: pyfaidx cannot read it ({error}); {_BLAME}") from error
    with reader:
        _compare_names(index, list(reader.index), contigs["contig"].to_list())
        for row in contigs.iter_rows(named=True):
            contig = Contig(**row)
            _compare_place(index, reader, contig)
            digest = _digest(fasta, reader, contig)
            if digest != contig.digest:
                _tell(fasta, contig.contig, f"a sequence with the digest {digest}", contig.digest)


def _compare_names(index: Path, listed: list[str], expected: list[str]) -> None:
    if len(listed) != len(expected):
        raise ReadBackError(
            f"{index}: pyfaidx reads {len(listed)} contigs, expected the {len(expected)} of "
            f"contigs.parquet; {_BLAME}"
        )
    for name, contig in zip(listed, expected, strict=True):
        if name != contig:
            _tell(index, contig, f"the name {name[:60]!r}", "the name in contigs.parquet")


def _compare_place(index: Path, reader: Faidx, contig: Contig) -> None:
    """Compare the index: pyfaidx drops line ends, and so reads past some wrong offsets."""
    listed = reader.index[contig.contig]
    place = (listed.rlen, listed.offset, listed.lenc, listed.lenb)
    expected = (contig.length, contig.offset, contig.length, contig.length + 1)
    if place != expected:
        _tell(
            index,
            contig.contig,
            f"length, offset, bases and bytes of a line as {', '.join(map(str, place))}",
            ", ".join(map(str, expected)),
        )


def _digest(fasta: Path, reader: Faidx, contig: Contig) -> str:
    """Return the refget digest of a contig as pyfaidx reads it, piece by piece."""
    sha = hashlib.sha512()
    for start in range(0, contig.length, _PIECE):
        end = min(start + _PIECE, contig.length)
        try:
            bases = reader.fetch(contig.contig, start + 1, end)  # 1-based, both ends in it
        except UnicodeDecodeError as error:
            _tell(fasta, contig.contig, f"bytes that are no text ({error})", "bases")
        sha.update(bases.encode())
    return refget_digest(sha)


def _tell(path: Path, contig: str, read: str, expected: str) -> NoReturn:
    raise ReadBackError(
        f"{path}: contig {contig[:60]!r}: pyfaidx reads {read}, expected {expected}; {_BLAME}"
    )

"""Which index the results' bgzip files get: tabix (.tbi), or CSI where a contig is too long for it.

Snakemake must know a file's name before anything runs, so that the kind follows from the
reference FASTA alone, not from the positions of a cohort's records. The Snakefile imports this:
nothing heavy here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from varlm.errors import UserError
from varlm.files.text import content
from varlm.run.environment import Kind

TBI_LIMIT = 1 << 29  # bp; positions beyond it need a .csi index (SAM specification, section 5.3)
_BLANKS = b"\r\n \t"  # what is no base in a FASTA's lines
_MOST_DEFLATED = 1032  # bytes of content in one byte of gzip, at most


def index_kind(fasta: str, reference: Path, limit: int = TBI_LIMIT) -> Kind:
    """Return `csi` for a genome with a contig of `limit` bp or more, else `tbi`.

    Told by the first that can: the file's size; the contigs' lengths, in an index that is no older
    than the FASTA (its own .fai, or the one of the encoded genome); the FASTA itself, read up to
    such a contig (3 GB of text that is in the memory's cache: 1 s).

    Parameters
    ----------
    fasta : str
        The reference. Where it cannot be read now (another rule makes it), the kind is `tbi`;
        that the FASTA is none is left to the step that encodes it.
    reference : Path
        Folder of `index_reference`, which may not be there yet.
    limit : int
        bp.
    """
    path = Path(fasta)
    try:
        if _largest_content(path) < limit:
            return "tbi"
        for index in _indexes(path, reference):
            if (lengths := _lengths(index)) is not None:
                return "csi" if max(lengths, default=0) >= limit else "tbi"
        pieces = content(path, "reference.fasta must name a FASTA file")
        return "csi" if _has_contig(pieces, limit) else "tbi"
    except (OSError, UserError):
        return "tbi"


def _largest_content(path: Path) -> int:
    """Return a number of bytes that the file's content, decompressed, does not exceed."""
    with path.open("rb") as file:
        gzipped = file.read(2) == b"\x1f\x8b"
    return path.stat().st_size * (_MOST_DEFLATED if gzipped else 1)


def _indexes(fasta: Path, reference: Path) -> Iterator[Path]:
    """Yield the .fai files that are there and no older than the FASTA."""
    written = fasta.stat().st_mtime_ns
    beside = fasta.with_name(fasta.name + ".fai")
    for index in (beside, *_encoded(fasta, reference)):
        if index.is_file() and index.stat().st_mtime_ns >= written:
            yield index


def _encoded(fasta: Path, reference: Path) -> Iterator[Path]:
    """Yield the index of the encoded genome, if that was made of this FASTA."""
    try:
        summary = json.loads((reference / "reference.json").read_text("utf-8"))
    except (OSError, ValueError):
        return
    if isinstance(summary, dict) and summary.get("fasta") == str(fasta):
        yield reference / "genome.fa.fai"


def _lengths(index: Path) -> list[int] | None:
    """Return the lengths in a .fai, bp; None if it is none."""
    try:
        return [int(line.split(b"\t")[1]) for line in index.read_bytes().splitlines()]
    except (IndexError, ValueError):
        return None


def _has_contig(pieces: Iterable[bytes], limit: int) -> bool:
    """Return whether a FASTA has a contig of `limit` bp or more; reads no further than that."""
    length, in_header, at_line_start = 0, False, True
    for piece in pieces:
        start = 0
        while start < len(piece):
            if in_header:
                end = piece.find(b"\n", start)
                in_header, at_line_start = end < 0, True
                start = len(piece) if end < 0 else end + 1
            elif at_line_start and piece[start] == ord(">"):
                length, in_header = 0, True
            else:
                end = piece.find(b"\n>", start) + 1 or len(piece)
                line_block = piece[start:end]
                length += len(line_block) - sum(map(line_block.count, _BLANKS))
                if length >= limit:
                    return True
                at_line_start = line_block.endswith(b"\n")
                start = end
    return False

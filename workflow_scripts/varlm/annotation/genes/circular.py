"""Which contigs an annotation calls circular, read without the rest of it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote_to_bytes

from varlm.files.text import LONGEST, content, whole_lines
from varlm.genome.contig_names import ContigNames

log = logging.getLogger(__name__)

_CHUNK = 8 << 20  # bytes looked through at a time
_FLAG = b"s_circular="  # of Is_circular, and of is_circular, as some tools have it
_EXPECTED = "reference.annotation must name a GFF3 or GTF file"


def annotated_circular(path: Path, names: ContigNames) -> dict[str, str]:
    """Return the contigs of a reference that a GFF3 calls circular, and the line that does.

    A contig is circular where a feature from its first base to its last, whatever its type, has
    `Is_circular=true` (GFF3 specification 1.26). GTF knows no such thing.

    Parameters
    ----------
    path : Path
        GFF3 or GTF, plain, gzip or bgzip; searched for the flag, 1 s for 250 MB of text.
    names : ContigNames

    Returns
    -------
    dict
        Contig of the reference → which line says so.

    Raises
    ------
    UserError
        If the file cannot be read, or has a line that is too long.
    """
    circular: dict[str, str] = {}
    for line, text in _flagged_lines(path):
        fields = text.split(b"\t")
        if text.startswith(b"#") or len(fields) != 9 or not _is_circular(fields[8]):
            continue
        name = unquote_to_bytes(fields[0]).decode("utf-8", "replace")
        contig = names.match(name, {}).contig
        if contig is None:
            continue
        if [fields[3], fields[4]] == [b"1", b"%d" % names.lengths[contig]]:
            circular.setdefault(contig, f"line {line} of the annotation")
        elif fields[3] == b"1" and fields[2] in (b"region", b"chromosome"):
            log.warning(
                "%s, line %d: calls %r circular with a length of %s bp, but the reference's %r has "
                "%d: it counts as linear",
                *(path, line, name, fields[4].decode("utf-8", "replace")),
                *(contig, names.lengths[contig]),
            )
    return circular


def _is_circular(attributes: bytes) -> bool:
    pairs = (pair.strip().lower() for pair in attributes.split(b";"))
    return b"is_circular=true" in pairs


def _flagged_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the lines with the flag, and their 1-based numbers, up to a section of sequences."""
    pieces = content(path, _EXPECTED)
    for block, first in whole_lines(pieces, path, _CHUNK, LONGEST, _EXPECTED):
        at = block.find(_FLAG)
        while at >= 0:
            start = block.rfind(b"\n", 0, at) + 1
            text = block[start:].split(b"\n", 1)[0]
            yield first + block.count(b"\n", 0, start), text.rstrip(b"\r")
            at = block.find(_FLAG, start + len(text))
        # Sequences follow, which may be lines longer than any of an annotation. The single letter
        # is looked for first: that takes a hundredth of the time.
        if b">" in block and (b"\n>" in block or block.startswith(b">")):
            return

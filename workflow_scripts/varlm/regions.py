"""Intervals of a BED file on the reference's contigs, merged, for membership tests."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from varlm import bgzf
from varlm.contig_names import ContigNames
from varlm.errors import UserError

log = logging.getLogger(__name__)


class Regions:
    """Merged intervals by contig.

    Parameters
    ----------
    intervals : dict
        Contig → int64 array of shape (intervals, 2): start and end, 0-based half-open, in any
        order, overlapping or not.
    """

    def __init__(self, intervals: dict[str, np.ndarray]):
        self._merged = {contig: _merge(pairs) for contig, pairs in intervals.items()}

    def overlap(self, contig: str, start: np.ndarray, end: np.ndarray) -> np.ndarray:
        """Return which of the spans [start, end), 0-based, share a base with a region."""
        if contig not in self._merged:
            return np.zeros(len(start), dtype=bool)
        starts, ends = self._merged[contig].T
        # The last region that starts before the span's end is the only one to look at.
        index = np.searchsorted(starts, end, side="left") - 1
        found: np.ndarray = (index >= 0) & (ends[index] > start)
        return found


def read_regions(path: Path, names: ContigNames) -> Regions:
    """Read a BED file (plain or gzip; 0-based half-open), its contigs matched through `names`.

    Raises
    ------
    UserError
        Naming the line: fewer than three columns, a position that is no number, an end before
        its start or past the contig's end; or no region on any contig of the reference.
    """
    found: dict[str, list[tuple[int, int]]] = {}
    contigs: dict[str, str | None] = {}
    for number, line in enumerate(_text(path).split(b"\n"), start=1):
        fields = line.split()
        if not fields or fields[0].startswith(b"#") or fields[0] in (b"track", b"browser"):
            continue
        where = f"{path}, line {number}"
        if len(fields) < 3 or not (fields[1].isdigit() and fields[2].isdigit()):
            shown = line[:60].decode("utf-8", "replace")
            raise UserError(
                f"{where}: found {shown!r}; expected a BED line: contig, start and end "
                "(0-based, half-open), separated by tabs"
            )
        name, start, end = fields[0].decode("utf-8", "replace"), int(fields[1]), int(fields[2])
        if name not in contigs:
            match = names.match(name, {})
            contigs[name] = match.contig
            if match.contig is None:
                log.warning("%s: contig %r: %s; passed over", path, name, match.how)
        contig = contigs[name]
        if contig is None:
            continue
        if not start <= end <= names.lengths[contig]:
            raise UserError(
                f"{where}: region {start}-{end}, but contig {contig!r} is 0-"
                f"{names.lengths[contig]}; expected start ≤ end within it (another assembly?)"
            )
        if start < end:
            found.setdefault(contig, []).append((start, end))
    if not found:
        raise UserError(
            f"{path}: no region on a contig of the reference (regions on "
            f"{', '.join(map(repr, list(contigs)[:5])) or 'none'}; reference: "
            f"{', '.join(map(repr, list(names.lengths)[:5]))}); every allele would be rejected"
        )
    return Regions({contig: np.array(pairs, np.int64) for contig, pairs in found.items()})


def _text(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            gzipped = bgzf.is_gzip(file.read(2))
            file.seek(0)
            if gzipped:
                return b"".join(bgzf.inflate(file, path, lambda _: None))
            return file.read()
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); normalise.regions must name a BED file"
        ) from error


def _merge(pairs: np.ndarray) -> np.ndarray:
    """Return the sorted union of intervals, touching ones joined."""
    pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
    reach = np.maximum.accumulate(pairs[:, 1])
    first = np.concatenate(([True], pairs[1:, 0] > reach[:-1]))
    last = np.concatenate((first[1:], [True]))
    return np.column_stack((pairs[first, 0], reach[last]))

"""Intervals on the reference's contigs, from a BED file or whole contigs, merged."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from varlm import bgzf
from varlm.contig_names import ContigNames, Match
from varlm.errors import UserError

log = logging.getLogger(__name__)


class Regions:
    """Merged intervals by contig.

    Parameters
    ----------
    intervals : dict
        Contig → int64 array of shape (intervals, 2): start and end, 0-based half-open, in any
        order, overlapping or not.
    names : mapping
        Contig as it was asked for, in a file or by the user → what it was matched to.

    Attributes
    ----------
    names : mapping
        As given.
    """

    def __init__(
        self, intervals: Mapping[str, np.ndarray], names: Mapping[str, Match] | None = None
    ):
        self._merged = {contig: _merge(pairs) for contig, pairs in intervals.items()}
        self.names = dict(names or {})

    def __contains__(self, contig: str) -> bool:
        return contig in self._merged

    def merged(self, contig: str) -> np.ndarray:
        """Return the union of a contig's intervals: int64, shape (n, 2), sorted, none touching."""
        return self._merged.get(contig, np.empty((0, 2), np.int64))

    def overlap(self, contig: str, start: np.ndarray, end: np.ndarray) -> np.ndarray:
        """Return which of the spans [start, end), 0-based, share a base with a region."""
        if contig not in self._merged:
            return np.zeros(len(start), dtype=bool)
        starts, ends = self._merged[contig].T
        # The last region that starts before the span's end is the only one to look at.
        index = np.searchsorted(starts, end, side="left") - 1
        found: np.ndarray = (index >= 0) & (ends[index] > start)
        return found


def read_regions(path: Path, names: ContigNames, key: str = "normalise.regions") -> Regions:
    """Read a BED file (plain or gzip; 0-based half-open), its contigs matched through `names`.

    Regions on contigs that the reference does not have are passed over, with a warning.

    Parameters
    ----------
    path : Path
    names : ContigNames
    key : str
        The config key that named the file, for messages.

    Raises
    ------
    UserError
        Naming the line: fewer than three columns, a position that is no number, an end before
        its start or past the contig's end; or no region on any contig of the reference.
    """
    found: dict[str, list[tuple[int, int]]] = {}
    contigs: dict[str, Match] = {}
    for number, line in enumerate(_text(path, key).split(b"\n"), start=1):
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
            contigs[name] = names.match(name, {})
            if contigs[name].contig is None:
                log.warning("%s: contig %r: %s; passed over", path, name, contigs[name].how)
        contig = contigs[name].contig
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
            f"{', '.join(map(repr, list(names.lengths)[:5]))}), so that {key} would leave nothing; "
            "give the regions of this assembly, or name the contigs in reference.aliases"
        )
    return Regions({c: np.array(pairs, np.int64) for c, pairs in found.items()}, contigs)


def whole_contigs(wanted: Sequence[str], names: ContigNames, key: str) -> Regions:
    """Return these contigs, whole, their names matched through `names`.

    Raises
    ------
    UserError
        Naming each contig that the reference does not have, and its closest names.
    """
    matches = {name: names.match(name, {}) for name in wanted}
    unknown = [name for name, match in matches.items() if match.contig is None]
    if unknown:
        known = [*names.lengths, *names.aliases]
        shown = []
        for name in unknown:
            close = difflib.get_close_matches(name, known, n=3) or known[:5]
            shown.append(f"{name!r} (is it {', '.join(map(repr, close))}?)")
        raise UserError(
            f"{key}: not in the reference: {'; '.join(shown)}; correct the name, or name the "
            "contig in reference.aliases"
        )
    found = {match.contig for match in matches.values() if match.contig is not None}
    return Regions({c: np.array([[0, names.lengths[c]]], np.int64) for c in found}, matches)


def _text(path: Path, key: str) -> bytes:
    try:
        with path.open("rb") as file:
            gzipped = bgzf.is_gzip(file.read(2))
            file.seek(0)
            if gzipped:
                return b"".join(bgzf.inflate(file, path, lambda _: None))
            return file.read()
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); {key} must name a BED file"
        ) from error


def _merge(pairs: np.ndarray) -> np.ndarray:
    """Return the sorted union of intervals, touching ones joined."""
    pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
    reach = np.maximum.accumulate(pairs[:, 1])
    first = np.concatenate(([True], pairs[1:, 0] > reach[:-1]))
    last = np.concatenate((first[1:], [True]))
    return np.column_stack((pairs[first, 0], reach[last]))

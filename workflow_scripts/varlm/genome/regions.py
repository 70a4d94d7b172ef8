"""Intervals on the reference's contigs, from a BED file or whole contigs, merged."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from varlm.errors import UserError
from varlm.genome.bed import check_some, read_bed
from varlm.genome.contig_names import ContigNames, Match

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
        overlaps: np.ndarray = (index >= 0) & (ends[index] > start)
        return overlaps


def read_regions(path: Path, names: ContigNames, key: str = "normalise.regions") -> Regions:
    """Read a BED file as regions, which its intervals that cover a base make; see `read_bed`.

    Raises
    ------
    UserError
        As `read_bed`; or there is no region on any contig of the reference.
    """
    bed = read_bed(path, names, key)
    covering = bed.start < bed.end
    check_some(covering, bed, path, names, f"{key} would leave nothing")
    rows = np.flatnonzero(covering)
    rows = rows[np.argsort(bed.code[rows], kind="stable")]
    pairs = np.column_stack((bed.start[rows], bed.end[rows])).astype(np.int64)
    bounds = np.searchsorted(bed.code[rows], np.arange(len(bed.contigs) + 1)).tolist()
    return Regions(
        {
            contig: pairs[low:high]
            for contig, low, high in zip(bed.contigs, bounds[:-1], bounds[1:], strict=True)
            if low < high
        },
        bed.names,
    )


def whole_contigs(contigs: Sequence[str], names: ContigNames, key: str) -> Regions:
    """Return these contigs, whole, their names matched through `names`.

    Raises
    ------
    UserError
        Naming each contig that the reference does not have, and its closest names.
    """
    matches = {name: names.match(name, {}) for name in contigs}
    unknown = [name for name, match in matches.items() if match.contig is None]
    if unknown:
        known = [*names.lengths, *names.aliases]
        shown = []
        for name in unknown:
            close = difflib.get_close_matches(name, known, n=3) or known[:5]
            shown.append(f"{name!r} (is it {', '.join(map(repr, close))}?)")
        raise UserError(
            f"{key}: not in the reference: {'; '.join(shown)}; correct the name, or {names.remedy}"
        )
    matched_contigs = {match.contig for match in matches.values() if match.contig is not None}
    return Regions(
        {c: np.array([[0, names.lengths[c]]], np.int64) for c in matched_contigs}, matches
    )


def _merge(pairs: np.ndarray) -> np.ndarray:
    """Return the sorted union of intervals, touching ones joined."""
    pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
    reach = np.maximum.accumulate(pairs[:, 1])
    first = np.concatenate(([True], pairs[1:, 0] > reach[:-1]))
    last = np.concatenate((first[1:], [True]))
    return np.column_stack((pairs[first, 0], reach[last]))


def named_circular(contigs: Sequence[str], names: ContigNames) -> dict[str, str]:
    """Return the contigs that a user calls circular, for `circular.CircularContigs`.

    Parameters
    ----------
    contigs : sequence of str
        As the config key `reference.circular` spells them.
    names : ContigNames

    Raises
    ------
    UserError
        Naming each contig that the reference does not have, and its closest names.
    """
    matches = whole_contigs(contigs, names, "reference.circular").names.values()
    return {match.contig: "reference.circular" for match in matches if match.contig is not None}

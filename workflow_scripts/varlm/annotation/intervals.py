"""What a BED file tells of alleles: overlap, names of the intervals, distance to the nearest.

The span of an allele is that of its REF as normalised, 0-based half-open, the anchor base before
an insertion or deletion included: the insertion A>AT at `pos` 7 is the span [6, 7).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from ncls import NCLS
from numpy.typing import NDArray

from varlm.genome.bed import Bed, check_some, read_bed
from varlm.genome.contig_names import ContigNames
from varlm.genome.line import FAR, STRIDE
from varlm.tables.parquet import Column

log = logging.getLogger(__name__)

MAX_NAMES = 20  # distinct names of one allele's intervals
MAX_INTERVALS = 1000  # intervals of one allele whose names are looked at
CHECKED_WHOLE = 32 << 20  # bytes of a file, up to which its check reads all of it (2 s)
_PAIRS = 2_000_000  # pairs of allele and interval held at a time

# Letters of a name that would break a list of names or a row of text, as VCF 4.3 (§1.2) spells
# them: the comma, control characters, line separators. '%' itself is kept as it is.
_BREAKING = r"[,\x00-\x1f\x7f-\u{9f}\u{2028}\u{2029}]"
_SPELLED = {
    letter: "".join(f"%{byte:02X}" for byte in letter.encode())
    for letter in map(chr, (0x2C, *range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029))
}

_Ints = NDArray[np.int64]
_Places = NDArray[np.uint32] | NDArray[np.int64]  # on a contig; on the line of several


def check_intervals(path: Path, names: ContigNames, key: str) -> None:
    """Refuse what `IntervalColumns` would of a file; of a large one, of its first lines.

    Raises
    ------
    UserError
        As `IntervalColumns` does.
    """
    whole = path.stat().st_size <= CHECKED_WHOLE
    bed = read_bed(path, names, key, pieces=None if whole else 1)
    if whole:
        check_some(bed.start < bed.end, bed, path, names, _of_no_use(key))


def _of_no_use(key: str) -> str:
    return f"{key} would tell nothing"


class IntervalColumns:
    """Three columns of a BED file: NAME_overlap, NAME_name and NAME_distance.

    The file is read once; memory holds 12 bytes an interval, its names, and some 60 bytes
    for each named one of the contig at hand. An interval of no
    base (start = end) marks no base: it is passed over, and counted in the log.

    Parameters
    ----------
    name : str
        Prefix of the columns.
    path : Path
        BED (3 to 12 columns and more), plain, gzip or bgzip.
    names : ContigNames
        What the file's contigs are matched through.
    key : str
        The config key that named the file, for messages.

    Raises
    ------
    UserError
        As `varlm.genome.bed.read_bed`; or no interval is on a contig of the reference.
    """

    def __init__(self, name: str, path: Path, names: ContigNames, key: str):
        self.columns = columns(name)
        bed = read_bed(path, names, key, with_name=True)
        covering = bed.start < bed.end
        check_some(covering, bed, path, names, _of_no_use(key))
        if not covering.all():
            log.warning(
                "%s: %d intervals of no base (start = end) are passed over",
                path,
                int((~covering).sum()),
            )
        self._sort(bed, covering)
        log.info(
            "%s: %d intervals on %d contigs, %d of them named",
            path,
            len(self._start),
            len(self._spans),
            self._names.len() - self._names.null_count(),
        )
        self._named = self._names.null_count() < self._names.len()
        self._named_of: tuple[tuple[int, int], _Named | None] = ((0, 0), None)
        order = {contig: number for number, contig in enumerate(names.lengths)}
        self._numbers = np.array([order[contig] for contig in self._spans], np.int64)
        self._order = order

    def _sort(self, bed: Bed, covering: NDArray[np.bool_]) -> None:
        """Keep the intervals sorted by contig, start, end and line."""
        code, start, end = (part[covering] for part in (bed.code, bed.start, bed.end))
        labels = bed.name if covering.all() else bed.name.filter(pl.Series(covering))
        place = code.astype(np.int64) << 32 | start
        step = np.diff(place)
        if not ((step > 0) | ((step == 0) & (np.diff(end.astype(np.int64)) >= 0))).all():
            order = np.lexsort((end, place))
            place, start, end = place[order], start[order], end[order]
            labels = labels.gather(order)
        self._start, self._end, self._names = start, end, _cleaned(labels)
        bounds = np.searchsorted(place >> 32, np.arange(len(bed.contigs) + 1))
        self._spans = {
            contig: (int(low), int(high))
            for contig, low, high in zip(bed.contigs, bounds[:-1], bounds[1:], strict=True)
            if low < high
        }
        # The furthest end of this interval and of those before it on its contig.
        self._reach = np.empty_like(end)
        for low, high in self._spans.values():
            np.maximum.accumulate(end[low:high], out=self._reach[low:high])

    def series(self, contig: str, start: _Ints, end: _Ints) -> list[pl.Series]:
        """Return the columns for spans on a contig.

        Parameters
        ----------
        contig : str
            As named in the reference.
        start, end : numpy.ndarray
            int64, shape (spans,): REF of each allele, 0-based half-open, start < end; fast when
            sorted by start.

        Returns
        -------
        list of polars.Series
            Boolean, String and UInt32 of shape (spans,), named as `columns`.
        """
        low, high = self._spans.get(contig, (0, 0))
        return self._told(self._between(low, high), start, end)

    def series_of(
        self, contigs: Sequence[tuple[str, int]], start: _Ints, end: _Ints
    ) -> list[pl.Series]:
        """Return the columns for spans on several contigs, at the cost of one; as `series`.

        Parameters
        ----------
        contigs : sequence of (contig, spans on it)
            In the order of the reference.
        """
        spans = [self._spans[contig] for contig, _ in contigs if contig in self._spans]
        numbers = [self._order[contig] for contig, _ in contigs]
        origin = np.repeat(np.array(numbers) * STRIDE, [count for _, count in contigs])
        low, high = (spans[0][0], spans[-1][1]) if spans else (0, 0)
        bounds = np.array(list(self._spans.values()), np.int64).reshape(-1, 2)
        between = (bounds[:, 0] >= low) & (bounds[:, 1] <= high)
        lengths = np.diff(bounds[between]).ravel()
        placed = np.repeat(self._numbers[between] * STRIDE, lengths)
        return self._told(self._between(low, high).moved(placed), start + origin, end + origin)

    def _between(self, low: int, high: int) -> _Intervals:
        return _Intervals(low, *(a[low:high] for a in (self._start, self._reach, self._end)))

    def _told(self, intervals: _Intervals, start: _Ints, end: _Ints) -> list[pl.Series]:
        """Return the columns, given the intervals of the spans' contigs."""
        overlap = np.zeros(len(start), bool)
        named = pl.repeat(None, len(start), dtype=pl.String(), eager=True)
        distance = pl.repeat(None, len(start), dtype=pl.UInt32(), eager=True)
        count = len(intervals.start)
        if count and len(start):
            overlap, gap = _nearest(intervals.start, intervals.reach, start, end)
            distance = pl.Series(gap).set(pl.Series(gap >= FAR), None).cast(pl.UInt32)
            rows = np.flatnonzero(overlap)
            if self._named and len(rows):
                which = (intervals.low, count)
                if self._named_of[0] != which:
                    self._named_of = (which, self._named_among(intervals))
                named = self._names_of(start[rows], end[rows], rows, len(start))
        values = (pl.Series(overlap, dtype=pl.Boolean), named, distance)
        return [
            series.alias(column.name) for series, column in zip(values, self.columns, strict=True)
        ]

    def _named_among(self, intervals: _Intervals) -> _Named:
        low, count = intervals.low, len(intervals.start)
        place = np.flatnonzero(self._names[low : low + count].is_not_null())
        return _Named(intervals.start[place], intervals.end[place], low + place)

    def _names_of(self, start: _Ints, end: _Ints, rows: _Ints, height: int) -> pl.Series:
        """Return the names of overlapping spans, which are the `rows` of `height`."""
        named = self._named_of[1]
        assert named is not None
        # Neighbouring alleles mostly share their intervals: each set is looked up once.
        before, after = named.bounds(start, end)
        new = np.ones(len(rows), bool)
        new[1:] = (before[1:] != before[:-1]) | (after[1:] != after[:-1])
        sets = self._joined(named, start[new], end[new], (after - before)[new])
        places = np.full(height, -1, np.int64)
        places[rows] = np.cumsum(new) - 1
        return sets.gather(pl.Series(places, dtype=pl.Int64).replace(-1, None))

    def _joined(self, named: _Named, start: _Ints, end: _Ints, count: _Ints) -> pl.Series:
        """Return the joined names of spans that overlap `count` intervals, String."""
        parts = []
        for piece in _pieces(count):
            row, index = named.pairs(start[piece], end[piece])
            rank = np.arange(len(row)) - np.searchsorted(row, row)
            seen = rank < MAX_INTERVALS
            pairs = pl.DataFrame({"row": row[seen], "name": self._names.gather(index[seen])})
            more = count[piece] > MAX_INTERVALS
            joined = (
                pairs.unique(["row", "name"], keep="first", maintain_order=True)
                .group_by("row", maintain_order=True)
                .agg(pl.col("name").head(MAX_NAMES), pl.len().alias("count"))
            )
            every = pl.DataFrame({"row": np.arange(len(more)), "more": more})
            name = pl.col("name").list.join(",")
            parts.append(
                every.join(joined, on="row", how="left", maintain_order="left").select(
                    pl.when(pl.col("more") | (pl.col("count") > MAX_NAMES))
                    .then(name + ",…")
                    .otherwise(name)
                    .alias("name")
                )["name"]
            )
        return pl.concat(parts)


@dataclass(frozen=True)
class _Intervals:
    """Those of one contig, or of several on a line (`genome.line`); arrays of shape (n,).

    `low` is the first one's place among all of the file's; `reach` as `IntervalColumns._reach`.
    """

    low: int
    start: _Places
    reach: _Places
    end: _Places

    def moved(self, origin: _Ints) -> _Intervals:
        return _Intervals(self.low, *(a + origin for a in (self.start, self.reach, self.end)))


class _Named:
    """Named intervals; arrays of shape (n,), sorted by start, end and line.

    `index` is each one's place among all of the file's.
    """

    def __init__(self, start: _Places, end: _Places, index: _Ints):
        self._index = index
        self._starts, self._ends = start, np.sort(end)
        self._lists = NCLS(start.astype(np.int64), end.astype(np.int64), np.arange(len(start)))

    def bounds(self, start: _Ints, end: _Ints) -> tuple[_Ints, _Ints]:
        """Return how many intervals end before each span, and how many start before its end.

        Their difference is the number that overlap; spans with the same two overlap the same.
        """
        before = np.searchsorted(self._ends, start.astype(self._ends.dtype), side="right")
        after = np.searchsorted(self._starts, end.astype(self._starts.dtype), side="left")
        return before, after

    def pairs(self, start: _Ints, end: _Ints) -> tuple[_Ints, _Ints]:
        """Return every pair of span and interval that overlap, ordered by both."""
        overlaps = self._lists.all_overlaps_both(start, end, np.arange(len(start)))
        row, place = np.asarray(overlaps, np.int64)  # NCLS gives lists where it holds nothing
        key = np.sort(row << 32 | place)
        return key >> 32, self._index[key & 0xFFFFFFFF]


def _pieces(count: _Ints) -> Iterator[slice]:
    """Yield spans in pieces of about `_PAIRS` overlapping intervals, or of one span."""
    pairs = np.cumsum(count)
    start = 0
    while start < len(count):
        before = pairs[start - 1] if start else 0
        end = max(start + 1, int(np.searchsorted(pairs, before + _PAIRS, side="right")))
        yield slice(start, end)
        start = end


def columns(name: str) -> tuple[Column, ...]:
    """Return the columns of the BED file `name` and what they mean."""
    return (
        Column(
            f"{name}_overlap", pl.Boolean(), f"whether a base of REF is in an interval of {name}"
        ),
        Column(
            f"{name}_name",
            pl.String(),
            f"distinct names of the intervals of {name} that overlap REF, by start, joined by ','; "
            f"',' and control characters in a name as %2C, %09 …; '…' ends a list of more than "
            f"{MAX_NAMES} names, or of more than {MAX_INTERVALS} intervals; null: none",
        ),
        Column(
            f"{name}_distance",
            pl.UInt32(),
            f"bp from REF to the nearest interval of {name}: 0 overlaps, 1 is the next base; null: "
            "none on the contig",
        ),
    )


def _cleaned(names: pl.Series) -> pl.Series:
    """Return names without what breaks a list or a row; null where there is none ('.' or '')."""
    names = names.set(names.is_in([".", ""]).fill_null(False), None)
    if names.str.contains(_BREAKING).any():
        names = names.str.replace_many(_SPELLED)
    return names


def _nearest(
    starts: _Places, reach: _Places, start: _Ints, end: _Ints
) -> tuple[NDArray[np.bool_], _Ints]:
    """Return which spans overlap an interval, and the distance to the nearest.

    Of the intervals that start before a span's end, one overlaps it if and only if the furthest
    end among them is past its start; if none does, that end is the nearest on the left.
    """
    after = np.searchsorted(starts, end.astype(starts.dtype), side="left")
    left = np.where(after > 0, reach[np.maximum(after, 1) - 1].astype(np.int64), -1)
    overlap = left > start
    far = np.iinfo(np.int64).max
    to_left = np.where(after > 0, start - left + 1, far)
    following = starts[np.minimum(after, len(starts) - 1)].astype(np.int64)
    to_right = np.where(after < len(starts), following - end + 1, far)
    return overlap, np.where(overlap, 0, np.minimum(to_left, to_right))

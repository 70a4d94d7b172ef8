"""What a BED file tells of alleles: overlap, names of the intervals, distance to the nearest.

The span of an allele is that of its REF as normalised, 0-based half-open, the anchor base before
an insertion or deletion included: the insertion A>AT at `pos` 7 is the span [6, 7).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.genome.bed import Bed, check_some, read_bed
from varlm.genome.contig_names import ContigNames
from varlm.tables.parquet import Column

log = logging.getLogger(__name__)

MAX_NAMES = 20  # distinct names of one allele's intervals
MAX_INTERVALS = 1000  # intervals of one allele whose names are looked at
_MAX_LAYERS = 32
_PAIRS = 2_000_000  # pairs of allele and interval held at a time

# Letters of a name that would break a list of names or a row of text, as VCF 4.3 (§1.2) spells
# them: the comma, control characters, line separators. '%' itself is kept as it is.
_BREAKING = r"[,\x00-\x1f\x7f-\u{9f}\u{2028}\u{2029}]"
_SPELLED = {
    letter: "".join(f"%{byte:02X}" for byte in letter.encode())
    for letter in map(chr, (0x2C, *range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029))
}

_Ints = NDArray[np.int64]


@dataclass(frozen=True)
class _Layer:
    """Intervals none of which lies inside another, so that starts and ends both ascend.

    Those that overlap a span are then neighbours: between the first that ends after the span's
    start and the last that starts before its end. `index` is each one's place among the contig's
    intervals sorted by start, end and line; those without a name are left out. `loose`: nested
    ones are left (more than `_MAX_LAYERS` deep); `end` is then the running maximum, and only some
    of those between overlap.
    """

    start: NDArray[np.uint32]
    end: NDArray[np.uint32]
    index: NDArray[np.uint32]
    loose: bool = False

    def between(self, start: _Ints, end: _Ints) -> tuple[_Ints, _Ints]:
        """Return the range of intervals, first and one past the last, of each span."""
        first = np.searchsorted(self.end, start.astype(np.uint32), side="right")
        last = np.searchsorted(self.start, end.astype(np.uint32), side="left")
        return first, np.maximum(first, last)


class IntervalColumns:
    """Three columns of a BED file: NAME_overlap, NAME_name and NAME_distance.

    The file is read once; memory holds 12 bytes an interval, and its names. An interval of no
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
        As `regions.read_bed`; or no interval is on a contig of the reference.
    """

    def __init__(self, name: str, path: Path, names: ContigNames, key: str):
        self.columns = columns(name)
        bed = read_bed(path, names, key, with_name=True)
        covering = bed.start < bed.end
        check_some(covering, bed, path, names, f"{key} would tell nothing")
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
        self._layers: tuple[str, list[_Layer]] = ("", [])

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
        overlap = np.zeros(len(start), bool)
        named = pl.repeat(None, len(start), dtype=pl.String(), eager=True)
        distance = pl.repeat(None, len(start), dtype=pl.UInt32(), eager=True)
        low, high = self._spans.get(contig, (0, 0))
        if low < high and len(start):
            overlap, gap = _nearest(self._start[low:high], self._reach[low:high], start, end)
            distance = pl.Series(gap, dtype=pl.UInt32)
            rows = np.flatnonzero(overlap)
            if self._named and len(rows):
                named = self._names_of(contig, start[rows], end[rows], rows, len(start))
        found = (pl.Series(overlap, dtype=pl.Boolean), named, distance)
        return [
            series.alias(column.name) for series, column in zip(found, self.columns, strict=True)
        ]

    def _names_of(
        self, contig: str, start: _Ints, end: _Ints, rows: _Ints, height: int
    ) -> pl.Series:
        """Return the names of overlapping spans, which are the `rows` of `height`."""
        low, high = self._spans[contig]
        if self._layers[0] != contig:
            named = np.flatnonzero(self._names[low:high].is_not_null()).astype(np.uint32)
            found = _layers(self._start[low:high][named], self._end[low:high][named], named)
            self._layers = (contig, list(found))
        layers = self._layers[1]
        between = np.stack([b for layer in layers for b in layer.between(start, end)])
        # Neighbouring alleles mostly share their intervals: each set is looked up once.
        new = np.ones(len(rows), bool)
        new[1:] = (between[:, 1:] != between[:, :-1]).any(axis=0)
        if any(layer.loose for layer in layers):
            new[1:] |= (start[1:] != start[:-1]) | (end[1:] != end[:-1])
        which = np.cumsum(new) - 1
        spans = _Spans(start[new], end[new], between[:, new])
        sets = self._joined(layers, spans, self._end[low:high], self._names[low:high])
        places = np.full(height, -1, np.int64)
        places[rows] = which
        return sets.gather(pl.Series(places, dtype=pl.Int64).replace(-1, None))

    def _joined(
        self, layers: list[_Layer], spans: _Spans, ends: NDArray[np.uint32], names: pl.Series
    ) -> pl.Series:
        """Return the joined names of each span, String, shape (spans,)."""
        parts = []
        for part in spans.batches():
            row, index, more = part.pairs(layers, ends)
            pairs = pl.DataFrame({"row": row, "name": names.gather(index)})
            joined = (
                pairs.unique(["row", "name"], keep="first", maintain_order=True)
                .group_by("row", maintain_order=True)
                .agg(pl.col("name").head(MAX_NAMES), pl.len().alias("count"))
                .with_columns(
                    pl.when((pl.col("count") > MAX_NAMES) | pl.col("row").is_in(more.tolist()))
                    .then(pl.col("name").list.join(",") + ",…")
                    .otherwise(pl.col("name").list.join(","))
                )
            )
            every = pl.DataFrame({"row": np.arange(len(part.start))})
            parts.append(every.join(joined, on="row", how="left", maintain_order="left")["name"])
        return pl.concat(parts)


@dataclass(frozen=True)
class _Spans:
    """Spans, and the range of each layer's intervals that each of them meets.

    `between` has shape (2 × layers, spans): first and one past the last, layer after layer.
    """

    start: _Ints
    end: _Ints
    between: _Ints

    def batches(self) -> Iterator[_Spans]:
        """Yield the spans in pieces of about `_PAIRS` intervals, or of one span."""
        ranges = self.between[1::2] - self.between[::2]
        pairs = np.cumsum(np.minimum(ranges, MAX_INTERVALS + 1).sum(axis=0))
        at = 0
        while at < len(self.start):
            before = pairs[at - 1] if at else 0
            to = max(at + 1, int(np.searchsorted(pairs, before + _PAIRS, side="right")))
            yield _Spans(self.start[at:to], self.end[at:to], self.between[:, at:to])
            at = to

    def pairs(
        self, layers: list[_Layer], ends: NDArray[np.uint32]
    ) -> tuple[_Ints, NDArray[np.uint32], _Ints]:
        """Return each pair of span and overlapping interval, and the spans that have more.

        Ordered by span and interval; at most `MAX_INTERVALS` a span, the first.
        """
        rows, indices = [], []
        for layer, first, last in zip(layers, self.between[::2], self.between[1::2], strict=True):
            if layer.loose:
                row, index = self._loose_pairs(layer, first, last, ends)
            else:
                count = np.minimum(last - first, MAX_INTERVALS + 1)
                row, at = _expanded(first, count)
                index = layer.index[at]
            rows.append(row)
            indices.append(index)
        row, index = np.concatenate(rows), np.concatenate(indices)
        if len(layers) > 1:
            order = np.argsort(row << 32 | index, kind="stable")
            row, index = row[order], index[order]
        rank = np.arange(len(row)) - np.searchsorted(row, row)
        return (
            row[rank < MAX_INTERVALS],
            index[rank < MAX_INTERVALS],
            row[rank == MAX_INTERVALS],
        )

    def _loose_pairs(
        self, layer: _Layer, first: _Ints, last: _Ints, ends: NDArray[np.uint32]
    ) -> tuple[_Ints, NDArray[np.uint32]]:
        """Look at every interval between, one span after the other: deep nests are rare."""
        rows, indices = [np.empty(0, np.int64)], [np.empty(0, np.uint32)]
        for row in np.flatnonzero(last > first):
            index = layer.index[first[row] : last[row]]
            index = index[ends[index] > self.start[row]][: MAX_INTERVALS + 1]
            rows.append(np.full(len(index), row))
            indices.append(index)
        return np.concatenate(rows), np.concatenate(indices)


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
    starts: NDArray[np.uint32], reach: NDArray[np.uint32], start: _Ints, end: _Ints
) -> tuple[NDArray[np.bool_], _Ints]:
    """Return which spans overlap an interval, and the distance to the nearest.

    Of the intervals that start before a span's end, one overlaps it if and only if the furthest
    end among them is past its start; if none does, that end is the nearest on the left.
    """
    after = np.searchsorted(starts, end.astype(np.uint32), side="left")
    left = np.where(after > 0, reach[np.maximum(after, 1) - 1].astype(np.int64), -1)
    overlap = left > start
    far = np.iinfo(np.int64).max
    to_left = np.where(after > 0, start - left + 1, far)
    following = starts[np.minimum(after, len(starts) - 1)].astype(np.int64)
    to_right = np.where(after < len(starts), following - end + 1, far)
    return overlap, np.where(overlap, 0, np.minimum(to_left, to_right))


def _layers(
    start: NDArray[np.uint32], end: NDArray[np.uint32], index: NDArray[np.uint32]
) -> Iterator[_Layer]:
    """Split sorted intervals into as few layers without nesting as there are, up to a limit.

    Those that reach at least as far as all before them make a layer; the others are asked again.
    """
    for _ in range(_MAX_LAYERS):
        reach = np.maximum.accumulate(end)
        record = end == reach
        yield _Layer(start[record], end[record], index[record])
        if record.all():
            return
        start, end, index = start[~record], end[~record], index[~record]
    yield _Layer(start, np.maximum.accumulate(end), index, loose=True)


def _expanded(first: _Ints, count: _Ints) -> tuple[_Ints, _Ints]:
    """Return the row and the place of each of `count` neighbours from `first` on, by rows."""
    row = np.repeat(np.arange(len(first)), count)
    before = np.cumsum(count) - count
    return row, np.arange(len(row)) - before[row] + first[row]

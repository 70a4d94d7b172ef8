"""Intervals on the reference's contigs, from a BED file or whole contigs, merged."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from varlm.errors import UserError
from varlm.files import inflate
from varlm.genome.contig_names import ContigNames, Match

log = logging.getLogger(__name__)

_CHUNK = 8 << 20  # bytes of text parsed at a time
_MAX_LINE = 1 << 24  # a longer line is no interval: a zip bomb of 1.4 MB grows to gigabytes
_PLAIN = r"^[^\s]+\t[0-9]{1,18}\t[0-9]{1,18}(\t|$)"


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


@dataclass(frozen=True)
class Bed:
    """The intervals of a BED file on the reference's contigs, one row each, in the file's order.

    Attributes
    ----------
    contigs : list of str
        Contigs of the reference that the file has, in the order of the reference.
    code : numpy.ndarray
        int32, shape (intervals,): index in `contigs`.
    start, end : numpy.ndarray
        uint32, shape (intervals,): 0-based half-open; `start` = `end` covers no base.
    name : polars.Series
        String: the fourth column as it is, null where a line has three; empty if not asked for.
    names : dict
        Contig as the file names it → what it was matched to.
    """

    contigs: list[str]
    code: np.ndarray
    start: np.ndarray
    end: np.ndarray
    name: pl.Series
    names: dict[str, Match]


def read_bed(path: Path, names: ContigNames, key: str, with_name: bool = False) -> Bed:
    """Read a BED file (plain, gzip or bgzip; 0-based half-open; 3 columns or more).

    Columns are separated by tabs, or, in lines without a valid start and end after tabs, by any
    blanks (as UCSC reads them). Lines that start with '#', `track` or `browser` are passed over,
    and intervals on contigs that the reference does not have, with a warning a contig. Memory
    holds the columns that are returned and one chunk of the text.

    Parameters
    ----------
    path : Path
    names : ContigNames
    key : str
        The config key that named the file, for messages.
    with_name : bool
        Whether the fourth column is wanted.

    Raises
    ------
    UserError
        Naming the line: fewer than three columns, a position that is no number, an end before
        its start or past the contig's end, a line too long for a BED file.
    """
    codes = {contig: code for code, contig in enumerate(names.lengths)}
    matches: dict[str, Match] = {}
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    labels: list[pl.Series] = []
    for text, line in _lines(path, key):
        rows = _parsed(text, path, line)
        for name in rows["contig"].unique(maintain_order=True).to_list():
            if name not in matches:
                matches[name] = names.match(name, {})
                if matches[name].contig is None:
                    log.warning("%s: contig %r: %s; passed over", path, name, matches[name].how)
        known = {name: codes[match.contig] for name, match in matches.items() if match.contig}
        rows = rows.with_columns(
            pl.col("contig").replace_strict(known, default=None, return_dtype=pl.Int32)
        ).drop_nulls("contig")
        _check_bounds(rows, names, path)
        found.append(
            (
                rows["contig"].to_numpy(),
                rows["start"].cast(pl.UInt32).to_numpy(),
                rows["end"].cast(pl.UInt32).to_numpy(),
            )
        )
        if with_name:
            labels.append(rows["name"])
    code, start, end = (
        np.concatenate([part[i] for part in found]) if found else np.empty(0, dtype)
        for i, dtype in enumerate((np.int32, np.uint32, np.uint32))
    )
    used, code = np.unique(code, return_inverse=True)
    lengths = list(names.lengths)
    return Bed(
        [lengths[each] for each in used],
        code.astype(np.int32),
        start,
        end,
        pl.concat(labels) if labels else pl.Series("name", [], pl.String),
        matches,
    )


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
    pairs = np.column_stack((bed.start, bed.end)).astype(np.int64)
    return Regions(
        {
            contig: pairs[rows]
            for index, contig in enumerate(bed.contigs)
            if (rows := covering & (bed.code == index)).any()
        },
        bed.names,
    )


def check_some(
    covering: np.ndarray, bed: Bed, path: Path, names: ContigNames, consequence: str
) -> None:
    """Raise `UserError`, naming the `consequence`, unless an interval of `bed` is of use."""
    if not covering.any():
        raise UserError(
            f"{path}: no region on a contig of the reference (regions on "
            f"{', '.join(map(repr, list(bed.names)[:5])) or 'none'}; reference: "
            f"{', '.join(map(repr, list(names.lengths)[:5]))}), so that {consequence}; "
            "give the regions of this assembly, or name the contigs in reference.aliases"
        )


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


def _parsed(text: str, path: Path, first: int) -> pl.DataFrame:
    """Return the intervals of whole lines: `line`, `contig`, `start`, `end` (int64), `name`.

    `first` is the 1-based number of the first line.
    """
    lines = pl.Series("text", [text]).str.split("\n").explode(empty_as_null=True)
    rows = lines.to_frame().with_row_index("line", first)
    rows = rows.filter(~pl.col("text").str.contains(r"^\s*(#|$|(track|browser)(\s|$))"))
    plain = rows["text"].str.contains(_PLAIN)
    if not plain.all():
        # What the tabs do not explain, blanks may.
        fields = pl.col("text").str.strip_chars().str.replace_all(r"\s+", "\t")
        rows = rows.with_columns(pl.when(plain).then("text").otherwise(fields).alias("tabbed"))
        wrong = ~rows["tabbed"].str.contains(_PLAIN)
        if wrong.any():
            line, shown, _ = rows.filter(wrong).row(0)
            raise UserError(
                f"{path}, line {line}: found {shown[:60]!r}; expected a BED line: contig, start "
                "and end (0-based, half-open), separated by tabs"
            )
        rows = rows.select("line", pl.col("tabbed").alias("text"))
    fields = (
        pl.col("text")
        .str.splitn("\t", 5)
        .struct.rename_fields(["contig", "start", "end", "name", "rest"])
    )
    return (
        rows.select("line", fields)
        .unnest("text")
        .select("line", "contig", pl.col("start", "end").cast(pl.Int64), "name")
    )


def _check_bounds(rows: pl.DataFrame, names: ContigNames, path: Path) -> None:
    """Refuse intervals that end before their start, or past their contig's end."""
    lengths = np.array(list(names.lengths.values()), np.int64)[rows["contig"].to_numpy()]
    start, end = rows["start"].to_numpy(), rows["end"].to_numpy()
    wrong = (start > end) | (end > lengths)
    if wrong.any():
        index = int(wrong.argmax())
        contig = list(names.lengths)[rows["contig"][index]]
        raise UserError(
            f"{path}, line {rows['line'][index]}: region {start[index]}-{end[index]}, but contig "
            f"{contig!r} is 0-{lengths[index]}; expected start ≤ end within it (another assembly?)"
        )


def _lines(path: Path, key: str) -> Iterator[tuple[str, int]]:
    """Yield whole lines, some 8 MB at a time, and the 1-based number of the first of each.

    Without the last line's end, carriage returns before line feeds; what is no UTF-8 is U+FFFD.
    """
    rest, line = b"", 1
    for piece in _pieces(path, key):
        cut = piece.rfind(b"\n") + 1
        if not cut:
            rest += piece
            if len(rest) > _MAX_LINE:
                raise UserError(
                    f"{path}, line {line}: longer than {_MAX_LINE} bytes; is this a BED file?"
                )
            continue
        whole, rest = rest + piece[: cut - 1], piece[cut:]
        yield whole.replace(b"\r\n", b"\n").removesuffix(b"\r").decode("utf-8", "replace"), line
        line += whole.count(b"\n") + 1
    if rest:
        yield rest.removesuffix(b"\r").decode("utf-8", "replace"), line


def _pieces(path: Path, key: str) -> Iterator[bytes]:
    """Yield the (decompressed) content in pieces of `_CHUNK` bytes or somewhat more."""
    try:
        with path.open("rb") as file:
            gzipped = inflate.is_gzip(file.read(2))
            file.seek(0)
            if not gzipped:
                while piece := file.read(_CHUNK):
                    yield piece
                return
            parts, total = [], 0
            for piece in inflate.inflate(file, path, lambda _: None):
                parts.append(piece)
                total += len(piece)
                if total >= _CHUNK:
                    yield b"".join(parts)
                    parts, total = [], 0
            yield b"".join(parts)
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

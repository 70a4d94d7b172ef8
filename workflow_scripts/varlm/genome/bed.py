"""BED files, in pieces."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import polars as pl

from varlm.errors import UserError, first_few
from varlm.files.text import LONGEST, content, whole_lines
from varlm.genome.contig_names import ContigNames, Match

log = logging.getLogger(__name__)
_CHUNK = 8 << 20  # bytes of text parsed at a time
_SHOWN = 50  # contigs that have a line of the log to themselves
_PLAIN = r"^[^\s]+\t[0-9]{1,18}\t[0-9]{1,18}(\t|$)"


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


def read_bed(
    path: Path, names: ContigNames, key: str, with_name: bool = False, pieces: int | None = None
) -> Bed:
    """Read a BED file (plain, gzip or bgzip; 0-based half-open; 3 columns or more).

    Columns are separated by tabs, or, in lines without a valid start and end after tabs, by any
    blanks (as UCSC reads them). Lines that start with '#', `track` or `browser` are passed over,
    and intervals on contigs that the reference does not have, with a warning a contig, 50 at most.
    Memory holds the columns that are returned and one chunk of the text.

    Parameters
    ----------
    path : Path
    names : ContigNames
    key : str
        The config key that named the file, for messages.
    with_name : bool
        Whether the fourth column is wanted.
    pieces : int, optional
        Read so many pieces of some 8 MB at most.

    Raises
    ------
    UserError
        Naming the line: fewer than three columns, a position that is no number, an end before
        its start or past the contig's end, a line too long for a BED file.
    """
    codes = {contig: code for code, contig in enumerate(names.lengths)}
    matches: dict[str, Match] = {}
    unknown = 0
    spans: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    labels: list[pl.Series] = []
    for text, line in islice(_lines(path, key), pieces):
        rows = _parsed(text, path, line)
        for name in rows["contig"].unique(maintain_order=True).to_list():
            if name not in matches:
                matches[name] = names.match(name, {})
                if matches[name].contig is None:
                    unknown += 1
                    if unknown <= _SHOWN:
                        log.warning("%s: contig %r: %s; passed over", path, name, matches[name].how)
        known = {name: codes[match.contig] for name, match in matches.items() if match.contig}
        rows = rows.with_columns(
            pl.col("contig").replace_strict(known, default=None, return_dtype=pl.Int32)
        ).drop_nulls("contig")
        _check_bounds(rows, names, path)
        spans.append(
            (
                rows["contig"].to_numpy(),
                rows["start"].cast(pl.UInt32).to_numpy(),
                rows["end"].cast(pl.UInt32).to_numpy(),
            )
        )
        if with_name:
            labels.append(rows["name"])
    if unknown > _SHOWN:
        log.warning("%s: %d more contigs are passed over likewise", path, unknown - _SHOWN)
    code, start, end = (
        np.concatenate([part[i] for part in spans]) if spans else np.empty(0, dtype)
        for i, dtype in enumerate((np.int32, np.uint32, np.uint32))
    )
    used, code = np.unique(code, return_inverse=True)
    lengths = list(names.lengths)
    return Bed(
        [lengths[index] for index in used],
        code.astype(np.int32),
        start,
        end,
        pl.concat(labels) if labels else pl.Series("name", [], pl.String),
        matches,
    )


def check_some(
    covering: np.ndarray, bed: Bed, path: Path, names: ContigNames, consequence: str
) -> None:
    """Raise `UserError`, naming the `consequence`, unless an interval of `bed` is of use."""
    if not covering.any():
        raise UserError(
            f"{path}: no region on a contig of the reference (regions on "
            f"{first_few(map(repr, bed.names)) or 'none'}; reference: "
            f"{first_few(map(repr, names.lengths))}), so that {consequence}; "
            f"give the regions of this assembly, or {names.remedy}"
        )


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
    pieces = content(path, f"{key} must name a BED file")
    for block, line in whole_lines(pieces, path, _CHUNK, LONGEST, "is this a BED file?"):
        text = block.removesuffix(b"\n").replace(b"\r\n", b"\n").removesuffix(b"\r")
        yield text.decode("utf-8", "replace"), line

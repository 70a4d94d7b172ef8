"""Features over the origin of a circular contig, in one row of positions that pass its end.

NCBI writes such a feature in one line whose end passes the contig's length, others in pieces at
the contig's end and at its beginning. Here both become the first: a position past the length L is
the one L before it. Intervals are 0-based and half-open.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from varlm.annotation.genes.lines import CDS_TYPES, EXON_TYPES, PART_TYPES

log = logging.getLogger(__name__)

_DEPTH = 4  # gene → primary_transcript → mRNA → exon


@dataclass
class _Feature:
    """A line on a circular contig: its row, span and relatives."""

    row: int
    kind: str
    part: bool
    start: int
    end: int
    keys: list[str] = field(default_factory=list)  # what its parts name as their parent
    parents: list[str] = field(default_factory=list)
    joined: bool = False  # a piece of one thing on several lines


def joined_over_origin(features: pl.DataFrame, lengths: Mapping[str, int]) -> pl.DataFrame:
    """Return the features with every one over an origin in positions that rise along it.

    Parameters
    ----------
    features : polars.DataFrame
        `gff.FEATURES`, contigs named as in the reference.
    lengths : mapping
        Circular contig → its length in bp; features of other contigs stay as they are.
    """
    moved: dict[int, tuple[int, int, bool]] = {}
    numbered = features.with_row_index("row")
    for contig, length in lengths.items():
        rows = numbered.filter(pl.col("contig") == contig)
        if rows.filter(pl.col("end") >= length).height:
            lines = _lines(rows)
            before = [(line.start, line.end) for line in lines]
            _join(lines, length)
            moved.update(
                (line.row, (line.start, line.end, line.joined))
                for line, span in zip(lines, before, strict=True)
                if (line.start, line.end) != span or line.joined
            )
    if not moved:
        return features
    spans = pl.DataFrame(
        [(row, *span) for row, span in moved.items()],
        schema={
            "row": pl.UInt32,
            "joined_start": pl.Int64,
            "joined_end": pl.Int64,
            "over_origin": pl.Boolean,
        },
        orient="row",
    )
    return (
        numbered.join(spans, on="row", how="left", maintain_order="left")
        .with_columns(
            pl.coalesce("joined_start", "start").alias("start"),
            pl.coalesce("joined_end", "end").alias("end"),
            pl.col("joined") | pl.col("over_origin").fill_null(False),
        )
        .select(features.columns)
    )


def within_a_turn(
    features: pl.DataFrame,
    lengths: Mapping[str, int],
    path: Path,
    left_out: dict[str, list[str]],
) -> pl.DataFrame:
    """Leave out features of circular contigs that are longer than their contig, with a warning.

    Parameters
    ----------
    features, lengths
        As of `joined_over_origin`.
    path : Path
        Of the annotation, for the message.
    left_out : dict
        Why → ids of what is left out; added to.
    """
    length = pl.col("contig").replace_strict(lengths, default=None, return_dtype=pl.Int64)
    longer = (pl.col("end") - pl.col("start") > length) | (pl.col("end") > 2 * length)
    wrong = features.filter(longer.fill_null(False))
    if not wrong.height:
        return features
    names = pl.coalesce("id", "transcript_id", "parent", "gene_id", "type")
    left_out["longer than its circular contig"] = (
        wrong.select(names).to_series().unique(maintain_order=True).to_list()
    )
    log.warning(
        "%s: %d features are longer than their circular contig and are passed over",
        path,
        wrong.height,
    )
    return features.filter(~longer.fill_null(False))


def warn_of_circles(
    features: pl.DataFrame, lengths: Mapping[str, int], rings: Collection[str], path: Path
) -> None:
    """Warn of genes with coding pieces at both ends of a contig that nobody calls circular.

    Parameters
    ----------
    features : polars.DataFrame
        `gff.FEATURES`, contigs named as in the reference.
    lengths : mapping
        Contig → its length in bp.
    rings : collection of str
        The circular contigs.
    path : Path
        Of the annotation, for the message.
    """
    length = pl.col("contig").replace_strict(lengths, default=None, return_dtype=pl.Int64)
    first, last = pl.col("start") == 0, pl.col("end") == length
    cds = features.filter(
        pl.col("type").is_in(CDS_TYPES) & (first | last) & ~pl.col("contig").is_in(list(rings))
    )
    gene = pl.coalesce("parent", "id", "transcript_id", "gene_id").alias("gene")
    at_both = cds.group_by("contig", gene, maintain_order=True).agg(
        (first.any() & last.any() & (pl.len() > 1)).alias("both")
    )
    for contig, name, _ in at_both.filter("both").unique("contig", maintain_order=True).iter_rows():
        log.warning(
            "%s: %r has coding pieces at both ends of contig %r, which nothing calls circular; if "
            "it is, name it in reference.circular",
            path,
            name,
            contig,
        )


def _lines(rows: pl.DataFrame) -> list[_Feature]:
    """Return the lines with the names that tie them, GFF3's and GTF's alike."""
    lines = []
    wanted = ["row", "type", "start", "end", "id", "parent", "gene_id", "transcript_id"]
    for row, kind, start, end, name, parent, gene_id, transcript_id in rows.select(
        wanted
    ).iter_rows():
        line = _Feature(row, kind, kind in PART_TYPES, start, end)
        if name is not None or parent is not None:
            line.keys = [] if name is None else [f"id {name}"]
            line.parents = [] if parent is None else [f"id {one}" for one in parent.split(",")]
        else:
            gene, transcript = f"gene {gene_id}", f"transcript {transcript_id}"
            line.keys = [gene if kind == "gene" or transcript_id is None else transcript]
            line.parents = [transcript if line.part and transcript_id is not None else gene]
        lines.append(line)
    return lines


def _join(lines: Sequence[_Feature], length: int) -> None:
    """Move the pieces behind the origin to where the feature goes on, in place."""
    for group in _groups(lines):
        _join_pieces(group, length)
    below: dict[str, list[_Feature]] = defaultdict(list)
    for line in lines:
        for parent in line.parents:
            below[parent].append(line)
    for _ in range(_DEPTH):
        for line in lines:
            if line.end > length and not line.part:
                for key in line.keys:
                    _follow(below[key], line.start, line.end, length)
    for children in below.values():
        parts = [line for line in children if line.part]
        if any(line.end > length for line in parts):
            _join_pieces(parts, length)
    _shrink(lines, below, length)


def _groups(lines: Sequence[_Feature]) -> Iterator[list[_Feature]]:
    """Yield the lines that may be pieces of one thing: of one id, or one parent's exons."""
    groups: dict[tuple[str, str], list[_Feature]] = defaultdict(list)
    for line in lines:
        kind = line.kind
        for exons in (EXON_TYPES, (*CDS_TYPES, "stop_codon")):
            kind = exons[0] if kind in exons else kind
        names = (line.parents or line.keys) if line.part else line.keys
        for name in names:
            groups[kind, name].append(line)
    yield from (group for group in groups.values() if len(group) > 1)


def _join_pieces(group: Sequence[_Feature], length: int) -> None:
    """Join pieces of one thing, if it has a base on either side of the origin.

    The widest gap between them is what it leaves out of the circle.
    """
    over = [line.end - length for line in group if line.end > length]
    if not over and not (
        any(line.start == 0 for line in group) and any(line.end == length for line in group)
    ):
        return
    reach, widest, after = max(over, default=0), 0, 0
    for line in sorted(group, key=lambda line: line.start):
        if line.start - reach > widest:
            widest, after = line.start - reach, reach
        reach = max(reach, line.end)
    for line in group:
        line.joined = line.joined or widest > 0
        if widest and line.end <= after:
            line.start, line.end = line.start + length, line.end + length


def _follow(children: Sequence[_Feature], low: int, high: int, length: int) -> None:
    """Move parts of something over the origin that lie outside of it but for a turn."""
    for line in children:
        if line.start < low and line.end + length <= high:
            line.start, line.end = line.start + length, line.end + length


def _shrink(
    lines: Sequence[_Feature], below: Mapping[str, Sequence[_Feature]], length: int
) -> None:
    """Give a gene that is written as the whole contig the span of its parts over the origin."""
    for _ in range(_DEPTH):
        for line in lines:
            if line.part or (line.start, line.end) != (0, length):
                continue
            children = [child for key in line.keys for child in below[key]]
            if any(child.end > length for child in children):
                line.start = min(child.start for child in children)
                line.end = max(child.end for child in children)

"""Transcripts as the ribosome reads them, where that is not along the contig: for `bcftools csq`.

csq takes coding pieces that overlap or lie a base apart for exons with splice sites, knows no
circle, and reads each stop codon as one. A view is the stretch of genome around one transcript,
joined over the origin, with the bases read twice where the ribosome slips back and without those
that it skips, and with a sense codon for each stop that is an amino acid. csq is asked about the
alleles in it, and its residue numbers are the protein's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np
import polars as pl

from varlm.annotation.genes.coding import Sequences, coding_positions
from varlm.annotation.genes.codons import Bases, amino_acids
from varlm.annotation.genes.overlaps import Ints

MARGIN = 1000  # bp on either side of the transcript: a deletion that reaches farther is cut there


@dataclass(frozen=True)
class Change:
    """What an allele does to a view: bases [start, end) become `bases`; 0-based."""

    start: int
    end: int
    bases: bytes
    swap: bool  # as many bases as before
    twice: bool = False  # a changed base is read twice


@dataclass(frozen=True)
class View:
    """One transcript's view.

    Attributes
    ----------
    index : int
        The transcript's.
    strand : str
    code : int
        Genetic code.
    segments : list of (int, int)
        Stretches of the contig that follow each other in the view; positions that pass the
        contig's length are of the next turn. Two that overlap: the bases are read twice.
    exons, cds : polars.DataFrame
        `start`, `end` (and `phase`), in positions of the view.
    bases : numpy.ndarray
        uint8 ASCII: what the view reads.
    letters : dict
        Residue → letter, of those that do not read what their codon says.
    """

    index: int
    strand: str
    code: int
    segments: list[tuple[int, int]]
    exons: pl.DataFrame
    cds: pl.DataFrame
    bases: Bases
    letters: dict[int, str] = field(default_factory=dict)

    @cached_property
    def starts(self) -> list[int]:
        """Where each segment begins in the view."""
        sizes = [end - start for start, end in self.segments]
        return [sum(sizes[:n]) for n in range(len(sizes))]

    @cached_property
    def coding(self) -> Ints:
        """Positions in the view of the coding bases, 5' to 3'."""
        return coding_positions(self.cds, self.strand)

    @cached_property
    def masked(self) -> dict[int, int]:
        """Position → base that csq is shown in its place: recoded stops end in C, as no stop."""
        table = amino_acids(self.code)
        shown = ord("G" if self.strand == "-" else "C")
        masked = {}
        for residue, letter in self.letters.items():
            codon = self.codon(residue)
            if len(codon) == 3 and letter != "*" and table.get(self.read(codon)) == "*":
                masked[int(codon[2])] = shown
        return masked

    @cached_property
    def shown(self) -> Bases:
        """The bases that csq is shown."""
        shown = self.bases.copy()
        for position, base in self.masked.items():
            shown[position] = base
        return shown

    def codon(self, residue: int) -> Ints:
        """Return the positions of a residue's codon, 5' to 3'; fewer than 3 at the very end."""
        return self.coding[3 * residue - 3 : 3 * residue]

    def read(self, positions: Ints, bases: Bases | None = None) -> str:
        """Return the bases at positions as the ribosome reads them."""
        text = (self.bases if bases is None else bases)[positions].tobytes().decode()
        return text.translate(_COMPLEMENT) if self.strand == "-" else text

    def point(self, position: int) -> int | None:
        """Return where a point of the contig lies in the view; none within a slip's own bases."""
        last = len(self.segments) - 1
        for n, (start, end) in enumerate(self.segments):
            if n < last:
                following = self.segments[n + 1][0]
                if min(end, following) < position < max(end, following):
                    return None
                if position > min(end, following):
                    continue
            inside = min(max(position, start), end)
            return self.starts[n] + inside - start
        return None

    def swapped(self, start: int, bases: bytes) -> Change | None:
        """Return the change that as many bases from `start` of the contig on make."""
        end = start + len(bases)
        changed: dict[int, int] = {}
        for (low, high), at in zip(self.segments, self.starts, strict=True):
            for position in range(max(start, low), min(end, high)):
                changed[at + position - low] = bases[position - start]
        if not changed:
            return None
        first, last = min(changed), max(changed) + 1
        text = self.bases[first:last].copy()
        for position, base in changed.items():
            text[position - first] = base
        twice = len(changed) > min(end, self.segments[-1][1]) - max(start, self.segments[0][0])
        return Change(first, last, text.tobytes(), True, twice)

    def replaced(self, start: int, end: int, bases: bytes) -> Change | None:
        """Return the change of [start, end) of the contig for another number of bases."""
        if not bases:
            start = max(start, self.segments[0][0] + 1)
            end = min(end, self.segments[-1][1] - 1)
        elif start < self.segments[0][0] or end > self.segments[-1][1]:
            return None
        low, high = self.point(start), self.point(end)
        if low is None or high is None or (low == high and not bases):
            return None
        return Change(low, high, bases, False)


_COMPLEMENT = str.maketrans("ACGTRYKMBVDH", "TGCAYRMKVBHD")


def views_of(
    contig: str,
    transcripts: pl.DataFrame,
    exons: pl.DataFrame,
    cds: pl.DataFrame,
    recoded: pl.DataFrame,
    sequences: Sequences,
    *,
    circular: bool,
) -> Iterator[View]:
    """Yield the views of the transcripts of one contig that need one; parameters as the tables."""
    length = sequences.lengths[contig]
    exons_of, pieces_of, letters_of = (
        frame.partition_by("index", as_dict=True) for frame in (exons, cds, recoded)
    )
    for row in transcripts.iter_rows(named=True):
        index = row["index"]
        own_exons = exons_of[index,].select("start", "end").rows()
        pieces = pieces_of[index,]
        slips = _slips(pieces, own_exons)
        low, high = row["start"] - MARGIN, row["end"] + MARGIN
        if not circular:
            low, high = max(low, 0), min(high, length)
        edges = [low, *(edge for slip in slips for edge in slip), high]
        segments = list(zip(edges[::2], edges[1::2], strict=True))
        positions = np.concatenate([np.arange(start, end) for start, end in segments])
        letters = letters_of.get((index,), recoded.clear()).select("residue", "letter").rows()
        yield View(
            index,
            row["strand"],
            row["genetic_code"],
            segments,
            _exons_in_view(own_exons, segments),
            _pieces_in_view(pieces, segments, row["strand"]),
            sequences.at(contig, positions),
            dict(letters),
        )


def _slips(pieces: pl.DataFrame, exons: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return (end, next start) of the coding pieces between which there is no intron."""
    spans = pieces.select("start", "end").rows()
    return [
        (end, start)
        for (_, end), (start, _) in pairwise(spans)
        if start <= end or any(low <= end and start <= high for low, high in exons)
    ]


def _offset(segments: list[tuple[int, int]], n: int) -> int:
    """Return what is taken from a position of segment n to make one of the view."""
    return segments[n][0] - sum(end - start for start, end in segments[:n])


def _exons_in_view(exons: list[tuple[int, int]], segments: list[tuple[int, int]]) -> pl.DataFrame:
    """Move exons, whose ends lie in no slip, to the view."""
    rows = []
    for start, end in exons:
        first = next(n for n, segment in enumerate(segments) if start < segment[1])
        last = next(n for n in range(len(segments) - 1, -1, -1) if end > segments[n][0])
        rows.append((start - _offset(segments, first), end - _offset(segments, last)))
    return pl.DataFrame(rows, schema={"start": pl.Int64, "end": pl.Int64}, orient="row")


def _pieces_in_view(
    pieces: pl.DataFrame, segments: list[tuple[int, int]], strand: str
) -> pl.DataFrame:
    """Move coding pieces to the view, those that a slip joins as one."""
    n = 0
    rows: list[list[int]] = []
    for start, end, phase in pieces.select("start", "end", "phase").iter_rows():
        joined = bool(rows) and n + 1 < len(segments) and _ends(segments, n, rows, start)
        n += joined
        offset = _offset(segments, n)
        if joined:
            rows[-1][1] = end - offset
            rows[-1][2] = phase if strand == "-" else rows[-1][2]
        else:
            rows.append([start - offset, end - offset, phase])
    schema = {"start": pl.Int64, "end": pl.Int64, "phase": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _ends(segments: list[tuple[int, int]], n: int, rows: list[list[int]], start: int) -> bool:
    """Tell whether the piece before ends a segment and this one starts the next."""
    return rows[-1][1] + _offset(segments, n) == segments[n][1] and start == segments[n + 1][0]


def needing_views(
    transcripts: pl.DataFrame,
    exons: pl.DataFrame,
    cds: pl.DataFrame,
    recoded: pl.DataFrame,
    lengths: dict[str, int],
) -> pl.DataFrame:
    """Return the transcripts with coding calls that csq would read wrongly along the contig."""
    called = transcripts.filter(pl.col("genetic_code").is_not_null())
    over = pl.col("end") > pl.col("contig").replace_strict(lengths, return_dtype=pl.Int64)
    gaps = (
        cds.with_columns(
            pl.col("start").shift(-1).over("index").alias("next"),
            pl.col("end").cast(pl.Int64).alias("last"),
        )
        .filter(pl.col("next").is_not_null())
        .select("index", "last", pl.col("next").cast(pl.Int64))
    )
    touching = gaps.filter(pl.col("next") <= pl.col("last"))["index"]
    # Few: a gap between coding pieces that an exon spans.
    whole = exons.select("index", low=pl.col("start").cast(pl.Int64), high="end")
    apart = gaps.filter(pl.col("next") > pl.col("last")).sort("last")
    spanned = apart.join_asof(
        whole.sort("low"),
        left_on="last",
        right_on="low",
        by="index",
        strategy="backward",
        check_sortedness=False,
    ).filter(pl.col("high") >= pl.col("next"))["index"]
    reread = recoded.filter((pl.col("residue") > 1) | (pl.col("letter") != "M"))["index"]
    special = pl.concat([touching, spanned, reread]).unique()
    return called.filter(over | pl.col("index").is_in(special.implode()))

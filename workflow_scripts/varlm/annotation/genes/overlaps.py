"""Which parts of which transcripts an allele touches, for whole arrays of alleles at once.

An allele is the span [start, end), 0-based, of the reference bases that it changes. An insertion
is the empty span at the point `start` = `end`, between the bases `start` − 1 and `start`. Every
feature has two intervals: of bases, for alleles with bases, and of points, for insertions. An
insertion between an exon and an intron belongs to the intron, as in bcftools csq.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.annotation.genes.terms import BIT, Terms
from varlm.genome.line import FAR, STRIDE

Ints = NDArray[np.int64]

DONOR_BASES = 2  # of an intron's ends: splice donor and acceptor
REGION_INTRON = 8  # bases of an intron's end that belong to its splice region
REGION_EXON = 3  # bases of an exon's end that do

_SPLICE = BIT["splice_donor_variant"] | BIT["splice_acceptor_variant"]
_REGION, _INTRON = BIT["splice_region_variant"], BIT["intron_variant"]
_NMD = BIT["NMD_transcript_variant"]


@dataclass(frozen=True)
class Features:
    """Intervals with the terms of what lies in them, sorted by `start`; arrays of shape (n,).

    Attributes
    ----------
    start, end : numpy.ndarray
        int64: bases [start, end).
    first, last : numpy.ndarray
        int64: points [first, last), of insertions.
    transcript : numpy.ndarray
        int64: index of the transcript.
    terms : numpy.ndarray
        uint32: set of `varlm.annotation.genes.terms`.
    """

    start: Ints
    end: Ints
    first: Ints
    last: Ints
    transcript: Ints
    terms: Terms

    def within(self, low: int, high: int) -> Features:
        """Return the features that may touch an allele between two positions, 0-based."""
        stop = int(np.searchsorted(self.start, high + 1, side="right"))
        kept = np.flatnonzero(np.maximum(self.end[:stop], self.last[:stop]) >= low)
        return Features(*(values[kept] for values in vars(self).values()))


def around(features: Features, rings: Mapping[int, int]) -> Features:
    """Return features on the line with copies of those of circular contigs a turn off.

    Parameters
    ----------
    features : Features
    rings : mapping
        Number of a circular contig → its length in bp.
    """
    # A flank may begin before its contig, a feature over the origin end behind it.
    number = (features.start + FAR) // STRIDE
    copies = [features]
    for ring, length in rings.items():
        own = np.flatnonzero(number == ring)
        for turn in (length, -length):
            moved = {name: values[own] for name, values in vars(features).items()}
            for name in ("start", "end", "first", "last"):
                moved[name] = moved[name] + turn
            low = np.minimum(moved["start"], moved["first"]) - ring * STRIDE
            high = np.maximum(moved["end"], moved["last"]) - ring * STRIDE
            kept = np.flatnonzero((low <= length) & (high >= 0))
            copies.append(Features(*(values[kept] for values in moved.values())))
    joined = [
        np.concatenate(columns) for columns in zip(*(vars(f).values() for f in copies), strict=True)
    ]
    order = np.argsort(joined[0], kind="stable")
    return Features(*(values[order] for values in joined))


class _Part(NamedTuple):
    """A kind of feature: one interval for each of the exons (or transcripts) that have it.

    Arrays of shape (exons,); what they hold of those without it is not looked at.
    """

    present: NDArray[np.bool_]
    bases: tuple[Ints, Ints]  # [start, end)
    points: tuple[Ints, Ints]  # [first, last)
    terms: Terms | int


def _features(parts: Sequence[_Part], transcript: Ints, always: Terms | int = 0) -> Features:
    """Return the intervals of all parts that hold a base; `always`: terms that each has."""
    columns = [
        [
            *(array[part.present] for array in (*part.bases, *part.points, transcript)),
            (np.broadcast_to(np.asarray(part.terms, np.uint32), transcript.shape) | always)[
                part.present
            ],
        ]
        for part in parts
    ]
    start, end, first, last, whose, terms = map(np.concatenate, zip(*columns, strict=True))
    kept = np.flatnonzero(start < end)
    order = kept[np.argsort(start[kept], kind="stable")]
    return Features(start[order], end[order], first[order], last[order], whose[order], terms[order])


@dataclass(frozen=True)
class _Exons:
    """Exons and what their transcripts say of them; arrays of shape (exons,).

    Attributes
    ----------
    start, end : numpy.ndarray
        0-based, half-open.
    transcript : numpy.ndarray
        Index of the transcript.
    forward, coding, nmd : numpy.ndarray
        Whether the transcript is on the forward strand, codes, is subject to decay.
    low, high : numpy.ndarray
        Its coding span, 0-based, half-open; 0 of one that does not code.
    """

    start: Ints
    end: Ints
    transcript: Ints
    forward: NDArray[np.bool_]
    coding: NDArray[np.bool_]
    nmd: NDArray[np.bool_]
    low: Ints
    high: Ints

    @classmethod
    def of(cls, transcripts: pl.DataFrame, exons: pl.DataFrame) -> _Exons:
        """Join exons to their transcripts; parameters as `transcript_features`."""
        whose = np.searchsorted(transcripts["index"].to_numpy(), exons["index"].to_numpy())
        start, end, index = (
            exons[name].to_numpy().astype(np.int64) for name in ("start", "end", "index")
        )
        decayed = transcripts["biotype"] == "nonsense_mediated_decay"
        low, high = (
            transcripts[name].fill_null(0).to_numpy().astype(np.int64)[whose]
            for name in ("coding_start", "coding_end")
        )
        return cls(
            start,
            end,
            index,
            (transcripts["strand"].fill_null("+") == "+").to_numpy()[whose],
            transcripts["coding_start"].is_not_null().to_numpy()[whose],
            decayed.fill_null(False).to_numpy()[whose],
            low,
            high,
        )

    @property
    def has_next(self) -> NDArray[np.bool_]:
        """Whether an intron follows, and then another exon."""
        following = np.zeros(len(self.transcript), dtype=bool)
        following[:-1] = self.transcript[1:] == self.transcript[:-1]
        return following

    @property
    def has_before(self) -> NDArray[np.bool_]:
        """Whether an exon precedes, and then an intron."""
        return np.roll(self.has_next, 1)  # the last has none behind it

    @property
    def next_start(self) -> Ints:
        """Start of the exon behind; where there is none, of any."""
        return np.roll(self.start, -1)

    def by_strand(self, forward: str, reverse: str) -> Terms:
        """Return one term for exons of the forward strand, the other for the rest."""
        return np.where(self.forward, BIT[forward], BIT[reverse]).astype(np.uint32)


def transcript_features(transcripts: pl.DataFrame, exons: pl.DataFrame) -> Features:
    """Return exons, introns and splice sites of transcripts.

    Parameters
    ----------
    transcripts : polars.DataFrame
        `tables.TRANSCRIPTS` of one contig, sorted by `index`.
    exons : polars.DataFrame
        `tables.EXONS` of these, sorted by `index` and `start`.
    """
    joined = _Exons.of(transcripts, exons)
    always = np.where(joined.nmd, _NMD, 0).astype(np.uint32)
    parts = [*_exon_parts(joined), *_exon_edges(joined), *_intron_parts(joined)]
    return _features(parts, joined.transcript, always)


def _exon_parts(x: _Exons) -> list[_Part]:
    """Return non-coding exons, UTRs and coding sequence.

    A point between UTR and coding sequence belongs to the latter, one at an exon's end to the
    intron.
    """
    left_end, right_start = np.minimum(x.end, x.low), np.maximum(x.start, x.high)
    a, b = np.maximum(x.start, x.low), np.minimum(x.end, x.high)
    coding_points = np.maximum(a, x.start + 1), np.minimum(b + 1, x.end)
    left_utr = x.by_strand("5_prime_UTR_variant", "3_prime_UTR_variant")
    right_utr = x.by_strand("3_prime_UTR_variant", "5_prime_UTR_variant")
    exon, coding = BIT["non_coding_transcript_exon_variant"], BIT["coding_sequence_variant"]
    return [
        _Part(~x.coding, (x.start, x.end), (x.start + 1, x.end), exon),
        _Part(x.coding & (x.start < x.low), (x.start, left_end), (x.start + 1, left_end), left_utr),
        _Part(
            x.coding & (x.end > x.high), (right_start, x.end), (right_start + 1, x.end), right_utr
        ),
        _Part(x.coding & (a < b), (a, b), coding_points, coding),
    ]


def _exon_edges(x: _Exons) -> list[_Part]:
    """Return the splice regions on the exons' side."""
    left_end = np.minimum(x.start + REGION_EXON, x.end)
    left_last = np.minimum(x.start + REGION_EXON + 1, x.end)
    right_start = np.maximum(x.end - REGION_EXON, x.start)
    right_first = np.maximum(x.end - REGION_EXON, x.start + 1)
    return [
        _Part(x.has_before, (x.start, left_end), (x.start + 1, left_last), _REGION),
        _Part(x.has_next, (right_start, x.end), (right_first, x.end), _REGION),
    ]


def _intron_parts(x: _Exons) -> list[_Part]:
    """Return introns, their splice sites and splice regions; each begins where an exon ends."""
    left, right = x.end, x.next_start
    site_end = np.minimum(left + DONOR_BASES, right)
    site_start = np.maximum(right - DONOR_BASES, left)
    region_end = np.minimum(left + REGION_INTRON, right)
    region_start = np.maximum(right - REGION_INTRON, left)
    at_left = x.by_strand("splice_donor_variant", "splice_acceptor_variant")
    at_right = x.by_strand("splice_acceptor_variant", "splice_donor_variant")
    return [
        _Part(x.has_next, (left, right), (left, right + 1), _INTRON),
        _Part(x.has_next, (left, site_end), (left, site_end), at_left),
        _Part(x.has_next, (site_end, region_end), (site_end, region_end), _REGION),
        _Part(x.has_next, (site_start, right), (site_start + 1, right + 1), at_right),
        _Part(x.has_next, (region_start, site_start), (region_start + 1, site_start + 1), _REGION),
    ]


def neighbourhoods(transcripts: pl.DataFrame, upstream: int, downstream: int) -> Features:
    """Return the spans of `upstream` and `downstream` bp beside transcripts, by direction.

    A transcript without a strand counts as one on the forward strand.
    """
    index = transcripts["index"].to_numpy().astype(np.int64)
    start = transcripts["start"].to_numpy().astype(np.int64)
    end = transcripts["end"].to_numpy().astype(np.int64)
    forward = (transcripts["strand"].fill_null("+") == "+").to_numpy()
    up, down = BIT["upstream_gene_variant"], BIT["downstream_gene_variant"]
    before = np.where(forward, upstream, downstream)
    after = np.where(forward, downstream, upstream)
    left, right = np.where(forward, up, down), np.where(forward, down, up)
    everywhere = np.ones(len(index), bool)
    beside = [
        _Part(everywhere, (start - before, start), (start - before, start + 1), left),
        _Part(everywhere, (end, end + after), (end, end + after + 1), right),
    ]
    return _features(beside, index)


def touching(start: Ints, end: Ints, features: Features) -> tuple[Ints, Ints]:
    """Return (allele, feature) pairs that touch.

    Parameters
    ----------
    start, end : numpy.ndarray
        int64, shape (alleles,): spans, `start` ascending; equal for an insertion.
    features : Features

    Returns
    -------
    allele, feature : numpy.ndarray
        int64, shape (pairs,): indices into the arrays given.
    """
    length = end - start
    pairs = []
    for group in (length == 1, length > 1, length == 0):
        rows = np.flatnonzero(group)
        if not len(rows):
            continue
        at, to = start[rows], end[rows]
        if length[rows[0]] == 0:
            low, high, to = features.first, features.last, to + 1
        else:
            low, high = features.start, features.end
        # Alleles by rising start: those of a feature lie in one range, less a few short ones.
        begin = np.searchsorted(at, low - int((to - at).max()) + 1)
        count = np.maximum(np.searchsorted(at, high) - begin, 0)
        feature = np.repeat(np.arange(len(low)), count)
        allele = np.arange(int(count.sum())) + np.repeat(begin - (count.cumsum() - count), count)
        touches = to[allele] > low[feature]
        pairs.append((rows[allele[touches]], feature[touches]))
    if not pairs:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    return np.concatenate([a for a, _ in pairs]), np.concatenate([f for _, f in pairs])


def plain(sets: Terms) -> Terms:
    """Drop what a stronger term makes redundant, as csq does.

    A splice region beside a donor or acceptor, and an intron beside anything else.
    """
    sets = np.where(sets & np.uint32(_SPLICE), sets & ~np.uint32(_REGION), sets)
    other = sets & ~np.uint32(_INTRON | _NMD)
    return np.where(other != 0, sets & ~np.uint32(_INTRON), sets)

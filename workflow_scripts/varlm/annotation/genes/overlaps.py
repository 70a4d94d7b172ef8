"""Which parts of which transcripts an allele touches, for whole arrays of alleles at once.

An allele is the span [start, end), 0-based, of the reference bases that it changes. An insertion
is the empty span at the point `start` = `end`, between the bases `start` − 1 and `start`. Every
feature has two intervals: of bases, for alleles with bases, and of points, for insertions. An
insertion between an exon and an intron belongs to the intron, as in bcftools csq.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.annotation.genes.terms import BIT, Terms

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


def _features(parts: list[tuple[Ints, Ints, Ints, Ints, Ints, Terms]]) -> Features:
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    kept = columns[0] < columns[1]
    order = np.flatnonzero(kept)[np.argsort(columns[0][kept], kind="stable")]
    start, end, first, last, transcript, sets = (column[order] for column in columns)
    return Features(start, end, first, last, transcript, sets.astype(np.uint32))


def transcript_features(transcripts: pl.DataFrame, exons: pl.DataFrame) -> Features:
    """Return exons, introns and splice sites of transcripts.

    Parameters
    ----------
    transcripts : polars.DataFrame
        `gene_models.TRANSCRIPTS` of one contig, sorted by `index`.
    exons : polars.DataFrame
        `gene_models.EXONS` of these, sorted by `index` and `start`.
    """
    whose = np.searchsorted(transcripts["index"].to_numpy(), exons["index"].to_numpy())
    index = exons["index"].to_numpy().astype(np.int64)
    start = exons["start"].to_numpy().astype(np.int64)
    end = exons["end"].to_numpy().astype(np.int64)
    forward = (transcripts["strand"].fill_null("+") == "+").to_numpy()[whose]
    nmd = (transcripts["biotype"] == "nonsense_mediated_decay").fill_null(False).to_numpy()[whose]
    always = np.where(nmd, _NMD, 0).astype(np.uint32)
    has_next = np.zeros(len(index), dtype=bool)
    has_next[:-1] = index[1:] == index[:-1]
    has_before = np.zeros(len(index), dtype=bool)
    has_before[1:] = has_next[:-1]
    coding = transcripts["coding_start"].is_not_null().to_numpy()[whose]
    low = transcripts["coding_start"].fill_null(0).to_numpy().astype(np.int64)[whose]
    high = transcripts["coding_end"].fill_null(0).to_numpy().astype(np.int64)[whose]

    parts: list[tuple[Ints, Ints, Ints, Ints, Ints, Terms]] = []

    def add(
        which: NDArray[np.bool_], start: Ints, end: Ints, first: Ints, last: Ints, sets: Terms | int
    ) -> None:
        bits = (np.broadcast_to(np.asarray(sets, np.uint32), which.shape) | always)[which]
        parts.append((start[which], end[which], first[which], last[which], index[which], bits))

    non_coding = BIT["non_coding_transcript_exon_variant"]
    add(~coding, start, end, start + 1, end, non_coding)
    five, three = BIT["5_prime_UTR_variant"], BIT["3_prime_UTR_variant"]
    left_utr = np.where(forward, five, three).astype(np.uint32)
    right_utr = np.where(forward, three, five).astype(np.uint32)
    cut = np.minimum(end, low)
    add(coding & (start < low), start, cut, start + 1, cut, left_utr)
    cut = np.maximum(start, high)
    add(coding & (end > high), cut, end, cut + 1, end, right_utr)
    a, b = np.maximum(start, low), np.minimum(end, high)
    # A point between UTR and CDS belongs to the CDS; one at the exon's end to the intron.
    add(
        coding & (a < b),
        a,
        b,
        np.maximum(a, start + 1),
        np.minimum(b + 1, end),
        BIT["coding_sequence_variant"],
    )
    add(
        has_before,
        start,
        np.minimum(start + REGION_EXON, end),
        start + 1,
        np.minimum(start + REGION_EXON + 1, end),
        _REGION,
    )
    add(
        has_next,
        np.maximum(end - REGION_EXON, start),
        end,
        np.maximum(end - REGION_EXON, start + 1),
        end,
        _REGION,
    )

    left = end  # an intron begins where an exon ends
    right = np.append(start[1:], 0)
    donor, acceptor = BIT["splice_donor_variant"], BIT["splice_acceptor_variant"]
    at_left = np.where(forward, donor, acceptor).astype(np.uint32)
    at_right = np.where(forward, acceptor, donor).astype(np.uint32)
    add(has_next, left, right, left, right + 1, _INTRON)
    inner = np.minimum(left + DONOR_BASES, right)
    add(has_next, left, inner, left, inner, at_left)
    outer = np.minimum(left + REGION_INTRON, right)
    add(has_next, inner, outer, inner, outer, _REGION)
    inner = np.maximum(right - DONOR_BASES, left)
    add(has_next, inner, right, inner + 1, right + 1, at_right)
    outer = np.maximum(right - REGION_INTRON, left)
    add(has_next, outer, inner, outer + 1, inner + 1, _REGION)
    return _features(parts)


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
    left = (
        start - before,
        start,
        start - before,
        start + 1,
        index,
        np.where(forward, up, down).astype(np.uint32),
    )
    right = (
        end,
        end + after,
        end,
        end + after + 1,
        index,
        np.where(forward, down, up).astype(np.uint32),
    )
    return _features([left, right])


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
    found = []
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
        found.append((rows[allele[touches]], feature[touches]))
    if not found:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    return np.concatenate([a for a, _ in found]), np.concatenate([f for _, f in found])


def plain(sets: Terms) -> Terms:
    """Drop what a stronger term makes redundant, as csq does.

    A splice region beside a donor or acceptor, and an intron beside anything else.
    """
    sets = np.where(sets & np.uint32(_SPLICE), sets & ~np.uint32(_REGION), sets)
    other = sets & ~np.uint32(_INTRON | _NMD)
    return np.where(other != 0, sets & ~np.uint32(_INTRON), sets)


class Starts:
    """Transcription starts of a contig.

    Parameters
    ----------
    transcripts : polars.DataFrame
        `gene_models.TRANSCRIPTS` of one contig.

    Attributes
    ----------
    gene : list of str
        Symbol of each start's gene.
    """

    def __init__(self, transcripts: pl.DataFrame):
        one_a_place = transcripts.sort("tss", "gene_id", "strand").unique(
            "tss", keep="first", maintain_order=True
        )
        self.at = one_a_place["tss"].to_numpy().astype(np.int64)
        self.gene = one_a_place["gene"]
        self.sign = np.where((one_a_place["strand"].fill_null("+") == "+").to_numpy(), 1, -1)
        self.order = one_a_place["gene_id"].rank("dense").to_numpy().astype(np.int64)

    def nearest(self, start: Ints, end: Ints) -> tuple[Ints, Ints]:
        """Return the nearest start of each allele, and the distance to it.

        The distance is that of the nearest base that the allele changes (of the two bases that
        an insertion parts), negative upstream of the start in its gene's direction. Of two starts
        as near as each other, the gene whose id comes first is taken.

        Returns
        -------
        which, distance : numpy.ndarray
            int64, shape (alleles,): index into `gene`, and bp.
        """
        inserted = start == end
        first = np.where(inserted, np.maximum(start - 1, 0), start)
        last = np.where(inserted, start, end - 1)
        right = np.searchsorted(self.at, first)
        left = right - 1
        far = np.int64(1) << 40
        to_right = np.where(
            right < len(self.at),
            np.maximum(self.at[right.clip(max=len(self.at) - 1)] - last, 0),
            far,
        )
        to_left = np.where(left >= 0, first - self.at[left.clip(min=0)], far)
        right = np.minimum(right, len(self.at) - 1)
        self._first_inside(right, last, to_right == 0)
        left = np.maximum(left, 0)
        takes_left = (to_left < to_right) | (
            (to_left == to_right) & (self.order[left] < self.order[right])
        )
        which = np.where(takes_left, left, right)
        distance = np.where(takes_left, to_left, -to_right) * self.sign[which]
        return which, distance

    def _first_inside(self, right: Ints, last: Ints, covers: NDArray[np.bool_]) -> None:
        """Of several starts inside one allele take the gene whose id comes first, in place."""
        stop = np.searchsorted(self.at, last, side="right")
        for row in np.flatnonzero(covers & (stop - right > 1)):  # long deletions alone
            right[row] += int(np.argmin(self.order[right[row] : stop[row]]))

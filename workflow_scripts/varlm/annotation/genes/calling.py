"""A cohort's alleles and gene models → `schemas.CONSEQUENCES`, piece by piece.

csq speaks first: what it says of an allele and a transcript stands. Where it says nothing
(introns, non-coding transcripts, transcripts without coding calls), the parts that the allele
touches do. An allele that touches no transcript is upstream or downstream of those near it, or
intergenic.
"""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from varlm.annotation.genes import csq, csq_input, overlaps, terms
from varlm.annotation.genes.annotation import Annotation
from varlm.annotation.genes.contig_arrays import ContigArrays
from varlm.annotation.genes.pieces import Piece, changed_span, read_piece, spans_of
from varlm.errors import UserError
from varlm.files.whole import write_digest
from varlm.genome.reference import Genome
from varlm.tables.parquet import write_pieces
from varlm.tables.schemas import CONSEQUENCES

Ints = overlaps.Ints

BATCH = 1_000_000  # alleles that one child gets: reading a human GFF takes it seconds each time
_NONE = np.uint32(0xFFFFFFFF)  # the transcript of an intergenic entry


@dataclass
class _Batch:
    """Pieces whose alleles one child is asked about."""

    pieces: list[tuple[int, int]]  # first and last row (half-open) of each piece
    calls: list[Future[csq.Calls]]


def call_consequences(
    variants: Path,
    genome: Genome,
    annotation: Annotation,
    upstream: int,
    downstream: int,
    work: Path,
) -> Iterator[pl.DataFrame]:
    """Yield `schemas.CONSEQUENCES` for the rows of `variants.parquet`, in their order.

    Parameters
    ----------
    variants : Path
        `variants.parquet`: sorted, `contig` as in the reference.
    upstream, downstream : int
        bp beside a transcript that count as such.
    work : Path
        An existing folder for temporary files, some 100 bytes for each coding allele.
    """
    caller = _Caller(annotation, genome, upstream, downstream)
    with (
        tempfile.TemporaryDirectory(dir=work, prefix=".consequences.") as folder,
        ThreadPoolExecutor(csq.workers()) as pool,
    ):
        reference = csq_input.Reference(genome.fasta, genome.contigs, Path(folder))
        rows = pl.scan_parquet(variants)  # one for all pieces, which reads the file's footer once
        waiting: deque[_Batch] = deque()
        for batch in caller.batches(rows, reference, Path(folder), pool):
            waiting.append(batch)
            if len(waiting) > csq.workers():
                yield from caller.tables(rows, waiting.popleft())
        while waiting:
            yield from caller.tables(rows, waiting.popleft())


def write_consequences(
    variants: Path,
    genome: Genome,
    annotation: Annotation,
    upstream: int,
    downstream: int,
    path: Path,
) -> int:
    """Write `consequences.parquet` and its digest; parameters as `call_consequences`.

    Returns
    -------
    int
        Its rows, which are those of `variants.parquet`, in their order.

    Raises
    ------
    UserError
        If rows were lost.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = call_consequences(variants, genome, annotation, upstream, downstream, path.parent)
    count = write_pieces(rows, path, CONSEQUENCES)
    expected = int(pl.scan_parquet(variants).select(pl.len()).collect().item())
    if count != expected:
        raise UserError(
            f"{path}: {count} rows written of {expected} in {variants}; the disk may be failing: "
            "run again"
        )
    write_digest(path)
    return count


class _Caller:
    """Holds what every piece needs; arrays of contigs are made once, contigs after contigs."""

    def __init__(self, annotation: Annotation, genome: Genome, upstream: int, downstream: int):
        self.annotation = annotation
        self.upstream, self.downstream = upstream, downstream
        self.number = {contig: n for n, contig in enumerate(genome.names)}
        self.views = annotation.views(genome)
        self.first_codons = annotation.first_codons(genome)
        self.codes = list(csq.codes_in_use(annotation.along_contigs(self.views.index)))
        self.exons = annotation.exons_by_contig
        nmd = (annotation.transcripts["biotype"] == "nonsense_mediated_decay").fill_null(False)
        self._always = np.where(nmd.to_numpy(), terms.BIT["NMD_transcript_variant"], 0)
        self._reach: tuple[dict[str, int], dict[int, Ints]] = ({}, {})
        self._contigs: ContigArrays | None = None

    def batches(
        self,
        variants: pl.LazyFrame,
        reference: csq_input.Reference,
        folder: Path,
        pool: ThreadPoolExecutor,
    ) -> Iterator[_Batch]:
        """Yield batches, csq at work on them."""
        total = int(variants.select(pl.len()).collect().item())
        size = min(BATCH, -(-total // csq.workers()))
        pieces: list[tuple[int, int]] = []
        asked: dict[int, list[pl.DataFrame]] = {code: [] for code in self.codes}
        view_files = self.views.write(folder)
        in_views: list[pl.DataFrame] = []
        count = rows = started = 0

        def batch() -> _Batch:
            nonlocal started
            calls = []
            for code, frames in asked.items():
                alleles = pl.concat(frames) if frames else pl.DataFrame()
                frames.clear()
                if alleles.height:
                    started += 1
                    stem = folder / f"batch{started}"
                    gff3 = self.annotation.gff3(code)
                    calls.append(pool.submit(self._ask, alleles, reference, gff3, code, stem))
            if view_files is not None and in_views:
                started += 1
                alleles = pl.concat(in_views)
                in_views.clear()
                calls.append(pool.submit(view_files.call, alleles, folder / f"batch{started}"))
            return _Batch(pieces, calls)

        for start, end in spans_of(variants, total, self.exons, size):
            piece = read_piece(variants, start, end, self.number)
            pieces.append((start, end))
            rows += end - start
            for code in self.codes:
                alleles = self._to_ask(piece, code)
                count += alleles.height
                if alleles.height:
                    asked[code].append(alleles)
            near_views = self.views.near(piece)
            if near_views.height:
                count += near_views.height
                in_views.append(near_views)
            if count >= size or rows >= max(size, 8 * BATCH if size == BATCH else size):
                yield batch()
                pieces, count, rows = [], 0, 0
        if pieces:
            yield batch()

    def _ask(
        self,
        alleles: pl.DataFrame,
        reference: csq_input.Reference,
        gff3: Path,
        code: int,
        stem: Path,
    ) -> csq.Calls:
        """Return csq's calls along the contigs, but for the transcripts that have a view."""
        calls = csq.call(alleles, reference, gff3, code, stem)
        return self.first_codons.corrected(csq.without(calls, self.views.index), alleles)

    def _to_ask(self, piece: Piece, code: int) -> pl.DataFrame:
        """Return the alleles near coding transcripts, as csq is given them."""
        if self._reach[0] != piece.contigs:
            spans = {
                c: self.annotation.coding_reach(c, piece.contigs, self.views.index)
                for c in self.codes
            }
            self._reach = (piece.contigs, spans)
        starts, ends = self._reach[1][code].T
        start = piece.start
        end = start + piece.ref.str.len_bytes().to_numpy()
        index = np.searchsorted(starts, end) - 1
        near = np.flatnonzero(index >= 0)
        near = near[ends[index[near]] > start[near]]
        return pl.DataFrame(
            {
                "contig": pl.Series(piece.contig[near], dtype=pl.UInt32),
                "pos": piece.pos[near],
                "row": piece.row[near],
                "ref": piece.ref.gather(near),
                "alt": piece.alt.gather(near),
            }
        )

    def tables(self, variants: pl.LazyFrame, batch: _Batch) -> Iterator[pl.DataFrame]:
        """Yield the tables of a batch's pieces, once csq is done."""
        calls = csq.joined([call.result() for call in batch.calls] or [csq.EMPTY])
        for start, end in batch.pieces:
            low, high = np.searchsorted(calls.row, [start, end])
            part = csq.Calls(
                calls.row[low:high],
                calls.transcript[low:high],
                calls.terms[low:high],
                calls.protein[low:high],
            )
            yield self.table(read_piece(variants, start, end, self.number), part)

    def table(self, piece: Piece, calls: csq.Calls) -> pl.DataFrame:
        """Return the table of a piece, given csq's calls of its alleles."""
        if self._contigs is None or self._contigs.numbers != piece.contigs:
            placed = self.annotation.placed(piece.contigs)
            self._contigs = ContigArrays(
                piece.contigs, *placed, self.upstream, self.downstream, self.views.circular
            )
        start, end = changed_span(piece)
        entries = self._entries(piece, start, end, calls, self._contigs)
        distance = self._contigs.nearest_starts(start, end)
        table = _assembled(entries, len(start), self.annotation.labels).hstack(distance)
        if len(piece.which) != table.height:
            table = table[piece.which]
        return table.select(CONSEQUENCES.names)

    def _entries(
        self, piece: Piece, start: Ints, end: Ints, calls: csq.Calls, contigs: ContigArrays
    ) -> _Entries:
        """Return every (allele, transcript) with its terms, most severe first."""
        allele = np.searchsorted(piece.row, calls.row)
        said = (allele << 32) | calls.transcript
        low, high = int(start.min()), int(end.max())
        inside = contigs.features.within(low, high)
        key, sets = _pairs(start, end, inside)
        at = np.searchsorted(said, key)
        own = np.ones(len(key), dtype=bool)
        if len(said):
            own = said[at.clip(max=len(said) - 1)] != key
        keys = [said, key[own]]
        values = [
            calls.terms | self._always[calls.transcript].astype(np.uint32),
            overlaps.plain(sets[own]),
        ]
        spoken = np.zeros(len(start), dtype=bool)
        for known in keys:
            spoken[known >> 32] = True
        outside = np.flatnonzero(~spoken)
        if len(outside):
            key, sets = _pairs(start[outside], end[outside], contigs.beside.within(low, high))
            keys.append((outside[key >> 32] << 32) | (key & 0xFFFFFFFF))
            values.append(sets)
            spoken[outside[key >> 32]] = True
            nowhere = np.flatnonzero(~spoken)
            keys.append((nowhere << 32) | np.int64(_NONE))
            values.append(np.full(len(nowhere), terms.BIT["intergenic_variant"], np.uint32))
        key = np.concatenate(keys)
        sets = np.concatenate(values).astype(np.uint32)
        rank = terms.rank(sets).astype(np.int64)
        # By allele, then severity, then the transcript's place in the canonical order.
        order = np.lexsort((key & 0xFFFFFFFF, (key >> 32 << 8) | rank))
        protein = pl.concat(
            [
                calls.protein,
                pl.Series("protein", [None], pl.String).new_from_index(0, len(key) - len(said)),
            ]
        ).gather(order)
        key = key[order]
        return _Entries(
            key >> 32, (key & 0xFFFFFFFF).astype(np.uint32), sets[order], rank[order], protein
        )


@dataclass(frozen=True)
class _Entries:
    """Entries of the nested column, flat, by allele; arrays of shape (entries,)."""

    allele: Ints
    transcript: np.ndarray  # uint32; _NONE: intergenic
    terms: terms.Terms
    rank: Ints  # of the most severe term
    protein: pl.Series


def _pairs(start: Ints, end: Ints, features: overlaps.Features) -> tuple[Ints, terms.Terms]:
    """Return keys (allele << 32 | transcript), rising, and the terms of all features touched."""
    allele, feature = overlaps.touching(start, end, features)
    key = (allele << 32) | features.transcript[feature]
    order = np.argsort(key, kind="stable")
    key, sets = key[order], features.terms[feature[order]]
    if not len(key):
        return key, sets
    first = np.flatnonzero(np.concatenate(([True], key[1:] != key[:-1])))
    return key[first], np.bitwise_or.reduceat(sets, first)


def _assembled(entries: _Entries, alleles: int, labels: pl.DataFrame) -> pl.DataFrame:
    """Return the main columns and the nested one, a row an allele."""
    codes, code = np.unique(entries.terms, return_inverse=True)
    joined = pl.Series(
        "consequence", [terms.joined(int(code_terms)) for code_terms in codes], pl.String
    )
    impacts = pl.Series("impact", [terms.IMPACTS[name] for name in terms.NAMES], pl.String)
    whose = np.where(entries.transcript == _NONE, labels.height - 1, entries.transcript)
    flat = pl.DataFrame(
        [
            joined.gather(code),
            impacts.gather(entries.rank),
            *labels[whose].get_columns(),
            entries.protein.alias("protein_change"),
        ]
    )
    first = np.searchsorted(entries.allele, np.arange(alleles))
    nested = (
        pl.DataFrame({"allele": pl.Series(entries.allele).set_sorted()})
        .with_columns(flat.to_struct("consequences"))
        .group_by("allele", maintain_order=True)
        .agg("consequences")
    )
    if nested.height != alleles:
        raise AssertionError(f"{nested.height} alleles have consequences, of {alleles}")
    names = pl.Series("consequence", list(terms.NAMES), pl.String)
    return flat[first].with_columns(names.gather(entries.rank[first]), nested["consequences"])

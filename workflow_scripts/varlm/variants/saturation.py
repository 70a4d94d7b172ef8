"""Every possible SNV of given regions or of a whole genome, or at random sites of it.

A site is a position whose base is A, C, G or T; it has three SNVs. They come in the order of the
reference, contig by contig and in pieces, so that memory holds a few million bases, whatever the
genome's size.

Random sites: each site has a random number of 64 bits, its key, and the sample is the sites with
the smallest keys. So a larger sample of the same seed holds the smaller one, whose scores the
store has, and neither the sample nor the genome is ever in memory. The generator's raw output is
used because NumPy keeps it from version to version, unlike its distributions (NEP 19).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import sqrt
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.errors import UserError
from varlm.genome.reference import Genome
from varlm.genome.regions import Regions
from varlm.tables.schemas import BASES, VARIANTS, sha256

log = logging.getLogger(__name__)

PIECE_SITES = 100_000  # sites in a piece of the table, at least: three rows each
# A record's number has 32 bits, and so has a row's in Polars, but for its 64-bit build.
MAX_SITES = 2**32 - 1 if pl.get_index_type() == pl.UInt64 else (2**32 - 1) // 3

_CHUNK = 1 << 20  # bases, or keys, looked at at a time
_ACGT = np.zeros(256, dtype=bool)
_ACGT[list(BASES.encode())] = True
_CODE = np.zeros(256, dtype=np.uint8)
_CODE[list(BASES.encode())] = range(4)
_OTHERS = np.array([[code for code in range(4) if code != ref] for ref in range(4)], np.uint8)
_LETTERS = pl.Series(list(BASES))


class Sites(Protocol):
    """Where to score every SNV: an `Area`, or a `Sample` of one."""

    genome: Genome
    regions: Regions
    count: int
    bases_in: int

    def positions(self, contig: str) -> Iterator[NDArray[np.uint32]]:
        """Yield the contig's sites, 1-based and sorted, in arrays of bounded size."""
        ...


class Area:
    """All sites of regions.

    Parameters
    ----------
    genome : Genome
    regions : Regions

    Attributes
    ----------
    genome, regions
        As given.
    by_contig : dict
        Contig → number of its sites in the regions, in the reference's order.
    count : int
        Number of sites.
    bases_in : int
        bp of the merged regions; those that are no sites have another letter than A, C, G, T.
    """

    def __init__(self, genome: Genome, regions: Regions):
        self.genome = genome
        self.regions = regions
        contigs = [name for name in genome.names if name in regions]
        self.bases_in = sum(int(np.diff(regions.merged(name)).sum()) for name in contigs)
        self.by_contig = {name: self._count(name) for name in contigs}
        self.count = sum(self.by_contig.values())

    @classmethod
    def whole(cls, genome: Genome) -> Area:
        """Return all sites of a genome."""
        whole = {name: np.array([[0, length]]) for name, length in genome.lengths.items()}
        return cls(genome, Regions(whole))

    def _count(self, contig: str) -> int:
        entry = self.genome[contig]
        if self.regions.merged(contig).tolist() == [[0, entry.length]]:
            return entry.acgt
        return sum(int(np.count_nonzero(wanted)) for _, wanted in self.stretches(contig))

    def positions(self, contig: str) -> Iterator[NDArray[np.uint32]]:
        """Yield the contig's sites, 1-based and sorted, uint32, in arrays of bounded size."""
        for start, wanted in self.stretches(contig):
            yield _positions(start, np.flatnonzero(wanted))

    def stretches(self, contig: str) -> Iterator[tuple[int, NDArray[np.bool_]]]:
        """Yield 0-based starts, and which of the bases from there are sites: bool."""
        starts, ends = self.regions.merged(contig).T
        sequence = self.genome.sequence(contig)
        for chunk in range(0, len(sequence), _CHUNK):
            first = int(np.searchsorted(ends, chunk, side="right"))
            last = int(np.searchsorted(starts, chunk + _CHUNK, side="left"))
            if first == last:
                continue
            low, high = max(chunk, int(starts[first])), min(chunk + _CHUNK, int(ends[last - 1]))
            wanted = _ACGT[sequence[low:high]]
            if last - first > 1:
                wanted &= _inside(starts[first:last] - low, ends[first:last] - low, high - low)
            yield low, wanted


def _positions(start: int, offsets: NDArray[np.intp]) -> NDArray[np.uint32]:
    """Return the 1-based positions of bases so far from a 0-based start."""
    return (offsets + (start + 1)).astype(np.uint32)


def _inside(starts: NDArray[np.int64], ends: NDArray[np.int64], length: int) -> NDArray[np.bool_]:
    """Return which of `length` bases are in the intervals, none of which touch another."""
    change = np.zeros(length + 1, dtype=np.int8)
    change[np.maximum(starts, 0)] = 1
    change[np.minimum(ends, length)] = -1
    return np.cumsum(change[:-1], dtype=np.int8).astype(bool)


class Sample:
    """Random sites of an area, drawn uniformly and without replacement.

    The draw depends on the seed and on the contigs' sequences (and where the regions are in
    them), not on their names or order; contigs of one sequence count in the reference's order.

    Parameters
    ----------
    area : Area
    count : int
        0 to the number of the area's sites.
    seed : int

    Attributes
    ----------
    genome, regions
        The area's.
    count : int
        As given.
    bases_in : int
        The same: what was drawn is a site.

    Raises
    ------
    UserError
        If there are fewer sites.
    """

    def __init__(self, area: Area, count: int, seed: int):
        if count > area.count:
            raise UserError(
                f"regions.sample: {count} sites asked for, but there are only {area.count} with "
                "A, C, G or T; lower it, or leave it out to score them all"
            )
        self.genome = area.genome
        self.regions = area.regions
        self.count = self.bases_in = count
        self._area = area
        self._seed = seed
        self._largest = _largest_key(area.count, count, seed)
        self._first: dict[str, int] = {}  # contig → number of its first site among the area's
        passed = 0
        # sorted() keeps the order of contigs whose digests are equal.
        for name in sorted(area.by_contig, key=lambda name: area.genome[name].digest):
            self._first[name] = passed
            passed += area.by_contig[name]

    def positions(self, contig: str) -> Iterator[NDArray[np.uint32]]:
        """Yield the contig's sites, 1-based and sorted, uint32, in arrays of bounded size."""
        if self._largest is None:
            return
        keys = _keys(self._seed, self._first[contig])
        for start, wanted in self._area.stretches(contig):
            sites = int(np.count_nonzero(wanted))
            drawn = np.flatnonzero(keys.random_raw(sites) <= self._largest)
            # Most stretches have no other letter, and then the n-th site is the n-th base.
            if len(drawn) and sites < len(wanted):
                drawn = np.flatnonzero(wanted)[drawn]
            yield _positions(start, drawn)


def _keys(seed: int, first: int) -> np.random.PCG64DXSM:
    """Return what gives the keys of the sites from this number on."""
    return np.random.PCG64DXSM(seed).advance(first)


def _largest_key(total: int, count: int, seed: int) -> np.uint64 | None:
    """Return the largest of the `count` smallest keys of `total` sites; None for no site.

    One pass counts the keys below where that one must be and keeps those near it, about
    20·√total. (Two equal keys there would give a site too many: one draw in 2⁶⁴ / total, which
    `write` would notice.)
    """
    if count == 0:
        return None
    share = count / total
    reach = 10 * sqrt(share * (1 - share) / total) + 10 / total  # ten standard deviations
    while True:
        low, high = (int(2**64 * min(max(edge, 0), 1)) for edge in (share - reach, share + reach))
        below, near = 0, [np.empty(0, np.uint64)]
        keys = _keys(seed, 0)
        for start in range(0, total, _CHUNK):
            drawn = keys.random_raw(min(_CHUNK, total - start))
            under = drawn < np.uint64(min(low, 2**64 - 1))
            below += int(np.count_nonzero(under))
            near.append(drawn[~under & (drawn <= np.uint64(min(high, 2**64 - 1)))])
        candidates = np.concatenate(near)
        if below < count <= below + len(candidates):
            largest: np.uint64 = np.partition(candidates, count - below - 1)[count - below - 1]
            return largest
        reach *= 10


def sample_sites(genome: Genome, count: int, seed: int) -> dict[str, NDArray[np.uint32]]:
    """Draw sites of the genome, uniformly and without replacement.

    The draw depends on the seed and the contigs' sequences, not on their names or order; a
    larger one with the same seed holds the smaller one.

    Parameters
    ----------
    genome : Genome
    count : int
        0 to the number of A, C, G and T bases.
    seed : int

    Returns
    -------
    dict
        Contig name → 1-based positions, uint32, sorted; empty arrays too, in FASTA order.

    Raises
    ------
    UserError
        If there are fewer sites.
    """
    sample = Sample(Area.whole(genome), count, seed)
    nothing = np.empty(0, np.uint32)
    return {name: np.concatenate([nothing, *sample.positions(name)]) for name in genome.names}


@dataclass
class Saturation:
    """Every SNV of the sites, as a cohort's alleles.

    Attributes
    ----------
    sites : Sites
    by_contig : dict
        Contig → number of its sites that `pieces` gave.

    Raises
    ------
    UserError
        If there are more sites than one table can hold.
    """

    sites: Sites
    by_contig: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.sites.count > MAX_SITES:
            raise UserError(
                f"regions: {self.sites.count} sites, but one table can hold {MAX_SITES}; score "
                "them in several runs (regions.contigs, each with results of its own; they may "
                "share the store), or draw a sample (regions.sample)"
            )

    def pieces(self) -> Iterator[pl.DataFrame]:
        """Yield the table (`VARIANTS`), sorted, in pieces of at least `PIECE_SITES` sites."""
        held: list[pl.DataFrame] = []
        rows = done = 0
        for contig in self.sites.genome.names:
            if contig not in self.sites.regions:
                continue
            before = done
            sequence = self.sites.genome.sequence(contig)
            for positions in self.sites.positions(contig):
                for start in range(0, len(positions), PIECE_SITES):
                    part = positions[start : start + PIECE_SITES]
                    held.append(_three_snvs(contig, part, sequence[part - np.uint32(1)], done))
                    done += len(part)
                    rows += 3 * len(part)
                    if rows >= 3 * PIECE_SITES:
                        yield pl.concat(held)
                        held, rows = [], 0
            self.by_contig[contig] = done - before
        if done != self.sites.count:
            raise AssertionError(f"{done} sites written, {self.sites.count} counted")
        if held:
            yield pl.concat(held)

    def accounting(self, cohort: str, bed: Path | None) -> dict[str, Any]:
        """Return what `varlm.variants.cohort.normalise` says of a cohort, of these sites.

        To be called when `pieces` has given all. A base of the regions is three alleles; `records`
        of a contig are its sites.
        """
        accepted, alleles = 3 * self.sites.count, 3 * self.sites.bases_in
        rejected = alleles - accepted
        files = []
        if bed is not None:
            digest = sha256(bed)
            files = [{"path": str(bed), "format": "bed", "alleles": alleles, "sha256": digest}]
        return {
            "cohort": cohort,
            "files": files,
            "alleles_in": alleles,
            "accepted": accepted,
            "rejected": rejected,
            "by_reason": {"ref_not_acgt": rejected} if rejected else {},
            "sites": self.sites.count,
            "other_alleles": 0,
            "af_unreadable": 0,
            "contigs": self._contigs(),
            "contigs_without_records": [
                name for name in self.sites.genome.names if not self.by_contig.get(name)
            ],
        }

    def _contigs(self) -> list[dict[str, Any]]:
        """Return the contigs by their names in the table, then those that nothing is known of."""
        asked = self.sites.regions.names
        how = {match.contig: match.how for match in reversed(asked.values())}
        known = [(name, name, how.get(name, "same name")) for name in self.by_contig]
        unknown = [(name, None, match.how) for name, match in asked.items() if not match.contig]
        return [
            {
                "chrom": name,
                "contig": contig,
                "records": self.by_contig.get(name, 0) if contig else 0,
                "how": matched,
                "ref_checked": 0,
                "ref_mismatches": 0,
            }
            for name, contig, matched in [*known, *unknown]
        ]


def _three_snvs(
    contig: str, positions: NDArray[np.uint32], bases: NDArray[np.uint8], done: int
) -> pl.DataFrame:
    """Return the rows of sites on one contig, after `done` sites of the table."""
    sites = len(positions)
    code = _CODE[bases]
    rows = pl.DataFrame(
        {
            "pos": np.repeat(positions, 3),
            "ref": _LETTERS.gather(np.repeat(code, 3)),
            "alt": _LETTERS.gather(_OTHERS[code].ravel()),
            "record": np.repeat(np.arange(done, done + sites, dtype=np.uint32), 3),
            "allele": np.tile(np.array([1, 2, 3], np.uint16), sites),
        }
    )
    return rows.select(
        pl.lit(contig).alias("chrom"),
        pl.lit(contig).alias("contig"),
        "pos",
        pl.lit(None, pl.String).alias("id"),
        "ref",
        "alt",
        pl.col("pos").alias("input_pos"),
        pl.col("ref").alias("input_ref"),
        pl.col("alt").alias("input_alt"),
        pl.lit("snv").alias("kind"),
        pl.lit(None, pl.Float32).alias("af"),
        pl.lit(0, pl.UInt16).alias("file"),
        "record",
        "allele",
    ).select(VARIANTS.names)

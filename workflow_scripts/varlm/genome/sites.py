"""Sites of regions or of a whole genome, all of them or a random sample."""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from varlm.errors import UserError
from varlm.genome.bases import IS_ACGT
from varlm.genome.reference import Genome
from varlm.genome.regions import Regions

_CHUNK = 1 << 20  # bases, or keys, looked at at a time


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
        return sum(int(np.count_nonzero(is_site)) for _, is_site in self.stretches(contig))

    def positions(self, contig: str) -> Iterator[NDArray[np.uint32]]:
        """Yield the contig's sites, 1-based and sorted, uint32, in arrays of bounded size."""
        for start, is_site in self.stretches(contig):
            yield _positions(start, np.flatnonzero(is_site))

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
            is_site = IS_ACGT[sequence[low:high]]
            if last - first > 1:
                is_site &= _inside(starts[first:last] - low, ends[first:last] - low, high - low)
            yield low, is_site


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
        for start, is_site in self._area.stretches(contig):
            sites = int(np.count_nonzero(is_site))
            drawn = np.flatnonzero(keys.random_raw(sites) <= self._largest)
            # Most stretches have no other letter, and then the n-th site is the n-th base.
            if len(drawn) and sites < len(is_site):
                drawn = np.flatnonzero(is_site)[drawn]
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

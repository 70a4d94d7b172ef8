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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.errors import UserError
from varlm.files.whole import sha256
from varlm.genome.bases import BASES, CODES
from varlm.genome.sites import Sites
from varlm.tables.schemas import VARIANTS
from varlm.variants.accounting import AccountedContig, AccountedFile, Accounting

log = logging.getLogger(__name__)

PIECE_SITES = 100_000  # sites in a piece of the table, at least: three rows each
# A record's number has 32 bits, and so has a row's in Polars, but for its 64-bit build.
MAX_SITES = 2**32 - 1 if pl.get_index_type() == pl.UInt64 else (2**32 - 1) // 3

_OTHERS = np.array([[code for code in range(4) if code != ref] for ref in range(4)], np.uint8)
_LETTERS = pl.Series(list(BASES))

# Sites of one contig: its name, positions (1-based), letters of the reference there.
_Part = tuple[str, NDArray[np.uint32], NDArray[np.uint8]]


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
        held: list[_Part] = []
        done = first = 0  # sites given, and those before `held`
        for contig in self.sites.genome.names:
            if contig not in self.sites.regions:
                continue
            before = done
            sequence = self.sites.genome.sequence(contig)
            for positions in self.sites.positions(contig):
                for start in range(0, len(positions), PIECE_SITES):
                    part = positions[start : start + PIECE_SITES]
                    held.append((contig, part, sequence[part - np.uint32(1)]))
                    done += len(part)
                    if done - first >= PIECE_SITES:
                        yield _three_snvs(held, first)
                        held, first = [], done
            self.by_contig[contig] = done - before
        if done != self.sites.count:
            raise AssertionError(f"{done} sites written, {self.sites.count} counted")
        if held:
            yield _three_snvs(held, first)

    def accounting(self, cohort: str, bed: Path | None) -> Accounting:
        """Return what `varlm.variants.cohort.normalise` says of a cohort, of these sites.

        To be called when `pieces` has given all. A base of the regions is three alleles; `records`
        of a contig are its sites.
        """
        accepted, alleles = 3 * self.sites.count, 3 * self.sites.bases_in
        rejected = alleles - accepted
        files: tuple[AccountedFile, ...] = ()
        if bed is not None:
            files = (
                AccountedFile(path=str(bed), format="bed", alleles=alleles, sha256=sha256(bed)),
            )
        return Accounting(
            cohort=cohort,
            files=files,
            alleles_in=alleles,
            accepted=accepted,
            rejected=rejected,
            by_reason={"ref_not_acgt": rejected} if rejected else {},
            sites=self.sites.count,
            other_alleles=0,
            af_unreadable=0,
            contigs=self._contigs(),
            contigs_without_records=tuple(
                name for name in self.sites.genome.names if not self.by_contig.get(name)
            ),
        )

    def _contigs(self) -> tuple[AccountedContig, ...]:
        """Return the contigs by their names in the table, then those that nothing is known of."""
        asked = self.sites.regions.names
        how = {match.contig: match.how for match in reversed(asked.values())}
        known = [(name, name, how.get(name, "same name")) for name in self.by_contig]
        unknown = [(name, None, match.how) for name, match in asked.items() if not match.contig]
        return tuple(
            AccountedContig(
                chrom=name,
                contig=contig,
                records=self.by_contig.get(name, 0) if contig else 0,
                how=matched,
                ref_checked=0,
                ref_mismatches=0,
            )
            for name, contig, matched in [*known, *unknown]
        )


def _three_snvs(parts: Sequence[_Part], done: int) -> pl.DataFrame:
    """Return the rows of sites, after `done` sites of the table; 100,000 contigs in one go."""
    positions = np.concatenate([part for _, part, _ in parts])
    bases = np.concatenate([letters for _, _, letters in parts])
    counts = [len(part) for _, part, _ in parts]
    names = pl.Series("contig", [contig for contig, _, _ in parts], pl.String)
    sites = len(positions)
    code = CODES[bases]
    rows = pl.DataFrame(
        {
            "contig": names.gather(np.repeat(np.arange(len(parts)), 3 * np.array(counts))),
            "pos": np.repeat(positions, 3),
            "ref": _LETTERS.gather(np.repeat(code, 3)),
            "alt": _LETTERS.gather(_OTHERS[code].ravel()),
            "record": np.repeat(np.arange(done, done + sites, dtype=np.uint32), 3),
            "allele": np.tile(np.array([1, 2, 3], np.uint16), sites),
        }
    )
    return rows.select(
        pl.col("contig").alias("chrom"),
        "contig",
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

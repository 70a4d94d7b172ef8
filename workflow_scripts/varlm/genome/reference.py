"""The reference: any FASTA → one encoded genome that every later step maps into memory.

The encoded genome is itself a FASTA, `genome.fa`: one line a contig, upper case, one ASCII byte
a base, with its own `.fai`. Base `start` (0-based) of a contig is the byte at
`offset + start`; nothing is copied to read a window, and `bcftools` reads the same file.
A FASTA's own `.fai` and `.gzi` are never used: a stale one returns wrong bases without an error.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from varlm.errors import UserError
from varlm.genome.circular import CircularContigs, circular_digest
from varlm.tables.parquet import read_table
from varlm.tables.schemas import CONTIGS


@dataclass(frozen=True)
class Contig:
    """One contig: name, length in bp, byte offset in genome.fa, refget digest, A/C/G/T count.

    Where it is `circular`, windows go on over its origin.
    """

    contig: str
    length: int
    offset: int
    digest: str
    acgt: int
    circular: bool = False

    @property
    def stored_as(self) -> str:
        """The name of its scores in the store: the digest, marked where the contig is circular."""
        return circular_digest(self.digest) if self.circular else self.digest


class Genome:
    """The encoded genome of a `reference/` folder.

    Attributes
    ----------
    folder, fasta : Path
        The folder, and the `genome.fa` in it.
    contigs : polars.DataFrame
        `varlm.tables.schemas.CONTIGS`, in FASTA order.
    circular : dict
        Circular contig → what calls it so, in words; in FASTA order.
    """

    def __init__(
        self, folder: Path, contigs: pl.DataFrame, data: np.ndarray, circular: Mapping[str, str]
    ):
        self.folder = folder
        self.fasta = folder / "genome.fa"
        self.contigs = contigs
        self._data = data
        self._verified: set[str] = set()
        self._by_name = {
            row["contig"]: Contig(**row, circular=row["contig"] in circular)
            for row in contigs.iter_rows(named=True)
        }
        # A list of before the FASTA was changed may name others.
        self.circular = {name: circular[name] for name in self._by_name if name in circular}

    @classmethod
    def open(cls, folder: Path) -> Genome:
        """Map the genome that `index_reference` wrote into `folder`.

        Contigs are circular that `find_circular` found so; none in a folder that it never saw.

        Raises
        ------
        UserError
            If a file is missing, or `genome.fa` is not as long as `contigs.parquet` says.
        """
        fasta, table = folder / "genome.fa", folder / "contigs.parquet"
        for path in (fasta, table):
            if not path.exists():
                raise UserError(f"{path}: not found; run the step index_reference first")
        contigs = read_table(table, CONTIGS)
        end = contigs.select((pl.col("offset") + pl.col("length")).max()).item()
        size = fasta.stat().st_size
        if size != end + 1:  # one line feed closes the file
            raise UserError(
                f"{fasta}: {size} bytes, but contigs.parquet beside it expects {end + 1}; "
                "delete the folder and run index_reference again"
            )
        circular = CircularContigs.of_folder(folder).contigs
        return cls(folder, contigs, np.memmap(fasta, dtype=np.uint8, mode="r"), circular)

    @property
    def names(self) -> list[str]:
        """Contig names in FASTA order."""
        return list(self._by_name)

    @property
    def stored_as(self) -> list[str]:
        """Names of the contigs' scores in the store, in FASTA order."""
        return [contig.stored_as for contig in self._by_name.values()]

    @property
    def lengths(self) -> dict[str, int]:
        """Contig → length in bp, in FASTA order."""
        return dict(self.contigs.select("contig", "length").iter_rows())

    def __contains__(self, contig: str) -> bool:
        return contig in self._by_name

    def __getitem__(self, contig: str) -> Contig:
        return self._by_name[contig]

    def sequence(self, contig: str) -> np.ndarray:
        """Return the contig as a read-only view: uint8 ASCII, shape (length,), upper case.

        Raises
        ------
        UserError
            If it is not the sequence that `index_reference` wrote: scores would be stored under
            the digest of another one.
        """
        entry = self._by_name[contig]
        sequence = self._data[entry.offset : entry.offset + entry.length]
        if contig not in self._verified:
            digest = refget_digest(hashlib.sha512(sequence.data))
            if digest != entry.digest:
                raise UserError(
                    f"{self.fasta}: the sequence of contig {contig!r} changed since "
                    f"index_reference wrote it (digest {digest}, expected {entry.digest}); delete "
                    "the folder and run the workflow again"
                )
            self._verified.add(contig)
        return sequence


def refget_digest(sha512: hashlib._Hash) -> str:
    """Return the GA4GH refget digest SQ.… (sha512t24u) of a hashed sequence."""
    return "SQ." + base64.urlsafe_b64encode(sha512.digest()[:24]).decode()

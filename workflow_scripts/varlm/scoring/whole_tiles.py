"""Dense scoring is planned by tiles: one pass answers all positions of one, wanted or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.genome.bases import IS_ACGT
from varlm.genome.reference import Genome
from varlm.genome.tiles import Tiles
from varlm.store import ALLELE_KEY, KINDS, Store
from varlm.tables.schemas import SHARD


@dataclass
class WholeTiles:
    """Makes the rows that ask for sites ask for all that their tiles answer.

    Attributes
    ----------
    tiles : Tiles
    genome : Genome
    store : Store
    key : str
        Of the model, in the store.
    beyond : int
        Sites so far that nobody had asked for.
    """

    tiles: Tiles
    genome: Genome
    store: Store
    key: str
    beyond: int = 0

    def of(self, rows: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        """Yield the rows with the other sites of their tiles that the store lacks.

        Parameters
        ----------
        rows : iterator of polars.DataFrame
            Of `SHARD`, in genome order, each once. Indels and MNVs go by as they are.
        """
        last: tuple[str, int] = "", -1  # the tile that the piece before ended with
        for piece in rows:
            is_site = pl.col("ref").is_null()
            asked = piece.filter(is_site)
            numbers: dict[str, NDArray[np.int64]] = {}
            for (contig,), part in asked.group_by("contig", maintain_order=True):
                mine = np.unique(self.tiles.of(part["pos"].to_numpy().astype(np.int64) - 1))
                first = 1 if (contig, mine[0]) == last else 0
                last = str(contig), int(mine[-1])
                numbers[str(contig)] = mine[first:]
            sites = self._unknown(self._sites(numbers))
            self.beyond += sites.height - asked.height
            order = pl.Enum(list(dict.fromkeys(piece["contig"])))
            whole = pl.concat([sites, piece.filter(~is_site)])
            if whole.height:
                yield whole.sort(pl.col("contig").cast(order), *ALLELE_KEY)

    def _sites(self, numbers: dict[str, NDArray[np.int64]]) -> pl.DataFrame:
        """Return rows that ask for the A, C, G, T of tiles: contig → their numbers."""
        frames = [pl.DataFrame(schema=dict(SHARD.schema))]
        for contig, mine in numbers.items():
            sequence = self.genome.sequence(contig)
            spans = self.tiles.spans(mine, len(sequence))
            lengths = np.diff(spans).ravel()
            within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
            positions = np.repeat(spans[:, 0], lengths) + within
            pos = (positions[IS_ACGT[sequence[positions]]] + 1).astype(np.uint32)
            columns = {"contig": contig, "pos": pos, "ref": None, "alt": None}
            frames.append(pl.DataFrame(columns, schema=dict(SHARD.schema)))
        return pl.concat(frames)

    def _unknown(self, sites: pl.DataFrame) -> pl.DataFrame:
        """Return the rows that the store lacks."""
        contigs = sites["contig"].unique()
        if len(contigs) == 1:
            digest = self.genome[contigs[0]].stored_as
            return sites.filter(~self.store.has_sites(self.key, digest, sites["pos"].to_numpy()))
        digests = [self.genome[contig].stored_as for contig in contigs]
        keys = sites.select(pl.col("contig").replace_strict(contigs, digests), "pos")
        return sites.filter(~self.store.has(self.key, KINDS["sites"], keys))

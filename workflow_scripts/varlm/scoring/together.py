"""Small contigs planned together: 100,000 scaffolds take as many steps as their rows need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import polars as pl

from varlm.genome.reference import Genome
from varlm.store import ALLELE_KEY, KINDS, Store
from varlm.store.layout import SMALL
from varlm.tables.schemas import SHARD


def batches(
    contigs: Iterable[str], rows_on: Callable[[str], int], rows: int
) -> Iterator[list[str]]:
    """Yield neighbouring contigs with so many rows together at most, or one; none without rows.

    A contig of `SMALL` rows is alone: the work for it is for its rows.
    """
    batch: list[str] = []
    held = 0
    for contig in contigs:
        count = rows_on(contig)
        if count >= SMALL or held + count > rows:
            if batch:
                yield batch
            batch, held = [], 0
        if count >= SMALL:
            yield [contig]
        elif count:
            batch.append(contig)
            held += count
    if batch:
        yield batch


class Repeats:
    """What was asked of sequences that are several contigs: they have one score in the store.

    Parameters
    ----------
    genome : Genome
    """

    def __init__(self, genome: Genome):
        digests = Counter(genome.stored_as)
        self._repeated = pl.Series(
            [digest for digest, count in digests.items() if count > 1], dtype=pl.String()
        )
        schema = {"digest": pl.String(), **{name: SHARD.schema[name] for name in ALLELE_KEY}}
        self._asked = pl.DataFrame(schema=schema)

    def less_asked(self, rows: pl.DataFrame, digests: pl.Series) -> pl.DataFrame:
        """Return the rows that are asked for the first time; their order is kept.

        Parameters
        ----------
        rows : polars.DataFrame
            With `pos`, `ref` and `alt`.
        digests : polars.Series
            The digest of each row's contig.
        """
        repeated = digests.is_in(self._repeated.implode())
        if not repeated.any():
            return rows
        keys = rows.select(digests.alias("digest"), *ALLELE_KEY).with_row_index("row")
        keys = keys.filter(repeated)
        first = keys.unique(self._asked.columns, keep="first").join(
            self._asked, on=self._asked.columns, how="anti", nulls_equal=True
        )
        self._asked = pl.concat([self._asked, first.select(self._asked.columns)])
        again = keys.join(first, on="row", how="anti")
        return (
            rows.with_row_index("row")
            .join(again, on="row", how="anti", maintain_order="left")
            .drop("row")
        )


def unknown_of_many(rows: pl.DataFrame, store: Store, key: str, digests: pl.Series) -> pl.DataFrame:
    """Return the rows, sites and alleles, that the store does not hold; their order is kept.

    Parameters
    ----------
    rows : polars.DataFrame
        `contig` (an enumeration of the contigs), `pos`, `ref`, `alt`.
    store : Store
    key : str
        Model key.
    digests : polars.Series
        The contigs' digests, in the enumeration's order.
    """
    keys = rows.with_columns(contig=digests.gather(rows["contig"].to_physical()))
    site = rows["ref"].is_null().to_numpy()
    known = np.zeros(rows.height, dtype=bool)
    for kind, mine in (("sites", site), ("alleles", ~site)):
        if mine.any():
            asked = keys.filter(mine).select(KINDS[kind].packed.key)
            known[mine] = store.has(key, KINDS[kind], asked)
    return rows.filter(~known)

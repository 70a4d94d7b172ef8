"""The accepted alleles of a cohort, held by contig until all are there, and then in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from varlm.tables.schemas import VARIANTS

# Contigs in one table of alleles beyond which it is kept whole: a table each takes 25 kB and 1 ms.
MANY = 50
_ORDER = ("pos", "ref", "alt", "file", "record", "allele")  # of a contig's alleles


@dataclass
class AcceptedAlleles:
    """Tables of alleles, their columns those of `schemas.VARIANTS`; `code` in place of `contig`.

    `code` is the contig's index in the reference; `chrom` and `kind` may be categories.
    """

    _of_contig: dict[int, list[pl.DataFrame]] = field(default_factory=dict)
    _of_many: list[pl.DataFrame] = field(default_factory=list)

    def add(self, alleles: pl.DataFrame) -> None:
        """Take some alleles, in any order."""
        if alleles["code"].n_unique() > MANY:
            self._of_many.append(alleles)
            return
        tables = alleles.partition_by("code", include_key=False, as_dict=True)
        for (code,), table in tables.items():
            self._of_contig.setdefault(code, []).append(table)

    def take_all(self, contigs: Sequence[str]) -> pl.DataFrame:
        """Return all as `schemas.VARIANTS`, in the order of `design.md`; none is left here.

        Contig by contig, so that no second copy of the whole table is in memory; contigs of few
        alleles together.

        Parameters
        ----------
        contigs : sequence of str
            The reference's, in order.
        """
        mixed = self._mixed()
        codes, names = mixed["code"], pl.Series("contig", contigs, dtype=pl.String)
        tables = []
        at = 0
        for code in [*sorted(self._of_contig), len(names)]:
            low, at = at, int(codes.search_sorted(code))
            if low < at:
                tables.append(_as_variants(mixed[low:at], names.gather(codes[low:at])))
            if code < len(names):
                table = pl.concat(self._of_contig.pop(code)).sort(_ORDER)
                tables.append(_as_variants(table, pl.lit(names[code]).alias("contig")))
        return pl.concat(tables) if tables else pl.DataFrame(schema=VARIANTS.schema)

    def _mixed(self) -> pl.DataFrame:
        """Return the tables of many contigs as one, sorted, with all alleles of these contigs."""
        tables, self._of_many = self._of_many, []
        if not tables:
            return pl.DataFrame(schema={"code": pl.Int32})
        codes = set(pl.concat(table["code"].unique() for table in tables).to_list())
        for code in codes & self._of_contig.keys():
            for table in self._of_contig.pop(code):
                numbered = table.with_columns(pl.lit(code, pl.Int32).alias("code"))
                tables.append(numbered.select(tables[0].columns))
        return pl.concat(tables).sort("code", *_ORDER)


def _as_variants(table: pl.DataFrame, contig: pl.Expr | pl.Series) -> pl.DataFrame:
    return table.select(
        pl.col("chrom").cast(pl.String),
        contig,
        *VARIANTS.names[2:9],
        pl.col("kind").cast(pl.String),
        *VARIANTS.names[10:],
    )

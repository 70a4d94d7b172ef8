"""The check between scoring and the store: every planned row exactly once, every value finite."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from varlm.errors import UserError
from varlm.tables.parquet import read_table
from varlm.tables.schemas import ALLELES, LOGIT_COLUMNS, SHARD, SITES


def checked_scores(
    shard: Path, sites: Path, alleles: Path, strands: str
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the site and allele scores of a shard, after the check.

    Parameters
    ----------
    shard, sites, alleles : Path
        The planned rows (`SHARD`) and their scores (`SITES`, `ALLELES`).
    strands : str
        The reverse strand's columns may hold nulls if it is `forward`.

    Raises
    ------
    UserError
        If a planned row has no score, a score was not planned, a row comes twice, or a value
        is missing, NaN or infinite.
    """
    planned = read_table(shard, SHARD)
    rows = {}
    for kind, path, table, values in (
        ("sites", sites, SITES, LOGIT_COLUMNS),
        ("alleles", alleles, ALLELES, ("llr_fwd", "llr_rev")),
    ):
        scored = read_table(path, table)
        by = ["contig", "pos"] + (["ref", "alt"] if kind == "alleles" else [])
        is_site = pl.col("ref").is_null()
        expected = planned.filter(is_site if kind == "sites" else ~is_site).select(by).sort(by)
        if not expected.equals(scored.select(by).sort(by)):
            raise UserError(
                f"{path}: {scored.height} scored {kind}, {expected.height} planned in {shard}, "
                "or other ones; delete both files and run the workflow again"
            )
        reverse = [name for name in values if "rev" in name]
        needed = [name for name in values if strands != "forward" or name not in reverse]
        finite = pl.all_horizontal(pl.col(n).is_finite().fill_null(value=False) for n in needed)
        bad = scored.filter(~finite)
        if bad.height:
            where = f"{bad['contig'][0]}:{bad['pos'][0]}"
            raise UserError(
                f"{path}: {bad.height} {kind} without a finite score, the first at {where}; "
                "nothing was stored: delete the file and run the workflow again"
            )
        rows[kind] = scored
    return rows["sites"], rows["alleles"]

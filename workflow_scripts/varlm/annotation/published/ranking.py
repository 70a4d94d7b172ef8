"""A table's scores at random sites of the genome: the background of their percentiles."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl

from varlm.annotation.published.joining import ROWS, Joiner
from varlm.annotation.published.tables import opened
from varlm.annotation.published.values import score_table
from varlm.errors import first_few
from varlm.files.json_record import JsonRecord
from varlm.genome.bases import BASES, CODES
from varlm.genome.contig_names import ContigNames
from varlm.genome.reference import Genome
from varlm.run.score_tables import ScoreTable
from varlm.scoring import background
from varlm.tables.parquet import Column, Table, write_table
from varlm.variants.options import NormaliseOptions

log = logging.getLogger(__name__)

LEAST_SHARE = 0.9  # of the background's SNVs that a table must have for a percentile

_KEY = (
    Column("contig", pl.String(), "contig, as the reference names it"),
    Column("pos", pl.UInt32(), "1-based position"),
    Column("ref", pl.String(), "base of the reference"),
    Column("alt", pl.String(), "another base"),
)


@dataclass(frozen=True, kw_only=True)
class ScoreRanking(JsonRecord):
    """How much of the background a table of scores has: `background/scores/{NAME}.json`.

    Attributes
    ----------
    table, path : str
    alleles : int
        SNVs of the background.
    shares : dict
        Column with a harmful end → share of those SNVs that have a value, 0 to 1.
    least_share : float
        What the share must be for a percentile.
    ranked : tuple of str
        Columns that have one.
    """

    MADE_BY: ClassVar[str] = "rank_scores"

    table: str
    path: str
    alleles: int
    shares: dict[str, float]
    least_share: float
    ranked: tuple[str, ...]


def background_table(table: ScoreTable) -> Table:
    """Return the schema of `background/scores/{NAME}.parquet`: key, and a column a ranked score."""
    return Table("score_background", (*_KEY, *score_table(_scores(table)).columns))


def rank_scores(
    genome: Genome,
    aliases: Path | None,
    table: ScoreTable,
    sites: int,
    path: Path,
    max_ref_mismatch: float = NormaliseOptions.max_ref_mismatch,
) -> ScoreRanking:
    """Write a table's scores of the background's SNVs; return how many it has.

    Of a column that has fewer than `LEAST_SHARE` of them, all are null; the file has no rows if
    that is so of every column.

    Parameters
    ----------
    genome : Genome
    aliases : Path or None
        Other names of contigs.
    table : ScoreTable
    sites : int
        Random sites of the background; 0: none.
    path : Path
        The output.
    max_ref_mismatch : float
        The share of wrong REFs that is allowed (`normalise.max_ref_mismatch`).

    Raises
    ------
    UserError
        As `joining.join_scores` does.
    """
    scores = _scores(table)
    schema = background_table(table)
    path.parent.mkdir(parents=True, exist_ok=True)
    snvs = _snvs(background.choose(genome, sites)) if sites else schema.empty()[:, :4]
    names = score_table(scores).names
    columns = [snvs.clear().select(pl.lit(None, dtype=schema.schema[n]).alias(n) for n in names)]
    if snvs.height and scores.columns:
        columns = [*_looked_up(snvs, genome, aliases, scores, path.parent, max_ref_mismatch)]
    values = pl.concat(columns)
    shares = {n: values[n].count() / snvs.height if snvs.height else 0.0 for n in names}
    ranked = tuple(name for name in names if shares[name] >= LEAST_SHARE)
    lacking = [pl.lit(None, dtype=schema.schema[n]).alias(n) for n in names if n not in ranked]
    rows = snvs.with_columns(values).with_columns(lacking) if ranked else schema.empty()
    write_table(rows.select(schema.names), path, schema)
    _log_shares(table, shares, ranked)
    return ScoreRanking(
        table=table.name,
        path=table.path,
        alleles=snvs.height,
        shares=shares,
        least_share=LEAST_SHARE,
        ranked=ranked,
    )


def _scores(table: ScoreTable) -> ScoreTable:
    """Return the table with the columns alone that are scores: with a harmful end."""
    columns = (column for column in table.columns if column.harmful is not None)
    return replace(table, columns=tuple(columns))


def _looked_up(
    snvs: pl.DataFrame,
    genome: Genome,
    aliases: Path | None,
    scores: ScoreTable,
    folder: Path,
    max_ref_mismatch: float,
) -> Iterator[pl.DataFrame]:
    """Yield the scores of SNVs, in pieces."""
    with tempfile.TemporaryDirectory(prefix=".rank_scores.scratch.", dir=folder) as scratch:
        source = opened(scores, ContigNames.of(genome.lengths, aliases), Path(scratch))
        joiner = Joiner(scores, source, genome, max_ref_mismatch)
        for start in range(0, snvs.height, ROWS):
            yield joiner.columns(snvs[start : start + ROWS])


def _snvs(chosen: background.Background) -> pl.DataFrame:
    """Return the three SNVs of each site of a background, sorted, in the reference's order."""
    genome = chosen.genome
    letters = np.array(list(BASES))
    frames = []
    for contig, positions in chosen.sites.items():
        ref = CODES[genome.sequence(contig)[positions.astype(np.int64) - 1]].astype(np.int64)
        alts = np.array([[alt for alt in range(4) if alt != base] for base in range(4)])[ref]
        frames.append(
            pl.DataFrame(
                {
                    "contig": pl.repeat(contig, 3 * len(ref), eager=True, dtype=pl.String()),
                    "pos": np.repeat(positions, 3),
                    "ref": letters[np.repeat(ref, 3)],
                    "alt": letters[alts.ravel()],
                },
                schema={column.name: column.dtype for column in _KEY},
            )
        )
    return pl.concat(frames)


def _log_shares(table: ScoreTable, shares: dict[str, float], ranked: Sequence[str]) -> None:
    shown = (f"{name} {100 * share:.1f} %" for name, share in shares.items())
    log.info("%s: of the background's SNVs: %s", table.name, first_few(shown, 20) or "none asked")
    lacking = [name for name in shares if name not in ranked]
    if lacking:
        log.info(
            "%s: no percentile of %s: it needs %g %% of random SNVs of the genome",
            *(table.name, first_few(lacking), 100 * LEAST_SHARE),
        )

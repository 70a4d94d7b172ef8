"""A cohort's alleles and a table → its columns, row for row as the alleles."""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl

from varlm import __version__
from varlm.annotation.published.assembly import check_assembly, foreign_contigs
from varlm.annotation.published.rows import Checked, matched
from varlm.annotation.published.tables import OpenTable, opened
from varlm.annotation.published.values import score_table, typed
from varlm.annotation.published.wanted import Wanted, wanted_on
from varlm.errors import first_few
from varlm.files.json_record import JsonRecord
from varlm.files.whole import write_digest
from varlm.genome.contig_names import ContigNames
from varlm.genome.reference import Genome
from varlm.run.score_tables import ScoreTable
from varlm.tables.parquet import meanings, scan_table, write_pieces
from varlm.tables.schemas import VARIANTS
from varlm.variants.options import NormaliseOptions

log = logging.getLogger(__name__)

ROWS = 200_000  # alleles in a piece: the bound on memory


@dataclass(frozen=True, kw_only=True)
class ScoreJoin(JsonRecord):
    """What became of a cohort's alleles in a table of scores: `scores/{NAME}.json`.

    `alleles` = `matched` + `not_matched` + `on_lacking_contigs`.

    Attributes
    ----------
    table, path : str
        The table's name and its file.
    alleles : int
    matched : int
        Alleles of which the table has a row, be it without a value.
    not_matched : int
        Alleles that the table has not, though it has their contig.
    on_lacking_contigs : int
        Alleles on contigs that the table has not.
    lacking_contigs : tuple of str
        Those contigs, as the reference names them.
    values : dict
        Column → alleles that have a value.
    rows_read : int
        Rows of the table that were looked at.
    refs_checked, refs_wrong : int
        Rows at the alleles' places whose REF was compared; those of them whose REF the reference
        does not have there.
    seconds : float
    """

    MADE_BY: ClassVar[str] = "join_scores"

    table: str
    path: str
    alleles: int
    matched: int
    not_matched: int
    on_lacking_contigs: int
    lacking_contigs: tuple[str, ...]
    values: dict[str, int]
    rows_read: int
    refs_checked: int
    refs_wrong: int
    seconds: float


@dataclass
class Joiner:
    """Looks alleles up in a table, piece by piece, and counts.

    Attributes
    ----------
    table : ScoreTable
    source : OpenTable
    genome : Genome
    max_ref_mismatch : float
        The share of wrong REFs that is allowed (`normalise.max_ref_mismatch`).
    checked : Checked
    alleles, matched, lacking : int
        So far.
    lacking_contigs : dict
        Contigs that the table has not, in the order of their alleles.
    values : dict
        Column → alleles with a value, so far.
    """

    table: ScoreTable
    source: OpenTable
    genome: Genome
    max_ref_mismatch: float = NormaliseOptions.max_ref_mismatch
    checked: Checked = field(default_factory=Checked)
    alleles: int = 0
    matched: int = 0
    lacking: int = 0
    lacking_contigs: dict[str, None] = field(default_factory=dict)
    values: dict[str, int] = field(default_factory=dict)

    def columns(self, alleles: pl.DataFrame) -> pl.DataFrame:
        """Return the table's columns for alleles.

        Parameters
        ----------
        alleles : polars.DataFrame
            `contig`, `pos`, `ref`, `alt`, normalised; the rows of a contig together, sorted by
            position.

        Raises
        ------
        UserError
            If a value is not of its declared type, or the table is of another assembly.
        """
        rows = pl.concat([*self._matched(alleles)], how="vertical_relaxed")
        check_assembly(self.table, self.checked, self.genome, self.max_ref_mismatch)
        rows = self._without_foreign(rows, alleles)
        self.alleles += alleles.height
        self.matched += rows["row"].n_unique()
        source = self.source.source
        columns = typed(rows, self.table, source.separator, alleles.height, self.table.path)
        for column in columns:
            self.values[column.name] = self.values.get(column.name, 0) + column.count()
        return pl.DataFrame(columns)

    def _without_foreign(self, rows: pl.DataFrame, alleles: pl.DataFrame) -> pl.DataFrame:
        """Leave out contigs that are found to be another sequence: they count as lacking."""
        foreign = foreign_contigs(self.checked, self.max_ref_mismatch) - self.lacking_contigs.keys()
        for contig in sorted(foreign):
            refs, wrong = self.checked.by_contig[contig]
            log.warning(
                "%s: %d of %d rows of contig %r in %s have a REF that the reference does not have "
                "there: it is another sequence, and its rows are left out",
                *(self.table.name, wrong, refs, contig, self.table.path),
            )
            self.lacking += int((alleles["contig"] == contig).sum())
            self.lacking_contigs[contig] = None
        return rows.filter(~pl.col("contig").is_in(list(foreign)))

    def _matched(self, alleles: pl.DataFrame) -> Iterator[pl.DataFrame]:
        """Yield the table's rows that are alleles', in its order, with their contig."""
        wanted = self._wanted(alleles)
        source = self.source.source
        values = [f"value_{index}" for index in range(len(self.table.columns))]
        key = {"contig": pl.String(), "pos": pl.Int64(), "row": pl.UInt32()}
        nothing = pl.DataFrame(schema={**key, **dict.fromkeys(values, pl.String())})
        is_empty = True
        for name, rows in source.rows(wanted) if wanted else ():
            places = wanted[name]
            found = matched(rows, places, self.checked, by_span=source.by_span)
            if found.height:
                is_empty = False
                contig = pl.lit(places.contig).alias("contig")
                yield found.select(contig, "pos", "row", *values)
        if is_empty:
            yield nothing

    def _wanted(self, alleles: pl.DataFrame) -> dict[str, Wanted]:
        """Return the table's contig → what to ask it for; count what it has no contig of."""
        wanted = {}
        numbered = alleles.select("contig", "pos", "ref", "alt").with_row_index("row")
        parts = numbered.partition_by("contig", as_dict=True, include_key=False)
        for (contig,), part in parts.items():
            name = str(contig)
            if name in self.source.contigs and name not in self.lacking_contigs:
                sequence = self.genome.sequence(name).view(np.ndarray)
                wanted[self.source.contigs[name]] = wanted_on(name, sequence, part)
            else:
                self.lacking += part.height
                self.lacking_contigs[name] = None
        return wanted


def join_scores(
    variants: Path,
    genome: Genome,
    aliases: Path | None,
    table: ScoreTable,
    path: Path,
    max_ref_mismatch: float = NormaliseOptions.max_ref_mismatch,
) -> ScoreJoin:
    """Write `scores/{NAME}.parquet` of a cohort and its digest; return what became of its alleles.

    Parameters
    ----------
    variants : Path
        `schemas.VARIANTS`.
    genome : Genome
    aliases : Path or None
        Other names of contigs.
    table : ScoreTable
    path : Path
        The output.
    max_ref_mismatch : float
        As of `Joiner`.

    Raises
    ------
    UserError
        If the table cannot be read, lacks a column, is of another assembly, has no contig of the
        reference, or a value that is not of its declared type.
    """
    started = time.monotonic()
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.scratch.", dir=path.parent) as scratch:
        source = opened(table, ContigNames.of(genome.lengths, aliases), Path(scratch))
        joiner = Joiner(table, source, genome, max_ref_mismatch)
        schema = score_table(table)
        metadata = {"varlm": __version__, **meanings(schema)}
        write_pieces((joiner.columns(piece) for piece in _pieces(variants)), path, schema, metadata)
    write_digest(path)
    record = _record(joiner, time.monotonic() - started)
    _log_outcome(record, joiner)
    return record


def _pieces(variants: Path) -> Iterator[pl.DataFrame]:
    keys = scan_table(variants, VARIANTS).select("contig", "pos", "ref", "alt")
    total = int(keys.select(pl.len()).collect().item())
    for start in range(0, total, ROWS):
        yield keys.slice(start, ROWS).collect(engine="in-memory")


def _record(joiner: Joiner, seconds: float) -> ScoreJoin:
    return ScoreJoin(
        table=joiner.table.name,
        path=joiner.table.path,
        alleles=joiner.alleles,
        matched=joiner.matched,
        not_matched=joiner.alleles - joiner.matched - joiner.lacking,
        on_lacking_contigs=joiner.lacking,
        lacking_contigs=tuple(joiner.lacking_contigs),
        values={name: joiner.values.get(name, 0) for name in score_table(joiner.table).names},
        rows_read=joiner.checked.rows,
        refs_checked=joiner.checked.refs,
        refs_wrong=joiner.checked.wrong,
        seconds=round(seconds, 2),
    )


def _log_outcome(record: ScoreJoin, joiner: Joiner) -> None:
    log.info(
        "%s: %d of %d alleles have a row, %d have none, %d are on contigs that it lacks (%s)",
        *(record.table, record.matched, record.alleles, record.not_matched),
        *(record.on_lacking_contigs, first_few(record.lacking_contigs) or "none"),
    )
    if record.refs_wrong:
        contig, pos, ref = joiner.checked.examples[0]
        log.warning(
            "%s: %d of %d rows of %s at the alleles' places have a REF that the reference does "
            "not have there, the first at %s:%d (REF %s); they are no allele's",
            *(record.table, record.refs_wrong, record.refs_checked, record.path),
            *(contig, pos, ref[:20]),
        )
    if record.alleles and not record.matched:
        log.warning("%s: no allele of the cohort has a row in %s", record.table, record.path)


def _remove_leftovers(path: Path) -> None:
    """Remove scratch folders of earlier runs that were killed."""
    for folder in path.parent.glob(f".{path.name}.scratch.*"):
        shutil.rmtree(folder, ignore_errors=True)

"""A probe's table: labelled sequences, intervals or variants, each checked, none lost unseen.

A row that makes no sense is an error that names its line; one that cannot be used (no label, a
contig that the reference does not have, mostly N) is left out and counted.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from varlm.errors import UserError
from varlm.evaluation.labels import classes, column_text
from varlm.files.whole import sha256
from varlm.genome.contig_names import ContigNames
from varlm.genome.reference import Genome
from varlm.probing.checking import check_intervals, check_sequences, check_variants
from varlm.probing.columns import FOLD, LABEL, ROW, TableColumns, read_columns
from varlm.probing.parts import ROWS
from varlm.probing.sieve import EXPECTED, REASONS, Sieve, counted
from varlm.probing.specification import ProbeSpec
from varlm.probing.windows import ProbeRows, known_shares, with_sequences

log = logging.getLogger(__name__)

_LEAST_KNOWN = 0.5  # of a row's bases that have to be A, C, G or T
_CHECKS = {
    "sequences": check_sequences,
    "intervals": check_intervals,
    "variants": check_variants,
}


@dataclass(frozen=True)
class ProbeTable:
    """The rows of a table that can be embedded.

    Attributes
    ----------
    rows : ProbeRows
    left_out : dict
        Reason (`varlm.probing.sieve.REASONS`) → rows.
    length : int or None
        bp of every row; None: they differ.
    digest : str
        SHA-256 of the file.
    """

    rows: ProbeRows
    left_out: dict[str, int]
    length: int | None
    digest: str


def read_probe_table(path: Path, spec: ProbeSpec, genome: Genome, names: ContigNames) -> ProbeTable:
    """Read a probe's table.

    Parameters
    ----------
    path : Path
        TSV, plain or gzip, or Parquet, with the columns of `varlm.probing.columns`.
    spec : ProbeSpec
    genome : Genome
    names : ContigNames
        Of that genome.

    Raises
    ------
    UserError
        Naming file and line: a column that is not there, a label that is no number, a position
        off its contig, a letter that is no base, rows of different lengths where all positions
        are asked for, too many wrong REFs; or no row is left.
    """
    columns = read_columns(path, spec.where, spec.label.column, spec.folds)
    sieve = _labelled(columns, spec)
    _refuse_none(sieve, spec)
    _CHECKS[columns.kind](sieve, spec, genome, names)
    _refuse_none(sieve, spec)
    rows = with_sequences(_probe_rows(sieve), genome)
    kept = sieve.drop(known_shares(rows) < _LEAST_KNOWN, "mostly_n")
    _refuse_none(sieve, spec)
    _tell(sieve)
    rows = replace(rows[np.flatnonzero(kept)], flanks=spec.flanks or rows.kind == "sequences")
    sizes = np.unique(rows.sizes)
    length = int(sizes[0]) if len(sizes) == 1 else None
    return ProbeTable(rows, sieve.left_out, length, sha256(path))


def _labelled(columns: TableColumns, spec: ProbeSpec) -> Sieve:
    """Return the rows that have a label, as a number, and a fold."""
    text = column_text(columns.frame[LABEL])
    fold = column_text(columns.frame[FOLD])
    sieve = Sieve(columns, columns.frame.with_columns(text, fold.alias(FOLD)))
    sieve.drop(text.is_null(), "no_label")
    if spec.label.is_number:
        values = _numbers(sieve, spec)
    else:
        parts = classes(sieve.rows[LABEL], spec.label)
        values = pl.Series(np.where(parts.positive, 1.0, 0.0))
        values = values.set(pl.Series(~(parts.positive | parts.negative)), None)
    sieve.rows = sieve.rows.with_columns(values.alias(LABEL))
    sieve.drop(values.is_null(), "other_label")
    sieve.drop(sieve.rows[FOLD].is_null(), "no_fold")
    return sieve


def _numbers(sieve: Sieve, spec: ProbeSpec) -> pl.Series:
    """Return the labels as numbers; refuse one that is none."""
    values = sieve.rows[LABEL].cast(pl.Float64, strict=False)
    sieve.refuse(
        ~values.is_finite().fill_null(False),
        lambda row: (
            f"{spec.label.column} is {row[LABEL]!r}; expected a number; set {spec.where}.positive "
            f"and {spec.where}.negative where the label is of two classes"
        ),
    )
    return values.abs() if spec.label.absolute else values


def _refuse_none(sieve: Sieve, spec: ProbeSpec) -> None:
    """Raise `UserError` if no row is left."""
    if not sieve.rows.height:
        raise UserError(
            f"{spec.where}: {sieve.columns.path}: none of {sieve.columns.frame.height} rows can be "
            f"embedded ({counted(sieve.left_out)}); correct the table, or the keys of the probe"
        )


def _probe_rows(sieve: Sieve) -> ProbeRows:
    """Return what is left, without sequences where the genome has them."""
    kind, rows = sieve.columns.kind, sieve.rows
    alleles = rows.select("contig", "pos", "ref", "alt") if kind == "variants" else None
    texts = {name: pl.lit(None, pl.String).alias(name) for name in ("sequence", "alternate")}
    if kind == "sequences":
        texts["sequence"] = pl.col("sequence")
    frame = rows.select(
        pl.col(ROW),
        pl.col("contig").alias("chrom"),
        *("start", "end", "strand", LABEL, FOLD),
        *texts.values(),
    )
    return ProbeRows(kind, frame.cast(ROWS.schema), alleles)  # type: ignore[arg-type]


def _tell(sieve: Sieve) -> None:
    """Log which rows are left out, one line a reason."""
    for reason, count in sieve.left_out.items():
        level = logging.INFO if reason in EXPECTED else logging.WARNING
        log.log(
            level,
            "%s: %d of %d rows are left out: %s",
            sieve.columns.path,
            count,
            sieve.columns.frame.height,
            REASONS[reason],
        )

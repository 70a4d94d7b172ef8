"""The annotated table → TSV, and the cohort's VCF with scores in INFO, each with its index."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from varlm.errors import UserError
from varlm.files.bgzip import BgzfWriter
from varlm.files.whole import atomic_path
from varlm.results import annotated_vcf
from varlm.results.expected import Expected
from varlm.results.indexes import check_lines, placed_index
from varlm.results.read_back import check_read_back
from varlm.results.table_tags import table_tags
from varlm.results.tags import ANNOTATION_TAGS, Models, score_columns_of
from varlm.run.environment import Kind
from varlm.tables.flat_text import flat, markings
from varlm.tables.schemas import REJECTED, has_consequences, read_annotated_table, read_kinds
from varlm.tables.tsv import tsv_rows
from varlm.variants.rejected import read_rejected
from varlm.vcf.lines import VcfSource, open_vcf

log = logging.getLogger(__name__)

ROWS = 100_000  # rows of the table formatted at a time


def export_tsv(table: Path, models: Sequence[str], path: Path, index: Kind | None = None) -> int:
    """Write the annotated table as bgzipped TSV with an index; return its rows.

    Null is an empty cell (a missing ID too); all else as in `varlm.tables.flat_text.flat`.

    Parameters
    ----------
    table : Path
        `annotated.parquet`.
    models : sequence of str
    path : Path
        Output, `.tsv.gz`.
    index : str, optional
        The kind that the rules declare.
    """
    schema = read_annotated_table(table, models)
    frame = pl.scan_parquet(table)
    total = int(frame.select(pl.len()).collect().item())
    last = int(frame.select(pl.col("pos").max()).collect().item() or 0)
    escapes = markings(frame, schema, ROWS)
    with atomic_path(path) as temporary:
        with BgzfWriter(temporary) as out:
            out.write(("\t".join(schema.names) + "\n").encode())
            for start in range(0, total, ROWS):
                rows = frame.slice(start, ROWS).collect(engine="in-memory")
                out.write(tsv_rows(flat(rows, schema), escapes))
        check_lines(temporary, total + 1)
        layout = {"seq_col": 0, "start_col": 1, "end_col": 1, "line_skip": 1}
        with placed_index(temporary, path, last, index, layout):
            pass
    return total


def export_vcf(
    table: Path,
    rejected: Path,
    vcfs: Sequence[Path],
    models: Sequence[str],
    contigs: Mapping[str, int],
    path: Path,
    expected_sha256: Sequence[str | None] | None = None,
    index: Kind | None = None,
) -> int:
    """Write the cohort's own records with the scores in INFO; return their number.

    Every record of every file, in the files' order, accepted or not; where that order is not by
    position, the records are sorted, with a warning, since nothing could read them by region.
    The index is in place before the VCF is: .tbi; .csi for a position of 2²⁹ or more. For a cohort
    that came as BCF, the .tbi has the name .csi too.

    Parameters
    ----------
    table, rejected : Path
        The cohort's `annotated.parquet` and `rejected.tsv.gz`.
    vcfs : sequence of Path
        Its files.
    contigs : mapping
        CHROM that the reference knows → length in bp.
    path : Path
        Output, `.vcf.gz`.
    expected_sha256 : sequence of str or None, optional
        Digest of each file when it was normalised.
    index : str, optional
        The kind that the rules declare.

    Raises
    ------
    UserError
        If a file is not the one that was normalised, or htslib reads the VCF otherwise than it
        was meant (`read_back.ReadBackError`), or see `annotated_vcf.header`.
    """
    sources = [open_vcf(vcf) for vcf in vcfs]
    turned_down = read_rejected(rejected)
    consequences = has_consequences(table)
    kinds = read_kinds(table, models)
    tables = table_tags(table)
    columns = [*score_columns_of(kinds).values(), *tables]
    if consequences:
        columns += [column for column, _ in ANNOTATION_TAGS.values()]
    alleles = [_alleles(table, turned_down, columns, index) for index in range(len(vcfs))]
    records = pl.concat(annotated_vcf.record_positions(frame) for frame in alleles)
    alleles = [frame.drop("chrom", "pos") for frame in alleles]
    order = annotated_vcf.sorted_order(records)
    records = records.select("chrom", "pos")
    if order is not None:
        records = records[order]
    present = records["chrom"].unique(maintain_order=True).to_list()
    lengths = {name: contigs[name] for name in present if name in contigs}
    header = annotated_vcf.header(sources, kinds, lengths, consequences, tables)
    with atomic_path(path) as temporary:
        _write_vcf(temporary, header, sources, alleles, kinds, order, list(tables))
        alleles.clear()  # all of the cohort's scores, and not needed any more
        for source, expected_digest in zip(sources, expected_sha256 or (), strict=False):
            if expected_digest is not None and source.sha256 != expected_digest:
                raise UserError(
                    f"{source.path}: changed since it was normalised (SHA-256 {source.sha256}, "
                    f"then {expected_digest}); run the workflow again"
                )
        last = int(records["pos"].max() or 0)  # type: ignore[arg-type]
        from_bcf = any(source.format == "bcf" for source in sources)
        expected = Expected(table, turned_down, kinds, consequences, records, list(tables))
        with placed_index(temporary, path, last, index, {"preset": "vcf"}, from_bcf) as placed:
            if placed is None:
                check_lines(temporary, header.count(b"\n") + records.height)
            else:
                check_read_back(temporary, placed, expected, path, vcfs)
    return records.height


def _write_vcf(
    temporary: Path,
    header: bytes,
    sources: Sequence[VcfSource],
    alleles: Sequence[pl.DataFrame],
    models: Models,
    order: pl.Series | None,
    tables: Sequence[str],
) -> None:
    """Write the header and every record, sorted where `order` says so."""
    blocks = (
        block
        for source, frame in zip(sources, alleles, strict=True)
        for block in annotated_vcf.annotated_lines(source, frame, models, tables)
    )
    with BgzfWriter(temporary) as out:
        out.write(header)
        if order is None:
            for block in blocks:
                if block:
                    out.write(b"\n".join(block) + b"\n")
            return
        log.warning(
            "the records are not in the order of contigs and positions; they are written "
            "sorted, since an index needs that"
        )
        for line in annotated_vcf.write_sorted(blocks, order, temporary.with_suffix(".scratch")):
            out.write(line)


def _alleles(
    table: Path, rejected: pl.DataFrame, columns: Sequence[str], file: int
) -> pl.DataFrame:
    """Return every allele of one of the cohort's files, sorted by record and allele.

    A cohort's scores are held whole, since the table is in genome order and its files may not be:
    40 bytes an allele with one model, 180 while they are sorted (measured on 1.46 M alleles).
    """
    name = pl.Categorical()
    scored = (
        pl.scan_parquet(table)
        .filter(pl.col("file") == file)
        .select(
            pl.col("chrom").cast(name),
            pl.col("input_pos").cast(pl.Int64).alias("pos"),
            *(pl.col(key).cast(REJECTED.schema[key]) for key in ("record", "allele")),
            *columns,
        )
        .with_columns(pl.col(pl.String).cast(name))  # four bytes a row, and each text once
        .collect(engine="streaming")  # in any order: sorted below, by keys that are unique
    )
    turned_down = (
        rejected.filter(pl.col("file") == file)
        .with_columns(pl.col("pos").cast(pl.Int64, strict=False).fill_null(0))
        .select(pl.col("chrom").cast(name), "pos", "record", "allele", pl.col("reason").cast(name))
    )
    return pl.concat([scored, turned_down], how="diagonal").sort("record", "allele")

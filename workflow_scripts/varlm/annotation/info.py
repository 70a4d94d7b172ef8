"""INFO fields of a cohort's VCF files, carried along: one column each, of its declared type.

The files are read once. What the fields hold is first written as text, record after record, to
scratch files beside the output; then each slice of `variants.parquet` fetches its records from
there. So memory holds a slice and a scratch file, both of bounded bytes, however long the cohort
is and whatever its order: of files in the order of the reference, each scratch file is read once
or twice; of others, once a slice.
"""

from __future__ import annotations

import logging
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm import __version__
from varlm.annotation.info_fields import InfoField, declared_fields, info_table, parsed
from varlm.errors import UserError
from varlm.files.whole import raise_os_error
from varlm.tables.parquet import meanings, scan_table, write_pieces
from varlm.tables.schemas import VARIANTS
from varlm.variants.accounting import AccountedFile, Accounting
from varlm.vcf.columns import read_columns
from varlm.vcf.lines import Chunk, VcfSource, open_vcf

log = logging.getLogger(__name__)

_SHOWN = 60  # characters of a value in a message
_SCRATCH_BYTES = 32 << 20  # a scratch file, give or take a chunk of the VCF
_SLICE_BYTES = 64 << 20  # text of a slice of the variants, about
_SLICE_ROWS = (1000, 1_000_000)


# -- the files → scratch tables of text ----------------------------------------------------------


@dataclass
class _Counts:
    """What was found amiss with one field."""

    misfits: int = 0
    first: tuple[int, int, str] | None = None  # file, record, value
    replaced: int = 0
    first_replaced: tuple[int, int] | None = None


@dataclass
class _Scratch:
    """The texts of one file's records, in order, in files of bounded size."""

    folder: Path
    file: int
    first: list[int] = field(default_factory=list)  # record of each scratch file's first row
    records: int = 0
    size: int = 0
    _pending: list[pl.DataFrame] = field(default_factory=list)
    _pending_size: int = 0

    def append(self, texts: pl.DataFrame) -> None:
        """Add the next records."""
        self._pending.append(texts)
        self._pending_size += int(texts.estimated_size())
        if self._pending_size >= _SCRATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what is in memory."""
        if not self._pending:
            return
        texts = pl.concat(self._pending)
        path = self._path(len(self.first))
        try:
            texts.write_ipc(path, compression="lz4")
        except pl.exceptions.PolarsError as error:
            raise_os_error(error, path)
            raise
        self.first.append(self.records)
        self.records += texts.height
        self.size += self._pending_size
        self._pending, self._pending_size = [], 0

    def rows(self, record: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], pl.DataFrame]]:
        """Yield positions in `record` and the texts of the records there, file after file."""
        part = np.searchsorted(self.first, record, side="right") - 1
        for index in np.unique(part).tolist():
            positions = np.flatnonzero(part == index)
            texts = pl.read_ipc(self._path(index), memory_map=False)[
                record[positions] - self.first[index]
            ]
            # Copied: a selection would keep all the text of the scratch file in memory.
            yield positions, texts.with_columns(pl.col(pl.String) + pl.lit(""))

    def _path(self, index: int) -> Path:
        return self.folder / f"{self.file}.{index}.arrow"


@dataclass
class _Carrier:
    """Carries the fields of a cohort's files to the rows of its variants."""

    sources: Sequence[VcfSource]
    fields: Sequence[InfoField]
    folder: Path
    counts: dict[str, _Counts] = field(default_factory=dict)
    scratch: list[_Scratch] = field(default_factory=list)  # of each file

    def __post_init__(self) -> None:
        self.counts = {info_field.tag: _Counts() for info_field in self.fields}

    def read(self, file: int, expected: AccountedFile) -> None:
        """Write the texts of one file.

        Raises
        ------
        UserError
            If the file is malformed, or not the one that `normalise` read.
        """
        source = self.sources[file]
        scratch = _Scratch(self.folder, file)
        for chunk in source.chunks():
            scratch.append(self._texts_of(chunk, file))
        scratch.flush()
        if source.sha256 != expected.sha256 or source.records != expected.records:
            raise UserError(
                f"{source.path}: changed since its alleles were read (SHA-256 "
                f"{str(source.sha256)[:16]}…, expected {expected.sha256[:16]}…); run the "
                "workflow again: the cohort is read anew"
            )
        self.scratch.append(scratch)

    def _texts_of(self, chunk: Chunk, file: int) -> pl.DataFrame:
        records = read_columns(chunk, self.sources[file])
        commas = pl.col("alt").str.count_matches(",", literal=True)
        frame = records.select(
            pl.when(pl.col("alt") == ".")
            .then(0)
            .otherwise(commas + 1)
            .cast(pl.UInt16)
            .alias("n_alt"),
            *(
                pl.col("info")
                .str.extract(f"(?:^|;)({re.escape(info_field.tag)}(?:=[^;]*)?)(?:;|$)", 1)
                .alias(info_field.tag)
                for info_field in self.fields
            ),
        )
        if not chunk.data.isascii():
            for info_field in self.fields:
                self._count_replaced(info_field.tag, frame[info_field.tag], chunk, file)
        return frame

    def _count_replaced(self, tag: str, texts: pl.Series, chunk: Chunk, file: int) -> None:
        """Count the values with bytes that are no UTF-8; U+FFFD itself may be a file's own."""
        counts = self.counts[tag]
        for row in texts.str.contains("\ufffd", literal=True).arg_true().to_list():
            info = chunk.line(row).split(b"\t", 8)[7]
            value = next(f for f in info.split(b";") if f.split(b"=")[0] == tag.encode())
            try:
                value.decode()
            except UnicodeDecodeError:
                counts.replaced += 1
                counts.first_replaced = counts.first_replaced or (file, chunk.first_record + row)

    # -- scratch tables → rows of the variants ----------------------------------------------------

    def slices(self, variants: Path) -> Iterator[pl.DataFrame]:
        """Yield `info_table` in the order of the variants, some `_SLICE_BYTES` at a time.

        Raises
        ------
        UserError
            If the variants are not those of the files.
        """
        keys = scan_table(variants, VARIANTS).select("file", "record", "allele")
        total = int(keys.select(pl.len()).collect().item())
        size, records = (
            sum(getattr(s, name) for s in self.scratch) for name in ("size", "records")
        )
        low, high = _SLICE_ROWS
        rows = max(low, min(high, _SLICE_BYTES * records // max(1, size)))
        for start in range(0, total, rows):
            yield self._slice(keys.slice(start, rows).collect(engine="in-memory"), variants)

    def _slice(self, keys: pl.DataFrame, variants: Path) -> pl.DataFrame:
        file = keys["file"].to_numpy()
        record = keys["record"].to_numpy().astype(np.int64)
        parts, places = [], []
        for index in np.unique(file).tolist():
            rows = np.flatnonzero(file == index)
            if index >= len(self.scratch) or record[rows].max() >= self.scratch[index].records:
                raise UserError(
                    f"{variants}: has alleles of records that the cohort's files do not have; "
                    "delete it and run the workflow again"
                )
            for positions, texts in self.scratch[index].rows(record[rows]):
                parts.append(texts)
                places.append(rows[positions])
        order = np.argsort(np.concatenate(places))
        ordered: pl.DataFrame = pl.concat(parts)[order].with_columns(keys)
        return ordered.select(self._values(info_field, ordered) for info_field in self.fields)

    def _values(self, info_field: InfoField, texts: pl.DataFrame) -> pl.Series:
        """Return a field's values for alleles, and count those that do not fit."""
        rows = texts.select(
            pl.col(info_field.tag).alias("entry"),
            pl.col(info_field.tag).str.strip_prefix(f"{info_field.tag}=").alias("text"),
            "n_alt",
            "allele",
        )
        values, misfit = parsed(info_field, rows)
        if misfit.any():
            counts = self.counts[info_field.tag]
            counts.misfits += int(misfit.sum())
            if counts.first is None:
                row = texts.filter(misfit).row(0, named=True)
                counts.first = (row["file"], row["record"], row[info_field.tag])
        return values.alias(info_field.column.name)

    def warn(self) -> None:
        """Say, once a field, what did not fit."""
        for info_field in self.fields:
            counts = self.counts[info_field.tag]
            if counts.first is not None:
                file, record, value = counts.first
                log.warning(
                    "INFO/%s: %d alleles have a value that does not fit Type=%s, Number=%s of the "
                    "header, the first %s: %r; it is taken as missing",
                    info_field.tag,
                    counts.misfits,
                    info_field.type,
                    info_field.number,
                    self.sources[file].where(record),
                    value[:_SHOWN],
                )
            if counts.first_replaced is not None:
                file, record = counts.first_replaced
                log.warning(
                    "INFO/%s: %d records have bytes that are no UTF-8, the first %s; they are "
                    "replaced by U+FFFD",
                    info_field.tag,
                    counts.replaced,
                    self.sources[file].where(record),
                )


def write_info(
    variants: Path,
    vcfs: Sequence[Path],
    accounting: Accounting,
    tags: Sequence[str],
    path: Path,
) -> int:
    """Write INFO fields of a cohort, row for row as its `variants.parquet`; return the rows.

    A scratch folder of about the size of the fields' text lies beside `path` meanwhile.

    Parameters
    ----------
    variants : Path
        `schemas.VARIANTS`.
    vcfs : sequence of Path
        The cohort's files, in order.
    accounting : Accounting
        What `normalise` wrote of the cohort.
    tags : sequence of str
        INFO fields; each becomes the column `info_{TAG}`.
    path : Path
        The output.

    Raises
    ------
    UserError
        If a field is not declared, or not alike; a file is malformed, or not the one that was
        normalised.

    Notes
    -----
    Of the type that the header declares: Integer int64, Float float64, String and Character
    string, Flag Boolean. Number=A and R: the allele's own entry; 1: the value (of a String, all
    of it, commas included); 0 (Flag): whether it is there (TAG=0: it is not); all others: a list.
    Absent, empty and '.' are null. What does not fit type or number is null and counted, with
    one warning a field.
    Text is as in the file (%0A stays %0A); of a key that occurs twice, the first.
    """
    files = accounting.files
    if len(files) != len(vcfs):
        raise UserError(
            f"{len(vcfs)} files, but the accounting of the cohort {accounting.cohort!r} "
            f"has {len(files)}; run the workflow again"
        )
    sources = [open_vcf(vcf, genotypes=False) for vcf in vcfs]
    fields = declared_fields(sources, list(dict.fromkeys(tags)))
    table = info_table(fields)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.scratch.", dir=path.parent) as scratch:
        carrier = _Carrier(sources, fields, Path(scratch))
        for index, expected in enumerate(files):
            carrier.read(index, expected)
        metadata = {
            "varlm": __version__,
            **meanings(table),
        }
        count = write_pieces(carrier.slices(variants), path, table, metadata)
        carrier.warn()
    return count


def _remove_leftovers(path: Path) -> None:
    """Remove scratch folders of earlier runs that were killed."""
    for folder in path.parent.glob(f".{path.name}.scratch.*"):
        shutil.rmtree(folder, ignore_errors=True)

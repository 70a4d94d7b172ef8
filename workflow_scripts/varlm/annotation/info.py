"""INFO fields of a cohort's VCF files, carried along: one column each, of its declared type.

The files are read once. What the fields hold is first written as text, record after record, to
scratch files beside the output; then each slice of `variants.parquet` fetches its records from
there. So memory holds a slice and a scratch file, both of bounded bytes, however long the cohort
is and whatever its order: of files in the order of the reference, each scratch file is read once
or twice; of others, once a slice.
"""

from __future__ import annotations

import difflib
import logging
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm import __version__
from varlm.errors import UserError
from varlm.tables.schemas import (
    VARIANTS,
    Column,
    Table,
    described_table,
    meanings,
    raise_os_error,
    scan_table,
    write_pieces,
)
from varlm.vcf.columns import read_columns
from varlm.vcf.lines import Chunk, VcfSource, open_vcf, structured

log = logging.getLogger(__name__)

PREFIX = "info_"  # column of INFO/AF: info_AF
_SHOWN = 60  # characters of a value in a message
_DESCRIPTION = 200  # characters of a header's Description in a column's meaning
_SCRATCH_BYTES = 32 << 20  # a scratch file, give or take a chunk of the VCF
_SLICE_BYTES = 64 << 20  # text of a slice of the variants, about
_SLICE_ROWS = (1000, 1_000_000)

_DOT = r"(^|,)\.(,|$)"  # a missing entry among others

_TYPES = {
    "Integer": pl.Int64(),
    "Float": pl.Float64(),
    "Character": pl.String(),
    "String": pl.String(),
    "Flag": pl.Boolean(),
}
# A field of two types in two files is read as the wider one.
_WIDER = {frozenset(("Integer", "Float")): "Float", frozenset(("Character", "String")): "String"}


@dataclass(frozen=True)
class InfoField:
    """One INFO field, as the headers of a cohort declare it.

    Attributes
    ----------
    tag, type, number, description : str
        As in the header; `number` is `0` for a Flag.
    """

    tag: str
    type: str
    number: str
    description: str

    @property
    def per_allele(self) -> bool:
        """Whether each allele has a value of its own."""
        return self.number in ("A", "R")

    @property
    def dtype(self) -> pl.DataType:
        """Type of its column: of the value, or a list of such."""
        inner = _TYPES[self.type]
        single = self.per_allele or self.number == "1" or self.type == "Flag"
        return inner if single else pl.List(inner)

    @property
    def column(self) -> Column:
        """Its column; the meaning quotes the header's Description."""
        which = {"A": ", this ALT's own", "R": ", this ALT's own"}.get(self.number, "")
        quoted = "".join(c for c in self.description if c.isprintable())
        if len(quoted) > _DESCRIPTION:
            quoted = quoted[:_DESCRIPTION] + "…"
        return Column(
            PREFIX + self.tag,
            self.dtype,
            f"INFO/{self.tag} of the cohort's VCF (Type={self.type}, Number={self.number}{which}): "
            + quoted,
        )


def info_table(fields: Sequence[InfoField]) -> Table:
    """Return the schema of `info.parquet`, whose rows are those of `variants.parquet`."""
    return Table("info", tuple(each.column for each in fields))


def read_info_table(path: Path) -> Table:
    """Return the schema of an existing `info.parquet`, with its columns' meanings.

    Raises
    ------
    UserError
        If the file cannot be read, or has a column that is none of an INFO field.
    """
    table = described_table("info", path)
    if not table.names or not all(name.startswith(PREFIX) for name in table.names):
        raise UserError(
            f"{path}: not an 'info' table of this version of varlm: found the columns "
            f"{', '.join(table.names) or 'none'}; delete the file and run the workflow again"
        )
    return table


def declared_fields(sources: Sequence[VcfSource], tags: Sequence[str]) -> list[InfoField]:
    """Return the fields `tags` as the headers of a cohort's files declare them.

    Tags that the VCF specification reserves (AF, DP, …) need a header line all the same: files
    differ in what they mean by them.

    Raises
    ------
    UserError
        If no file declares a tag, or two files declare it in ways that do not go together.
    """
    by_file = [(source.path, _declarations(source)) for source in sources]
    return [_merged(tag, by_file) for tag in tags]


def _declarations(source: VcfSource) -> dict[str, dict[str, str]]:
    """Return the header's INFO lines by ID; of two with one ID, the first, as htslib does."""
    found: dict[str, dict[str, str]] = {}
    for line in source.header_lines:
        if line.startswith(b"##INFO=<"):
            entry = structured(line[len(b"##INFO=<") :].decode("utf-8", "replace"))
            if "ID" in entry:
                found.setdefault(entry["ID"], entry)
    return found


def _declared(entry: Mapping[str, str], path: Path) -> InfoField:
    """Return one header line's field; what the specification does not know is read as text."""
    tag, kind, number = entry["ID"], entry.get("Type", ""), entry.get("Number", ".")
    if kind == "Flag" or number == "0":
        return InfoField(tag, "Flag", "0", entry.get("Description", ""))
    if kind not in _TYPES:
        log.warning("%s: INFO/%s has the type %r in the header; read as String", path, tag, kind)
        kind = "String"
    if number.isascii() and number.isdigit():
        number = str(int(number))
    elif number not in ("A", "R", "G"):
        number = "."  # also -1 (VCF 4.0), and LA, LR, LG, P and M (VCF 4.5)
    return InfoField(tag, kind, number, entry.get("Description", ""))


def _merged(tag: str, by_file: Sequence[tuple[Path, Mapping[str, Mapping[str, str]]]]) -> InfoField:
    known: InfoField | None = None
    where = Path()
    for path, declared in by_file:
        if tag not in declared:
            continue
        found = _declared(declared[tag], path)
        if known is None:
            known, where = found, path
            continue
        kinds = frozenset((known.type, found.type))
        kind = known.type if len(kinds) == 1 else _WIDER.get(kinds)
        if kind is None or found.number != known.number:
            raise UserError(
                f"INFO/{tag} is Type={known.type}, Number={known.number} in {where}, but "
                f"Type={found.type}, Number={found.number} in {path}; declare it alike in all "
                "files of the cohort (bcftools annotate --header-lines, bcftools reheader), make "
                "them cohorts of their own, or leave it out of annotate.info"
            )
        known = InfoField(tag, kind, known.number, known.description)
    if known is None:
        tags = sorted({tag for _, declared in by_file for tag in declared})
        close = [other for other in tags if other.casefold() == tag.casefold()]
        close = close or difflib.get_close_matches(tag, tags, n=3)
        paths = [str(path) for path, _ in by_file]
        raise UserError(
            f"annotate.info: no header line '##INFO=<ID={tag},…' in {', '.join(paths[:5])}"
            + (f", … ({len(paths)} files)" if len(paths) > 5 else "")
            + (
                f" (is it {', '.join(map(repr, close))}?)"
                if close
                else f" (declared: {', '.join(tags[:10]) or 'none'})"
            )
            + "; correct the name, or add the header line that says its type and number: the "
            "specification's own fields (AF, AC, AN, DP, …) need one too"
        )
    return known


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
        """Yield places in `record` and the texts of the records there, file after file."""
        part = np.searchsorted(self.first, record, side="right") - 1
        for index in np.unique(part).tolist():
            here = np.flatnonzero(part == index)
            texts = pl.read_ipc(self._path(index), memory_map=False)[
                record[here] - self.first[index]
            ]
            # Copied: a selection would keep all the text of the scratch file in memory.
            yield here, texts.with_columns(pl.col(pl.String) + pl.lit(""))

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
        self.counts = {each.tag: _Counts() for each in self.fields}

    def read(self, file: int, expected: Mapping[str, Any]) -> None:
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
        if source.sha256 != expected["sha256"] or source.records != expected["records"]:
            raise UserError(
                f"{source.path}: changed since its alleles were read (SHA-256 "
                f"{str(source.sha256)[:16]}…, expected {str(expected['sha256'])[:16]}…); run the "
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
                .str.extract(f"(?:^|;)({re.escape(each.tag)}(?:=[^;]*)?)(?:;|$)", 1)
                .alias(each.tag)
                for each in self.fields
            ),
        )
        if not chunk.data.isascii():
            for each in self.fields:
                self._count_replaced(each.tag, frame[each.tag], chunk, file)
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
            for here, texts in self.scratch[index].rows(record[rows]):
                parts.append(texts)
                places.append(rows[here])
        order = np.argsort(np.concatenate(places))
        found: pl.DataFrame = pl.concat(parts)[order].with_columns(keys)
        return found.select(self._values(each, found) for each in self.fields)

    def _values(self, each: InfoField, texts: pl.DataFrame) -> pl.Series:
        """Return a field's values for alleles, and count those that do not fit."""
        rows = texts.select(
            pl.col(each.tag).alias("given"),
            pl.col(each.tag).str.strip_prefix(f"{each.tag}=").alias("text"),
            "n_alt",
            "allele",
        )
        values, misfit = _parsed(each, rows)
        if misfit.any():
            counts = self.counts[each.tag]
            counts.misfits += int(misfit.sum())
            if counts.first is None:
                row = texts.filter(misfit).row(0, named=True)
                counts.first = (row["file"], row["record"], row[each.tag])
        return values.alias(each.column.name)

    def warn(self) -> None:
        """Say, once a field, what did not fit."""
        for each in self.fields:
            counts = self.counts[each.tag]
            if counts.first is not None:
                file, record, value = counts.first
                log.warning(
                    "INFO/%s: %d alleles have a value that does not fit Type=%s, Number=%s of the "
                    "header, the first %s: %r; it is taken as missing",
                    each.tag,
                    counts.misfits,
                    each.type,
                    each.number,
                    self.sources[file].where(record),
                    value[:_SHOWN],
                )
            if counts.first_replaced is not None:
                file, record = counts.first_replaced
                log.warning(
                    "INFO/%s: %d records have bytes that are no UTF-8, the first %s; they are "
                    "replaced by U+FFFD",
                    each.tag,
                    counts.replaced,
                    self.sources[file].where(record),
                )


def _parsed(each: InfoField, rows: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
    """Return the values of alleles, and which do not fit (bool).

    `rows` has `given` (TAG=text, TAG or null), `text`, `n_alt` and `allele` (1-based).
    """
    given = rows["given"].is_not_null()
    bare = (rows["given"] == each.tag).fill_null(False)
    if each.type == "Flag":
        # The specification's own valid files have DB=0 and DB=1, though a flag has no value.
        off = (rows["text"] == "0").fill_null(False)
        wrong = given & ~bare & ~off & (rows["text"] != "1").fill_null(False)
        return (given & ~off).set(wrong, None), wrong
    text = rows["text"]
    text = text.set(text.is_in(["", "."]).fill_null(False) | bare, None)
    wrong = bare
    if each.number == "1":
        pass  # of a String, commas and all: none of it is lost
    elif each.per_allele:
        text, miscounted = _own(text, rows["n_alt"], rows["allele"], each.number)
        wrong = wrong | miscounted
    else:
        return _lists(each, text, wrong)
    values = text.to_frame("text").select(_converted(pl.col("text"), each.type)).to_series()
    return values, wrong | (text.is_not_null() & values.is_null())


def _own(
    text: pl.Series, n_alt: pl.Series, allele: pl.Series, number: str
) -> tuple[pl.Series, pl.Series]:
    """Return each allele's own entry of a Number=A or R field, and where their count is wrong."""
    if number == "A" and n_alt.max() == 1:
        wrong = text.str.contains(",", literal=True).fill_null(False)
        return text.set(wrong, None), wrong
    frame = pl.DataFrame(
        {"entries": text.str.split(","), "n_alt": n_alt.cast(pl.UInt32), "allele": allele}
    )
    first = 1 if number == "A" else 0  # the allele whose entry is the first
    wrong = frame.select(
        (pl.col("entries").list.len() != pl.col("n_alt") + 1 - first).fill_null(False)
    ).to_series()
    own = frame.select(
        pl.col("entries").list.get(pl.col("allele").cast(pl.Int64) - first, null_on_oob=True)
    ).to_series()
    # An empty entry is no missing value, '.' is.
    return own.set(wrong | (own == ".").fill_null(False), None), wrong


def _lists(each: InfoField, text: pl.Series, wrong: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return all entries of a field as a list, null as a whole where one does not fit."""
    if each.type == "String" and each.number == "." and not text.str.contains(_DOT).any():
        return text.str.split(","), wrong  # CSQ and its like are long
    frame = pl.DataFrame({"entries": text.str.split(",")})
    element = pl.element()
    given = pl.when(element != ".").then(element)
    converted = pl.col("entries").list.eval(_converted(given, each.type))
    frame = frame.with_columns(converted.alias("values"))
    fitting = pl.col("values").list.drop_nulls().list.len()
    missing = pl.col("entries").list.count_matches(".")
    misfit = fitting + missing != pl.col("entries").list.len()
    if each.number.isdigit():
        misfit = misfit | (pl.col("entries").list.len() != int(each.number))
    frame = frame.with_columns(misfit.fill_null(False).alias("misfit"))
    values = frame.select(pl.when(~pl.col("misfit")).then("values").cast(each.dtype)).to_series()
    return values, wrong | frame["misfit"]


def _converted(text: pl.Expr, kind: str) -> pl.Expr:
    """Return text as a type of the VCF header; null where it is none of that type."""
    if kind == "Integer":
        return text.cast(pl.Int64, strict=False)
    if kind == "Float":
        value = text.cast(pl.Float64, strict=False)
        # 1e999 would be read as infinite.
        return pl.when(value.is_finite() | text.str.contains("(?i)^[+-]?(inf|nan)")).then(value)
    if kind == "Character":
        return pl.when(text.str.len_chars() == 1).then(text)
    return text


def write_info(
    variants: Path,
    vcfs: Sequence[Path],
    accounting: Mapping[str, Any],
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
    accounting : mapping
        What `normalise` wrote of the cohort; its `files` have `sha256` and `records`.
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
    files = accounting["files"]
    if len(files) != len(vcfs):
        raise UserError(
            f"{len(vcfs)} files, but the accounting of the cohort {accounting.get('cohort')!r} "
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

"""INFO fields of a VCF or BCF as rows of a table: one a record and ALT."""

from __future__ import annotations

import difflib
import re
import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import dropwhile
from pathlib import Path

import polars as pl
import pysam

from varlm.annotation.published.indexed_text import IndexedText
from varlm.annotation.published.wanted import Wanted
from varlm.errors import UserError, first_few
from varlm.files import text
from varlm.run import bcftools
from varlm.run.score_tables import ScoreTable
from varlm.vcf.columns import read_columns
from varlm.vcf.header import structured
from varlm.vcf.heading import read_heading
from varlm.vcf.lines import open_vcf

_GAP = 5000  # bp that are read on over
_BLOCK = 1 << 23  # bytes of lines of a BCF read as rows at a time
_COLUMNS = {"contig": 0, "pos": 1, "ref": 3, "alt": 4, "info": 7}
_FLAG = "1"  # the value of a flag that is there
_EXPECTED = "a table of scores in VCF"


class Fields:
    """The INFO fields of a table, as its header declares them.

    Parameters
    ----------
    path : Path
    table : ScoreTable

    Attributes
    ----------
    contigs : dict
        What the header declares: contig → bp, or None where it does not say.

    Raises
    ------
    UserError
        If the file is no VCF, or does not declare a field.
    """

    def __init__(self, path: Path, table: ScoreTable):
        lines = read_heading(path).header_lines
        self.contigs = _contigs(lines)
        declared = _structured(lines, b"##INFO=<")
        self._tags: list[tuple[str, str]] = []  # tag, Number
        for column in table.columns:
            tag = str(column.source)
            if tag not in declared:
                close = [other for other in declared if other.casefold() == tag.casefold()]
                close = close or difflib.get_close_matches(tag, declared, n=3)
                hint = f"is it {', '.join(close)}?" if close else f"it has {first_few(declared)}"
                raise UserError(
                    f"{path}: annotate.scores.{table.name}.columns.{column.name}: no header line "
                    f"'##INFO=<ID={tag},…' ({hint}); a column of a VCF is the name of an INFO field"
                )
            entry = declared[tag]
            number = "0" if entry.get("Type") == "Flag" else entry.get("Number", ".")
            self._tags.append((tag, number))

    def rows(self, records: pl.DataFrame) -> pl.DataFrame:
        """Return a row for each ALT of records.

        Parameters
        ----------
        records : polars.DataFrame
            `contig`, `pos`, `ref`, `alt` and `info`, as in the file.

        Returns
        -------
        polars.DataFrame
            `contig`, `pos`, `ref`, `alt`, `value_0`, …. Of Number=A and R, the ALT's own entry; of
            other fields, all the record's; of a flag, 1 or nothing.
        """
        values = (_text(tag, number).alias(f"value_{i}") for i, (tag, number) in self._numbered)
        rows = records.with_columns(pl.col("pos").cast(pl.Int64, strict=False)).select(
            "contig", "pos", "ref", pl.col("alt").str.split(","), *values
        )
        rows = rows.with_columns(
            pl.int_ranges(0, pl.col("alt").list.len(), dtype=pl.Int64).alias("allele")
        ).explode("alt", "allele", empty_as_null=False)
        own = {
            f"value_{i}": pl.col(f"value_{i}")
            .str.split(",")
            .list.get(pl.col("allele") + (number == "R"), null_on_oob=True)
            for i, (_, number) in self._numbered
            if number in ("A", "R")
        }
        return rows.with_columns(**own).drop("allele")

    @property
    def _numbered(self) -> list[tuple[int, tuple[str, str]]]:
        return list(enumerate(self._tags))


def _text(tag: str, number: str) -> pl.Expr:
    info = pl.col("info")
    if number == "0":
        is_there = info.str.contains(rf"(?:^|;){re.escape(tag)}(?:;|=|$)")
        return pl.when(is_there).then(pl.lit(_FLAG))
    return info.str.extract(rf"(?:^|;){re.escape(tag)}=([^;]*)", 1)


def _structured(lines: list[bytes], start: bytes) -> dict[str, dict[str, str]]:
    """Return header lines of a kind by their ID; of two with one ID, the first."""
    by_id: dict[str, dict[str, str]] = {}
    for line in lines:
        if line.startswith(start):
            entry = structured(line[len(start) :].decode("utf-8", "replace"))
            by_id.setdefault(entry.get("ID", ""), entry)
    return by_id


def _contigs(lines: list[bytes]) -> dict[str, int | None]:
    contigs = _structured(lines, b"##contig=<")
    lengths = {name: entry.get("length", "") for name, entry in contigs.items()}
    return {name: int(text) if text.isdigit() else None for name, text in lengths.items()}


class IndexedVcf:
    """A bgzip VCF, or a BCF, with its index, as a `rows.Source`.

    Lines of a VCF are read as they are; bcftools writes those of a BCF, whose numbers have six
    digits.
    """

    separator = ","
    by_span = True

    def __init__(self, path: Path, index: Path, table: ScoreTable):
        self._path, self._index = path, index
        self._fields = Fields(path, table)
        first = next(text.content(path, _EXPECTED + " or BCF"), b"")
        self._text: IndexedText | None = None
        self._is_bcf = first.startswith(b"BCF")
        if self._is_bcf:
            named = _contigs_with_records(path, index)
        else:
            self._text = IndexedText(path, index)
            named = self._text.contigs
            # Some programs list contigs without a record: none has one only in another's index.
            if named and not any(map(self._text.first, named)):
                raise self._text.is_anothers("where its index has records there is nothing")
        self.contigs: Mapping[str, int | None] = {
            name: self._fields.contigs.get(name) for name in named
        }

    def rows(self, wanted: Mapping[str, Wanted]) -> Iterator[tuple[str, pl.DataFrame]]:
        """Yield rows; see `Source`."""
        stretches = {contig: places.stretches(_GAP) for contig, places in wanted.items()}
        for block in self._bcf_lines(stretches) if self._is_bcf else self._lines(stretches):
            rows = self._fields.rows(_records(block))
            parts = rows.partition_by("contig", as_dict=True, include_key=False)
            for (name,), part in parts.items():
                yield str(name), part

    def _lines(self, stretches: Mapping[str, list[tuple[int, int]]]) -> Iterator[bytes]:
        """Yield the lines of records that reach into stretches, each once."""
        assert self._text is not None
        for contig, places in stretches.items():
            yield from self._text.blocks(_fetched(self._text, contig, places))

    def _bcf_lines(self, stretches: Mapping[str, list[tuple[int, int]]]) -> Iterator[bytes]:
        places = (f"{c}\t{low}\t{high}\n" for c, spans in stretches.items() for low, high in spans)
        with tempfile.NamedTemporaryFile("w", suffix=".tsv") as regions:
            regions.writelines(places)
            regions.flush()
            options = ["--no-version", "-H", "-G", "-R", regions.name]
            try:
                pieces = bcftools.output("view", *options, str(self._path.resolve()))
                remedy = "is it a BCF of small variants?"
                for lines, _ in text.whole_lines(pieces, self._path, _BLOCK, text.LONGEST, remedy):
                    yield lines
            except bcftools.BcftoolsError as error:
                raise _damaged(self._path, error) from error


def all_vcf_rows(path: Path, table: ScoreTable) -> Iterator[pl.DataFrame]:
    """Yield the rows of a whole file, without need of an index; as `Fields.rows`."""
    fields = Fields(path, table)
    source = open_vcf(path, genotypes=False)
    for chunk in source.chunks():
        yield fields.rows(read_columns(chunk, source).rename({"chrom": "contig"}))


def _fetched(
    table: IndexedText, contig: str, places: list[tuple[int, int]]
) -> Iterator[Iterator[str]]:
    """Yield the lines of a contig that reach into each stretch, each once."""
    before = -1
    for low, high in places:
        # What begins in or before the stretch before, and reaches here, was yielded there.
        lines = dropwhile(partial(_is_within, before), table.fetch(contig, low, high))
        yield map(_cut, lines)
        before = high


def _is_within(position: int, line: str) -> bool:
    return int(line.split("\t", 2)[1]) <= position


def _cut(line: str) -> str:
    """Return a line's columns up to INFO: samples are not looked at."""
    if line.count("\t") < 8:
        return line
    return "\t".join(line.split("\t", 8)[:8])


def _contigs_with_records(path: Path, index: Path) -> list[str]:
    """Return the contigs of a BCF that its index has records of."""
    try:
        with pysam.VariantFile(str(path), index_filename=str(index)) as file:
            if file.index is None:
                raise ValueError("it is no index of a BCF")
            return list(file.index)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{index}: not readable as the index of a BCF ({error}); make it again with 'bcftools "
            "index -f'"
        ) from error


def _records(lines: bytes) -> pl.DataFrame:
    return pl.read_csv(
        lines,
        separator="\t",
        has_header=False,
        columns=list(_COLUMNS.values()),
        new_columns=list(_COLUMNS),
        quote_char=None,
        infer_schema=False,
        encoding="utf8" if lines.isascii() else "utf8-lossy",
    )


def _damaged(path: Path, error: Exception) -> UserError:
    return UserError(
        f"{path}: cannot be read by its index ({error}); copy or download both again, or make "
        "the index again with 'bcftools index -f'"
    )

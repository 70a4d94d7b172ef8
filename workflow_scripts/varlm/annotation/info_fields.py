"""Which INFO fields a cohort's VCFs declare and what their columns are called and typed."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from varlm.errors import UserError, first_few
from varlm.tables.parquet import Column, Table, described_table
from varlm.vcf.header import structured
from varlm.vcf.heading import WithHeader

log = logging.getLogger(__name__)
PREFIX = "info_"  # column of INFO/AF: info_AF
_DESCRIPTION = 200  # characters of a header's Description in a column's meaning
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
    return Table("info", tuple(field.column for field in fields))


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


def declared_fields(sources: Sequence[WithHeader], tags: Sequence[str]) -> list[InfoField]:
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


def _declarations(source: WithHeader) -> dict[str, dict[str, str]]:
    """Return the header's INFO lines by ID; of two with one ID, the first, as htslib does."""
    by_id: dict[str, dict[str, str]] = {}
    for line in source.header_lines:
        if line.startswith(b"##INFO=<"):
            entry = structured(line[len(b"##INFO=<") :].decode("utf-8", "replace"))
            if "ID" in entry:
                by_id.setdefault(entry["ID"], entry)
    return by_id


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
        field = _declared(declared[tag], path)
        if known is None:
            known, where = field, path
            continue
        kinds = frozenset((known.type, field.type))
        kind = known.type if len(kinds) == 1 else _WIDER.get(kinds)
        if kind is None or field.number != known.number:
            raise UserError(
                f"INFO/{tag} is Type={known.type}, Number={known.number} in {where}, but "
                f"Type={field.type}, Number={field.number} in {path}; declare it alike in all "
                "files of the cohort (bcftools annotate --header-lines, bcftools reheader), make "
                "them cohorts of their own, or leave it out of annotate.info"
            )
        known = InfoField(tag, kind, known.number, known.description)
    if known is None:
        tags = sorted({tag for _, declared in by_file for tag in declared})
        close = [other for other in tags if other.casefold() == tag.casefold()]
        close = close or difflib.get_close_matches(tag, tags, n=3)
        paths = [str(path) for path, _ in by_file]  # whole: `first_few` would cut them
        raise UserError(
            f"annotate.info: no header line '##INFO=<ID={tag},…' in {', '.join(paths[:5])}"
            + (f", … ({len(paths)} files)" if len(paths) > 5 else "")
            + (
                f" (is it {', '.join(map(repr, close))}?)"
                if close
                else f" (declared: {first_few(tags, 10) or 'none'})"
            )
            + "; correct the name, or add the header line that says its type and number: the "
            "specification's own fields (AF, AC, AN, DP, …) need one too"
        )
    return known


def parsed(field: InfoField, rows: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
    """Return the values of alleles, and which do not fit (bool).

    `rows` has `entry` (TAG=text, TAG or null), `text`, `n_alt` and `allele` (1-based).
    """
    present = rows["entry"].is_not_null()
    bare = (rows["entry"] == field.tag).fill_null(False)
    if field.type == "Flag":
        # The specification's own valid files have DB=0 and DB=1, though a flag has no value.
        off = (rows["text"] == "0").fill_null(False)
        wrong = present & ~bare & ~off & (rows["text"] != "1").fill_null(False)
        return (present & ~off).set(wrong, None), wrong
    text = rows["text"]
    text = text.set(text.is_in(["", "."]).fill_null(False) | bare, None)
    wrong = bare
    if field.number == "1":
        pass  # of a String, commas and all: none of it is lost
    elif field.per_allele:
        text, miscounted = _own(text, rows["n_alt"], rows["allele"], field.number)
        wrong = wrong | miscounted
    else:
        return _lists(field, text, wrong)
    values = text.to_frame("text").select(_converted(pl.col("text"), field.type)).to_series()
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


def _lists(field: InfoField, text: pl.Series, wrong: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return all entries of a field as a list, null as a whole where one does not fit."""
    if field.type == "String" and field.number == "." and not text.str.contains(_DOT).any():
        return text.str.split(","), wrong  # CSQ and its like are long
    frame = pl.DataFrame({"entries": text.str.split(",")})
    element = pl.element()
    value = pl.when(element != ".").then(element)
    converted = pl.col("entries").list.eval(_converted(value, field.type))
    frame = frame.with_columns(converted.alias("values"))
    fitting = pl.col("values").list.drop_nulls().list.len()
    missing = pl.col("entries").list.count_matches(".")
    misfit = fitting + missing != pl.col("entries").list.len()
    if field.number.isdigit():
        misfit = misfit | (pl.col("entries").list.len() != int(field.number))
    frame = frame.with_columns(misfit.fill_null(False).alias("misfit"))
    values = frame.select(pl.when(~pl.col("misfit")).then("values").cast(field.dtype)).to_series()
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

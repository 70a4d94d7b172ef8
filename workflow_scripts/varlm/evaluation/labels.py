"""What users know of alleles: a column, an INFO field or a TSV → classes or numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.errors import UserError, first_few
from varlm.files.text import decoded_lines

LABEL = "label"  # the column of a matched label
_MISSING = ("", ".", "NA", "NaN", "nan", "null", "None")
_SHOWN = 12  # values or columns named in a message
# Columns of a label table that name an allele: normalised, or as the cohort's VCF has it.
_SPELLINGS = (("input_pos", "input_ref", "input_alt"), ("pos", "ref", "alt"))


@dataclass(frozen=True)
class LabelSpec:
    """One entry of the config's `evaluate.labels`.

    Attributes
    ----------
    name : str
    column : str
        Column of the annotated table, or of `table` where that is given.
    table : Path, optional
        The TSV, where it lies on this machine.
    positive, negative : tuple of str
        Values of the classes; both empty: the label is a number.
    absolute : bool
        Whether the number's absolute value counts.
    cohort : str, optional
        The only cohort that it is for.
    """

    name: str
    column: str
    table: Path | None = None
    positive: tuple[str, ...] = ()
    negative: tuple[str, ...] = ()
    absolute: bool = False
    cohort: str | None = None

    @classmethod
    def parse(cls, name: str, entry: Mapping[str, Any], table: Path | None) -> LabelSpec:
        """Return the entry of a checked config; `table` is where its file lies."""
        tag = entry.get("info")
        return cls(
            name,
            f"info_{tag}" if tag is not None else str(entry["column"]),
            table,
            tuple(map(as_text, entry.get("positive") or ())),
            tuple(map(as_text, entry.get("negative") or ())),
            bool(entry.get("absolute")),
            entry.get("cohort"),
        )

    @property
    def is_number(self) -> bool:
        """Whether it is a number, for a correlation, and not two classes."""
        return not self.positive

    @property
    def where(self) -> str:
        """The config key, for messages."""
        return f"evaluate.labels.{self.name}"


def as_text(value: object) -> str:
    """Return a value of YAML, Parquet or TSV as the text that labels are compared by."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def column_text(values: pl.Series) -> pl.Series:
    """Return a column's values as text, null where missing; a list's entries with commas."""
    kind = values.dtype
    if isinstance(kind, pl.List):
        values = values.cast(pl.List(pl.String)).list.join(",")
    elif kind.is_float():
        whole = values.is_finite() & (values == values.round())
        whole_text = values.fill_nan(None).cast(pl.Int64, strict=False).cast(pl.String)
        values = whole_text.zip_with(whole.fill_null(False), values.cast(pl.String))
    else:
        values = values.cast(pl.String)
    return values.set(values.is_in(_MISSING), None).rename(LABEL)


@dataclass(frozen=True)
class Matched:
    """A label for each row of the annotated table (text, null: none), and what was counted.

    Attributes
    ----------
    labels : polars.Series
        String, shape (alleles,).
    rows, unmatched : int
        Rows of the label table with a value, and those of them that fit no allele.
    examples : list of str
        The first few that fit none.
    """

    labels: pl.Series
    rows: int
    unmatched: int
    examples: list[str]


def read_label_table(path: Path, column: str, where: str) -> pl.DataFrame:
    """Read a TSV of labels: `line`, `chrom`, `pos`, `ref`, `alt` and `label`, its missing ones out.

    Parameters
    ----------
    path : Path
        Plain or gzip, with a header: `chrom`, `pos`, `ref`, `alt` (or `input_pos`, `input_ref`,
        `input_alt`) and `column`. Lines that start with ## are passed over.
    where : str
        The config key, for messages.

    Raises
    ------
    UserError
        If it cannot be read, lacks a column, or a line has another number of cells or a position
        that is none.
    """
    lines = decoded_lines(
        path,
        f"{where} must name a TSV, plain or gzip, with the columns chrom, pos, ref, alt and the "
        "label's",
    )
    head = next((line for _, line in lines if not line.startswith("##")), "")
    header = head.lstrip("#").split("\t") if head else []
    spelling = next((s for s in _SPELLINGS if set(s) <= set(header)), _SPELLINGS[1])
    missing = [name for name in ("chrom", *spelling, column) if name not in header]
    if missing:
        raise UserError(
            f"{where}: {path} has no column {', '.join(missing)}; its columns are "
            f"{first_few(header, _SHOWN) or 'none'} (separated by tabs)"
        )
    places = [header.index(name) for name in ("chrom", *spelling, column)]
    rows = []
    for number, line in lines:
        if not line:
            continue
        cells = line.split("\t")
        if len(cells) != len(header):
            raise UserError(
                f"{where}: {path}, line {number}: {len(cells)} cells, expected {len(header)}, "
                "separated by tabs"
            )
        chrom, pos, ref, alt, value = (cells[place].strip() for place in places)
        if value in _MISSING:
            continue
        if not pos.isdecimal():
            raise UserError(
                f"{where}: {path}, line {number}: the position is {pos!r}; expected a number, "
                "1-based as in VCF"
            )
        rows.append((number, chrom, int(pos), ref.upper(), alt.upper(), value))
    schema = {"line": pl.Int64, "chrom": pl.String, "pos": pl.Int64, "ref": pl.String}
    return pl.DataFrame(rows, {**schema, "alt": pl.String, LABEL: pl.String}, orient="row")


def match_labels(
    alleles: pl.DataFrame, labels: pl.DataFrame, contigs: Mapping[str, str], where: str
) -> Matched:
    """Give each allele the label of the row that names it, as the VCF gave it or as normalised.

    Parameters
    ----------
    alleles : polars.DataFrame
        `chrom`, `pos`, `ref`, `alt`, `input_pos`, `input_ref`, `input_alt`.
    labels : polars.DataFrame
        From `read_label_table`.
    contigs : mapping
        CHROM of the cohort → contig of the reference. Rows may use either name.
    where : str
        Config key and file, for messages.

    Raises
    ------
    UserError
        If two rows name one allele, with both lines and their labels.
    """
    known = {**{contig: contig for contig in contigs.values()}, **contigs}
    rows = labels.with_columns(pl.col("chrom").replace(known))
    _check_once(labels, rows, ("chrom", "pos", "ref", "alt"), where)
    keyed = alleles.select(
        pl.int_range(pl.len()).alias("row"),
        pl.col("chrom").replace(known),
        *("pos", "ref", "alt", "input_pos"),
        *(pl.col(name).str.to_uppercase() for name in ("input_ref", "input_alt")),
    ).with_columns(pl.col("pos", "input_pos").cast(pl.Int64))
    pairs = [
        keyed.join(
            rows,
            left_on=["chrom", *spelling],
            right_on=["chrom", "pos", "ref", "alt"],
            how="inner",
        ).select("row", "line")
        for spelling in _SPELLINGS
    ]
    matches = pl.concat(pairs).unique().sort("row", "line")
    twice = matches.filter(pl.col("row").is_duplicated())
    if twice.height:
        row = twice["row"][0]
        lines = twice.filter(row=row)["line"].to_list()[:2]
        allele = alleles.row(row, named=True)
        raise UserError(
            f"{where}: lines {lines[0]} and {lines[1]} name one allele "
            f"({allele['chrom']}:{allele['pos']} {allele['ref']}>{allele['alt']}) in two ways; "
            "keep one"
        )
    values = dict(zip(rows["line"], rows[LABEL], strict=True))
    text: list[str | None] = [None] * alleles.height
    for row, line in matches.iter_rows():
        text[row] = values[line]
    unmatched = rows.join(matches, on="line", how="anti").sort("line")
    examples = [
        f"line {line}: {chrom}:{pos} {ref}>{alt}"
        for line, chrom, pos, ref, alt, _ in unmatched.head(3).iter_rows()
    ]
    return Matched(pl.Series(LABEL, text, pl.String), rows.height, unmatched.height, examples)


def check_label_table(spec: LabelSpec, contigs: Mapping[str, str], known: Iterable[str]) -> None:
    """Refuse a label table for what would be refused of it beside any alleles.

    Parameters
    ----------
    spec : LabelSpec
        One that has a table.
    contigs : mapping
        CHROM of the cohort → contig of the reference.
    known : iterable of str
        All contigs of the reference.

    Raises
    ------
    UserError
        As `read_label_table`; or two rows name one allele, no label is of a class, one is no
        number, or no row is on a contig of the cohort or the reference.
    """
    assert spec.table is not None
    labels = read_label_table(spec.table, spec.column, spec.where)
    names = {**{contig: contig for contig in known}, **contigs}
    rows = labels.with_columns(pl.col("chrom").replace(names))
    where = f"{spec.where}: {spec.table}"
    _check_once(labels, rows, ("chrom", "pos", "ref", "alt"), where)
    if labels.height and not labels["chrom"].is_in(list(names)).any():
        strange = labels["chrom"].unique(maintain_order=True).to_list()
        raise UserError(
            f"{where}: no row is on a contig of the cohort or the reference; its contigs are "
            f"{first_few(strange)}, those of the cohort {first_few(contigs)}; name them alike"
        )
    if spec.is_number:
        numbers(labels[LABEL], spec)
    else:
        classes(labels[LABEL], spec)


def _check_once(labels: pl.DataFrame, rows: pl.DataFrame, key: Sequence[str], where: str) -> None:
    twice = rows.filter(pl.struct(key).is_duplicated()).sort("line")
    if not twice.height:
        return
    same = twice.filter(pl.all_horizontal(pl.col(name) == twice[name][0] for name in key))
    (first_line, first_label), (second_line, second_label) = (
        same.select("line", LABEL).head(2).iter_rows()
    )
    chrom, pos, ref, alt = labels.filter(line=first_line).select(key).row(0)
    what = (
        f"both {first_label!r}"
        if first_label == second_label
        else f"{first_label!r} and {second_label!r}"
    )
    more = twice.select(pl.struct(key).n_unique()).item() - 1
    also = f"; so it is with {more} more alleles" if more else ""
    raise UserError(
        f"{where}: lines {first_line} and {second_line} are of one allele "
        f"({chrom}:{pos} {ref}>{alt}), with the labels {what}{also}; keep one row of "
        "each allele"
    )


@dataclass(frozen=True)
class Classes:
    """Which alleles are positive, which negative, and how many have another label or none."""

    positive: NDArray[np.bool_]
    negative: NDArray[np.bool_]
    other: int
    unlabelled: int


def classes(labels: pl.Series, spec: LabelSpec) -> Classes:
    """Return the classes of labels, shape (alleles,).

    Raises
    ------
    UserError
        If there are labels and none of them is of a class: the values are misspelt.
    """
    positive = labels.is_in(spec.positive).fill_null(False).to_numpy()
    negative = labels.is_in(spec.negative).fill_null(False).to_numpy()
    unlabelled = labels.null_count()
    other = len(labels) - unlabelled - int(positive.sum()) - int(negative.sum())
    if other and not positive.any() and not negative.any():
        values = labels.drop_nulls().value_counts(sort=True)[LABEL].to_list()
        raise UserError(
            f"{spec.where}: no allele is {' or '.join(spec.positive)}, nor "
            f"{' or '.join(spec.negative)}; the values of {spec.column} are "
            f"{first_few(values, _SHOWN)}"
        )
    return Classes(positive, negative, other, unlabelled)


def numbers(labels: pl.Series, spec: LabelSpec) -> NDArray[np.float64]:
    """Return labels as numbers, NaN where missing, shape (alleles,).

    Raises
    ------
    UserError
        If a label is no number.
    """
    values = labels.cast(pl.Float64, strict=False)
    values = values.set(~values.is_finite(), None)
    wrong = labels.filter(labels.is_not_null() & values.is_null())
    if len(wrong):
        raise UserError(
            f"{spec.where}: {len(wrong)} labels in {spec.column} are no numbers, the first is "
            f"{wrong[0]!r}; give positive and negative where they are classes"
        )
    array = values.fill_null(np.nan).to_numpy().astype(np.float64)
    return np.abs(array) if spec.absolute else array

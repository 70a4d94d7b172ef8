"""A user's TSV of labels: read, matched with the alleles of a cohort, and looked at beforehand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from varlm.errors import UserError, first_few
from varlm.evaluation.labels import LABEL, MISSING, LabelSpec, classes, numbers
from varlm.files.text import tabbed

_GROUP = "group "  # before the columns that name groups, which may have any name
_SHOWN = 12  # columns named in a message
# Columns of a label table that name an allele: normalised, or as the cohort's VCF has it.
_SPELLINGS = (("input_pos", "input_ref", "input_alt"), ("pos", "ref", "alt"))


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
    groups : polars.DataFrame
        Columns of the label table that name groups, text, shape (alleles, columns).
    """

    labels: pl.Series
    rows: int
    unmatched: int
    examples: list[str]
    groups: pl.DataFrame = field(default_factory=pl.DataFrame)


def read_label_table(
    path: Path, column: str, where: str, group: Sequence[str] = ()
) -> pl.DataFrame:
    """Read a TSV of labels: `line`, `chrom`, `pos`, `ref`, `alt` and `label`, its missing ones out.

    Those of the columns `group` that it has are read as well, `group ` before their names.

    Parameters
    ----------
    path : Path
        Plain or gzip, with a header: `chrom`, `pos`, `ref`, `alt` (or `input_pos`, `input_ref`,
        `input_alt`) and `column`. Lines that start with ## are passed over.
    where : str
        The config key, for messages.
    group : sequence of str
        Columns that may be there.

    Raises
    ------
    UserError
        If it cannot be read, lacks a column, or a line has another number of cells or a position
        that is none.
    """
    header, table_rows = _table(path, where)
    spelling = next((s for s in _SPELLINGS if set(s) <= set(header)), _SPELLINGS[1])
    missing = [name for name in ("chrom", *spelling, column) if name not in header]
    if missing:
        raise UserError(
            f"{where}: {path} has no column {', '.join(missing)}; its columns are "
            f"{first_few(header, _SHOWN) or 'none'} (separated by tabs)"
        )
    grouping = [name for name in group if name in header]
    places = [header.index(name) for name in ("chrom", *spelling, column, *grouping)]
    rows = []
    for number, cells in table_rows:
        chrom, pos, ref, alt, value, *names = (cells[place] for place in places)
        if value in MISSING:
            continue
        if not pos.isdecimal():
            raise UserError(
                f"{where}: {path}, line {number}: the position is {pos!r}; expected a number, "
                "1-based as in VCF"
            )
        known = (name if name not in MISSING else None for name in names)
        rows.append((number, chrom, int(pos), ref.upper(), alt.upper(), value, *known))
    texts = ("ref", "alt", LABEL, *(_GROUP + name for name in grouping))
    schema = {"line": pl.Int64, "chrom": pl.String, "pos": pl.Int64}
    return pl.DataFrame(rows, {**schema, **dict.fromkeys(texts, pl.String)}, orient="row")


def label_table_columns(path: Path, where: str) -> list[str]:
    """Return the columns of a TSV of labels; `where` is the config key, for messages."""
    return _table(path, where)[0]


def _table(path: Path, where: str) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    return tabbed(
        path,
        f"{where} must name a TSV, plain or gzip, with the columns chrom, pos, ref, alt and the "
        "label's",
        where,
    )


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
    carried = [name for name in rows.columns if name not in ("line", "chrom", "pos", "ref", "alt")]
    of_alleles = (
        keyed.select("row")
        .join(matches, on="row", how="left", maintain_order="left")
        .join(rows.select("line", *carried), on="line", how="left", maintain_order="left")
        .select(carried)
    )
    unmatched = rows.join(matches, on="line", how="anti").sort("line")
    examples = [
        f"line {line}: {chrom}:{pos} {ref}>{alt}"
        for line, chrom, pos, ref, alt, *_ in unmatched.head(3).iter_rows()
    ]
    groups = of_alleles.drop(LABEL).rename(lambda name: name.removeprefix(_GROUP))
    return Matched(of_alleles[LABEL], rows.height, unmatched.height, examples, groups)


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

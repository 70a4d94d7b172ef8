"""The table of top hits: what `page.js` shows, sorts, filters and writes as CSV."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from varlm.report.links import BrowserLink, addresses
from varlm.report.page import packed
from varlm.report.scales import Scale
from varlm.report.text import cut
from varlm.tables.columns import kinds_of
from varlm.tables.parquet import Table
from varlm.tables.schemas import CONSEQUENCES, annotated
from varlm.tables.score_kinds import ScoreKind, score_columns

# Bytes of the packed table: half of what a report may have. Longer ones lose text, then rows.
BUDGET = 3_500_000
TEXT_LIMITS = (200, 60, 20)  # characters of a cell

_FIRST = ("chrom", "pos", "id", "ref", "alt")
_CONSEQUENCE_FIRST = ("consequence", "gene", "protein_change")


@dataclass(frozen=True)
class HitTable:
    """The packed table and what was left out of it.

    Attributes
    ----------
    data : str
        `page.packed` of columns, rows and links.
    rows, total : int
        Rows in it, and rows there were.
    text_limit : int
        Longest text of a cell, characters.
    cut_cells : int
        Cells with a longer one.
    """

    data: str
    rows: int
    total: int
    text_limit: int
    cut_cells: int


@dataclass(frozen=True)
class HitsSection:
    """What the section "Top hits" says: rows there are, which they are, and notes.

    `which` is "" where there is no score, and no such section.
    """

    total: int
    which: str
    notes: list[str]


def hits_section(
    table: HitTable, wanted: int, scales: Sequence[Scale], ranked_by: str = "model"
) -> HitsSection:
    """Return the words around a table of hits.

    Parameters
    ----------
    table : HitTable
    wanted : int
        Hits of each model that were asked for.
    scales : sequence of Scale
        Of each model's scores.
    ranked_by : str
        What has hits: a model, or else a column.
    """
    notes = []
    if table.rows < table.total:
        notes.append(
            f"To keep this file small, only the first {table.rows:,} of {table.total:,} rows are "
            "here; all are in annotated.tsv.gz."
        )
    if table.cut_cells:
        notes.append(
            f"{table.cut_cells:,} cells are cut to {table.text_limit} characters (…); "
            "annotated.tsv.gz has them whole."
        )
    return HitsSection(table.total, _which(table.total, wanted, scales, ranked_by), notes)


def _which(total: int, wanted: int, scales: Sequence[Scale], ranked_by: str) -> str:
    """Return which alleles the rows are and their order, as a sentence."""
    ends = {("highest" if s.kind.worst_first else "lowest", s.kind.title) for s in scales}
    of, first = "the most harmful score", "most harmful"
    if len(ends) == 1:
        ((first, title),) = ends
        of = f"{first} {title}"
    if total < wanted:
        some = " with a score" if any(scale.kind.alleles is None for scale in scales) else ""
        return f"All alleles{some} ({total:,}), the {first} first."
    whose = f"each {ranked_by}" if len(scales) > 1 else f"the {ranked_by}"
    rows = f" ({total:,} rows)" if total != wanted else ""
    return f"The {wanted:,} alleles of {of} of {whose}{rows}, the {first} first."


def union(hits: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return the rows that are a hit of any score, once each, the best rank first."""
    ranked = [rows.with_row_index("rank") for rows in hits.values()]
    key = ("file", "record", "allele")
    best = pl.concat(ranked).sort("rank", maintain_order=True)
    return best.unique(key, keep="first", maintain_order=True).drop("rank")


def hit_table(
    rows: pl.DataFrame,
    table: Table,
    models: Iterable[str] | Mapping[str, ScoreKind],
    links: Sequence[BrowserLink],
    contig_of_chrom: Mapping[str, str],
    budget: int = BUDGET,
    published: Sequence[str] = (),
) -> HitTable:
    """Return the table for the page, at most `budget` bytes.

    Parameters
    ----------
    rows : polars.DataFrame
        As of `union`.
    table : Table
        The annotated table's schema, INFO and tracks among its columns.
    models : mapping, or iterable of str
        Name → kind of its score, or names alone: all masked.
    published : sequence of str
        Columns of tables of scores, which are shown at first, like those of models.
    """
    columns = _columns(rows, table, kinds_of(models), published)
    kept = rows
    for limit in TEXT_LIMITS:
        data, cut_cells = _pack(kept, columns, links, contig_of_chrom, limit)
        if len(data) <= budget:
            break
    while len(data) > budget and kept.height > 1:
        kept = kept.head(max(int(kept.height * 0.9 * budget / len(data)), 1))
        data, cut_cells = _pack(kept, columns, links, contig_of_chrom, limit)
    return HitTable(data, kept.height, rows.height, limit, cut_cells)


def _columns(
    rows: pl.DataFrame, table: Table, kinds: Mapping[str, ScoreKind], published: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the columns in the page's order: name, meaning, kind and whether shown at first."""
    scored = [f"{m}_{name}" for m, kind in kinds.items() for name, _ in score_columns(kind)]
    plain = set(annotated(kinds).names)
    extra = [name for name in table.names if name not in plain and name not in published]
    main = [
        *_FIRST,
        *_CONSEQUENCE_FIRST,
        "af",
        *(f"{model}_{kind.column}" for model, kind in kinds.items()),
        *(f"{model}_percentile" for model in kinds),
        *published,
    ]
    rest = [
        *(name for name in scored if name not in main),
        *extra,
        "kind",
        *(name for name in CONSEQUENCES.names if name not in main),
        "input_pos",
        "input_ref",
        "input_alt",
    ]
    by_name = {column.name: column for column in table.columns}
    described = []
    for name in [*main, *rest]:
        asked_for = name in _FIRST or name in extra
        if not asked_for and rows[name].null_count() == rows.height:
            continue  # nothing to see: no annotation, no frequency, one strand
        dtype = by_name[name].dtype
        described.append(
            {
                "name": name,
                "meaning": cut(by_name[name].meaning, 300),
                "kind": "number" if dtype.is_numeric() else "text",
                "shown": name in main,
            }
        )
    return described


def _pack(
    rows: pl.DataFrame,
    columns: Sequence[Mapping[str, Any]],
    links: Sequence[BrowserLink],
    contig_of_chrom: Mapping[str, str],
    limit: int,
) -> tuple[str, int]:
    cut_cells = 0

    def cell(value: Any) -> Any:
        nonlocal cut_cells
        if value is None or isinstance(value, bool | int):
            return value
        if isinstance(value, float):
            return float(f"{value:.6g}") if math.isfinite(value) else None
        text = _text(value)
        short = cut(text, limit)
        cut_cells += short != text
        return short

    names = [column["name"] for column in columns]
    values = [[cell(value) for value in row] for row in rows.select(names).iter_rows()]
    urls = [
        addresses(
            links,
            chrom=row["chrom"],
            contig=contig_of_chrom.get(row["chrom"], row["chrom"]),
            pos=row["pos"],
            ref=row["ref"],
            alt=row["alt"],
        )
        for row in rows.select(_FIRST).iter_rows(named=True)
    ]
    value = {
        "columns": list(columns),
        "rows": values,
        "browsers": [link.name for link in links],
        "links": urls if links else [],
    }
    return packed(value), cut_cells


def _text(value: Any) -> str:
    """Return a cell as text; lists by commas, transcripts by semicolons."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return " ".join(_text(part) for part in value.values() if part is not None)
    if isinstance(value, list | tuple | pl.Series):
        parts = ["." if part is None else _text(part) for part in value]
        return ("; " if any(isinstance(part, dict) for part in value) else ",").join(parts)
    return f"{value:.6g}" if isinstance(value, float) else str(value)

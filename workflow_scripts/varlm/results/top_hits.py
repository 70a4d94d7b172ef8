"""The alleles that a model finds most harmful, as the reports show and picture them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.genome.bases import IS_ACGT
from varlm.genome.reference import Contig, Genome
from varlm.tables.parquet import ROW_GROUP, on_its_own
from varlm.tables.schemas import read_kinds

# Beyond the score, what decides between equal ones: two runs show the same rows.
_ORDER = ("chrom", "pos", "ref", "alt", "file", "record", "allele")
_ALLELE = ("chrom", "pos", "ref", "alt")
_ROWS = 500_000  # read at a time


def top_hits(annotated: Path, models: Sequence[str], count: int) -> dict[str, pl.DataFrame]:
    """Return, for each model, the `count` rows of the annotated table with the worst score.

    Sorted by score, the most harmful first, then by allele and record; all columns. An allele of
    several records has several rows, one without a score none. The worst are found in the score
    and the columns that decide between equal ones; only their rows are read whole, a slice of the
    table at a time.
    """
    kinds = read_kinds(annotated, models)
    ends = {model: (f"{model}_{kind.column}", kind.harmful) for model, kind in kinds.items()}
    return most_harmful(annotated, ends, count)


def most_harmful(
    annotated: Path, ends: Mapping[str, tuple[str, str]], count: int
) -> dict[str, pl.DataFrame]:
    """Return `top_hits` of any scores; `ends` is name → column, and its harmful end."""
    if not ends:
        return {}
    frame = pl.scan_parquet(annotated)
    total = int(frame.select(pl.len()).collect().item())
    keys = frame.select(*dict.fromkeys(column for column, _ in ends.values()), *_ORDER)
    worst: dict[str, pl.DataFrame] = {}
    for start in range(0, max(total, 1), _ROWS):
        rows = keys.slice(start, _ROWS).collect(engine="in-memory").with_row_index("row", start)
        for name, (score, end) in ends.items():
            known = worst.get(name)
            both = rows if known is None else pl.concat([known, rows])
            both = _worst(both, score, end, count)
            descending = [end == "high", *(False for _ in _ORDER)]
            ordered = both.sort(score, *_ORDER, descending=descending)
            worst[name] = on_its_own(ordered.head(count))
    row_numbers = pl.concat(hits["row"] for hits in worst.values()).unique().sort()
    whole = _rows(frame, row_numbers)
    return {
        name: hits.select("row")
        .join(whole, on="row", how="left", maintain_order="left")
        .drop("row")
        for name, hits in worst.items()
    }


def _rows(frame: pl.LazyFrame, row_numbers: pl.Series) -> pl.DataFrame:
    """Return these rows, with the column `row`; `row_numbers` is sorted."""
    parts = [frame.clear().collect().with_row_index("row")]
    numbers = row_numbers.to_numpy()
    for piece in np.unique(numbers // ROW_GROUP):
        start = int(piece) * ROW_GROUP
        inside = numbers[(numbers >= start) & (numbers < start + ROW_GROUP)]
        rows = frame.slice(start, ROW_GROUP).collect(engine="in-memory")
        parts.append(on_its_own(rows.with_row_index("row", start)[inside - start]))
    return pl.concat(parts)


def _worst(rows: pl.DataFrame, score: str, end: str, count: int) -> pl.DataFrame:
    """Return the rows that may be among the `count` worst, equal ones too, so that few are sorted.

    Rows without a score are none.
    """
    if end == "high":
        return rows.filter(pl.col(score) >= pl.col(score).top_k(count).min())
    return rows.filter(pl.col(score) <= pl.col(score).bottom_k(count).max())


def pictured(hits: pl.DataFrame, count: int) -> pl.DataFrame:
    """Return the first `count` distinct alleles of a model's top hits, in their order."""
    return hits.unique(_ALLELE, keep="first", maintain_order=True).head(count)


def picture_columns(contig: Contig, pos: int, ref: str, flank: int) -> NDArray[np.int64]:
    """Return the position (1-based) of each column of an allele's picture; 0 where there is none.

    The columns are REF's bases and `flank` on each side. On a circular contig they go on over the
    origin, and no position comes twice.
    """
    columns = np.arange(pos - 1 - flank, pos - 1 + len(ref) + flank)
    first, length = 0, contig.length
    if contig.circular:
        first = pos - 1 - min(length // 2, length - len(ref))
    inside = (columns >= first) & (columns < first + length)
    return np.where(inside, columns % length + 1, 0)


def picture_positions(
    genome: Genome, contig: str, pos: int, ref: str, flank: int
) -> NDArray[np.uint32]:
    """Return the positions (1-based, sorted) of an allele's picture: of its A, C, G, T columns."""
    columns = picture_columns(genome[contig], pos, ref, flank)
    positions = np.sort(columns[columns > 0]).astype(np.uint32)
    known: NDArray[np.bool_] = IS_ACGT[genome.sequence(contig)[positions - 1]]
    return positions[known]

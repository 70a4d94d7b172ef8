"""Rows of a table, however it is kept: what its readers give, and how alleles find theirs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import polars as pl

from varlm.annotation.published.wanted import PADDING, Wanted
from varlm.genome.bases import BASES, CODES, UNKNOWN
from varlm.variants.normalisation import left_align, trim

ACGT = r"^[ACGT]+$"
_KEPT = 1000  # wrong REFs that are looked at again


class Source(Protocol):
    """A table, read by place.

    Attributes
    ----------
    contigs : mapping
        The table's name → bp, where it says so, or None.
    separator : str
        What stands between several values in one cell.
    by_span : bool
        Whether rows are known by all that REF covers, not by their position alone.
    """

    contigs: Mapping[str, int | None]

    @property
    def separator(self) -> str:
        """What stands between values."""

    @property
    def by_span(self) -> bool:
        """Whether rows are known by their span."""

    def rows(self, wanted: Mapping[str, Wanted]) -> Iterator[tuple[str, pl.DataFrame]]:
        """Yield a table's contig and rows on it, among which all are that may spell an allele.

        Parameters
        ----------
        wanted : mapping
            The table's contig → what to ask for.

        Yields
        ------
        (str, polars.DataFrame)
            `pos` (1-based, Int64), `ref`, `alt` (one allele, in any case) and `value_0`, …, in
            the order of the columns; text, or as the table has them. In the table's order.
        """
        ...


@dataclass
class Checked:
    """What was found amiss in the rows at the alleles' places.

    Attributes
    ----------
    rows : int
        Rows read.
    refs, wrong : int
        REFs compared with the reference; those of them that it does not have there.
    examples : list of (contig, pos, ref)
        Some wrong ones; the contig is the reference's.
    by_contig : dict
        Contig of the reference → REFs compared on it, and wrong ones.
    """

    rows: int = 0
    refs: int = 0
    wrong: int = 0
    examples: list[tuple[str, int, str]] = field(default_factory=list)
    by_contig: dict[str, tuple[int, int]] = field(default_factory=dict)

    def count(self, right: np.ndarray, rows: pl.DataFrame, contig: str) -> None:
        """Count compared REFs: bool, shape (rows,)."""
        wrong = int(np.count_nonzero(~right))
        self.refs += len(right)
        self.wrong += wrong
        refs_there, wrong_there = self.by_contig.get(contig, (0, 0))
        self.by_contig[contig] = refs_there + len(right), wrong_there + wrong
        if len(self.examples) < _KEPT and not right.all():
            some = rows.filter(~right).select("pos", "ref").head(_KEPT - len(self.examples))
            self.examples += [(contig, pos, ref) for pos, ref in some.iter_rows()]


def matched(rows: pl.DataFrame, wanted: Wanted, checked: Checked, *, by_span: bool) -> pl.DataFrame:
    """Return the rows that are alleles', with `row`, the allele's number, in the rows' order.

    Parameters
    ----------
    rows : polars.DataFrame
        Of a `Source`, on one contig.
    wanted : Wanted
    checked : Checked
        Is added to.
    by_span : bool
        As of the `Source`.
    """
    checked.rows += rows.height
    rows = wanted.kept(rows.with_row_index("order")).with_columns(
        pl.col("ref", "alt").str.to_uppercase()
    )
    is_single = (pl.col("ref").str.len_bytes() == 1) & (pl.col("alt").str.len_bytes() == 1)
    parts = [_with_right_base(rows.filter(is_single), wanted, checked)]
    others = rows.filter(~is_single & pl.all_horizontal(pl.col("ref", "alt").str.contains(ACGT)))
    if others.height:
        parts.append(_normalised(others, wanted, checked, by_span=by_span))
    found = pl.concat(parts).join(wanted.alleles, on=["pos", "ref", "alt"])
    return found.sort("order", "row").drop("order")


def _with_right_base(rows: pl.DataFrame, wanted: Wanted, checked: Checked) -> pl.DataFrame:
    """Return the rows of one base whose REF is the reference's, and count the others."""
    bases = pl.Enum(list(BASES))
    rows = rows.filter(pl.col("ref").is_in(list(BASES)), pl.col("alt") != pl.col("ref"))
    reference = CODES[wanted.sequence[rows["pos"].to_numpy() - 1]]
    known = reference < UNKNOWN
    if not known.all():
        rows, reference = rows.filter(known), reference[known]
    right = rows["ref"].cast(bases).to_physical().to_numpy() == reference
    checked.count(right, rows, wanted.contig)
    return rows if right.all() else rows.filter(right)


def _normalised(
    rows: pl.DataFrame, wanted: Wanted, checked: Checked, *, by_span: bool
) -> pl.DataFrame:
    """Return rows of several bases, their alleles trimmed and left-aligned."""
    sequence = wanted.sequence
    keys: list[tuple[int, str, str]] = []
    right = np.zeros(rows.height, dtype=bool)
    usable = np.zeros(rows.height, dtype=bool)
    for index, (pos, ref, alt) in enumerate(rows.select("pos", "ref", "alt").iter_rows()):
        text = ref.encode()
        right[index] = pos > 0 and sequence[pos - 1 : pos - 1 + len(text)].tobytes() == text
        if right[index] and ref != alt:
            normal = left_align(sequence, trim(pos - 1, text, alt.encode()))
            # What is padded further would be found or not by what is read beside it.
            usable[index] = by_span or normal.pos - pos <= PADDING
            keys.append((normal.pos, normal.ref.decode(), normal.alt.decode()))
        else:
            keys.append((pos, ref, alt))
    checked.count(right, rows, wanted.contig)
    schema = {"pos": pl.Int64, "ref": pl.String, "alt": pl.String}
    normalised = pl.DataFrame(keys, schema=schema, orient="row")
    return rows.with_columns(*normalised).filter(usable)

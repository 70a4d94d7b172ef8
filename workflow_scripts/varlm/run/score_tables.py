"""Tables of published scores that the config names: `annotate.scores`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

ColumnType = Literal["float", "integer", "text"]
Rule = Literal["max", "min", "first", "list"]
Source = str | int
"""A column of a table: its name, or its number, from 1; of a VCF, an INFO field."""


@dataclass(frozen=True, kw_only=True)
class ScoreColumn:
    """A column that a table of scores gives to the annotated table.

    Attributes
    ----------
    name : str
        Of the column, after the table's name: `cadd_phred` of the table `cadd`.
    source : str or int
        The table's own column.
    type : str
        Of its values; a value that is not of it is an error.
    harmful : str or None
        Which end is that of harmful variants; None: it is no score, and has no percentile.
    unit : str
    rule : str
        Which value counts where several rows of the table are of one allele: the largest, the
        smallest, the first, or all of them, as a text with commas.
    """

    name: str
    source: Source
    type: ColumnType = "float"
    harmful: Literal["low", "high"] | None = None
    unit: str = ""
    rule: Rule = "first"


@dataclass(frozen=True, kw_only=True)
class ScoreTable:
    """A table of scores by allele.

    Attributes
    ----------
    name : str
    path : str
        A file, or a pattern with `{contig}`: one file a contig.
    columns : tuple of ScoreColumn
    key : mapping, optional
        `contig`, `pos`, `ref`, `alt` → the table's own column; what is not there is told by the
        header.
    base : int
        Of its positions: 1 or 0.
    missing : tuple of str
        Texts that stand for no value.
    """

    name: str
    path: str
    columns: tuple[ScoreColumn, ...]
    key: Mapping[str, Source] | None = None
    base: Literal[0, 1] = 1
    missing: tuple[str, ...] = ("", ".", "NA", "nan")

"""Tables of published scores that the config names: `annotate.scores`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

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

    @property
    def by_contig(self) -> bool:
        """Whether it is of one file a contig."""
        return CONTIG in self.path

    @property
    def ranked(self) -> tuple[ScoreColumn, ...]:
        """The columns that have percentiles, where the table knows enough of the genome."""
        return tuple(column for column in self.columns if column.harmful is not None)

    @property
    def possible_names(self) -> list[str]:
        """The columns that it makes or may make in the annotated table, in their order."""
        return [
            name
            for column in self.columns
            for name in (
                self.column_name(column),
                *([self.percentile_name(column)] if column in self.ranked else []),
            )
        ]

    def column_name(self, column: ScoreColumn) -> str:
        """Return what a column is called in the annotated table, and in INFO."""
        return f"{self.name}_{column.name}"

    def percentile_name(self, column: ScoreColumn) -> str:
        """Return what the percentiles of a column are called there."""
        return f"{self.column_name(column)}_percentile"

    def percentile_meaning(self, column: ScoreColumn) -> str:
        """Return what the percentiles of a column are."""
        worse = {"high": "higher", "low": "lower"}[column.harmful or "low"]
        return (
            f"percentage of random SNVs of the genome with a {worse} {self.column_name(column)}, "
            "which is more harmful, ties half, 0 to 100"
        )

    def to_json(self) -> str:
        """Return the table as a line of JSON, for a step's command line."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the table that `to_json` wrote."""
        values = json.loads(text)
        values["columns"] = tuple(ScoreColumn(**column) for column in values["columns"])
        return cls(**{**values, "missing": tuple(values["missing"])})


CONTIG = "{contig}"  # in a path: one file a contig


def score_tables(config: Mapping[str, Any]) -> tuple[ScoreTable, ...]:
    """Return the tables of a config, whole and with its defaults, in its order."""
    return tuple(
        ScoreTable(
            name=name,
            path=entry["path"],
            columns=tuple(_columns(entry["columns"])),
            key=entry["key"] or None,
            base=entry["base"],
            missing=tuple(entry["missing"]),
        )
        for name, entry in config["annotate"]["scores"].items()
    )


def _columns(entries: Mapping[str, Any]) -> Iterator[ScoreColumn]:
    for name, entry in entries.items():
        if not isinstance(entry, Mapping):
            yield ScoreColumn(name=name, source=entry)
            continue
        settings = {key: value for key, value in entry.items() if key != "column"}
        settings["rule"] = entry["rule"] or _usual_rule(entry)
        yield ScoreColumn(name=name, source=entry["column"], **settings)


def _usual_rule(entry: Mapping[str, Any]) -> Rule:
    """Return the rule of a column that names none: its most harmful value, of texts all."""
    if entry["type"] == "text":
        return "list"
    rules: dict[str | None, Rule] = {"high": "max", "low": "min", None: "first"}
    return rules[entry["harmful"]]

"""What users know of alleles: a column or an INFO field → classes or numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.errors import UserError, first_few
from varlm.run.config_keys import group_columns

LABEL = "label"  # the column of a matched label
MISSING = ("", ".", "NA", "NaN", "nan", "null", "None")
_SHOWN = 12  # values named in a message


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
    group : tuple of str
        Columns that together name an allele's match group, or the element, gene or study of a
        number; of `table`, else of the annotated table.
    pairs : bool
        Whether each match group must be one positive and one negative.
    harmful : str, optional
        Which end of a number is harmful, `high` or `low`; None: not known.
    """

    name: str
    column: str
    table: Path | None = None
    positive: tuple[str, ...] = ()
    negative: tuple[str, ...] = ()
    absolute: bool = False
    cohort: str | None = None
    group: tuple[str, ...] = ()
    pairs: bool = False
    harmful: str | None = None

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
            tuple(group_columns(entry)),
            bool(entry.get("pairs")),
            entry.get("harmful"),
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
    return values.set(values.is_in(MISSING), None).rename(LABEL)


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

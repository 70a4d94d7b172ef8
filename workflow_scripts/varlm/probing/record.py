"""What the step `probe` writes: how each probe was fitted, and what it predicts of each row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from varlm.files.json_record import JsonRecord, absent_if_none
from varlm.probing.parts import Kind
from varlm.tables.parquet import Column, Table

CNN = "cnn"
ONE_HOT, KMERS, GC = "one-hot", "k-mers", "GC"  # what reads no model


@dataclass(frozen=True, kw_only=True)
class FitRecord:
    """A probe: what it reads, how it is fitted, and its column in predictions.parquet.

    Attributes
    ----------
    column : str
    input : str
        A model, or what is read of the sequence.
    features : str
    method : str
        ridge, logistic or cnn.
    model : bool
        Whether it reads a model's embeddings.
    seconds : float
        All folds together.
    chosen : tuple of float
        Of each fold: the penalty (α of ridge, C of logistic regression), or the epochs.
    """

    column: str
    input: str
    features: str
    method: str
    model: bool
    seconds: float
    chosen: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class FoldRecord:
    """A fold: its chromosomes, and how many rows it has."""

    names: tuple[str, ...]
    rows: int


@dataclass(frozen=True, kw_only=True)
class ProbeRun(JsonRecord):
    """What probe wrote beside predictions.parquet.

    Attributes
    ----------
    probe, label : str
    classes : bool
        Whether labels are classes, else numbers.
    kind : str
        What the table's rows are.
    rows, positives : int
    length : int or None
        bp of a row; None: several.
    left_out : dict
        Why rows of the table are not probed → how many.
    folds_by : str
        The column whose values are held out whole.
    folds, fits : tuple
    units : int or None
        Units of rows that overlap, each resampled whole; None: not told, of a run of before.
    flanks : bool or None
        As of `parts.EmbeddingsRecord`.
    """

    MADE_BY = "probe"

    probe: str
    label: str
    classes: bool
    kind: Kind
    rows: int
    length: int | None
    positives: int | None
    left_out: dict[str, int]
    folds_by: str
    folds: tuple[FoldRecord, ...]
    fits: tuple[FitRecord, ...]
    units: int | None = absent_if_none()
    flanks: bool | None = absent_if_none()

    @property
    def folds_are(self) -> str:
        """What the folds are, after the word: `of chromosomes`, or `by` another column."""
        return "of chromosomes" if self.folds_by == "chrom" else f"by {self.folds_by}"


def predictions_table(columns: Sequence[str], *, units: bool = True) -> Table:
    """Return the schema of predictions.parquet with the probes' columns.

    Without `units`, that of a run of before, where each row was resampled by itself.
    """
    unit = Column("unit", pl.UInt32(), "rows that overlap within a fold have the same")
    return Table(
        "predictions",
        (
            Column("row", pl.UInt32(), "0-based number of the row in the user's table"),
            Column("fold", pl.String(), "rows that are held out together have the same"),
            Column("held_out", pl.UInt32(), "which of the models did not see the row: its fold"),
            *((unit,) if units else ()),
            Column("label", pl.Float64(), "the number; of classes 1, positive, or 0, negative"),
            *(
                Column(column, pl.Float64(), "number, or probability of the class 1")
                for column in columns
            ),
        ),
        signed=True,
    )

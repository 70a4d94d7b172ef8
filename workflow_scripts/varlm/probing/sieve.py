"""Rows of a probe's table, of which those that cannot be used are left out: counted, told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.errors import UserError
from varlm.probing.columns import ROW, TableColumns

# Reason why rows are left out → what they are called.
REASONS = {
    "no_label": "without a label",
    "other_label": "with a label of neither class",
    "no_fold": "without a value in the column of folds",
    "contig_unknown": "on contigs that the reference does not have",
    "not_acgt": "whose REF or ALT is not of A, C, G and T",
    "ref_mismatch": "whose REF is not in the reference",
    "too_long": "whose alleles are longer than half of what is embedded",
    "too_short": "shorter than what is to be embedded",
    "past_contig_end": "that would be embedded past an end of their contig",
    "mostly_n": "of which less than half of the bases are A, C, G or T",
}
# What a table may well have, and nobody need be warned of.
EXPECTED = ("no_label", "other_label")

Mask = NDArray[np.bool_] | pl.Series


@dataclass
class Sieve:
    """Rows, fewer and fewer.

    Attributes
    ----------
    columns : TableColumns
        All of them.
    rows : polars.DataFrame
        Those that are left.
    left_out : dict
        Reason (`REASONS`) → rows.
    """

    columns: TableColumns
    rows: pl.DataFrame
    left_out: dict[str, int] = field(default_factory=dict)

    def drop(self, wrong: Mask, reason: str) -> NDArray[np.bool_]:
        """Leave rows out; return which are kept."""
        mask = np.asarray(wrong, bool)
        if mask.any():
            self.left_out[reason] = self.left_out.get(reason, 0) + int(mask.sum())
            self.rows = self.rows.filter(~mask)
        return ~mask

    def refuse(self, wrong: Mask, say: Callable[[dict[str, Any]], str]) -> None:
        """Raise `UserError` if a row is wrong, naming the first; `say` gets its values."""
        mask = np.asarray(wrong, bool)
        if mask.any():
            row = self.rows.row(int(mask.argmax()), named=True)
            raise UserError(f"{self.columns.place(row[ROW])}: {say(row)}")


def counted(left_out: Mapping[str, int]) -> str:
    """Return how many rows are left out and why, for a message."""
    parts = [f"{count} {REASONS[reason]}" for reason, count in left_out.items()]
    return ", ".join(parts) or "it has none"

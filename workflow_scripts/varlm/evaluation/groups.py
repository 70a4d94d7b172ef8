"""Match groups: which alleles are compared with each other alone, by columns that name them."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.errors import UserError
from varlm.evaluation.labels import LabelSpec, column_text

log = logging.getLogger(__name__)

Codes = NDArray[np.int64]
Flags = NDArray[np.bool_]

GROUPED = "match groups"  # the rows of groups that a label's columns name
AMINO_ACID = "amino_acid"  # the residue that the reference codes for
_PROTEIN_CHANGE = "protein_change"
# Names of groups that are no columns of the annotated table → the column that tells them.
DERIVED = {AMINO_ACID: _PROTEIN_CHANGE}

_NAMES = "\t"  # between the names of several columns: no cell of a TSV holds it

_MOSTLY = 0.5  # share of pairs among groups that seem to be meant as pairs


@dataclass(frozen=True)
class Groups:
    """Which alleles belong together.

    Attributes
    ----------
    codes : numpy.ndarray
        Number of each allele's group, from 0 in the order of the table; −1: of none. int64, shape
        (alleles,).
    names : list of str
        Of each group.
    word : str
        What their rows are called in the column `group`.
    pairs : bool
        Whether each has one positive and one negative.
    about : str
        What they are, for notes.
    counts : dict
        What was left out and why, for evaluation.json.
    """

    codes: Codes
    names: list[str]
    word: str = GROUPED
    pairs: bool = False
    about: str = ""
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def members(self) -> Flags:
        """Which alleles are in a group, shape (alleles,)."""
        return np.asarray(self.codes >= 0)


def group_names(
    alleles: pl.DataFrame, columns: Sequence[str], of_table: pl.DataFrame | None = None
) -> pl.Series:
    """Return each allele's group as text; null where one of the columns has no value.

    Parameters
    ----------
    alleles : polars.DataFrame
        Columns of the annotated table.
    columns : sequence of str
        Those that together name a group. One that is nowhere has no value.
    of_table : polars.DataFrame, optional
        Those of the label's own table, which go first: text, shape (alleles, columns).
    """
    own = of_table if of_table is not None else pl.DataFrame()
    parts = [own[name] if name in own.columns else named_values(alleles, name) for name in columns]
    frame = pl.DataFrame([part.alias(str(i)) for i, part in enumerate(parts)])
    return frame.select(pl.concat_str(pl.all(), separator=_NAMES)).to_series()


def named_values(alleles: pl.DataFrame, name: str) -> pl.Series:
    """Return a column of the annotated table, or what is `DERIVED` of one, as text.

    The amino acid is that of the reference, of changes of one residue.
    """
    if name in alleles.columns:
        return column_text(alleles[name])
    if name == AMINO_ACID and _PROTEIN_CHANGE in alleles.columns:
        changes = alleles[_PROTEIN_CHANGE].cast(pl.String)
        return changes.str.extract(r"^\d+([A-Z*])(?:>|$)")
    return pl.Series(name, [None] * alleles.height, pl.String)


def needed_columns(names: Collection[str], known: Collection[str]) -> set[str]:
    """Return the columns of the annotated table that values of these names are made of."""
    return {name if name in known else DERIVED.get(name, name) for name in names}


def number_groups(names: pl.Series, labelled: Flags) -> Groups:
    """Return the groups of alleles with a number: elements, genes or studies.

    Parameters
    ----------
    names : polars.Series
        From `group_names`.
    labelled : numpy.ndarray
        Which alleles have a number, bool, shape (alleles,).
    """
    codes, texts = _numbered(names, labelled)
    return Groups(codes, texts, counts={"without_group": int((labelled & (codes < 0)).sum())})


def class_groups(
    names: pl.Series, positive: Flags, negative: Flags, spec: LabelSpec, alleles: pl.DataFrame
) -> Groups:
    """Return the groups of two classes that have both; the others are left out whole.

    Parameters
    ----------
    names : polars.Series
        From `group_names`.
    positive, negative : numpy.ndarray
        bool, shape (alleles,).
    spec : LabelSpec
    alleles : polars.DataFrame
        `chrom`, `pos`, `ref`, `alt`.

    Raises
    ------
    UserError
        If `spec.pairs` demands one positive and one negative of each group, and one is otherwise.

    Notes
    -----
    Where most groups are such pairs and some are not, which may be an error in the labels, the log
    warns of these: what is measured is then no pairwise accuracy.
    """
    codes, texts = _numbered(names, positive | negative)
    positives, negatives = (
        np.bincount(codes[flags & (codes >= 0)], minlength=len(texts))
        for flags in (positive, negative)
    )
    one_each = (positives == 1) & (negatives == 1)
    both = (positives > 0) & (negatives > 0)
    sizes = _Sizes(codes, texts, positives, negatives, spec, alleles)
    if spec.pairs and not one_each.all():
        sizes.refuse(~one_each)
    if one_each.sum() >= _MOSTLY * both.sum():
        sizes.warn_of(both & ~one_each, int(both.sum()))
    kept = _kept_groups(codes, both)
    one_class, alleles_of_one = int((~both).sum()), int(((codes >= 0) & (kept < 0)).sum())
    return Groups(
        kept,
        [text for text, is_kept in zip(texts, both, strict=True) if is_kept],
        pairs=bool(both.any() and one_each[both].all()),
        about=_about(spec, one_class, alleles_of_one),
        counts={
            "without_group": int(((positive | negative) & (codes < 0)).sum()),
            "groups": int(both.sum()),
            "groups_of_one_class": one_class,
            "in_groups_of_one_class": alleles_of_one,
        },
    )


def _numbered(names: pl.Series, labelled: Flags) -> tuple[Codes, list[str]]:
    """Return the number of each labelled allele's group, −1 without one, and the groups' names."""
    known = names.set(~pl.Series(labelled), None)
    texts = known.drop_nulls().unique(maintain_order=True)
    numbers = pl.DataFrame(
        {"name": texts, "number": range(len(texts))}, {"name": pl.String, "number": pl.Int64}
    )
    joined = (
        known.alias("name").to_frame().join(numbers, on="name", how="left", maintain_order="left")
    )
    shown = [text.replace(_NAMES, ", ") for text in texts]
    return joined["number"].fill_null(-1).to_numpy(), shown


def _kept_groups(codes: Codes, kept: Flags) -> Codes:
    """Return the codes of groups that are kept, numbered anew, −1 of the others."""
    anew = np.where(kept, np.cumsum(kept) - 1, -1)
    return np.where(codes >= 0, np.append(anew, -1)[codes], -1)


@dataclass(frozen=True)
class _Sizes:
    """How many positives and negatives each group has, with what names it in messages."""

    codes: Codes
    texts: Sequence[str]
    positives: NDArray[np.int64]
    negatives: NDArray[np.int64]
    spec: LabelSpec
    alleles: pl.DataFrame

    def refuse(self, wrong: Flags) -> None:
        """Raise `UserError` for the first group that is no pair."""
        raise UserError(
            f"{self.spec.where}.pairs: {self._first(wrong)}, expected one of each"
            f"{self._place(wrong)}. Correct the groups, or remove pairs"
        )

    def warn_of(self, wrong: Flags, groups: int) -> None:
        """Warn of groups that are no pairs, if there are any, among so many with both classes."""
        if wrong.any():
            log.warning(
                "%s.group: %d of %d groups are one positive and one negative, but %s%s. So AUROC "
                "and AUPRC are measured, no pairwise accuracy; pairs: true makes such groups an "
                "error",
                self.spec.where,
                groups - int(wrong.sum()),
                groups,
                self._first(wrong),
                self._place(wrong),
            )

    def _first(self, wrong: Flags) -> str:
        group = int(np.flatnonzero(wrong)[0])
        return (
            f"the group {self.texts[group]!r} ({', '.join(self.spec.group)}) has "
            f"{self.positives[group]} positive and {self.negatives[group]} negative alleles"
        )

    def _place(self, wrong: Flags) -> str:
        group = int(np.flatnonzero(wrong)[0])
        first = self.alleles.row(int(np.flatnonzero(self.codes == group)[0]), named=True)
        more = int(wrong.sum()) - 1
        also = f"; so it is with {more} more groups" if more else ""
        return f"; its first is {first['chrom']}:{first['pos']} {first['ref']}>{first['alt']}{also}"


def _about(spec: LabelSpec, one_class: int, alleles: int) -> str:
    """Return in words what the groups are, and how many are left out since they have one class."""
    about = f"groups of the same {' and '.join(spec.group)}"
    if not one_class:
        return about
    return f"{about}; {one_class} groups of one class left out ({alleles} alleles)"

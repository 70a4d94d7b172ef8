"""Folds of whole chromosomes: each is left out once, and none of it helps to predict it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from varlm.errors import UserError

Rows = NDArray[np.int64]

FEWEST = 3  # folds: one to predict, one to choose with, one to fit
_CHOOSING = 4  # parts, at most, of which each chooses penalties once


@dataclass(frozen=True)
class Folds:
    """Rows in groups of whole chromosomes.

    Attributes
    ----------
    names : tuple of tuple of str
        The chromosomes of each fold.
    codes : numpy.ndarray
        Fold of each row, from 0, shape (rows,).
    """

    names: tuple[tuple[str, ...], ...]
    codes: Rows

    @classmethod
    def of(cls, chromosomes: Sequence[str], most: int) -> Self:
        """Put chromosomes together to at most `most` folds of about equally many rows.

        The largest first, each into the fold that has the fewest rows (scikit-learn's
        `GroupKFold`): the same rows give the same folds.

        Raises
        ------
        UserError
            If there are fewer than `FEWEST` chromosomes.
        """
        named, groups = np.unique(np.array(chromosomes, str), return_inverse=True)
        if named.size < FEWEST:
            raise UserError(
                f"the rows are of {named.size} chromosomes ({', '.join(named)}), and at least "
                f"{FEWEST} are needed: one to predict, one to choose with and one to fit; give "
                "rows of more chromosomes, or a fold column with more values"
            )
        codes = np.empty(groups.size, np.int64)
        for fold, held in enumerate(_balanced(groups, most)):
            codes[held] = fold
        count = int(codes.max()) + 1
        members = [np.unique(groups[codes == fold]) for fold in range(count)]
        return cls(tuple(tuple(named[some].tolist()) for some in members), codes)

    @property
    def count(self) -> int:
        """Number of folds."""
        return len(self.names)

    def held(self, fold: int) -> Rows:
        """Return the rows of a fold, ascending."""
        return np.flatnonzero(self.codes == fold)

    def others(self, fold: int) -> Rows:
        """Return the rows of the other folds, ascending."""
        return np.flatnonzero(self.codes != fold)

    def choosing(self, fold: int) -> list[tuple[Rows, Rows]]:
        """Return how the rows of the other folds are split to choose how a model is fitted.

        Returns
        -------
        list of (fitted, held)
            Places in `others(fold)`, whole folds on either side.
        """
        groups = self.codes[self.others(fold)]
        return [
            (np.setdiff1d(np.arange(groups.size), held), held)
            for held in _balanced(groups, _CHOOSING)
        ]

    def validating(self, fold: int) -> tuple[Rows, Rows]:
        """Return the rows that fit a network, and those of one more fold that stop it."""
        stopping = (fold + 1) % self.count
        fitted = (self.codes != fold) & (self.codes != stopping)
        return np.flatnonzero(fitted), self.held(stopping)


def _balanced(groups: NDArray[np.int64], most: int) -> list[Rows]:
    """Return rows in at most `most` parts of whole groups."""
    from sklearn.model_selection import GroupKFold  # type: ignore[import-untyped]

    parts = min(most, np.unique(groups).size)
    return [held for _, held in GroupKFold(parts).split(groups, groups=groups)]


def check_classes(positive: NDArray[np.bool_], folds: Folds) -> None:
    """Raise `UserError` unless each class is in at least `FEWEST` folds.

    Whatever is left out, both classes then are among what is left.
    """
    for name, members in (("1", positive), ("0", ~positive)):
        within = np.unique(folds.codes[members]).size
        if within < FEWEST:
            raise UserError(
                f"the label {name} is in {within} of {folds.count} folds of chromosomes, and at "
                f"least {FEWEST} are needed: one to predict, one to choose with and one to fit; "
                "give rows of it on more chromosomes"
            )

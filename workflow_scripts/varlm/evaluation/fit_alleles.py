"""The alleles that scores are fitted to: their folds, and what each fold may be fitted to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.evaluation import mutation_context
from varlm.evaluation.mutation_context import Classes, at
from varlm.evaluation.rows import FEWEST, class_counts, too_few

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Codes = NDArray[np.int64]

_ROUNDING = 1e-12  # of a value: less than this off its set's mean is that mean


@dataclass(frozen=True)
class FitAlleles:
    """The alleles for which all scores have a value, in the order of their comparison.

    Attributes
    ----------
    task : polars.DataFrame
        `chrom` and `pos` of the alleles that the baseline of mutation context is made of: these,
        or all of the task where only those in sets are compared.
    task_fold : numpy.ndarray
        From `mutation_context.folds`.
    task_truth : tuple of numpy.ndarray, or numpy.ndarray
        The two classes, or the number.
    cell : numpy.ndarray or None
        From `mutation_context.cells`.
    at : numpy.ndarray
        Which of them are compared, int64, shape (alleles,).
    sets : numpy.ndarray or None
        Number of each compared allele's set, dense; −1: of none. With sets what differs between
        them takes no part in the fit. Of two classes only.
    """

    task: pl.DataFrame
    task_fold: Codes
    task_truth: Classes | Floats
    cell: Codes | None
    at: Codes
    sets: Codes | None

    @classmethod
    def of(
        cls,
        compared: Codes,
        task: Codes,
        table: pl.DataFrame,
        truth: Classes | Floats,
        known: pl.DataFrame | None,
        sets: Codes | None,
    ) -> FitAlleles:
        """Return them.

        Parameters
        ----------
        compared, task : numpy.ndarray
            Rows of the table, ascending; all of the former are of the latter.
        table : polars.DataFrame
            `chrom` and `pos`.
        truth, known, sets
            Of all rows of the table; sets need not be dense.
        """
        places = table.select("chrom", "pos")[task]
        return cls(
            places,
            mutation_context.folds(places),
            at(truth, task),
            mutation_context.cells(known[task]) if known is not None else None,
            np.searchsorted(task, compared),
            _dense(sets[compared]) if sets is not None else None,
        )

    @property
    def fold(self) -> Codes:
        """Number of the fold of each compared allele."""
        return self.task_fold[self.at]

    @property
    def truth(self) -> Classes | Floats:
        """The classes, or the number, of the compared alleles."""
        return at(self.task_truth, self.at)

    def folds(self) -> Iterator[tuple[int, Flags]]:
        """Yield the number of each fold, and the alleles that it may be fitted to.

        Those are of the other folds; with sets, those of a set that has both classes there.
        """
        for held_out in np.unique(self.fold).tolist():
            yield held_out, self._of_both_classes(self.fold != held_out)

    def _of_both_classes(self, members: Flags) -> Flags:
        """Return members without those of sets that have one class among them."""
        if self.sets is None:
            return members
        members = members & (self.sets >= 0)
        assert isinstance(self.truth, tuple)
        positives, negatives = (
            np.bincount(self.sets[of_class & members], minlength=self.sets.max(initial=0) + 1)
            for of_class in self.truth
        )
        both: Flags = ((positives > 0) & (negatives > 0))[self.sets]
        return members & both & (self.truth[0] | self.truth[1])

    def name(self, fold: int) -> str:
        """Return a fold in words."""
        if self.task["chrom"].n_unique() > 1:
            return f"chromosome {self.task['chrom'][int(np.argmax(self.task_fold == fold))]}"
        return f"block {fold + 1} of {mutation_context.BLOCKS}"

    def too_few(self) -> str:
        """Return in words which fold has too few alleles to fit to, "" where none has."""
        for fold, training in self.folds():
            if few := _few(self.truth, training):
                return f"without {self.name(fold)}, {few}"
        return ""

    def baseline(self, held_out: int) -> Floats:
        """Return the baseline of mutation context made without a fold, NaN for that fold's alleles.

        What it is for an allele is made of the truth on all other chromosomes, so also on the one
        that is held out: a weight fitted to that would know the sign of the baseline there.
        """
        assert self.cell is not None
        rest = np.flatnonzero(self.task_fold != held_out)
        # The one chromosome that is left of two, and blocks, are cut into blocks anew.
        whole = self.task["chrom"].n_unique() > 2
        fold = self.task_fold[rest] if whole else mutation_context.folds(self.task[rest])
        values = np.full(self.task_fold.size, np.nan)
        values[rest] = mutation_context.baseline(self.cell[rest], fold, at(self.task_truth, rest))
        return values[self.at]

    def centred(self, features: Floats, training: Flags) -> Floats:
        """Return features of training alleles less their set's mean; as they are without sets.

        Parameters
        ----------
        features : numpy.ndarray
            Shape (parts, training alleles).
        training : numpy.ndarray
            From `folds`.
        """
        if self.sets is None:
            return features
        own = self.sets[training]
        size = np.maximum(np.bincount(own), 1)
        means = np.stack([(np.bincount(own, values) / size)[own] for values in features])
        centred = features - means
        # Of a score that is the same within sets nothing is left, and no rounding to be scaled up.
        centred[np.abs(centred) <= _ROUNDING * np.abs(means)] = 0
        return centred


def _dense(sets: Codes) -> Codes:
    """Return numbers of sets without gaps, −1 of no set."""
    numbers = np.full(sets.size, -1)
    numbers[sets >= 0] = np.unique(sets[sets >= 0], return_inverse=True)[1]
    return numbers


def _few(truth: Classes | Floats, training: Flags) -> str:
    """Return in words that there are too few alleles to fit to, "" where there are enough."""
    if isinstance(truth, tuple):
        positive, negative = (of_class & training for of_class in truth)
        return too_few(class_counts(positive[positive | negative]))
    total = int(training.sum())
    return f"too few: {total} alleles; at least {FEWEST} are needed" if total < FEWEST else ""

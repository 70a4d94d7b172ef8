"""Mutation context alone as a score: what a score must beat to know more than mutability.

How often a base mutates depends on its neighbours, ten times and more at CpG (Samocha et al.,
Nat. Genet. 2014, 10.1038/ng.3050, whose model of new mutations is a table of trinucleotides;
Aggarwala and Voight, Nat. Genet. 2016, 10.1038/ng.3511). So labels, consequences and frequencies
follow it too, and a model of sequences finds it without learning what is under selection. The
baseline is that table and nothing else: an allele's score is made of its trinucleotide change,
from the alleles of a task that lie on other chromosomes.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.errors import UserError
from varlm.evaluation.compared import Direction, Score
from varlm.evaluation.features import KINDS, TRINUCLEOTIDES
from varlm.run.config_keys import MUTATION_CONTEXT

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Codes = NDArray[np.int64]
Classes = tuple[Flags, Flags]  # positives and negatives

_COLUMN = f"score {MUTATION_CONTEXT}"  # of what is measured; no column of a user has a blank

SCORE = Score(
    MUTATION_CONTEXT,
    _COLUMN,
    Direction(1, "same"),
    words="of its trinucleotide change alone, as the other chromosomes have it; a baseline",
)

# Alleles of a cell that weigh as much as the rate of all: of fewer a rate is mostly noise.
PSEUDO_COUNT = 10.0
BLOCKS = 10  # in place of chromosomes, where there is one
# Of what has no trinucleotide, a cell for each kind.
CELLS = len(TRINUCLEOTIDES.categories) + len(KINDS.categories)


def with_baseline(scores: list[Score]) -> list[Score]:
    """Return the scores with the baseline behind them, before the combinations.

    Raises
    ------
    UserError
        If a model or column has its name.
    """
    if any(score.name == SCORE.name for score in scores):
        raise UserError(
            f"evaluate: a score has the name {SCORE.name}, which is that of the baseline made of "
            "trinucleotides; rename the model or the column, or set evaluate.mutation_context: "
            "false"
        )
    alone = [score for score in scores if not score.parts]
    return [*alone, SCORE, *(score for score in scores if score.parts)] if alone else scores


def cells(known: pl.DataFrame) -> Codes:
    """Return the cell of each allele: its trinucleotide change, or its kind where it has none.

    Parameters
    ----------
    known : polars.DataFrame
        `trinucleotide` and `kind` of `features.features`.
    """
    first = len(TRINUCLEOTIDES.categories)
    kind = known["kind"].cast(KINDS).to_physical().cast(pl.Int64).fill_null(0) + first
    return known["trinucleotide"].to_physical().cast(pl.Int64).fill_null(kind).to_numpy()


def folds(alleles: pl.DataFrame) -> Codes:
    """Return a number for each allele: of its chromosome, or of its block where there is one.

    `BLOCKS` blocks are contiguous and have about as many alleles each; those of one position are
    in one.

    Parameters
    ----------
    alleles : polars.DataFrame
        `chrom` and `pos`, shape (alleles,).
    """
    chromosomes: Codes = alleles["chrom"].rank("dense").cast(pl.Int64).to_numpy() - 1
    if not chromosomes.size or chromosomes.max() > 0:
        return chromosomes
    positions = alleles["pos"].cast(pl.Int64).to_numpy()
    starts = np.arange(1, BLOCKS) * positions.size // BLOCKS
    return np.searchsorted(np.sort(positions)[starts], positions, "right")


def log_odds(cell: Codes, fold: Codes, positive: Flags, negative: Flags) -> Floats:
    """Return how much likelier an allele's cell makes it positive, as other folds have it.

    log p/(1 − p) of the cell less that of all cells, where p of the cell is (P + k r) / (n + k):
    P of its n alleles are positive, r is the rate of all cells, k is `PSEUDO_COUNT`. The rate of
    all is taken off since it is another for each fold: with it, an allele would score low where
    its own chromosome has many positives, though its cell says nothing.

    Parameters
    ----------
    cell, fold : numpy.ndarray
        From `cells` and `folds`, shape (alleles,).
    positive, negative : numpy.ndarray
        bool, shape (alleles,); what is neither has a score and takes no part.
    """
    either = positive | negative
    count = _elsewhere(np.ones(either.sum()), cell[either], fold[either], fold)
    positives = _elsewhere(np.ones(positive.sum()), cell[positive], fold[positive], fold)
    rate = (positives.sum(1, keepdims=True) + 0.5) / (count.sum(1, keepdims=True) + 1)
    share = (positives + PSEUDO_COUNT * rate) / (count + PSEUDO_COUNT)
    score: Floats = np.log(share / (1 - share)) - np.log(rate / (1 - rate))
    return score[fold, cell]


def means(cell: Codes, fold: Codes, numbers: Floats) -> Floats:
    """Return by how much the mean of an allele's cell is above that of all, as other folds have it.

    The cell's is (Σ + k m) / (n + k), where m is the mean of all cells and k `PSEUDO_COUNT`.

    Parameters
    ----------
    cell, fold : numpy.ndarray
        From `cells` and `folds`, shape (alleles,).
    numbers : numpy.ndarray
        Finite, shape (alleles,).
    """
    count = _elsewhere(np.ones(numbers.size), cell, fold, fold)
    total = _elsewhere(numbers, cell, fold, fold)
    mean = total.sum(1, keepdims=True) / np.maximum(count.sum(1, keepdims=True), 1)
    score: Floats = (total + PSEUDO_COUNT * mean) / (count + PSEUDO_COUNT) - mean
    return score[fold, cell]


def at(truth: Classes | Floats, rows: Codes | Flags) -> Classes | Floats:
    """Return the classes, or the number, of some alleles."""
    return (truth[0][rows], truth[1][rows]) if isinstance(truth, tuple) else truth[rows]


def baseline(cell: Codes, fold: Codes, truth: Classes | Floats) -> Floats:
    """Return the baseline of alleles: `log_odds` of two classes, `means` of a number."""
    if isinstance(truth, tuple):
        return log_odds(cell, fold, *truth)
    return means(cell, fold, truth)


def _elsewhere(values: Floats, cell: Codes, fold: Codes, folds_of_all: Codes) -> Floats:
    """Return sums by cell over all folds but one, for each of them, shape (folds, cells)."""
    number = int(folds_of_all.max(initial=-1)) + 1
    own = np.bincount(fold * CELLS + cell, values, number * CELLS).reshape(number, CELLS)
    others: Floats = own.sum(0) - own
    return others


def with_column(
    alleles: pl.DataFrame,
    known: pl.DataFrame,
    members: Flags,
    truth: Classes | Floats,
) -> pl.DataFrame:
    """Return a table with the baseline's column, NaN for alleles that are not of the task.

    Parameters
    ----------
    alleles : polars.DataFrame
        `chrom` and `pos`.
    known : polars.DataFrame
        From `features.features`, of the same rows.
    members : numpy.ndarray
        bool: alleles of the task, shape (alleles,).
    truth : tuple of numpy.ndarray, or numpy.ndarray
        The two classes, or the number, shape (alleles,).
    """
    cell, fold = cells(known.filter(members)), folds(alleles.filter(members))
    values = np.full(alleles.height, np.nan)
    values[members] = baseline(cell, fold, at(truth, members))
    return alleles.with_columns(pl.Series(_COLUMN, values))

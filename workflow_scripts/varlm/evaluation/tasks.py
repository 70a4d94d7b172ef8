"""What is asked of the scores: which alleles to tell apart, or which number to follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.evaluation.groups import Groups
from varlm.evaluation.labels import LabelSpec, classes, numbers
from varlm.evaluation.spectrum import Spectrum, spectrum

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

LABELS, QUANTITATIVE, CONTRAST, FREQUENCY = "labels", "quantitative", "contrast", "frequency"
INTERGENIC = "intergenic"
LOW = "low"  # the end of a number that is harmful
OUTSIDE_GENES = ("intergenic_variant", "upstream_gene_variant", "downstream_gene_variant")
FREQUENCY_TASK = "allele frequency"  # a name that no label can have


@dataclass(frozen=True)
class Task:
    """One question; arrays have the shape (alleles of the table,).

    Attributes
    ----------
    name, kind : str
        `kind` is LABELS, QUANTITATIVE, CONTRAST or FREQUENCY.
    about : str
        The question in words.
    positive, negative : numpy.ndarray, optional
        The classes; of FREQUENCY the rare and the common alleles.
    numbers : numpy.ndarray, optional
        Of QUANTITATIVE, NaN where there is none.
    spectrum : Spectrum, optional
        Of FREQUENCY.
    counts : dict
        What was left out and why, for evaluation.json.
    notes : list of str
        What a reader must know.
    groups : Groups, optional
        Alleles that are compared with each other alone: of two classes match groups, of a number
        its elements, genes or studies.
    harmful : str, optional
        Which end of a number is harmful, `high` or `low`; None: not known.
    """

    name: str
    kind: str
    about: str
    positive: Flags | None = None
    negative: Flags | None = None
    numbers: Floats | None = None
    spectrum: Spectrum | None = None
    counts: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    groups: Groups | None = None
    harmful: str | None = None

    @property
    def harm(self) -> Floats | None:
        """The number, turned so that high is harmful where it is known which end is."""
        return -self.numbers if self.numbers is not None and self.harmful == LOW else self.numbers


def label_task(spec: LabelSpec, labels: pl.Series, counts: dict[str, Any]) -> Task:
    """Return the task of labels (text, shape (alleles,)); `counts` says how they were matched.

    Raises
    ------
    UserError
        If the labels are of no class, or no numbers.
    """
    if spec.is_number:
        values = numbers(labels, spec)
        known = int((~np.isnan(values)).sum())
        what = f"|{spec.column}|" if spec.absolute else spec.column
        within = f" within each {' and '.join(spec.group)}, averaged" if spec.group else ""
        end = f"; {spec.harmful} is harmful" if spec.harmful else ""
        return Task(
            spec.name,
            QUANTITATIVE,
            f"correlation of each score with {what}{within}{end}",
            numbers=values,
            counts={**counts, "labelled": known, "unlabelled": values.size - known},
            harmful=spec.harmful,
        )
    labelled = classes(labels, spec)
    return Task(
        spec.name,
        LABELS,
        f"{spec.column}: {' or '.join(spec.positive)} against {' or '.join(spec.negative)}",
        labelled.positive,
        labelled.negative,
        counts={**counts, "other_labels": labelled.other, "unlabelled": labelled.unlabelled},
    )


def contrast_task(pair: Sequence[str], consequence: pl.Series) -> Task:
    """Return the task that tells two consequences apart.

    Parameters
    ----------
    pair : sequence of str
        Sequence Ontology terms, the more deleterious first; `INTERGENIC` is all outside genes.
    consequence : polars.Series
        The most severe term of each allele.
    """
    positive, negative = (_of_term(consequence, term) for term in pair)
    annotated = len(consequence) - consequence.null_count()
    return Task(
        " vs ".join(pair),
        CONTRAST,
        f"consequence {pair[0]} against {pair[1]}, from the annotation; no labels",
        positive,
        negative,
        notes=(
            []
            if annotated or not len(consequence)
            else ["No allele has a consequence: the config gives no reference.annotation."]
        ),
    )


def _of_term(consequence: pl.Series, term: str) -> Flags:
    terms = OUTSIDE_GENES if term == INTERGENIC else (term,)
    return consequence.is_in(terms).fill_null(False).to_numpy()


def frequency_task(alleles: pl.DataFrame) -> Task:
    """Return the task of allele frequencies; without a frequency its classes are empty.

    Parameters
    ----------
    alleles : polars.DataFrame
        As `spectrum.spectrum` takes them.
    """
    about = "rare against common alleles, and rank correlation with the frequency"
    by_frequency = spectrum(alleles)
    if by_frequency is None:
        nothing = np.zeros(alleles.height, bool)
        return Task(
            FREQUENCY_TASK,
            FREQUENCY,
            about,
            nothing,
            nothing,
            notes=["No allele has a frequency (INFO/AF, or AC and AN)."],
        )
    return Task(
        FREQUENCY_TASK,
        FREQUENCY,
        about,
        by_frequency.rare,
        by_frequency.common,
        by_frequency.frequency,
        by_frequency,
        counts={
            "left_out": by_frequency.left_out,
            "turned": int(by_frequency.turned.sum()),
            "rare": int(by_frequency.rare.sum()),
            "common": int(by_frequency.common.sum()),
        },
        notes=[
            f"Looked at: the {by_frequency.polarity}.",
            f"Rare: {by_frequency.rare_is}.",
            f"Common: {by_frequency.common_is}.",
            *(
                [
                    "A score that prefers the reference’s allele whatever the site gains by the "
                    "turning: compare with what shuffled scores reach by chance, and see the "
                    "alleles that were not turned."
                ]
                if by_frequency.turned.any()
                else []
            ),
        ],
    )

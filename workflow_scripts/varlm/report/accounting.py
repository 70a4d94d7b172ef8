"""The section "Accounting": kinds of alleles, reasons of rejection, contigs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from varlm.report.counts import ModelCounts
from varlm.report.inputs import ReportInput
from varlm.report.scales import Scale, ScoreColumns, score_columns, with_titles
from varlm.report.text import cut, share
from varlm.variants.accounting import AccountedContig, Accounting
from varlm.variants.cohort import REASONS

_CONTIGS = 40
_CELL, _DETAIL = 60, 200  # characters of a cell of the rejected alleles, and of its last


@dataclass(frozen=True)
class KindRow:
    """Alleles of a kind: how many, which share of all, and each model's median score as text."""

    name: str
    alleles: int
    share: str
    medians: list[str]


@dataclass(frozen=True)
class RejectedAllele:
    """A rejected allele as the VCF has it, and what was found."""

    chrom: str
    pos: str
    id: str
    ref: str
    alt: str
    detail: str


@dataclass(frozen=True)
class ReasonRow:
    """A reason of rejection: alleles, what it means, and the first of them."""

    name: str
    count: int
    meaning: str
    examples: list[RejectedAllele]


@dataclass(frozen=True)
class ContigRow:
    """A CHROM of the input, the contig it is and how that was known, and its records."""

    chrom: str
    contig: str
    how: str
    records: int
    ref_checked: int
    ref_mismatches: int


@dataclass(frozen=True)
class ContigNames:
    """How the input's contigs were matched.

    Attributes
    ----------
    sentence : str
    rows : list of ContigRow
        The first of `total`, those with the most records first.
    without : list of str
        The first of `without_total` contigs of the reference that have no record.
    """

    sentence: str
    rows: list[ContigRow]
    total: int
    without: list[str]
    without_total: int


@dataclass(frozen=True)
class AccountingSection:
    """Alleles in = accepted + rejected, and both taken apart.

    `models` are the heads of the medians' columns, `unscored` says of which alleles a model has no
    score.
    """

    alleles_in: int
    accepted: int
    rejected: int
    models: list[ScoreColumns]
    kinds: list[KindRow]
    unscored: list[str]
    reasons: list[ReasonRow]
    contigs: ContigNames


def accounting_section(inputs: ReportInput) -> AccountingSection:
    """Return what became of the cohort's alleles."""
    accounting = inputs.accounting
    return AccountingSection(
        alleles_in=accounting.alleles_in,
        accepted=accounting.accepted,
        rejected=accounting.rejected,
        models=[score_columns(name, scale) for name, scale in inputs.scales.items()],
        kinds=kind_rows(inputs.counts, inputs.classes),
        unscored=list(alleles_unscored(inputs.counts)),
        reasons=list(_reasons(accounting.by_reason, inputs.rejected)),
        contigs=contig_names(accounting),
    )


def kind_rows(counts: Mapping[str, ModelCounts], classes: ModelCounts) -> list[KindRow]:
    """Return the accepted alleles by kind, the most numerous first.

    Parameters
    ----------
    counts : mapping
        Model → its counts.
    classes : ModelCounts
        Those of any score.
    """
    numbers = classes.totals("kind")
    total = sum(numbers.values())
    by_model = [(of_model.scale, of_model.by("classes", "kind")) for of_model in counts.values()]
    return [
        KindRow(
            name=str(kind),
            alleles=n,
            share=share(n, total),
            medians=[
                scale.shown(scores[kind,].quantile(0.5)) if (kind,) in scores else "no score"
                for scale, scores in by_model
            ],
        )
        for kind, n in sorted(numbers.items(), key=lambda item: -item[1])
    ]


def alleles_unscored(counts: Mapping[str, ModelCounts]) -> Iterator[str]:
    """Yield how many indels and MNVs models have no score of, by their kinds of score."""
    by_number: dict[int, dict[str, Scale]] = {}
    for model, of_model in counts.items():
        by_number.setdefault(of_model.missing_alleles, {})[model] = of_model.scale
    by_number.pop(0, None)
    for number, scales in by_number.items():
        their = "the score is" if len(scales) == 1 else "their scores are"
        yield (
            f"{with_titles(scales)}: {number:,} indels and MNVs have no score, for {their} of "
            "single bases."
        )


def _reasons(by_reason: Mapping[str, int], rejected: pl.DataFrame | None) -> Iterator[ReasonRow]:
    for reason, count in sorted(by_reason.items(), key=lambda item: -item[1]):
        rows = [] if rejected is None else rejected.filter(reason=reason).iter_rows(named=True)
        meaning = REASONS.get(reason, "a reason of another version of varlm")
        yield ReasonRow(reason, count, meaning, [_rejected_allele(row) for row in rows])


def _rejected_allele(row: Mapping[str, str]) -> RejectedAllele:
    cells = {name: cut(row[name], _CELL) for name in ("chrom", "pos", "id", "ref", "alt")}
    return RejectedAllele(**cells, detail=cut(row["detail"], _DETAIL))


def contig_names(accounting: Accounting) -> ContigNames:
    """Return how the contigs of a cohort were matched."""
    entries = sorted(accounting.contigs, key=lambda entry: -entry.records)
    ways = Counter(
        f"by {entry.how}" if entry.contig is not None else "not in the reference"
        for entry in entries
    )
    counted = ", ".join(
        f"{n:,} {way}"
        for way, n in sorted(ways.items(), key=lambda item: (-item[1], item[0].removeprefix("by ")))
    )
    sentence = f"Contigs in the input: {len(entries):,}. Matched to the reference: {counted}."
    without = accounting.contigs_without_records
    return ContigNames(
        sentence=sentence if entries else "The input names no contig.",
        rows=[_contig_row(entry) for entry in entries[:_CONTIGS]],
        total=len(entries),
        without=[cut(name, 60) for name in without[: 2 * _CONTIGS]],
        without_total=len(without),
    )


def _contig_row(entry: AccountedContig) -> ContigRow:
    return ContigRow(
        chrom=cut(entry.chrom, 100),
        contig="–" if entry.contig is None else cut(entry.contig, 100),
        how=entry.how,
        records=entry.records,
        ref_checked=entry.ref_checked,
        ref_mismatches=entry.ref_mismatches,
    )

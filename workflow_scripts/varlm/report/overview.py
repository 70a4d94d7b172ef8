"""A report's first lines: cards of numbers, and warnings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from varlm.report.inputs import ReportInput
from varlm.report.text import count, cut, decimals, share
from varlm.variants.accounting import AccountedContig

_MISMATCHES = 10  # of a contig's REF alleles, and 1 % of them: fewer are not told of
_WARNINGS = 6  # beyond so many, contigs with mismatches are not told of
_NAMED = 5  # contigs in a warning


@dataclass(frozen=True)
class Card:
    """A number with its name, and a note below it ("": none)."""

    name: str
    value: str
    note: str = ""


def summary_cards(inputs: ReportInput) -> list[Card]:
    """Return the numbers at the top: alleles in and out, and each model's store and median."""
    accounting = inputs.accounting
    total = accounting.alleles_in
    cards = [
        Card("alleles in", count(total)),
        Card("accepted", count(accounting.accepted), share(accounting.accepted, total)),
        Card("rejected", count(accounting.rejected), share(accounting.rejected, total)),
    ]
    for model in inputs.models:
        of_model = f", {model.name}" if len(inputs.models) > 1 else ""
        planned = inputs.plans[model.name]
        rows = planned.sites + planned.alleles
        stored = planned.sites_from_store + planned.alleles_from_store
        note = f"of {rows:,} distinct scores"
        cards.append(Card(f"from the store{of_model}", count(stored), note))
        median = model.counts.all().quantile(0.5)
        cards.append(Card(f"median LLR{of_model}", decimals(median), "nats"))
    return cards


def warnings(inputs: ReportInput) -> list[str]:
    """Return what is odd about the input, the annotation or the store, in sentences."""
    accounting = inputs.accounting
    texts = [
        *_unknown_contigs(accounting.contigs),
        *_refused_contigs(inputs.annotation.get("refused_contigs", [])),
    ]
    mismatches = _mismatches(accounting.contigs)
    texts += list(mismatches)[: max(_WARNINGS - len(texts), 0)]
    if accounting.af_unreadable:
        texts.append(
            "Alleles with an AF (or AC, AN) that is no frequency: "
            f"{accounting.af_unreadable:,}. It is taken as missing."
        )
    for model in inputs.models:
        damaged = model.plan.damaged
        if damaged:
            texts.append(
                f"{model.name}: damaged files of the store: {len(damaged):,}. They were set aside, "
                "and their scores were computed again."
            )
        if model.counts.missing:
            texts.append(f"{model.name}: alleles without a score: {model.counts.missing:,}.")
    return texts


def _unknown_contigs(contigs: Sequence[AccountedContig]) -> Iterator[str]:
    unknown = [entry for entry in contigs if entry.contig is None]
    if unknown:
        records = sum(entry.records for entry in unknown)
        names = _first_names([entry.chrom for entry in unknown])
        yield (
            f"Contigs of the input that are not in the reference: {len(unknown):,} "
            f"({names}). Their records ({records:,}) were rejected."
        )


def _refused_contigs(refused: Sequence[object]) -> Iterator[str]:
    if refused:
        names = _first_names([str(name) for name in refused])
        yield (
            f"No coding consequences are called on {names}: its genetic code is not known "
            "(config key annotate.genetic_codes)."
        )


def _mismatches(contigs: Sequence[AccountedContig]) -> Iterator[str]:
    for entry in contigs:
        wrong, checked = entry.ref_mismatches, entry.ref_checked
        if wrong >= _MISMATCHES and wrong > 0.01 * checked:
            yield (
                f"Contig {cut(entry.chrom, 60)}: {wrong:,} of {checked:,} REF alleles "
                f"({100 * wrong / checked:.1f} %) are not what the reference has. Was the cohort "
                "called against another assembly?"
            )


def _first_names(names: Sequence[str]) -> str:
    more = ", …" if len(names) > _NAMED else ""
    return ", ".join(cut(name, 40) for name in names[:_NAMED]) + more

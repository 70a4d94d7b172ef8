"""A report's first lines: cards of numbers, and warnings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from varlm.report.inputs import ReportInput, ReportModel
from varlm.report.text import count, cut, share
from varlm.run.step_warnings import STEPS
from varlm.variants.oddities import contig_oddities, frequency_oddity

SET_ASIDE = "; set aside"  # what each damaged file of the store ends in, in the log of the plan
_NAMED = 5  # contigs in a warning


@dataclass(frozen=True)
class Card:
    """A number with its name, and a note below it ("": none)."""

    name: str
    value: str
    note: str = ""


def summary_cards(inputs: ReportInput) -> list[Card]:
    """Return the numbers at the top: alleles in and out, each model's and each table's."""
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
        title, unit = model.scale.kind.title, model.scale.kind.unit
        cards.append(Card(f"median {title}{of_model}", model.scale.shown(median), unit))
    for table in inputs.tables:
        matched = table.record.matched
        note = f"{share(matched, accounting.accepted)} of the accepted"
        cards.append(Card(f"in {table.table.name}", count(matched), note))
    return cards


@dataclass(frozen=True)
class Notice:
    """A warning: what it is about, in words, what it says, and the log that has it ("": none)."""

    about: str
    text: str
    log: str = ""


def notices(inputs: ReportInput) -> list[Notice]:
    """Return what is odd about the input, the annotation, the store or a step, each thing once."""
    accounting, annotation = inputs.accounting, inputs.annotation.get("refused_contigs", [])
    steps = {warning.step for warning in inputs.warnings}
    own = [
        *(("normalise", text) for text in contig_oddities(accounting.contigs)),
        *(
            [("normalise", frequency_oddity(accounting.af_unreadable))]
            if accounting.af_unreadable
            else []
        ),
        # The log says it in more words; where it is lost, this does.
        *(("index_annotation", text) for text in _refused_contigs(annotation)),
        *(("plan", text) for model in inputs.models for text in _damaged(model)),
        *(("annotate", text) for model in inputs.models for text in _not_scored(model)),
    ]
    if "index_annotation" in steps:
        own = [(step, text) for step, text in own if step != "index_annotation"]
    told = {text for _, text in own}
    listed = [Notice(STEPS[step][0], text) for step, text in own]
    for warning in inputs.warnings:
        if warning.text not in told and not warning.text.endswith(SET_ASIDE):
            model = f", {warning.model}" if warning.model else ""
            listed.append(Notice(STEPS[warning.step][0] + model, warning.text, warning.log))
    return listed


def _damaged(model: ReportModel) -> Iterator[str]:
    damaged = model.plan.damaged
    if damaged:
        yield (
            f"{model.name}: damaged files of the store: {len(damaged):,}. They were set aside, "
            "and their scores were computed again."
        )


def _not_scored(model: ReportModel) -> Iterator[str]:
    missing = model.counts.missing - model.counts.missing_alleles
    if missing:
        yield f"{model.name}: alleles without a score: {missing:,}."


def _refused_contigs(refused: Sequence[object]) -> Iterator[str]:
    if refused:
        names = ", ".join(cut(str(name), 40) for name in refused[:_NAMED])
        more = ", …" if len(refused) > _NAMED else ""
        yield (
            f"No coding consequences are called on {names}{more}: its genetic code is not known "
            "(config key annotate.genetic_codes)."
        )

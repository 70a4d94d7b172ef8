"""A cohort's report: everything that `templates/report.html.j2` asks for."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from varlm import __version__
from varlm.errors import UserError
from varlm.genome.reference import Genome
from varlm.report import counts as aggregate
from varlm.report import hits, logo, multiqc, page
from varlm.report.charts import frequency, llr, percentiles, strands
from varlm.report.charts import genome as genome_module
from varlm.report.comparison import cohort_summary
from varlm.report.counts import Distribution, GenomeBins, ModelCounts
from varlm.report.evaluation import evaluation_section
from varlm.report.facts import (
    _SETTINGS,
    _annotation_facts,
    _class_rows,
    _cohort_facts,
    _contigs,
    _correlations,
    _files,
    _flat,
    _hits_notes,
    _kinds,
    _model,
    _reasons,
    _share,
    _versions,
)
from varlm.report.given import CohortReport, ReportInput, ReportModel
from varlm.report.pictures import _pictures
from varlm.results.top_hits import top_hits
from varlm.tables.parquet import read_table
from varlm.tables.schemas import BACKGROUND, read_annotated_table
from varlm.variants.accounting import contig_of_chrom

_CLASSES = 60  # rows of the table of classes
_GENOME_BINS = 1_500  # stretches of the genome, all models together
_PER_WINDOW = 20  # alleles wanted in each
_FEWEST_WINDOWS = 40


def make_report(given: ReportInput) -> CohortReport:
    """Count the annotated table and return the report of a cohort.

    Raises
    ------
    UserError
        If inputs are not of one run: names or counts that differ.
    """
    _check(given)
    names = [model.name for model in given.models]
    table = read_annotated_table(given.annotated, names)
    genome = Genome.open(given.reference)
    contigs = contig_of_chrom(given.accounting)
    lengths = genome.lengths
    present = [
        entry["contig"]
        for entry in given.accounting["contigs"]
        if entry["contig"] is not None and entry["records"]
    ]
    windows = min(_GENOME_BINS // len(names), given.accounting["accepted"] // _PER_WINDOW)
    bins = GenomeBins.choose(lengths, present, max(windows, _FEWEST_WINDOWS))
    counts = aggregate.count(given.annotated, names, bins, contigs)
    _check_rows(given, counts)
    backgrounds = {model.name: _background(model) for model in given.models}

    made, _ = llr.llr_charts(counts, backgrounds)
    made += [
        genome_module.genome_chart(counts, bins),
        frequency.frequency_chart(counts),
        strands.strand_chart(counts),
        percentiles.percentile_chart(counts),
    ]
    best = top_hits(given.annotated, names, given.top_hits)
    found = hits.union(best)
    hit_table = hits.hit_table(found, table, names, given.browsers, contigs)
    column = llr.class_column(counts)
    classes = llr.class_table(counts, backgrounds, column)
    pictures = _pictures(given, best, contigs, genome)
    evaluation = evaluation_section(*given.evaluation) if given.evaluation else None

    context = {
        "title": f"{given.cohort} – varlm report",
        "cohort": given.cohort,
        "version": __version__,
        "models": [_model(model, given.cohort) for model in given.models],
        "model_options": [(name, name) for name in names],
        "summary": _summary(given, counts),
        "warnings": _warnings(given, counts),
        "cohort_facts": _cohort_facts(given, genome),
        **_files(given.accounting),
        "annotation": _annotation_facts(given.annotation),
        "settings": _flat(given.settings)[:_SETTINGS],
        "settings_left_out": max(len(_flat(given.settings)) - _SETTINGS, 0),
        "versions": _versions(),
        "accounting": given.accounting,
        "kinds": _kinds(counts),
        "reasons": _reasons(given),
        "contigs": _contigs(given.accounting),
        "annotated": column == "consequence",
        "class_word": "consequence" if column == "consequence" else "kind",
        "classes": _class_rows(classes[:_CLASSES], names),
        "classes_left_out": max(len(classes) - _CLASSES, 0),
        "charts": {chart.name: chart for chart in made},
        "correlations": _correlations(counts),
        "hits": hit_table,
        "hits_notes": _hits_notes(hit_table),
        "top_hits": given.top_hits,
        "pictures": pictures,
        "glyphs": logo.glyphs(),
        "evaluation": evaluation,
    }
    drawn = {c.name: c.page_spec(names) for c in made if not c.empty}
    if evaluation:
        drawn |= {chart.name: chart.specification for chart in evaluation["charts"]}
    data = {
        "charts": drawn,
        "hits-data": {"gzip": hit_table.data, "file": f"{given.cohort}.top_hits"},
    }
    html = page.render("report.html.j2", context, data)
    plans = {model.name: model.plan["cohorts"][given.cohort] for model in given.models}
    medians = {name: _rounded(counts[name].all().quantile(0.5)) for name in names}
    return CohortReport(
        html,
        {chart.name: chart.figure_spec(names) for chart in made},
        multiqc.content(given.cohort, given.accounting, plans, medians),
        cohort_summary(given.cohort, given.accounting, plans, counts),
    )


def _check(given: ReportInput) -> None:
    """Raise `UserError` unless the JSON files belong together."""
    cohort = given.cohort
    if given.evaluation and (of := given.evaluation[1]["cohort"]) != cohort:
        raise UserError(
            f"report: the evaluation is of the cohort {of!r}, expected {cohort!r}; run the "
            "workflow again"
        )
    if given.accounting["cohort"] != cohort:
        raise UserError(
            f"report: the accounting is of the cohort {given.accounting['cohort']!r}, expected "
            f"{cohort!r}; run the workflow again"
        )
    for model in given.models:
        for what, document in (("plan", model.plan), ("commit", model.committed)):
            if (document["model"], document["key"]) != (model.name, model.described["key"]):
                raise UserError(
                    f"report: the {what} is of the model {document['model']!r} with the key "
                    f"{document['key']}, expected {model.name!r} with {model.described['key']}; "
                    "give --model, --plan and --committed in one order, or run the workflow again"
                )
        if cohort not in model.plan["cohorts"]:
            raise UserError(
                f"report: the plan of the model {model.name!r} does not know the cohort "
                f"{cohort!r}; run the workflow again"
            )


def _check_rows(given: ReportInput, counts: Mapping[str, ModelCounts]) -> None:
    for found in counts.values():
        rows = found.all().total + found.missing
        if rows != given.accounting["accepted"]:
            raise UserError(
                f"{given.annotated}: {rows} alleles, but the accounting says that "
                f"{given.accounting['accepted']} were accepted; delete the cohort's folder in the "
                "results and run the workflow again"
            )


def _background(model: ReportModel) -> Distribution:
    values = read_table(model.background, BACKGROUND)["llr"].to_numpy()
    return aggregate.of_values(np.asarray(values, dtype=np.float64))


def _summary(given: ReportInput, counts: Mapping[str, ModelCounts]) -> list[tuple[str, str, str]]:
    accounting = given.accounting
    total = accounting["alleles_in"]
    cards = [
        ("alleles in", f"{total:,}", ""),
        ("accepted", f"{accounting['accepted']:,}", _share(accounting["accepted"], total)),
        ("rejected", f"{accounting['rejected']:,}", _share(accounting["rejected"], total)),
    ]
    for model in given.models:
        of = f", {model.name}" if len(given.models) > 1 else ""
        planned = model.plan["cohorts"][given.cohort]
        rows = planned["sites"] + planned["alleles"]
        stored = planned["sites_from_store"] + planned["alleles_from_store"]
        cards.append((f"from the store{of}", f"{stored:,}", f"of {rows:,} distinct scores"))
        median = counts[model.name].all().quantile(0.5)
        cards.append((f"median LLR{of}", page.decimals(median), "nats"))
    return cards


def _warnings(given: ReportInput, counts: Mapping[str, ModelCounts]) -> list[str]:
    accounting = given.accounting
    found = []
    unknown = [entry for entry in accounting["contigs"] if entry["contig"] is None]
    if unknown:
        records = sum(entry["records"] for entry in unknown)
        shown = ", ".join(page.cut(str(entry["chrom"]), 40) for entry in unknown[:5])
        more = ", …" if len(unknown) > 5 else ""
        found.append(
            f"Contigs of the input that are not in the reference: {len(unknown):,} "
            f"({shown}{more}). Their records ({records:,}) were rejected."
        )
    refused = given.annotation.get("refused_contigs", [])
    if refused:
        found.append(
            "No coding consequences are called on "
            + ", ".join(page.cut(str(name), 40) for name in refused[:5])
            + (", …" if len(refused) > 5 else "")
            + ": its genetic code is not known (config key annotate.genetic_codes)."
        )
    for entry in accounting["contigs"]:
        wrong, checked = entry["ref_mismatches"], entry["ref_checked"]
        if wrong >= 10 and wrong > 0.01 * checked and len(found) < 6:
            found.append(
                f"Contig {page.cut(str(entry['chrom']), 60)}: {wrong:,} of {checked:,} REF alleles "
                f"({100 * wrong / checked:.1f} %) are not what the reference has. Was the cohort "
                "called against another assembly?"
            )
    if accounting["af_unreadable"]:
        found.append(
            "Alleles with an AF (or AC, AN) that is no frequency: "
            f"{accounting['af_unreadable']:,}. It is taken as missing."
        )
    for model in given.models:
        damaged = model.plan["damaged"]
        if damaged:
            found.append(
                f"{model.name}: damaged files of the store: {len(damaged):,}. They were set aside, "
                "and their scores were computed again."
            )
        if counts[model.name].missing:
            found.append(f"{model.name}: alleles without a score: {counts[model.name].missing:,}.")
    return found


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


__all__ = ["CohortReport", "ReportInput", "ReportModel", "make_report"]

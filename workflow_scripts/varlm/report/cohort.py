"""A cohort's report: everything that `templates/report.html.j2` asks for."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from varlm import __version__
from varlm.errors import UserError
from varlm.genome.reference import Genome
from varlm.report import counts as aggregate
from varlm.report import hits, logo, multiqc, page
from varlm.report.charts import llr
from varlm.report.comparison import cohort_summary
from varlm.report.counts import Distribution, GenomeBins, ModelCounts
from varlm.report.evaluation import evaluation_section
from varlm.report.links import BrowserLink
from varlm.results.top_hits import contig_of_chrom, pictured, top_hits
from varlm.tables.schemas import BACKGROUND, LOGIT_COLUMNS, SITES, read_annotated_table, read_table
from varlm.variants.cohort import REASONS

EXAMPLES = 5  # rejected alleles shown of each reason
_LISTED = 40  # contigs, files
_CLASSES = 60  # rows of the table of classes
_SETTINGS = 200  # values of the config
_PICTURE_BYTES = 2_500_000  # of all pictures together
_GENOME_BINS = 1_500  # stretches of the genome, all models together
_PER_WINDOW = 20  # alleles wanted in each
_FEWEST_WINDOWS = 40
_PACKAGES = (
    "snakemake",
    "torch",
    "numpy",
    "polars",
    "pysam",
    "altair",
    "vl-convert-python",
    "jinja2",
)


@dataclass(frozen=True)
class ReportModel:
    """What is known of a model: the JSON of three steps, and two tables."""

    described: Mapping[str, Any]  # models/{model}.json
    plan: Mapping[str, Any]  # plan.json
    committed: Mapping[str, Any]  # commits/{model}.json
    background: Path
    pictures: Path

    @property
    def name(self) -> str:
        """The model's name in the config and in column names."""
        return str(self.described["name"])


@dataclass(frozen=True)
class ReportInput:
    """What a report is made of; see the step `report`."""

    cohort: str
    annotated: Path
    rejected: pl.DataFrame | None
    accounting: Mapping[str, Any]
    reference: Path
    models: Sequence[ReportModel]
    settings: Mapping[str, Any] = field(default_factory=dict)
    annotation: Mapping[str, Any] = field(default_factory=dict)
    browsers: Sequence[BrowserLink] = ()
    top_hits: int = 1000
    pictures: int = 12
    flank: int = 15
    evaluation: tuple[pl.DataFrame, Mapping[str, Any]] | None = None  # its table and its JSON


@dataclass(frozen=True)
class CohortReport:
    """The page, the figures' Vega-Lite specifications by name, MultiQC's content, and what the
    comparison of all cohorts needs.
    """

    html: str
    figures: dict[str, dict[str, Any]]
    multiqc: dict[str, Any]
    summary: dict[str, Any]


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
        llr.genome_chart(counts, bins),
        llr.frequency_chart(counts),
        llr.strand_chart(counts),
        llr.percentile_chart(counts),
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


def _share(part: int, total: int) -> str:
    if not total:
        return "–"
    percent = 100 * part / total
    if 0 < percent < 0.01:
        return "< 0.01 %"
    if part < total and percent > 99.99:
        return "> 99.99 %"
    return f"{percent:.2f} %" if 0 < part < total else f"{percent:.0f} %"


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


def _cohort_facts(given: ReportInput, genome: Genome) -> list[tuple[str, object]]:
    contigs = genome.contigs
    return [
        ("cohort", given.cohort),
        (
            "reference",
            given.settings.get("reference", {}).get("fasta", "not recorded")
            if isinstance(given.settings.get("reference"), Mapping)
            else "not recorded",
        ),
        ("contigs", f"{contigs.height:,}"),
        (
            "bases",
            f"{int(contigs['length'].sum()):,} bp, {int(contigs['acgt'].sum()):,} A, C, G, T",
        ),
        ("SNV sites", f"{given.accounting['sites']:,}"),
        ("indels and MNVs", f"{given.accounting['other_alleles']:,} distinct"),
    ]


def _files(accounting: Mapping[str, Any]) -> dict[str, Any]:
    files = accounting["files"]
    rows = [
        {
            "path": page.cut(str(file["path"]), 300),
            "format": file["format"],
            "records": f"{file['records']:,}" if "records" in file else "–",
            "alleles": f"{file['alleles']:,}",
            "sha256": str(file["sha256"])[:16] + "…",
        }
        for file in files[:_LISTED]
    ]
    return {"files": rows, "files_total": len(files)}


def _model(model: ReportModel, cohort: str) -> dict[str, Any]:
    described = model.described
    planned = model.plan["cohorts"][cohort]
    background = model.plan["background"]
    sources = [
        {
            "name": name,
            "total": counts[kind],
            "stored": counts[f"{kind}_from_store"],
            "scored": counts[f"{kind}_scored"],
        }
        for name, counts, kind in (
            ("SNV sites", planned, "sites"),
            ("indels and MNVs", planned, "alleles"),
            *((("background sites", background, "sites"),) if background else ()),
        )
    ]
    strands = "both, mean" if described["strands"] == "both" else "forward only"
    facts = [
        ("path", described["path"]),
        ("revision", described["revision"]),
        ("type", described["model_type"]),
        ("key in the store", described["key"]),
        ("window", f"{described['window']:,} bp"),
        ("strands", strands),
        ("precision", described["precision"]),
        ("background", "scored in this run" if background else "taken from the store, or none"),
        ("damaged files", f"{len(model.plan['damaged']):,} of the store set aside"),
    ]
    return {
        "name": model.name,
        "facts": facts,
        "sources": sources,
        "runs": _runs(model.committed.get("runs") or []),
    }


def _runs(runs: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the jobs' time and throughput, jobs on alike hardware together."""
    joined: dict[tuple[str, str], dict[str, Any]] = {}
    for run in runs:
        key = (str(run["device"]), str(run["arithmetic"]))
        sums = joined.setdefault(key, {"jobs": 0, "sites": 0, "alleles": 0, "seconds": 0.0})
        sums["jobs"] += 1
        for name in ("sites", "alleles", "seconds"):
            sums[name] += run[name]
    rows = []
    for (device, arithmetic), sums in sorted(joined.items()):
        scored, seconds = sums["sites"] + sums["alleles"], sums["seconds"]
        rate = f"{scored / seconds:,.0f}" if seconds > 0 else "–"
        made = {"device": device, "arithmetic": arithmetic, "time": _time(seconds), "rate": rate}
        rows.append({**sums, **made})
    return rows


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def _flat(value: object, name: str = "") -> list[tuple[str, object]]:
    """Return a nested mapping as pairs of a dotted name and a value."""
    if isinstance(value, Mapping):
        inside = [_flat(v, f"{name}.{k}" if name else str(k)) for k, v in value.items()]
        return [pair for pairs in inside for pair in pairs]
    if isinstance(value, list | tuple):
        if any(isinstance(part, Mapping | list | tuple) for part in value):
            inside = [_flat(part, f"{name}[{i}]") for i, part in enumerate(value)]
            return [pair for pairs in inside for pair in pairs]
        value = ", ".join(map(str, value)) or "none"
    return [(page.cut(name, 120), value)]


def _annotation_facts(annotation: Mapping[str, Any]) -> list[tuple[str, object]]:
    """Return what `annotation.json` says, its lists of contigs counted."""
    if not annotation:
        return []
    told = {k: v for k, v in annotation.items() if k not in ("contigs", "genetic_codes")}
    contigs = annotation.get("contigs", {}).values()
    known = sum(entry["contig"] is not None for entry in contigs)
    codes = {c: n for c, n in annotation.get("genetic_codes", {}).items() if n not in (0, 1)}
    facts = [
        *_flat(told),
        ("contigs matched", f"{known:,} of {len(contigs):,}"),
        ("genetic codes", ", ".join(f"{c}: {n}" for c, n in codes.items()) or "the standard one"),
    ]
    return facts[:_SETTINGS]


def _versions() -> list[tuple[str, object]]:
    """Return versions from the packages' metadata: nothing heavy is imported."""
    found: list[tuple[str, object]] = [
        ("varlm", __version__),
        ("python", platform.python_version()),
    ]
    for package in _PACKAGES:
        try:
            found.append((package, metadata.version(package)))
        except metadata.PackageNotFoundError:
            found.append((package, "not installed where this report was made"))
    return found


def _kinds(counts: Mapping[str, ModelCounts]) -> list[dict[str, Any]]:
    by_model = [found.by("classes", "kind") for found in counts.values()]
    rows = []
    total = sum(values.total for values in by_model[0].values())
    for (name,), values in sorted(by_model[0].items(), key=lambda item: -item[1].total):
        medians = [
            groups[(name,)].quantile(0.5) if (name,) in groups else None for groups in by_model
        ]
        share = _share(values.total, total)
        rows.append({"name": name, "alleles": values.total, "share": share, "medians": medians})
    return rows


def _reasons(given: ReportInput) -> list[dict[str, Any]]:
    rejected = given.rejected
    rows = []
    for reason, count in sorted(given.accounting["by_reason"].items(), key=lambda item: -item[1]):
        examples = []
        if rejected is not None:
            chosen = rejected.filter(pl.col("reason") == reason).head(EXAMPLES)
            examples = [
                {
                    name: page.cut(row[name], 60 if name != "detail" else 200)
                    for name in ("chrom", "pos", "id", "ref", "alt", "detail")
                }
                for row in chosen.iter_rows(named=True)
            ]
        rows.append(
            {
                "name": reason,
                "count": count,
                "meaning": REASONS.get(reason, "a reason of another version of varlm"),
                "examples": examples,
            }
        )
    return rows


def _contigs(accounting: Mapping[str, Any]) -> dict[str, Any]:
    entries = sorted(accounting["contigs"], key=lambda entry: -entry["records"])
    by_how: dict[str, int] = {}
    for entry in entries:
        how = str(entry["how"]) if entry["contig"] is not None else "not in the reference"
        by_how[how] = by_how.get(how, 0) + 1
    ways = ", ".join(
        f"{n:,} by {how}" if how != "not in the reference" else f"{n:,} {how}"
        for how, n in sorted(by_how.items(), key=lambda item: (-item[1], item[0]))
    )
    sentence = f"Contigs in the input: {len(entries):,}. Matched to the reference: {ways}."
    without = accounting["contigs_without_records"]
    rows = [
        {
            **entry,
            "chrom": page.cut(str(entry["chrom"]), 100),
            "contig": "–" if entry["contig"] is None else page.cut(str(entry["contig"]), 100),
        }
        for entry in entries[:_LISTED]
    ]
    return {
        "sentence": sentence if entries else "The input names no contig.",
        "rows": rows,
        "total": len(entries),
        "without": [page.cut(name, 60) for name in without[: 2 * _LISTED]],
        "without_total": len(without),
    }


def _class_rows(classes: list[llr.Row], models: Sequence[str]) -> list[dict[str, Any]]:
    nothing = {"median": None, "q05": None, "below": None}
    rows = []
    for row in classes:
        values = []
        for model in models:
            found = row["models"].get(model, nothing)
            below = found["below"]
            shown = "–" if below is None else f"{100 * below:.2f} %"
            values.append({"median": found["median"], "q05": found["q05"], "below": shown})
        name = page.cut(row["class"], 120)
        rows.append({"name": name, "alleles": row["alleles"], "models": values})
    return rows


def _correlations(counts: Mapping[str, ModelCounts]) -> str:
    known = {m: found.correlation for m, found in counts.items() if found.correlation is not None}
    if not known:
        return ""
    values = "; ".join(
        (f"{model}: " if len(counts) > 1 else "") + f"r = {page.decimals(value, 3)}"
        for model, value in known.items()
    )
    return f"Pearson correlation of the strands’ LLRs: {values}."


def _hits_notes(table: hits.HitTable) -> list[str]:
    notes = []
    if table.rows < table.total:
        notes.append(
            f"To keep this file small, only the first {table.rows:,} of {table.total:,} rows are "
            "here; all are in annotated.tsv.gz."
        )
    if table.cut_cells:
        notes.append(
            f"{table.cut_cells:,} cells are cut to {table.text_limit} characters (…); "
            "annotated.tsv.gz has them whole."
        )
    return notes


def _pictures(
    given: ReportInput,
    best: Mapping[str, pl.DataFrame],
    contigs: Mapping[str, str],
    genome: Genome,
) -> list[dict[str, Any]]:
    groups = []
    left = _PICTURE_BYTES
    for model in given.models:
        chosen = pictured(best[model.name], given.pictures) if given.pictures else None
        if chosen is None or not chosen.height:
            continue
        sites = _SiteHeights(model.pictures)
        rows = list(chosen.iter_rows(named=True))
        drawn = [_picture(row, contigs[row["chrom"]], genome, sites, given.flank) for row in rows]
        axis = logo.axis_height(drawn)
        shown = []
        for row, picture in zip(rows, drawn, strict=True):
            title = _allele(row)
            svg = logo.draw(picture, axis, f"Sequence logo around {title}, model {model.name}")
            left -= len(svg)
            if left < 0:
                break
            shown.append({"title": title, "facts": _picture_facts(row, model.name), "svg": svg})
        left_out = len(rows) - len(shown)
        groups.append({"model": model.name, "pictures": shown, "left_out": left_out})
    return groups


class _SiteHeights:
    """Heights of letters by contig and position, from a model's pictures table."""

    def __init__(self, path: Path):
        table = read_table(path, SITES)
        logits = table.select(LOGIT_COLUMNS).fill_null(np.nan).to_numpy().reshape(-1, 2, 4)
        self.heights = logo.letter_heights(logits)
        keys = table.select("contig", "pos").iter_rows()
        self.row = {key: i for i, key in enumerate(keys)}

    def at(self, contig: str, start: int, columns: int) -> np.ndarray:
        """Return heights of `columns` positions from 1-based `start`, NaN where unknown."""
        heights = np.full((columns, 4), np.nan)
        for i in range(columns):
            row = self.row.get((contig, start + i))
            if row is not None:
                heights[i] = self.heights[row]
        return heights


def _picture(
    row: Mapping[str, Any], contig: str, genome: Genome, sites: _SiteHeights, flank: int
) -> logo.Picture:
    start = row["pos"] - flank
    columns = len(row["ref"]) + 2 * flank
    bases = genome.sequence(contig)
    low, high = max(start - 1, 0), min(start - 1 + columns, len(bases))
    inside = bases[low:high].tobytes().decode("ascii")
    sequence = (" " * (low - start + 1) + inside).ljust(columns)
    heights = sites.at(contig, start, columns)
    return logo.Picture(start, sequence, heights, row["pos"], row["ref"], row["alt"])


def _allele(row: Mapping[str, Any]) -> str:
    ref, alt = page.cut(row["ref"], 24), page.cut(row["alt"], 24)
    return f"{page.cut(row['chrom'], 60)}:{row['pos']:,} {ref}>{alt}"


def _picture_facts(row: Mapping[str, Any], model: str) -> str:
    parts = [f"LLR {page.decimals(row[f'{model}_llr'])}"]
    for name, column in (("p(ref)", "p_ref"), ("p(alt)", "p_alt")):
        value = row[f"{model}_{column}"]
        if value is not None:
            parts.append(f"{name} {value:.3f}" if value >= 0.001 else f"{name} {value:.1e}")
    parts += [
        page.cut(str(row[name]), 60)
        for name in ("consequence", "gene", "protein_change", "id")
        if row[name] is not None
    ]
    return " · ".join(parts)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


__all__ = ["CohortReport", "ReportInput", "ReportModel", "make_report"]

"""What a cohort's report states, counted and formatted for its template."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from typing import Any

import polars as pl

from varlm import __version__
from varlm.genome.reference import Genome
from varlm.report import hits, page
from varlm.report.charts import chart
from varlm.report.counts import ModelCounts
from varlm.report.given import ReportInput, ReportModel
from varlm.variants.cohort import REASONS

EXAMPLES = 5  # rejected alleles shown of each reason
_LISTED = 40  # contigs, files
_SETTINGS = 200  # values of the config
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


def _share(part: int, total: int) -> str:
    if not total:
        return "–"
    percent = 100 * part / total
    if 0 < percent < 0.01:
        return "< 0.01 %"
    if part < total and percent > 99.99:
        return "> 99.99 %"
    return f"{percent:.2f} %" if 0 < part < total else f"{percent:.0f} %"


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


def _class_rows(classes: list[chart.Row], models: Sequence[str]) -> list[dict[str, Any]]:
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

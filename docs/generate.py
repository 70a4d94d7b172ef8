"""Make the pages that repeat what the code says: `config.md`, `outputs.md`, tables of `models.md`.

    .venv/bin/python docs/generate.py           writes them
    .venv/bin/python docs/generate.py --check   says which are out of date (exit status 1)

Change the text of a config key in config/schemas/config.schema.yaml, that of a column in
workflow_scripts/varlm/tables (columns.py, schemas.py), that of a file here, and that of models and
kinds of score where docs/model_pages.py says.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "workflow_scripts"), str(ROOT / "docs")]

import model_pages

from varlm.annotation.mutation_calibration import CohortCalibration, ContextCounts
from varlm.annotation.published.joining import ScoreJoin
from varlm.results import summary
from varlm.results.tags import ANNOTATION_TAGS, REJECTED_TAG, score_tags
from varlm.run.warnings_table import COLUMNS as WARNING_COLUMNS
from varlm.scoring.dense_scale import DenseScale
from varlm.scoring.plan_record import Counts, Plan
from varlm.tables import model_schemas, parquet, schemas
from varlm.tables.columns import STRAND
from varlm.tables.score_kinds import SCORE_KINDS, score_columns
from varlm.tracks import sites
from varlm.variants import options
from varlm.variants.accounting import Accounting

SCHEMA = ROOT / "config/schemas/config.schema.yaml"
NOTE = "<!-- Made by docs/generate.py: change its source, not this page. -->\n"


# config.md


def config_page() -> str:
    """Return the reference of every config key."""
    schema = yaml.safe_load(SCHEMA.read_text())
    parts = [
        NOTE,
        "# Config keys\n",
        "Every key of a config file, made from its schema "
        "([config.schema.yaml](../config/schemas/config.schema.yaml)); a key that is not here is "
        "an error. [config.yaml](../config/config.yaml) shows the demo's values. Relative paths "
        "are relative to the directory that Snakemake runs in. `NAME` stands for a name of your "
        "own.\n",
    ]
    for key, entry in schema["properties"].items():
        spec = resolved(entry, schema)
        rows = list(key_rows(key, spec, schema, required=key in schema["required"]))
        parts += [f"## `{key}`\n", *([] if rows[0][0] == key else [spec["description"] + "\n"])]
        cells = [(f"`{path}`", kind, default, text) for path, kind, default, text in rows]
        parts.append(table(("key", "value", "default", "meaning"), cells))
    return "\n".join(parts)


def resolved(spec: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a key's schema with what its `$ref` points to; what stands beside it goes first."""
    if "$ref" not in spec:
        return dict(spec)
    found: Any = schema
    for name in spec["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    merged = {**resolved(found, schema), **{k: v for k, v in spec.items() if k != "$ref"}}
    texts = (spec.get("description"), found.get("description"))
    merged["description"] = " ".join(text for text in texts if text)
    return merged


def key_rows(
    path: str, spec: Mapping[str, Any], schema: Mapping[str, Any], *, required: bool
) -> Iterator[tuple[str, str, str, str]]:
    """Yield (key, value, default, meaning) of a key, or of the keys in it; plain text."""
    default = "**required**" if required else _shown(spec.get("default"))
    text = spec.get("description", "")
    properties, more = spec.get("properties"), spec.get("additionalProperties")
    if properties and spec["type"] == "object":
        if "." in path and text:  # what a top-level key says stands above its table
            yield path, "mapping", "", text
        for name, each in properties.items():
            inner = resolved(each, schema)
            needed = name in spec.get("required", ())
            yield from key_rows(f"{path}.{name}", inner, schema, required=needed)
        if isinstance(more, Mapping):
            yield f"{path}.NAME", value(more), "", more.get("description", "as above")
        return
    if isinstance(more, Mapping):
        inner = resolved(more, schema)
        names = spec.get("propertyNames", {})
        kind = f"mapping of `NAME`{_limits({'type': 'string', **names}, _NAMED)}"
        yield path, kind, default, text
        if "properties" in inner:
            yield from key_rows(f"{path}.NAME", inner, schema, required=False)
        else:
            meaning = inner.get("description", "as above")
            yield f"{path}.NAME", value(inner), "", meaning
        return
    yield path, value(spec), default, text
    for name, each in (properties or {}).items():
        yield from key_rows(f"{path}.{name}", resolved(each, schema), schema, required=False)


_NAMED: dict[str, str] = {"pattern": "matching", "maxLength": "of at most {} characters"}
_TYPES = {
    "string": "text",
    "integer": "integer",
    "number": "number",
    "object": "mapping",
    "array": "list",
    "boolean": "`true` or `false`",
    "null": "`null`",
}


def value(spec: Mapping[str, Any]) -> str:
    """Return what a key's value may be, in words."""
    if "anyOf" in spec:
        return " or ".join(value(each) for each in spec["anyOf"])
    if "const" in spec:
        return f"`{spec['const']}`"
    if "enum" in spec:
        return ", ".join(f"`{_plain(each)}`" for each in spec["enum"])
    types = [spec["type"]] if isinstance(spec["type"], str) else spec["type"]
    words = []
    for kind in types:
        if kind == "array":
            words.append(f"list of {value(spec['items'])}" if "items" in spec else "list")
        elif kind == "string":
            words.append(_TYPES[kind] + _limits(spec, {"pattern": "matching"}))
        elif kind in ("integer", "number"):
            words.append(_TYPES[kind] + _range(spec))
        else:
            words.append(_TYPES[kind])
    return " or ".join(words)


def _limits(spec: Mapping[str, Any], wanted: Mapping[str, str]) -> str:
    parts = []
    if "pattern" in spec and "pattern" in wanted:
        parts.append(f"matching `{spec['pattern']}`")
    if "maxLength" in spec and "maxLength" in wanted:
        parts.append(f"of at most {spec['maxLength']} characters")
    return " " + ", ".join(parts) if parts else ""


def _range(spec: Mapping[str, Any]) -> str:
    low, high = spec.get("minimum"), spec.get("maximum")
    if low is not None and high is not None:
        return f", {low} to {high}"
    return f", at least {low}" if low is not None else (f", at most {high}" if high else "")


def _shown(default: object) -> str:
    return f"`{_plain(default)}`"


def _plain(found: object) -> str:
    return found if isinstance(found, str) else json.dumps(found)


# outputs.md

FILES = (
    (
        "summary.tsv",
        "per cohort and model: how many alleles, sites, from where ([columns](#summarytsv))",
    ),
    (
        "warnings.tsv",
        "what the steps warned of, one row a warning ([columns](#warningstsv)); written where a "
        "run ends, also where it failed",
    ),
    ("index.html", "all cohorts, compared, with links to their reports"),
    ("scripts/vega.js", "the scripts that draw the figures, as every report has them within it"),
    ("cohorts/{cohort}/report.html", "the cohort's report: one file that opens offline"),
    ("cohorts/{cohort}/report.json", "its figures for `index.html`"),
    (
        "cohorts/{cohort}/annotated.parquet",
        "every accepted allele with its scores ([columns](#annotatedparquet)); units, models, "
        "revisions and digests are in the file's metadata",
    ),
    (
        "cohorts/{cohort}/calibration.json",
        "with `annotate.calibrate`: how many SNVs were held against their 5-mer, or their "
        "trinucleotide",
    ),
    (
        "cohorts/{cohort}/annotated.tsv.gz",
        "the same as text (bgzip); how to read it: [results.md](results.md#text-tables)",
    ),
    (
        "cohorts/{cohort}/annotated.vcf.gz",
        "the cohort's own records, in their order, genotypes and all, with the scores in INFO "
        "([fields](#annotatedvcfgz)). Not for `regions`",
    ),
    (
        "cohorts/{cohort}/annotated.vcf.gz.tbi, cohorts/{cohort}/annotated.tsv.gz.tbi",
        "their indexes, never older than they are and made again when lost; `.csi` where a contig "
        "has 512 Mb or more (for a cohort that came as BCF, the `.tbi` has that name too)",
    ),
    (
        "cohorts/{cohort}/rejected.tsv.gz",
        "every other allele, with the reason ([columns](#rejectedtsvgz)). Not for `regions`",
    ),
    (
        "cohorts/{cohort}/accounting.json",
        "files, records, counts by reason, which contig name matched which",
    ),
    ("cohorts/{cohort}/variants.parquet", "the accepted alleles ([columns](#variantsparquet))"),
    (
        "cohorts/{cohort}/consequences.parquet",
        "consequences, row for row as `variants.parquet` ([columns](#consequences)), with "
        "`reference.annotation`",
    ),
    (
        "cohorts/{cohort}/info.parquet",
        "INFO fields of `annotate.info`, row for row as `variants.parquet`",
    ),
    (
        "cohorts/{cohort}/scores/{table}.parquet, {table}.json",
        "with `annotate.scores`: a table's columns, row for row as `variants.parquet`; how many "
        "alleles were matched, not matched, and on contigs that the table lacks",
    ),
    (
        "cohorts/{cohort}/figures/{figure}.svg, {figure}.png",
        "the report's figures; the PNG files are in `snakemake --report` too",
    ),
    ("cohorts/{cohort}/{cohort}_mqc.json", "custom content for MultiQC"),
    (
        "dense/{model}.json",
        "with `models.NAME.score: dense`: the constant between dense and masked LLRs, and how well "
        "they agree, by what the annotation has at the sites",
    ),
    (
        "training/{training}/checkpoint/",
        "with `train`: config.json, tokeniser and weights, at the point with the lowest "
        "validation loss, or of the last step where no contig is for validation "
        "([training.md](training.md))",
    ),
    (
        "training/{training}/learning_curve.tsv",
        "losses in nats over the steps: of training, of the validation windows in all and by "
        "region class; learning rate, bases read, seconds",
    ),
    ("training/{training}/learning_curve.svg, learning_curve.png", "its picture, as perplexities"),
    (
        "training/{training}/perplexity.tsv",
        "single masked bases of the contigs held out ([columns](#perplexitytsv))",
    ),
    (
        "training/{training}/mutated.tsv",
        "sequences of the contigs held out beside the same with mutations: how often the real "
        "ones are likelier ([columns](#mutatedtsv))",
    ),
    (
        "training/{training}/elements.tsv",
        "with `train.NAME.elements`: regulatory elements beside the same with their dinucleotides "
        "shuffled: how often the real ones are likelier ([columns](#elementstsv))",
    ),
    (
        "training/{training}/motifs.tsv",
        "motifs in neutral sequence beside their bases in another order, likewise "
        "([columns](#motifstsv))",
    ),
    ("training/{training}/model_card.md", "data, training, figures, limits and licence"),
    (
        "training/{training}/corpus/",
        "the bases of all genomes with their classes, the windows with their weights, and counts",
    ),
    (
        "cohorts/{cohort}/evaluation.tsv, evaluation.json",
        "with `evaluate`: each score's metrics and intervals by task "
        "([columns](#evaluationtsv), [evaluation.md](evaluation.md)), and what was left out. The "
        "report has a section of them",
    ),
    ("cohorts/{cohort}/figures/evaluation.svg, evaluation.png", "the same as a figure"),
    (
        "cohorts/{cohort}/pictures/{model}.parquet",
        "what the model says around the top hits, for the report's logos",
    ),
    (
        "probes/{probe}/embeddings/{model}/",
        "with `probe`: `rows.parquet`, a model's embeddings of these rows in parts, and "
        "`embeddings.json` ([probes.md](probes.md))",
    ),
    (
        "probes/{probe}/predictions.parquet, fits.json",
        "what each probe predicts of each row, fitted on other folds; penalties and epochs, fold "
        "by fold",
    ),
    (
        "probes/{probe}/probe.tsv, probe.json, probe.html",
        "each probe's metrics and intervals ([columns](#probetsv)), and the same as a page; "
        "`index.html` has a section of them",
    ),
    ("probes/{probe}/figures/probe.svg, probe.png", "the same as a figure"),
    (
        "cohorts/regions/…",
        "the same for every SNV of the config's `regions`",
    ),
    ("tracks/{model}/*.bw", "bigWig tracks ([list](#tracks))"),
    ("tracks/{model}/tracks.json", "what they hold: model, sites by contig, lowest and highest"),
    (
        "tracks/hub.txt, igv_session.xml, config.json",
        "open the tracks in the UCSC Genome Browser, IGV and JBrowse 2",
    ),
    ("tracks/README.txt", "how"),
    (
        "background/{model}.parquet",
        "the random SNVs of the genome among which percentiles are ranks "
        "([columns](#backgroundparquet))",
    ),
    (
        "background/context/{model}.parquet",
        "with `annotate.calibrate`: the mean score of these SNVs in each mutation context "
        "([columns](#backgroundcontextparquet))",
    ),
    (
        "background/scores/{table}.parquet, {table}.json",
        "the scores that a table of `annotate.scores` has of such SNVs, for its percentiles; and "
        "which share of them it has",
    ),
    (
        "reference/genome.fa, genome.fa.fai, contigs.parquet, reference.json",
        "the reference as varlm reads it: upper case, one line a contig",
    ),
    (
        "reference/circular.json",
        "the circular contigs, and what calls them so (config key `reference.circular`)",
    ),
    ("reference/annotation/", "the gene models of `reference.annotation`"),
    ("models/{model}.json", "the checkpoint: digest of each file, settings, key in the store"),
    ("plan/{model}/", "`plan.json`: what had to be scored and what the store had; the shards"),
    (
        "scores/{model}/{shard}/sites.parquet, alleles.parquet, run.json",
        "a shard's scores, until they are in the store",
    ),
    ("commits/{model}.json", "what was added to the store"),
    ("{table}.sha256", "the digest of a table that a later step reads, as `sha256sum` writes it"),
    ("checked_inputs.json", "what was looked at before anything was scored"),
    ("logs/{step}/…", "one log a job, with its time and peak memory at the end"),
    ("benchmarks/{step}/…", "Snakemake's record of time and memory, one a job"),
)

EXTRA = (
    ("info_TAG", "as declared", "INFO field TAG of `annotate.info`: this allele's value"),
    (
        "NAME_overlap",
        "Boolean",
        "whether an interval of the BED file `annotate.intervals.NAME` overlaps the allele",
    ),
    ("NAME_name", "String", "names of the intervals that do, with commas"),
    ("NAME_distance", "integer", "bp to the nearest interval; 0: it overlaps"),
    ("NAME", "Float32", "mean of the bigWig `annotate.bigwigs.NAME` over the bases of REF"),
    (
        "NAME_COLUMN",
        "Float64, Int64 or String",
        "COLUMN of the table `annotate.scores.NAME`: this allele's value; a list of values is text",
    ),
    (
        "NAME_COLUMN_percentile",
        "Float32",
        "percentage of the genome's background SNVs whose COLUMN is more harmful, ties half, 0 to "
        "100; where the config says which end is harmful and the table has 90 % of the background",
    ),
)

SUMMARY = {
    "cohort": "name in the cohort sheet, or `regions`",
    "model": "name in the config",
    "alleles_in": "ALT alleles in the cohort's files",
    "accepted": "of them, those in `variants.parquet`",
    "rejected": "and those in `rejected.tsv.gz`",
    "sites": "different positions of SNVs",
    "sites_scored": "of them, scored in the last run",
    "sites_from_store": "and found in the store",
    "alleles": "different indels and MNVs",
    "alleles_scored": "of them, scored in the last run",
    "alleles_from_store": "and found in the store",
    "background_scored": "sites scored for percentiles",
    "damaged_files": "files of the store that were set aside",
    "dense_constant": "nats that are added to dense LLRs, which bring them to the scale of masked "
    "ones. This and the next are there where a model has dense scores, and empty for others",
    "dense_constant_from": "`checkpoint`, which says how it was trained; `measured` on the sites; "
    "or `none`: it is not known, and 0",
    "dense_sites": "random sites that were scored both ways; empty where none were",
    "dense_spearman": "over their SNVs, the rank correlation of dense and masked LLRs",
    "dense_pearson": "their correlation",
    "dense_rmse": "root of their mean squared difference after the constant, nats",
    "calibrated_by_pentamer": "with `annotate.calibrate`: accepted SNVs held against the "
    "background's of their 5-mer and ALT; empty for a model without LLRs, as the next two",
    "calibrated_by_trinucleotide": "those held against the background's of their trinucleotide and "
    "ALT, since the 5-mer's are too few",
    "not_calibrated": "those of which these are too few as well: no calibrated score",
    "rejected_REASON": "rejected alleles by reason, a column for each that occurs",
    "NAME_matched": "of each table of `annotate.scores`: accepted alleles that it has",
    "NAME_not_matched": "those that it has not, though it has their contig",
    "NAME_on_lacking_contigs": "those on contigs that it has not",
    "NAME_refs_wrong": "its rows at their places whose REF the reference does not have there",
}


def outputs_page() -> str:
    """Return the list of output files and the columns of each table."""
    check_summary()
    masked = SCORE_KINDS["masked"]
    calibrated = replace(masked, calibrated=True)
    annotated = schemas.annotated(["{model}"]).columns
    scored = [each for each in annotated if each.name.startswith("{model}")]
    described = list(schemas.CONSEQUENCES.columns)
    plain = [each for each in annotated if each not in scored and each not in described]
    keys = len(schemas.VARIANTS.columns[-3:])
    parts = [
        NOTE,
        "# Outputs\n",
        "Below `results` (a config key). Positions named `pos` are 1-based, as in VCF.\n",
        table(("file", "content"), [(code(path), text) for path, text in FILES]),
        "## annotated.parquet\n",
        "Columns in this order. First, the allele:\n",
        columns(plain[:-keys]),
        "### Consequences\n",
        "Of `reference.annotation`; all null without one. The same columns are those of "
        "`consequences.parquet`.\n",
        columns(described),
        "Each entry of `consequences`:\n",
        columns(schemas.TRANSCRIPT_CONSEQUENCE),
        "### INFO, BED, bigWig and published scores\n",
        "As the config's `annotate` asks for them:\n",
        table(
            ("column", "type", "meaning"),
            [(f"`{name}`", kind, text) for name, kind, text in EXTRA],
        ),
        "### Scores\n",
        "For each model of the config; of one with the kind of score `masked`, that of GPN:\n",
        columns(scored),
        "Other [kinds of score](models.md#kinds-of-score) have columns, VCF fields and tracks of "
        "their own. "
        "LLRs of other kinds have the names of the masked one; a kind that gives the four bases no "
        "probabilities has no entropy, `p_ref` and `p_alt`:\n",
        table(*model_pages.columns_table()),
        "A model with the strands `transcript` ([which](models.md#the-transcripts-strand)) has one "
        "more:\n",
        table(("column", "type", "meaning"), [(f"`{{model}}_{STRAND[0]}`", *STRAND[1:])]),
        "With `annotate.calibrate: mutation_context`, a model with LLRs has one more "
        "([keys](config.md#annotate)):\n",
        table(
            ("column", "type", "meaning"),
            [
                (f"`{{model}}_{name}`", "Float32", text)
                for name, text in score_columns(calibrated)
                if name == calibrated.calibrated_column
            ],
        ),
        "### Where it came from\n",
        columns(plain[-keys:]),
        "## annotated.vcf.gz\n",
        "INFO fields, one value for each ALT (`Number=A`); the scores' are those of the kind "
        "`masked`, [other kinds](#scores) have others:\n",
        table(
            ("field", "meaning"),
            [
                *((f"`{tag}_{{model}}`", text) for tag, (_, text) in score_tags(masked).items()),
                *(
                    (f"`{tag}_{{model}}`", f"with `annotate.calibrate`: {text}")
                    for tag, (_, text) in score_tags(calibrated).items()
                    if tag not in score_tags(masked)
                ),
                *((f"`{tag}`", text) for tag, (_, text) in ANNOTATION_TAGS.items()),
                (
                    "`NAME_COLUMN`, `NAME_COLUMN_percentile`",
                    "columns of tables of published scores, by the names that they have in "
                    "[annotated.parquet](#info-bed-bigwig-and-published-scores)",
                ),
                (f"`{REJECTED_TAG}`", "why varlm did not score the allele"),
            ],
        ),
        "## rejected.tsv.gz\n",
        columns(schemas.REJECTED.columns),
        "Reasons:\n",
        table(
            ("reason", "meaning"),
            [(f"`{name}`", text) for name, text in options.REASONS.items()],
        ),
        "## variants.parquet\n",
        columns(schemas.VARIANTS.columns),
        "## summary.tsv\n",
        table(("column", "meaning"), [(f"`{name}`", text) for name, text in SUMMARY.items()]),
        "## warnings.tsv\n",
        table(
            ("column", "meaning"), [(f"`{name}`", text) for name, text in WARNING_COLUMNS.items()]
        ),
        "## evaluation.tsv\n",
        columns(schemas.EVALUATION.columns),
        "## probe.tsv\n",
        columns(model_schemas.PROBE.columns),
        "## perplexity.tsv\n",
        columns(model_schemas.PERPLEXITY.columns),
        "## mutated.tsv\n",
        columns(model_schemas.MUTATED.columns),
        "## elements.tsv\n",
        columns(model_schemas.ELEMENTS.columns),
        "## motifs.tsv\n",
        columns(model_schemas.MOTIFS.columns),
        "## background.parquet\n",
        columns(schemas.BACKGROUND.columns),
        "## background/context.parquet\n",
        columns(schemas.CONTEXT_MEANS.columns),
        "## Tracks\n",
        "Of the sites that the config's `tracks` asks for; one value a site, none elsewhere. Those "
        "of a model with the kind of score `masked`; [other kinds](#scores) have others.\n",
        table(
            ("file", "unit", "meaning"),
            [
                (f"`{each.name}.bw`", each.unit, each.meaning)
                for each in sites.tracks_of(SCORE_KINDS["masked"])
            ],
        ),
    ]
    return "\n".join(parts)


def columns(found: Iterable[parquet.Column]) -> str:
    """Return a table of columns."""
    rows = [
        (f"`{each.name}`", type_name(parquet.signed(each.dtype)), each.meaning) for each in found
    ]
    return table(("column", "type", "meaning"), rows)


def check_summary() -> None:
    """Raise if the summary has other columns than are described here."""
    alleles = Accounting(
        cohort="c",
        files=(),
        alleles_in=0,
        accepted=0,
        rejected=0,
        by_reason={"REASON": 0},
        sites=0,
        other_alleles=0,
        af_unreadable=0,
        contigs=(),
        contigs_without_records=(),
    )
    plan = Plan(
        model="m",
        key="",
        shards=0,
        sites_per_shard=0,
        total=Counts(),
        background=None,
        cohorts={"c": Counts()},
        damaged={},
        recovered=0,
    )
    scale = DenseScale(model="m", key="", masked_key=None, constant=0, origin="none", by_class={})
    joined = ScoreJoin(
        table="NAME",
        path="",
        alleles=0,
        matched=0,
        not_matched=0,
        on_lacking_contigs=0,
        lacking_contigs=(),
        values={},
        rows_read=0,
        refs_checked=0,
        refs_wrong=0,
        seconds=0,
    )
    joins = {"c": {"NAME": joined}}
    calibrated = {"c": CohortCalibration(models={"m": ContextCounts()})}
    (row,) = summary.summarise([alleles], [plan], {"m": scale}, joins, calibrated)
    if list(row) != list(SUMMARY):
        raise SystemExit(f"docs/generate.py: SUMMARY is not the columns of summary.tsv: {[*row]}")


def type_name(dtype: pl.DataType) -> str:
    """Return the name of a Polars type; nested ones by their kind."""
    return "List of Struct" if isinstance(dtype, pl.List) else str(dtype)


def code(paths: str) -> str:
    """Return a list of paths, with commas, as code."""
    return ", ".join(f"`{path}`" for path in paths.split(", "))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; a bar in a cell would end it, even in code."""
    lines = [head, ["---"] * len(head), *rows]
    escape = str.maketrans({"|": "\\|", "<": "&lt;"})
    cells = (
        [
            " ".join(cell.split()).translate(escape if "`" not in cell else {124: "\\|"})
            for cell in line
        ]
        for line in lines
    )
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


PAGES: dict[str, Callable[[], str]] = {"config.md": config_page, "outputs.md": outputs_page}


def _filled() -> dict[str, Callable[[], str]]:
    """Return the pages, of those that are there, that people write around tables."""
    path = ROOT / "docs/models.md"
    if not path.exists():
        return {}
    return {"models.md": lambda: model_pages.filled(path.read_text(encoding="utf-8"), table)}


def main(argv: Sequence[str] | None = None) -> int:
    """Write the pages, or say which differ from what they should be."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; 1: out of date")
    check = parser.parse_args(argv).check
    stale = []
    for name, make in {**PAGES, **_filled()}.items():
        path = ROOT / "docs" / name
        text = make()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if not check:
                path.write_text(text, encoding="utf-8")
    if check and stale:
        print(f"out of date: {', '.join(stale)}; run python docs/generate.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

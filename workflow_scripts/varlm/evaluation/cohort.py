"""A cohort's annotated table and the config → tasks, the rows measured, and what was left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from varlm.annotation.joined_scores import joined_columns
from varlm.errors import UserError, first_few
from varlm.evaluation.cohort_labels import ALLELE, add_labels, labelled_task
from varlm.evaluation.compared import Score, check_columns, compared_scores
from varlm.evaluation.features import READ, features
from varlm.evaluation.groups import needed_columns
from varlm.evaluation.label_tables import label_table_columns
from varlm.evaluation.labels import LabelSpec
from varlm.evaluation.matched_tasks import Matching, with_controls
from varlm.evaluation.measuring import measure
from varlm.evaluation.mutation_context import SCORE, with_baseline
from varlm.evaluation.rows import Settings
from varlm.evaluation.spectrum import ANCESTRAL, COUNT, NUMBER
from varlm.evaluation.strata import Strata
from varlm.evaluation.tasks import Task, contrast_task, frequency_task
from varlm.genome.reference import Genome
from varlm.tables.columns import calibrated_columns
from varlm.tables.schemas import EVALUATION, read_kinds
from varlm.tables.score_kinds import ScoreKind
from varlm.variants.accounting import Accounting

_AS_GIVEN = ("input_pos", "input_ref", "input_alt")
_ROWS = 500_000  # read at a time
_INFO = "info_"  # prefix of the columns of INFO fields, which the regions do not have


@dataclass(frozen=True)
class EvaluationInput:
    """What a cohort is evaluated by.

    Attributes
    ----------
    cohort : str
    annotated : Path
        annotated.parquet.
    accounting : Accounting
        accounting.json: which CHROM is which contig.
    models : sequence of str
        The first is what the others are compared with.
    config : mapping
        The config's `evaluate`, defaults filled in.
    reference : Path
        The reference's folder, for the alleles' sequence context.
    tables : mapping
        Label → where its TSV lies.
    """

    cohort: str
    annotated: Path
    accounting: Accounting
    models: Sequence[str]
    config: Mapping[str, Any]
    reference: Path
    tables: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Evaluated:
    """`schemas.EVALUATION`, and what evaluation.json says."""

    rows: pl.DataFrame
    summary: dict[str, Any]


def evaluate(inputs: EvaluationInput) -> Evaluated:
    """Measure every task of the config on a cohort.

    Raises
    ------
    UserError
        If a column is missing or of the wrong kind, a contig is unknown, or labels cannot be read,
        contradict each other or are of no class.
    """
    config = inputs.config
    schema = pl.scan_parquet(inputs.annotated).collect_schema()
    kinds = read_kinds(inputs.annotated, inputs.models)
    published = {
        column.name: column.column.harmful
        for column in joined_columns(inputs.annotated)
        if column.column.harmful is not None
    } | calibrated_columns(kinds)
    scores, absent = checked_scores(kinds, config, schema, published)
    specs = label_specs(inputs.cohort, config, inputs.tables)
    check_label_columns(specs, schema, inputs.cohort)
    check_match_columns(config, schema, inputs.cohort)
    total = int(pl.scan_parquet(inputs.annotated).select(pl.len()).collect().item())
    summary: dict[str, Any] = {"cohort": inputs.cohort, "alleles_in": total}
    chosen = _chosen(config["contigs"], inputs.accounting)
    # Tables of labels are matched with all of the cohort: what matches nothing is counted.
    early = chosen if all(spec.table is None for spec in specs) else None
    matching = Matching.parse(config.get("match"))
    table = _read_columns(inputs.annotated, scores, specs, early, matching)
    table, labelled = add_labels(table, specs, inputs.accounting.contig_of_chrom)
    if chosen is not None and early is None:
        table = table.filter(pl.col("chrom").is_in(chosen))
    summary["on_other_contigs"] = summary["alleles_in"] - table.height
    before = table.height
    table = table.unique(ALLELE, keep="first", maintain_order=True)
    summary |= {"repeated": before - table.height, "alleles": table.height}
    strata = Strata.parse(config.get("strata"))
    known = None
    if SCORE in scores or strata is not None or matching is not None:
        known = features(table, inputs.accounting.contig_of_chrom, Genome.open(inputs.reference))
    tasks = _tasks(table, specs, labelled, config, matching, known) if scores else []
    settings = Settings(config["bootstrap"], config["seed"], config["quantiles"], strata)
    rows = measure(tasks, table, scores, settings, known)
    summary |= {
        "contigs": config["contigs"],
        "bootstrap": settings.bootstrap,
        "seed": settings.seed,
        "scores": [{"name": score.name, "about": score.about} for score in scores],
        "scores_absent": absent,
        "tasks": [
            {
                "name": task.name,
                "kind": task.kind,
                "about": task.about,
                "counts": task.counts,
                "notes": task.notes,
            }
            for task in tasks
        ],
    }
    whole = rows.select(pl.lit(inputs.cohort).alias("cohort"), pl.all())
    return Evaluated(EVALUATION.check(whole, "evaluation"), summary)


def checked_scores(
    models: Iterable[str] | Mapping[str, ScoreKind],
    config: Mapping[str, Any],
    schema: Mapping[str, pl.DataType],
    published: Mapping[str, str] | None = None,
) -> tuple[list[Score], list[str]]:
    """Return the scores that a cohort's table can have, and the names of those that it cannot.

    Parameters
    ----------
    models : mapping, or iterable of str
        Name → kind of its score, or names alone: all masked.
    config : mapping
        The config's `evaluate`, defaults filled in.
    schema : mapping
        Of the annotated table.
    published : mapping, optional
        Column of a table of published scores → which end is harmful.

    Raises
    ------
    UserError
        If a column is missing, or holds no numbers.
    """
    scores = compared_scores(
        models, config["scores"], config["combine"], published, config.get("fit", ())
    )
    scores, absent = _without_info(scores, _has_info(schema))
    check_columns(scores, schema)
    return with_baseline(scores) if config.get("mutation_context", True) else scores, absent


def label_specs(
    cohort: str, config: Mapping[str, Any], tables: Mapping[str, Path]
) -> list[LabelSpec]:
    """Return the labels of a cohort; `tables` is label → where its TSV lies."""
    return [
        LabelSpec.parse(name, entry, tables.get(name))
        for name, entry in config["labels"].items()
        if entry.get("cohort") in (None, cohort)
    ]


def check_label_columns(
    specs: Sequence[LabelSpec], schema: Mapping[str, pl.DataType], cohort: str
) -> None:
    """Raise `UserError` unless columns of labels that have no table, and of groups, are there."""
    for spec in specs:
        may_lack = _is_info(spec) and not _has_info(schema)
        if spec.table is None and spec.column not in schema and not may_lack:
            raise UserError(
                f"{spec.where}: the annotated table of {cohort} has no column "
                f"{spec.column}; it has {', '.join(schema)}"
            )
        _check_groups(spec, schema, cohort)


def check_match_columns(
    config: Mapping[str, Any], schema: Mapping[str, pl.DataType], cohort: str
) -> None:
    """Raise `UserError` unless what `evaluate.match` names are columns."""
    if matching := Matching.parse(config.get("match")):
        matching.check_columns(schema, cohort)


def _check_groups(spec: LabelSpec, schema: Mapping[str, pl.DataType], cohort: str) -> None:
    own = label_table_columns(spec.table, spec.where) if spec.table and spec.group else []
    for name in spec.group:
        # Of labels of all cohorts the regions, which have no INFO, have no groups.
        may_lack = name.startswith(_INFO) and not _has_info(schema) and spec.cohort is None
        if name in own or not needed_columns([name], schema) - set(schema) or may_lack:
            continue
        if name.startswith(_INFO) and not _has_info(schema):
            raise UserError(
                f"{spec.where}.group: {cohort} has no INFO fields, so no {name}; name another "
                "column, or a column of the label's own table"
            )
        of_table = f"{spec.table} ({', '.join(own)}) nor " if spec.table else ""
        raise UserError(
            f"{spec.where}.group: there is no column {name} in {of_table}the annotated table of "
            f"{cohort} ({', '.join(schema)}); name one of them"
        )


def _has_info(schema: Mapping[str, pl.DataType]) -> bool:
    return any(name.startswith(_INFO) for name in schema)


def _read_columns(
    annotated: Path,
    scores: Sequence[Score],
    specs: Sequence[LabelSpec],
    chroms: Sequence[str] | None,
    matching: Matching | None,
) -> pl.DataFrame:
    """Return the columns that are measured, matched or counted, in the table's order.

    Texts that are compared with nothing but themselves are categories: a fourth of the memory, of
    which the SNVs of a whole genome need 100 bytes each otherwise. `chroms`: those wanted; None:
    all.
    """
    frame = pl.scan_parquet(annotated)
    known = frame.collect_schema().names()
    needed = {
        *ALLELE,
        *READ,
        *(_AS_GIVEN if any(spec.table for spec in specs) else ()),
        *(COUNT, NUMBER, ANCESTRAL),
        *(spec.column for spec in specs if spec.table is None),
        *(name for spec in specs for name in needed_columns(spec.group, known)),
        *(score.column for score in scores if score.column),
        *(matching.columns(known) if matching else ()),
    }
    columns = [name for name in known if name in needed]
    wanted = frame.select(columns)
    total = int(frame.select(pl.len()).collect().item())
    pieces = []
    for start in range(0, max(total, 1), _ROWS):
        piece = wanted.slice(start, _ROWS)
        if chroms is not None:
            piece = piece.filter(pl.col("chrom").is_in(chroms))
        if not specs and ANCESTRAL not in columns:
            piece = piece.with_columns(pl.col(pl.String).cast(pl.Categorical))
        pieces.append(piece.collect(engine="in-memory"))
    return pl.concat(pieces)


def _is_info(spec: LabelSpec) -> bool:
    return spec.column.startswith(_INFO)


def _without_info(scores: Sequence[Score], has_info: bool) -> tuple[list[Score], list[str]]:
    """Return the scores that a cohort can have: regions have no VCF, so no INFO fields."""
    if has_info:
        return list(scores), []
    absent = {score.name for score in scores if score.column.startswith(_INFO)}
    absent |= {score.name for score in scores if absent & set(score.parts)}
    return [score for score in scores if score.name not in absent], sorted(absent)


def _chosen(configured: Sequence[object] | None, accounting: Accounting) -> list[str] | None:
    """Return CHROM of contigs that are named as in the VCF or as in the reference; None: all."""
    if configured is None:
        return None
    check_contigs(configured, accounting)
    contigs, names = accounting.contig_of_chrom, {str(name) for name in configured}
    return [chrom for chrom, contig in contigs.items() if {chrom, contig} & names]


def check_contigs(configured: Sequence[object], accounting: Accounting) -> None:
    """Raise `UserError` unless `evaluate.contigs` are contigs of the cohort or the reference."""
    contigs = accounting.contig_of_chrom
    known = {*contigs, *contigs.values(), *accounting.contigs_without_records}
    if unknown := sorted({str(name) for name in configured} - known):
        raise UserError(
            f"evaluate.contigs: {', '.join(unknown)} is neither a contig of the cohort nor of the "
            f"reference; known are {first_few(sorted(known), 40)}"
        )


def _tasks(
    table: pl.DataFrame,
    specs: Sequence[LabelSpec],
    counted: Mapping[str, dict[str, Any]],
    config: Mapping[str, Any],
    matching: Matching | None,
    known: pl.DataFrame | None,
) -> list[Task]:
    tasks = [labelled_task(spec, table, counted[spec.name]) for spec in specs]
    tasks += [contrast_task(pair, table["consequence"]) for pair in config["contrasts"]]
    if config["frequencies"]:
        tasks.append(frequency_task(table))
    return [with_controls(task, table, matching, config["seed"], known) for task in tasks]

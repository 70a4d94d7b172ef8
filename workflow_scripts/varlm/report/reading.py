"""The files of a cohort's report, opened: paths → `ReportInput`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.errors import UserError
from varlm.genome.reference import Genome
from varlm.models.prepared import PreparedModel
from varlm.report.counts import Counted, GenomeBins, ModelCounts
from varlm.report.counts import count as count_alleles
from varlm.report.distributions import bins_for, has_llr_bins, of_values
from varlm.report.evaluation import read_evaluation
from varlm.report.inputs import ReportInput, ReportModel, ReportOptions
from varlm.report.published_reading import PublishedScores
from varlm.report.rejected import read_examples
from varlm.report.scales import Scale
from varlm.results.top_hits import most_harmful, top_hits
from varlm.run.step_settings import steps_of
from varlm.run.step_warnings import STEPS, Configured, StepWarning, step_warnings
from varlm.scoring.commit_record import CommitRecord
from varlm.scoring.dense_scale import DenseScale, read_scales
from varlm.scoring.plan_record import Plan
from varlm.tables.parquet import Table, read_table
from varlm.tables.schemas import BACKGROUND, PICTURES, read_annotated_table
from varlm.tables.score_kinds import kind_in
from varlm.variants.accounting import Accounting

EXAMPLES = 5  # rejected alleles shown of each reason
_GENOME_BINS = 1_500  # stretches of the genome, all models together
_PER_WINDOW = 20  # alleles wanted in each
_FEWEST_WINDOWS = 40


@dataclass(frozen=True)
class ModelFiles:
    """Where what is known of a model lies: the JSON of three steps, and two tables."""

    prepared: Path  # models/{model}.json
    plan: Path  # plan.json
    commit: Path  # commits/{model}.json
    background: Path
    pictures: Path


@dataclass(frozen=True)
class ReportFiles:
    """Where the parts of a report lie; see the step `report`.

    Attributes
    ----------
    annotated, accounting, reference : Path
        annotated.parquet, accounting.json, and the folder of the reference.
    models : sequence of ModelFiles
        In the order shown.
    rejected : Path, optional
        rejected.tsv.gz; the regions have none.
    annotation : Path, optional
        annotation.json.
    evaluation : tuple of Path, optional
        evaluation.tsv and evaluation.json.
    results : Path, optional
        The folder whose logs tell what the steps warned of.
    scores, ranks : mapping
        Table of published scores → what was matched of it (JSON), and the background's scores.
    dense : sequence of Path
        dense/{model}.json of each model with dense scores.
    """

    annotated: Path
    accounting: Path
    reference: Path
    models: Sequence[ModelFiles]
    rejected: Path | None = None
    annotation: Path | None = None
    evaluation: tuple[Path, Path] | None = None
    results: Path | None = None
    scores: Mapping[str, Path] = field(default_factory=dict)
    ranks: Mapping[str, Path] = field(default_factory=dict)
    dense: Sequence[Path] = ()


def read_inputs(
    files: ReportFiles, cohort: str, settings: Mapping[str, Any], options: ReportOptions
) -> ReportInput:
    """Open all files of a report, count the annotated table, and choose its top hits.

    Raises
    ------
    UserError
        If a file cannot be read, or inputs are not of one run: names or counts that differ.
    """
    accounting = Accounting.read(files.accounting)
    records = [
        (
            PreparedModel.read(paths.prepared),
            Plan.read(paths.plan),
            CommitRecord.read(paths.commit),
        )
        for paths in files.models
    ]
    evaluation = None
    if files.evaluation is not None:
        table, summary = files.evaluation
        evaluation = read_evaluation(table), read_object(summary)
    _check_accounting(accounting, evaluation, cohort)
    for prepared, plan, commit in records:
        _check_model(prepared, plan, commit, cohort)
    names = [prepared.name for prepared, _, _ in records]
    genome = Genome.open(files.reference)
    bins = _genome_bins(accounting, genome.lengths, len(names))
    columns = read_annotated_table(files.annotated, names)
    backgrounds, scales = {}, {}
    for (prepared, _, _), paths in zip(records, files.models, strict=True):
        _check_kind(files.annotated, columns, prepared)
        scores = read_table(paths.background, BACKGROUND)["llr"].to_numpy()
        scales[prepared.name] = _scale(files.annotated, prepared, scores)
        backgrounds[prepared.name] = of_values(scores, scales[prepared.name].bins)
    published = PublishedScores.read(files.annotated, files.ranks)
    counts = count_alleles(
        files.annotated,
        scales,
        bins,
        accounting.contig_of_chrom,
        published.counted if names or published.counted else {"": Counted(Scale())},
    )
    _check_rows(files.annotated, counts, accounting)
    hits = top_hits(files.annotated, names, options.top_hits)
    ends = {} if names else published.ends
    dense = read_scales(files.dense)
    models = [
        ReportModel(
            prepared=prepared,
            plan=plan,
            commit=commit,
            background=backgrounds[name],
            counts=counts[name],
            hits=hits[name],
            sites=read_table(paths.pictures, PICTURES),
            dense=_of_its_key(dense.get(name), prepared),
        )
        for name, (prepared, plan, commit), paths in zip(names, records, files.models, strict=True)
    ]
    return ReportInput(
        cohort=cohort,
        accounting=accounting,
        genome=genome,
        bins=bins,
        table=columns,
        models=models,
        settings=settings,
        options=options,
        annotation=read_object(files.annotation) if files.annotation else {},
        rejected=(
            read_examples(files.rejected, accounting.by_reason, EXAMPLES)
            if files.rejected
            else None
        ),
        evaluation=evaluation,
        warnings=_warnings(files.results, cohort, names, settings) if files.results else [],
        tables=published.tables(files.annotated, files.scores, counts),
        alleles=counts.get(""),
        hits=most_harmful(files.annotated, ends, options.top_hits),
    )


def _check_kind(annotated: Path, columns: Table, prepared: PreparedModel) -> None:
    """Raise `UserError` unless the annotated table has the model's kind of score."""
    kind = kind_in(columns.names, prepared.name)
    if kind is None or kind.column != prepared.kind.column:
        shown = "none" if kind is None else kind.column
        raise UserError(
            f"{annotated}: the scores of the model {prepared.name!r} are {shown}, expected "
            f"{prepared.kind.column}; delete it and run the workflow again"
        )


def _scale(annotated: Path, prepared: PreparedModel, scores: NDArray[np.float64]) -> Scale:
    """Return the scale of a model's scores; without a background it is made to the cohort's."""
    kind = prepared.kind
    if not len(scores) and not has_llr_bins(kind):
        column = f"{prepared.name}_{kind.column}"
        frame = pl.read_parquet(annotated, columns=[column])
        scores = frame[column].drop_nulls().to_numpy()
    return Scale(kind, bins_for(kind, scores))


def _warnings(
    results: Path, cohort: str, models: Sequence[str], settings: Mapping[str, Any]
) -> list[StepWarning]:
    """Return what the cohort's steps warned of, those among them that are all cohorts'."""
    steps = steps_of(settings) if "annotate" in settings else list(STEPS)
    tables = settings.get("annotate", {}).get("scores", {})
    configured = Configured(steps, [cohort], models, tables=tables)
    return step_warnings(results, configured, with_shards=False)


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file that is no record.

    Raises
    ------
    UserError
        If it holds something else.
    """
    document = json.loads(path.read_text())
    if not isinstance(document, dict):
        raise UserError(f"{path}: found a {type(document).__name__}, expected a JSON object")
    return document


def _genome_bins(accounting: Accounting, lengths: Mapping[str, int], models: int) -> GenomeBins:
    """Return the stretches of the genome: fewer where there are many models or few alleles."""
    present = [
        entry.contig for entry in accounting.contigs if entry.contig is not None and entry.records
    ]
    windows = min(_GENOME_BINS // max(models, 1), accounting.accepted // _PER_WINDOW)
    return GenomeBins.choose(lengths, present, max(windows, _FEWEST_WINDOWS))


def _check_accounting(
    accounting: Accounting,
    evaluation: tuple[pl.DataFrame, Mapping[str, Any]] | None,
    cohort: str,
) -> None:
    cohorts = [("accounting", accounting.cohort)]
    if evaluation is not None:
        cohorts.insert(0, ("evaluation", evaluation[1]["cohort"]))
    for what, its_cohort in cohorts:
        if its_cohort != cohort:
            raise UserError(
                f"report: the {what} is of the cohort {its_cohort!r}, expected "
                f"{cohort!r}; run the workflow again"
            )


def _check_model(prepared: PreparedModel, plan: Plan, commit: CommitRecord, cohort: str) -> None:
    """Raise `UserError` unless a model's records belong together."""
    name, key = prepared.name, prepared.key
    records: list[tuple[str, Plan | CommitRecord]] = [("plan", plan), ("commit", commit)]
    for what, record in records:
        if (record.model, record.key) != (name, key):
            raise UserError(
                f"report: the {what} is of the model {record.model!r} with the key "
                f"{record.key}, expected {name!r} with {key}; "
                "give --model, --plan and --committed in one order, or run the workflow again"
            )
    if cohort not in plan.cohorts:
        raise UserError(
            f"report: the plan of the model {name!r} does not know the cohort "
            f"{cohort!r}; run the workflow again"
        )


def _of_its_key(scale: DenseScale | None, prepared: PreparedModel) -> DenseScale | None:
    """Return what is said of a model's dense scores; `UserError` where it is of other scores."""
    if scale is not None and scale.key != prepared.key:
        raise UserError(
            f"report: dense/{prepared.name}.json is of the key {scale.key}, expected "
            f"{prepared.key}; run the workflow again"
        )
    return scale


def _check_rows(annotated: Path, counts: Mapping[str, ModelCounts], accounting: Accounting) -> None:
    for of_model in counts.values():
        rows = of_model.all().total + of_model.missing
        if rows != accounting.accepted:
            raise UserError(
                f"{annotated}: {rows} alleles, but the accounting says that "
                f"{accounting.accepted} were accepted; delete the cohort's folder in the "
                "results and run the workflow again"
            )

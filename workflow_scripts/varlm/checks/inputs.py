"""Look at every file that steps after the scoring read from the user, cheaply, before it starts.

Each check is the one that the later step makes itself, on headers, first lines and small tables.
What is damaged further on is still that step's to find.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from varlm.annotation import bigwigs, intervals
from varlm.annotation.bigwigs import BigWigColumns
from varlm.annotation.info_fields import declared_fields
from varlm.annotation.intervals import check_intervals
from varlm.annotation.joined_scores import possible_columns
from varlm.annotation.published.tables import opened
from varlm.errors import UserError
from varlm.evaluation.cohort import (
    check_contigs,
    check_label_columns,
    check_match_columns,
    checked_scores,
    label_specs,
)
from varlm.evaluation.label_tables import check_label_table
from varlm.genome.contig_names import ContigNames
from varlm.report.links import BrowserLink
from varlm.results.annotated_vcf import check_tags
from varlm.run.config_keys import CohortFile, label_tables
from varlm.run.model_settings import model_columns
from varlm.run.score_tables import ScoreTable
from varlm.run.step_settings import evaluate_settings
from varlm.tables.columns import calibrated_columns
from varlm.tables.parquet import Column
from varlm.tables.schemas import annotated
from varlm.tables.score_kinds import SCORE_KINDS, ScoreKind, Strands
from varlm.variants.accounting import Accounting
from varlm.vcf.heading import Heading, check_samples, read_heading

_RECORDS = 100  # of each file, whose INFO is looked at


@dataclass(frozen=True)
class UserInputs:
    """What a run's later steps read from the user.

    Attributes
    ----------
    models : list of str, or dict
        Names, where all scores are masked; else name → kind of score, None where it is not known.
    info : list of str
        INFO fields to carry along.
    intervals, bigwigs : dict
        Name → path, as the config says.
    browsers : dict
        Name → address.
    evaluate : dict or None
        The config's `evaluate`, defaults filled in.
    cohorts : mapping
        Cohort → its files, as the sheet says; those of the regions are none.
    located : mapping
        Path or address as the config or the sheet says → where the file lies on this machine; what
        is not in it lies where it says.
    scores : list of str
        Tables of published scores, JSON.
    """

    models: list[str] | dict[str, str | None]
    info: list[str]
    intervals: dict[str, str]
    bigwigs: dict[str, str]
    browsers: dict[str, str]
    evaluate: dict[str, Any] | None
    cohorts: Mapping[str, Sequence[CohortFile]]
    located: Mapping[str, str] = field(default_factory=dict)
    scores: list[str] = field(default_factory=list)

    @property
    def tables(self) -> list[ScoreTable]:
        """The tables of scores."""
        return [ScoreTable.from_json(text) for text in self.scores]

    @property
    def kinds(self) -> dict[str, ScoreKind]:
        """Model → kind of its score; masked, where it is not known."""
        known = self.models if isinstance(self.models, dict) else dict.fromkeys(self.models)
        return {model: _kind(said or "masked") for model, said in known.items()}

    @property
    def published(self) -> dict[str, str]:
        """Columns that are compared like scores of tables: which end of each is harmful."""
        of_tables = {
            table.column_name(column): column.harmful
            for table in self.tables
            for column in table.columns
            if column.harmful is not None
        }
        return of_tables | calibrated_columns(self.kinds)

    @property
    def possible(self) -> list[Column]:
        """Columns that models may make besides those of `kinds`, since theirs is not known."""
        known = self.models if isinstance(self.models, dict) else {}
        return [
            Column(f"{model}_{name}", pl.Float32(), "")
            for model, kind in known.items()
            if kind is None
            for name in model_columns(None)
            if name not in model_columns(self.kinds[model])
        ]

    def file(self, said: str) -> Path:
        """Return where a file lies on this machine."""
        return Path(self.located.get(said, said))


def _kind(said: str) -> ScoreKind:
    """Return the kind that `run.step_settings.checked_settings` says."""
    name, *more = said.split("/")
    strands: Strands = "transcript" if "transcript" in more else "both"
    return replace(SCORE_KINDS[name], strands=strands, calibrated="calibrated" in more)


def faults(
    inputs: UserInputs,
    names: ContigNames,
    accountings: Callable[[str], Accounting],
    scratch: Path | None = None,
) -> list[str]:
    """Return what is wrong with the inputs, each fault once.

    Parameters
    ----------
    inputs : UserInputs
    names : ContigNames
        Of the reference.
    accountings : callable
        Cohort → what was counted of it.
    scratch : Path, optional
        Where a table of scores without an index may be turned into what can be read.
    """
    tables = _LabelTables(list(names.lengths))
    of_cohorts = (
        fault
        for cohort, files in inputs.cohorts.items()
        for fault in _cohort_faults(inputs, cohort, files, accountings(cohort), tables)
    )
    of_run = [*_track_faults(inputs, names), *_score_faults(inputs, names, scratch)]
    return list(dict.fromkeys([*of_run, *of_cohorts]))


def _fault(check: Callable[..., object], *arguments: Any) -> Iterator[str]:
    """Yield what a check refuses, if it does."""
    try:
        check(*arguments)
    except UserError as error:
        yield str(error)


def _track_faults(inputs: UserInputs, names: ContigNames) -> Iterator[str]:
    for name, path in inputs.intervals.items():
        yield from _fault(check_intervals, inputs.file(path), names, f"annotate.intervals.{name}")
    for name, path in inputs.bigwigs.items():
        yield from _fault(BigWigColumns, name, inputs.file(path), names, f"annotate.bigwigs.{name}")
    for name, address in inputs.browsers.items():
        yield from _fault(BrowserLink.parse, f"{name}={address}")


def _score_faults(inputs: UserInputs, names: ContigNames, scratch: Path | None) -> Iterator[str]:
    for table in inputs.tables:
        path = str(inputs.file(table.path))
        with tempfile.TemporaryDirectory(prefix=".check_inputs.", dir=scratch) as folder:
            yield from _fault(opened, replace(table, path=path), names, Path(folder))


def _cohort_faults(
    inputs: UserInputs,
    cohort: str,
    files: Sequence[CohortFile],
    accounting: Accounting,
    tables: _LabelTables,
) -> Iterator[str]:
    headings: list[Heading] = []
    for file in files:
        yield from _fault(
            lambda path: headings.append(read_heading(path, _RECORDS)), inputs.file(file.vcf)
        )
    if len(headings) < len(files):
        return
    yield from _fault(check_samples, headings)
    for heading in headings:
        tags = [name for table in inputs.tables for name in table.possible_names]
        yield from _fault(check_tags, heading, inputs.kinds, tags)
    info: list[Column] | None = []
    for tag in inputs.info if files else []:
        try:
            declared = declared_fields(headings, [tag])
        except UserError as error:
            info = None
            yield str(error)
        else:
            if info is not None:
                info += [column.column for column in declared]
    if inputs.evaluate is not None:
        yield from _evaluation_faults(inputs, cohort, files, accounting, info, tables)


def _evaluation_faults(
    inputs: UserInputs,
    cohort: str,
    files: Sequence[CohortFile],
    accounting: Accounting,
    info: Sequence[Column] | None,
    tables: _LabelTables,
) -> Iterator[str]:
    """Yield what is wrong with what a cohort is evaluated by; `info` is None if not known."""
    config = json.loads(evaluate_settings(inputs.evaluate, files))
    if config["contigs"] is not None:
        yield from _fault(check_contigs, config["contigs"], accounting)
    paths = {name: inputs.file(path) for name, path in label_tables(inputs.evaluate, files).items()}
    specs = label_specs(cohort, config, paths)
    if info is not None:
        schema = _schema(inputs, info)
        yield from _fault(checked_scores, inputs.kinds, config, schema, inputs.published)
        yield from _fault(check_match_columns, config, schema, cohort)
        for spec in specs:
            yield from _fault(check_label_columns, [spec], schema, cohort)
    for spec in specs:
        if spec.table is not None:
            yield from tables.faults(spec, accounting.contig_of_chrom)


def _schema(inputs: UserInputs, info: Sequence[Column]) -> dict[str, pl.DataType]:
    """Return the columns that the annotated table will have, or may have."""
    extra = [
        *info,
        *inputs.possible,
        *(column for name in inputs.intervals for column in intervals.columns(name)),
        *(column for name in inputs.bigwigs for column in bigwigs.columns(name)),
        *(column for table in inputs.tables for column in possible_columns(table)),
    ]
    return annotated(inputs.kinds, extra).schema


@dataclass
class _LabelTables:
    """Looks at each label table once for all cohorts that call their contigs alike."""

    contigs: Collection[str]
    seen: dict[tuple[Any, ...], list[str]] = field(default_factory=dict)

    def faults(self, spec: Any, contigs: Mapping[str, str]) -> list[str]:
        """Return what is wrong with a label's table for a cohort with such contigs."""
        key = (spec, *sorted(contigs.items()))
        if key not in self.seen:
            self.seen[key] = list(_fault(check_label_table, spec, contigs, self.contigs))
        return self.seen[key]

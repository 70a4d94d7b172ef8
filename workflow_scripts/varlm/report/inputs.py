"""What a cohort's report is made of: values, no paths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from varlm.annotation.published.joining import ScoreJoin
from varlm.genome.reference import Genome
from varlm.models.prepared import PreparedModel
from varlm.report.counts import GenomeBins, ModelCounts
from varlm.report.distributions import Distribution
from varlm.report.links import BrowserLink
from varlm.report.scales import Scale
from varlm.run.score_tables import ScoreTable
from varlm.run.step_warnings import StepWarning
from varlm.scoring.commit_record import CommitRecord
from varlm.scoring.dense_scale import DenseScale
from varlm.scoring.plan_record import Counts, Plan
from varlm.tables.parquet import Table
from varlm.variants.accounting import Accounting


@dataclass(frozen=True)
class ReportOptions:
    """What the config's `report` asks for.

    Attributes
    ----------
    top_hits, pictures : int
        Alleles, and sequence logos, of each model.
    flank : int
        Positions on each side of the allele in a logo.
    browsers : sequence of BrowserLink
    """

    top_hits: int
    pictures: int
    flank: int
    browsers: Sequence[BrowserLink] = ()


@dataclass(frozen=True)
class ReportModel:
    """What is known of a model.

    Attributes
    ----------
    prepared : PreparedModel
    plan : Plan
    commit : CommitRecord
    background : Distribution
        LLRs of random SNVs of the genome.
    counts : ModelCounts
        The cohort's alleles, counted.
    hits : polars.DataFrame
        The rows of the annotated table with the lowest LLR, the lowest first.
    sites : polars.DataFrame
        `schemas.SITES`: logits around the hits that are pictured.
    dense : DenseScale, optional
        How its dense scores are beside masked ones; None of other scores.
    """

    prepared: PreparedModel
    plan: Plan
    commit: CommitRecord
    background: Distribution
    counts: ModelCounts
    hits: pl.DataFrame
    sites: pl.DataFrame
    dense: DenseScale | None = None

    @property
    def name(self) -> str:
        """The model's name in the config and in column names."""
        return self.prepared.name

    @property
    def scale(self) -> Scale:
        """The scale of the model's scores."""
        return self.counts.scale


@dataclass(frozen=True)
class ReportScore:
    """A column of a table of scores that says which end is harmful.

    Attributes
    ----------
    name : str
        Of its column in the annotated table.
    counts : ModelCounts
        The cohort's alleles, counted.
    background : Distribution
        Scores of random SNVs of the genome; empty where the table has too few of them.
    """

    name: str
    counts: ModelCounts
    background: Distribution


@dataclass(frozen=True)
class ReportTable:
    """A table of published scores: what the config says, what was matched, and its scores."""

    table: ScoreTable
    record: ScoreJoin
    scores: Sequence[ReportScore]


@dataclass(frozen=True)
class ReportInput:
    """What a report is made of.

    Attributes
    ----------
    cohort : str
    accounting : Accounting
    genome : Genome
    bins : GenomeBins
        The stretches of the genome in which the alleles are counted.
    table : Table
        The annotated table's columns and their meanings.
    models : sequence of ReportModel
        In the order shown.
    settings, annotation : mapping
        The config, and annotation.json; empty where there is none.
    options : ReportOptions
    rejected : polars.DataFrame, optional
        `schemas.REJECTED`: a few rows of each reason.
    evaluation : tuple, optional
        `schemas.EVALUATION`, and evaluation.json.
    warnings : sequence of StepWarning
        What the steps of the cohort warned of.
    tables : sequence of ReportTable
        Published scores, in the config's order.
    alleles : ModelCounts, optional
        Alleles by class, where there is no model.
    hits : mapping
        Score of a table → the rows with its most harmful values, where there is no model.
    """

    cohort: str
    accounting: Accounting
    genome: Genome
    bins: GenomeBins
    table: Table
    models: Sequence[ReportModel]
    settings: Mapping[str, Any]
    options: ReportOptions
    annotation: Mapping[str, Any] = field(default_factory=dict)
    rejected: pl.DataFrame | None = None
    evaluation: tuple[pl.DataFrame, Mapping[str, Any]] | None = None
    warnings: Sequence[StepWarning] = ()
    tables: Sequence[ReportTable] = ()
    alleles: ModelCounts | None = None
    hits: Mapping[str, pl.DataFrame] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The models' names, in order."""
        return [model.name for model in self.models]

    @property
    def scales(self) -> dict[str, Scale]:
        """Model → the scale of its scores."""
        return {model.name: model.scale for model in self.models}

    @property
    def counts(self) -> dict[str, ModelCounts]:
        """Model → the cohort's alleles, counted."""
        return {model.name: model.counts for model in self.models}

    @property
    def backgrounds(self) -> dict[str, Distribution]:
        """Model → scores of random SNVs of the genome."""
        return {model.name: model.background for model in self.models}

    @property
    def plans(self) -> dict[str, Counts]:
        """Model → the cohort's counts in its plan."""
        return {model.name: model.plan.cohorts[self.cohort] for model in self.models}

    @property
    def published(self) -> list[ReportScore]:
        """The scores of all tables, in order."""
        return [score for table in self.tables for score in table.scores]

    @property
    def published_columns(self) -> list[str]:
        """The columns of all tables of scores, their percentiles too, in order."""
        names = [name for table in self.tables for name in table.table.possible_names]
        return [name for name in names if name in self.table.names]

    @property
    def classes(self) -> ModelCounts:
        """Counts by class, of whichever score: each has all alleles."""
        counts = [*self.counts.values(), *(score.counts for score in self.published)]
        if self.alleles is not None:
            counts.insert(0, self.alleles)
        return counts[0]

    @property
    def contigs(self) -> Mapping[str, str]:
        """CHROM of the cohort → contig of the reference."""
        return self.accounting.contig_of_chrom

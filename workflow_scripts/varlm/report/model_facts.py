"""What a report says of each model: which it is, where its scores came from, how fast it was."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from varlm.report.facts import Facts
from varlm.report.inputs import ReportModel
from varlm.report.scales import Scale
from varlm.report.text import duration
from varlm.scoring.commit_record import ShardRun
from varlm.scoring.plan_record import Counts

_STRANDS = {
    "both": "both, mean",
    "forward": "forward only",
    "transcript": "that of the allele’s transcripts; both, mean, where there is none",
}


@dataclass(frozen=True)
class ScoreSource:
    """How many scores of a kind there are, came from the store, and were made in this run."""

    name: str
    total: int
    stored: int
    scored: int


@dataclass(frozen=True)
class ScoringRuns:
    """Scoring jobs on alike hardware: what they did together, in which time and how fast."""

    device: str
    arithmetic: str
    jobs: int
    sites: int
    alleles: int
    time: str
    rate: str


@dataclass(frozen=True)
class ModelFacts:
    """What a report says of a model; `runs` is empty where nothing was scored."""

    name: str
    facts: Facts
    sources: list[ScoreSource]
    runs: list[ScoringRuns]


def model_facts(model: ReportModel, cohort: str) -> ModelFacts:
    """Return what is known of a model; `cohort` is whose scores are counted."""
    prepared, background = model.prepared, model.plan.background
    facts: Facts = [
        ("path", prepared.path),
        ("revision", prepared.revision),
        ("family", prepared.known_as.title),
        ("type", prepared.model_type),
        ("score", _score_told(model.scale)),
        ("harmful", f"{prepared.kind.harmful} scores"),
        ("key in the store", prepared.key),
        ("window", f"{prepared.window:,} bp"),
        ("strands", _STRANDS[prepared.strands]),
        *(prepared.options or {}).items(),
        ("precision", prepared.precision),
        ("background", "scored in this run" if background else "taken from the store, or none"),
        ("damaged files", f"{len(model.plan.damaged):,} of the store set aside"),
    ]
    planned = model.plan.cohorts[cohort]
    sources = [
        _site_source("SNV sites", planned),
        ScoreSource(
            "indels and MNVs" if prepared.kind.alleles else "indels and MNVs (this score has none)",
            planned.alleles,
            planned.alleles_from_store,
            planned.alleles_scored,
        ),
        *([_site_source("background sites", background)] if background else []),
    ]
    return ModelFacts(model.name, facts, sources, scoring_runs(model.commit.runs))


def _score_told(scale: Scale) -> str:
    """Return what a model's score is, with its unit."""
    if scale.kind.is_llr:
        return f"{scale.axis}: {scale.kind.meaning}"
    return f"{scale.kind.meaning}{f', {scale.kind.unit}' if scale.kind.unit else ''}"


def _site_source(name: str, planned: Counts) -> ScoreSource:
    return ScoreSource(name, planned.sites, planned.sites_from_store, planned.sites_scored)


def scoring_runs(jobs: Iterable[ShardRun | None]) -> list[ScoringRuns]:
    """Return the jobs' time and throughput, jobs on alike hardware together.

    Parameters
    ----------
    jobs : iterable of ShardRun or None
        The `runs` of a commit; None, of a shard without rows, is passed over.
    """
    alike: dict[tuple[str, str], list[ShardRun]] = {}
    for job in jobs:
        if job is not None:
            alike.setdefault((job.device, job.arithmetic), []).append(job)
    rows = []
    for (device, arithmetic), together in sorted(alike.items()):
        sites = sum(job.sites for job in together)
        alleles = sum(job.alleles for job in together)
        seconds = sum((job.seconds for job in together), 0.0)
        rate = f"{(sites + alleles) / seconds:,.0f}" if seconds > 0 else "–"
        time = duration(seconds)
        rows.append(ScoringRuns(device, arithmetic, len(together), sites, alleles, time, rate))
    return rows

"""What a report says of each model: which it is, where its scores came from, how fast it was."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from varlm.report.facts import Facts
from varlm.report.inputs import ReportModel
from varlm.report.text import duration


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
    described, background = model.described, model.plan["background"]
    facts: Facts = [
        ("path", described["path"]),
        ("revision", described["revision"]),
        ("type", described["model_type"]),
        ("key in the store", described["key"]),
        ("window", f"{described['window']:,} bp"),
        ("strands", "both, mean" if described["strands"] == "both" else "forward only"),
        ("precision", described["precision"]),
        ("background", "scored in this run" if background else "taken from the store, or none"),
        ("damaged files", f"{len(model.plan['damaged']):,} of the store set aside"),
    ]
    planned = model.plan["cohorts"][cohort]
    sources = [
        _source("SNV sites", planned, "sites"),
        _source("indels and MNVs", planned, "alleles"),
        *([_source("background sites", background, "sites")] if background else []),
    ]
    return ModelFacts(model.name, facts, sources, scoring_runs(model.committed.get("runs") or []))


def _source(name: str, planned: Mapping[str, int], kind: str) -> ScoreSource:
    return ScoreSource(
        name, planned[kind], planned[f"{kind}_from_store"], planned[f"{kind}_scored"]
    )


def scoring_runs(jobs: Iterable[Mapping[str, Any]]) -> list[ScoringRuns]:
    """Return the jobs' time and throughput, jobs on alike hardware together.

    Parameters
    ----------
    jobs : iterable of mapping
        The `runs` of commits/{model}.json; seconds.
    """
    alike: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for job in jobs:
        alike.setdefault((str(job["device"]), str(job["arithmetic"])), []).append(job)
    rows = []
    for (device, arithmetic), together in sorted(alike.items()):
        sites, alleles = (sum(job[kind] for job in together) for kind in ("sites", "alleles"))
        seconds = sum((job["seconds"] for job in together), 0.0)
        rate = f"{(sites + alleles) / seconds:,.0f}" if seconds > 0 else "–"
        time = duration(seconds)
        rows.append(ScoringRuns(device, arithmetic, len(together), sites, alleles, time, rate))
    return rows

"""How many sites a score job should get: minutes of work, and something for every device.

A shard costs a job's start (seconds: Snakemake, torch, the model) and is what a scheduler's time
limit applies to; a stopped one resumes inside. So its size need not be exact: an estimate that is
wrong by a factor of five still gives minutes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from varlm.models.prepared import PreparedModel
from varlm.run import environment
from varlm.scoring.commit_record import CommitRecord, ShardRun
from varlm.scoring.planning import ALLELE_COST
from varlm.scoring.recipe import Recipe

log = logging.getLogger("varlm")

# Multiplications and additions a second that a whole run keeps up: measured on Zen 3 (winograd
# counted as the sums that it replaces); assumed for a GPU, a third of an A100's TF32 peak.
_CPU_FLOPS = 150e9  # a core
_GPU_FLOPS = 50e12

_SMALLEST = 1000  # sites: below, reading and writing are all that a job does
_LARGEST = 2_000_000  # sites: what a job holds in memory, 100 MB
_PART = 1 / 16  # of the time wanted: what shards are put together from
_BYTES_A_WEIGHT = 4


@dataclass(frozen=True)
class ScoreJobs:
    """What score jobs are given: a GPU or not, processor cores each, and how many run at once."""

    on_gpu: bool
    cores: int
    at_once: int


@dataclass(frozen=True)
class ShardSize:
    """How rows are cut.

    Attributes
    ----------
    sites : int
        Of a shard, at most; an indel or MNV counts as `ALLELE_COST` of them.
    part : int
        Sites of the parts that shards are put together from.
    at_once : int
        Jobs that run at the same time, each of which should get a shard.
    """

    sites: int
    part: int
    at_once: int = 1

    def parts_together(self, parts: int) -> int:
        """Return how many of `parts` parts make a shard.

        As many as make its size, but few enough to give each of the jobs a shard.
        """
        return max(1, min(self.sites // self.part, -(-parts // max(self.at_once, 1))))


def score_jobs(device: str) -> ScoreJobs:
    """Return what score jobs will be given, as far as can be known before they start.

    What Snakemake was told is in the environment (`varlm.run.environment`).

    Parameters
    ----------
    device : str
        `scoring.device`: auto, cpu, cuda, cuda:N or mps.
    """
    # Jobs were promised GPUs, or this machine has one of NVIDIA's.
    gpu_is_there = environment.gpus() is not None or Path("/dev/nvidiactl").exists()
    return ScoreJobs(
        on_gpu=device.startswith("cuda") or (device == "auto" and gpu_is_there),
        cores=environment.scoring_threads(),
        at_once=environment.jobs_at_once(),
    )


def fixed(sites: int) -> ShardSize:
    """Return a size that the user sets."""
    return ShardSize(sites, part=sites)


def lasting(
    minutes: float, model: PreparedModel, jobs: ScoreJobs, runs: Iterable[ShardRun | None]
) -> ShardSize:
    """Return the size of `minutes` of work: measured in the last run, else estimated.

    Parameters
    ----------
    model : PreparedModel
    jobs : ScoreJobs
    runs : iterable of ShardRun or None
        Of the last run's score jobs (`last_runs`).
    """
    rate, how = measured_rate(runs, jobs.on_gpu), "measured in the last run"
    if rate is None:
        rate = expected_rate(model, jobs.on_gpu, jobs.cores)
        how = "estimated from the size of the model"
    sites = wanted_size(rate, minutes)
    log.info(
        "shards of up to %d sites: about %.3g sites a second on a %s, %s",
        sites,
        rate,
        "GPU" if jobs.on_gpu else "CPU",
        how,
    )
    return ShardSize(sites, part_size(sites), jobs.at_once)


def last_runs(committed: Path | None) -> tuple[ShardRun | None, ...]:
    """Return `runs` of `{results}/commits/{model}.json`; none where there is no such file yet.

    Raises
    ------
    UserError
        If the file is no record of a commit.
    """
    if committed is None or not committed.exists():
        return ()
    return CommitRecord.read(committed).runs


def flops_a_site(weights: int, window: float, strands: str) -> float:
    """Return about how many operations a site takes: each weight once a position and strand.

    Parameters
    ----------
    weights : int
        Parameters of the model.
    window : float
        Positions: W in bp, times what makes them cheaper or dearer.
    strands : str
        forward; of others, both are scored.
    """
    return 2.0 * weights * window * (1 if strands == "forward" else 2)


def weights_of(model: PreparedModel) -> int:
    """Return about how many parameters a prepared model has, by the size of its files."""
    paths = [model.folder / n for n in model.files if n.endswith((".safetensors", ".bin"))]
    size = sum(path.stat().st_size for path in paths if path.exists())
    return size // _BYTES_A_WEIGHT


def measured_rate(runs: Iterable[ShardRun | None], on_gpu: bool) -> float | None:
    """Return the sites a second of earlier score jobs on such a device; None where there are none.

    An indel or MNV counts as `ALLELE_COST` sites.

    Parameters
    ----------
    runs : iterable of ShardRun or None
        None of shards without rows.
    on_gpu : bool
    """
    sites = seconds = 0.0
    for run in runs:
        if run is not None and run.device.startswith("cuda") == on_gpu:
            sites += run.sites + ALLELE_COST * run.alleles
            seconds += run.seconds
    return sites / seconds if sites >= _SMALLEST and seconds > 1 else None


def expected_rate(model: PreparedModel, on_gpu: bool, cores: int) -> float:
    """Return the sites a second that a job should do, from the model's size, family and score."""
    positions = model.window * model.known_as.effort * Recipe.of(model).work
    cost = flops_a_site(max(weights_of(model), 1), positions, model.strands)
    return (_GPU_FLOPS if on_gpu else _CPU_FLOPS * max(cores, 1)) / cost


def wanted_size(rate: float, minutes: float) -> int:
    """Return the sites of `minutes` of work, within bounds."""
    return int(min(max(rate * minutes * 60, _SMALLEST), _LARGEST))


def part_size(size: int) -> int:
    """Return the sites of the parts that shards of up to `size` are put together from."""
    return max(int(size * _PART), min(size, _SMALLEST))

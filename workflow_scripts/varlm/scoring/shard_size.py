"""How many sites a score job should get: minutes of work, and something for every device.

A shard costs a job's start (seconds: Snakemake, torch, the model) and is what a scheduler's time
limit applies to; a stopped one resumes inside. So its size need not be exact: an estimate that is
wrong by a factor of five still gives minutes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

# Multiplications and additions a second that a whole run keeps up: measured on Zen 3 (winograd
# counted as the sums that it replaces); assumed for a GPU, a third of an A100's TF32 peak.
_CPU_FLOPS = 150e9  # a core
_GPU_FLOPS = 50e12

_SMALLEST = 1000  # sites: below, reading and writing are all that a job does
_LARGEST = 2_000_000  # sites: what a job holds in memory, 100 MB
_PART = 1 / 16  # of the time wanted: what shards are put together from
_BYTES_A_WEIGHT = 4


def flops_a_site(weights: int, window: int, strands: str) -> float:
    """Return about how many operations a site takes: each weight once a position and strand.

    Parameters
    ----------
    weights : int
        Parameters of the model.
    window : int
        W in bp.
    strands : str
        both or forward.
    """
    return 2.0 * weights * window * (2 if strands == "both" else 1)


def weights_of(model: Mapping[str, Any]) -> int:
    """Return about how many parameters a prepared model has, by the size of its files."""
    folder = Path(model["folder"])
    names: list[str] = [n for n in model["files"] if n.endswith((".safetensors", ".bin"))]
    size = sum((folder / name).stat().st_size for name in names if (folder / name).exists())
    return size // _BYTES_A_WEIGHT


def measured_rate(
    runs: Iterable[Mapping[str, Any]], on_gpu: bool, allele_cost: int
) -> float | None:
    """Return the sites a second of earlier score jobs on such a device; None where there are none.

    Parameters
    ----------
    runs : iterable of mappings
        `runs` of `{results}/commits/{model}.json`.
    on_gpu : bool
    allele_cost : int
        Sites that an indel or MNV counts as.
    """
    sites = seconds = 0.0
    for run in runs:
        if run and str(run["device"]).startswith("cuda") == on_gpu:
            sites += run["sites"] + allele_cost * run["alleles"]
            seconds += run["seconds"]
    return sites / seconds if sites >= _SMALLEST and seconds > 1 else None


def expected_rate(model: Mapping[str, Any], on_gpu: bool, cores: int) -> float:
    """Return the sites a second that a job should do, from the model's size alone."""
    cost = flops_a_site(max(weights_of(model), 1), model["window"], model["strands"])
    return (_GPU_FLOPS if on_gpu else _CPU_FLOPS * max(cores, 1)) / cost


def wanted_size(rate: float, minutes: float) -> int:
    """Return the sites of `minutes` of work, within bounds."""
    return int(min(max(rate * minutes * 60, _SMALLEST), _LARGEST))


def part_size(size: int) -> int:
    """Return the sites of the parts that shards of up to `size` are put together from."""
    return max(int(size * _PART), min(size, _SMALLEST))


def parts_together(parts: int, part: int, size: int, at_once: int) -> int:
    """Return how many parts of `part` sites make a shard.

    As many as make `size`, but few enough to give each of `at_once` jobs a shard.
    """
    return max(1, min(size // part, -(-parts // max(at_once, 1))))

"""The environment variables by which Snakemake, the supervisor and the steps tell things.

Each has its name, its meaning and its reader here, and nowhere else. What a user may set is
`VARLM_LOG_LEVEL`; the others are set by rules/common.smk and `varlm supervise`.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Literal

Kind = Literal["tbi", "csi"]  # of index

PACKAGE = "VARLM"  # the folder workflow_scripts, which the rules call
SNAKEMAKE = "VARLM_SNAKEMAKE"  # process without which a step ends: Snakemake's, or the supervisor's
JOBS = "VARLM_JOBS"  # how many jobs run at once, where a scheduler runs them
GPUS = "VARLM_GPUS"  # how many jobs have a GPU at once (--resources gpu=N); not set: not told
SCORING_THREADS = "VARLM_SCORING_THREADS"  # processor cores of a score job
HEARTBEAT = "VARLM_HEARTBEAT"  # descriptor that a watched step writes to whenever a batch is done
HALVINGS = "VARLM_HALVINGS"  # how often the batch is to be halved before the start
INDEX = "VARLM_INDEX"  # tbi or csi: the index that the rules of the results declare
LOG_LEVEL = "VARLM_LOG_LEVEL"  # least level that the logs show: DEBUG, INFO (default), WARNING, …

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def for_steps(package: str, python: str, index: Kind) -> dict[str, str]:
    """Return what every job needs, in Snakemake's own process and on the nodes of a cluster.

    Parameters
    ----------
    package : str
        The folder workflow_scripts.
    python : str
        The interpreter that runs Snakemake. `python` in the rules is this one, also where its
        environment is not activated; a conda environment of --software-deployment-method goes
        before it.
    index : str
        The index that the rules declare. In the environment, since as a param it would make the
        tables anew.
    """
    return {
        "PATH": os.pathsep.join([str(Path(python).parent), *os.get_exec_path()]),
        PACKAGE: package,
        INDEX: index,
        SNAKEMAKE: str(os.getpid()),
        "PYTHONUTF8": "1",  # whatever the locale
    }


def for_plan(jobs: int, scoring_threads: int, gpus: int | None) -> dict[str, str]:
    """Return what the step plan needs to know of the run.

    In the environment, since as params they would make the plan anew with other --cores.
    """
    return {
        JOBS: str(jobs),
        SCORING_THREADS: str(scoring_threads),
        **({GPUS: str(gpus)} if gpus else {}),
    }


def for_watched(heartbeat: int, halvings: int, supervisor: int) -> dict[str, str]:
    """Return what a step needs that `varlm supervise` watches.

    Parameters
    ----------
    heartbeat : int
        Descriptor of a pipe.
    halvings : int
    supervisor : int
        The supervisor's process.
    """
    return {HEARTBEAT: str(heartbeat), HALVINGS: str(halvings), SNAKEMAKE: str(supervisor)}


def spin_shortly() -> None:
    """Have threads that wait for each other give way soon, on a machine with other work.

    Where they spin for long, other work makes a job many times slower; on a machine without, to
    spin shortly costs 5 to 10 %. Counts for this process if torch is not loaded yet.
    """
    if os.getloadavg()[0] > (os.cpu_count() or 1) / 2:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")


def heartbeat() -> int | None:
    """Return the descriptor to report batches to; None where nobody watches."""
    return _number(HEARTBEAT)


def halvings() -> int:
    """Return how often the batch is to be halved, since memory ran out with a larger one."""
    return _number(HALVINGS) or 0


def snakemake_process() -> int | None:
    """Return the process without which a step ends; None where there is none."""
    return _number(SNAKEMAKE)


def scoring_threads() -> int:
    """Return the processor cores that a score job will have; 1 outside a workflow."""
    return _number(SCORING_THREADS) or 1


def gpus() -> int | None:
    """Return how many jobs have a GPU at once; None where Snakemake was not told."""
    return _number(GPUS)


def jobs_at_once() -> int:
    """Return how many score jobs run at once: one a GPU, or as many as a scheduler runs."""
    return gpus() or _number(JOBS) or 1


def index_kind() -> Kind | None:
    """Return the index that the rules declare; None outside a workflow."""
    kinds: dict[str | None, Kind] = {"tbi": "tbi", "csi": "csi"}
    return kinds.get(os.environ.get(INDEX))


def log_level() -> int:
    """Return the least level that is logged; that of INFO where the name is none."""
    name = os.environ.get(LOG_LEVEL, "").upper()
    level: int = getattr(logging, name if name in _LEVELS else "INFO")
    return level


def _number(name: str) -> int | None:
    """Return a variable as a number ≥ 0; None where it is not set, or something else."""
    text = os.environ.get(name, "")
    return int(text) if text.isdecimal() else None

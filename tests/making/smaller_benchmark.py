"""A benchmark with less of what no option makes less, to try it out: `python FILE NAME OPTIONS`.

Rounds are there for medians, and further runs for further rows of a table: neither is another line
of the script. What the script is told by options stays as the caller gives it.
"""

import functools
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import yaml

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def cohorts(script: ModuleType) -> None:
    """Two cohorts instead of three."""
    script.FILES = {name: script.FILES[name] for name in ("by_rm", "sgrp")}


def dag(script: ModuleType) -> None:
    """Each command of a median is run once, and slopes start at two shards."""
    script.FEW = 2
    script.measure = remembered(script.measure)


def end_to_end(script: ModuleType) -> None:
    """The first run instead of three."""
    script.RUNS = dict([*script.RUNS.items()][:1])


def first_run(script: ModuleType) -> None:
    """No pictures of the top hits, which take longer than the scores."""
    write_project = script.project

    def project(*arguments) -> Path:
        file = write_project(*arguments)
        config = yaml.safe_load(file.read_text())
        file.write_text(yaml.safe_dump({**config, "report": {"pictures": 0}}))
        return file

    script.project = project


def interruption(script: ModuleType) -> None:
    """One round instead of five."""
    for name in ("seconds_to_stop", "price"):
        setattr(script, name, functools.partial(getattr(script, name), rounds=1))


SMALLER: dict[str, Callable[[ModuleType], None]] = {
    smaller.__name__: smaller for smaller in (cohorts, dag, end_to_end, first_run, interruption)
}


def remembered(measure: Callable) -> Callable:
    """`measure`, which runs no command twice in one environment."""
    known: dict = {}

    @functools.wraps(measure)
    def measured(command, environment=None):
        key = (*map(str, command), environment is None)
        if key not in known:
            known[key] = measure(command, environment)
        return known[key]

    return measured


def script(name: str) -> ModuleType:
    """Import a benchmark as it is."""
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where its dataclasses look for it
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    _, name, *options = sys.argv
    sys.argv = [str(BENCHMARKS / f"{name}.py"), *options]
    tried = script(name)
    SMALLER[name](tried)
    tried.main()

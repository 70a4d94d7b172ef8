"""What the steps of a run warned of, read from their logs: where and what, in flow order.

A step's log is there on every machine and executor, also where the step failed, and holds what
its child processes said; it is written anew whenever the step runs again. So what the logs of a
results folder warn of is true of the results as they are now. The Snakefile imports this module
on every start: nothing heavy here.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

LINE = "%(asctime)s %(levelname)-7s %(message)s"  # of a log
TIME = "%Y-%m-%d %H:%M:%S"
_WARNING = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d WARNING (?!\[)(.+)")
_SHOWN = 20  # warnings on the terminal
_LONGEST = 600  # characters of one there

# Step → what it does, in words, in flow order; by what its logs are named.
RUN, COHORT, MODEL, TRAINING, BOTH, SHARD = "run", "cohort", "model", "training", "both", "shard"
TABLE, COHORT_TABLE = "table", "cohort_table"  # of published scores
PROBE, PROBE_MODEL = "probe", "probe_model"
STEPS = {
    "prepare_training": ("preparing the training", TRAINING),
    "train": ("training", TRAINING),
    "measure_perplexity": ("testing the training", TRAINING),
    "measure_elements": ("measuring elements and motifs", TRAINING),
    "describe_training": ("describing the training", TRAINING),
    "index_reference": ("reading the reference", RUN),
    "index_annotation": ("reading the annotation", RUN),
    "find_circular": ("finding circular contigs", RUN),
    "normalise": ("reading the VCF files", COHORT),
    "saturate": ("listing the SNVs of the regions", COHORT),
    "check_inputs": ("looking at the inputs", RUN),
    "call_consequences": ("calling consequences", COHORT),
    "carry_info": ("reading INFO fields", COHORT),
    "join_scores": ("looking alleles up in published scores", COHORT_TABLE),
    "rank_scores": ("ranking published scores", TABLE),
    "annotate": ("joining the annotated table", COHORT),
    "export": ("writing the annotated VCF and TSV", COHORT),
    "export_regions": ("writing the annotated TSV", COHORT),
    "evaluate": ("evaluating the scores", COHORT),
    "draw_tracks": ("drawing the tracks", MODEL),
    "build_hub": ("listing the tracks for browsers", RUN),
    "prepare_model": ("reading the model", MODEL),
    "plan": ("planning what to score", MODEL),
    "commit": ("storing the scores", MODEL),
    "measure_dense": ("comparing dense and masked scores", MODEL),
    "calibrate": ("ranking the background", MODEL),
    "score": ("scoring", SHARD),
    "score_pictures": ("scoring the pictures of the report", BOTH),
    "embed": ("embedding", PROBE_MODEL),
    "probe": ("probing embeddings", PROBE),
    "describe_probe": ("comparing probes", PROBE),
    "bundle_scripts": ("bundling the scripts of the reports", RUN),
    "report": ("writing the report", COHORT),
    "compare_cohorts": ("comparing the cohorts", RUN),
    "summarise": ("counting", RUN),
}


@dataclass(frozen=True)
class StepWarning:
    """A warning.

    Attributes
    ----------
    step : str
    cohort, model : str or None
        None of a step that works for all of them. A training stands for its model.
    text : str
    log : str
        The log that has it, relative to the folder of logs.
    """

    step: str
    cohort: str | None
    model: str | None
    text: str
    log: str = field(compare=False)


@dataclass(frozen=True)
class Configured:
    """What a run's config has, so that logs of what it had once are passed over.

    Attributes
    ----------
    steps, cohorts, models, trainings, tables : collection of str
    probes : mapping
        Probe → the models whose embeddings it is of.
    """

    steps: Collection[str]
    cohorts: Collection[str]
    models: Collection[str]
    trainings: Collection[str] = ()
    tables: Collection[str] = ()
    probes: Mapping[str, Collection[str]] = field(default_factory=dict)


class StepFormatter(logging.Formatter):
    """Writes the lines of a log; those of other packages begin with their name in brackets."""

    def __init__(self) -> None:
        super().__init__(LINE, TIME)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (its name there)
        """Return the line of a record."""
        if record.name.partition(".")[0] not in ("varlm", "root", "__main__"):
            record.message = f"[{record.name}] {record.message}"
        return super().formatMessage(record)


def log_times(logs: Path) -> dict[str, int]:
    """Return each log, relative to their folder → its modification time, ns."""
    times = {}
    for entry in _files(logs):
        if entry.name.endswith(".log"):
            with contextlib.suppress(OSError):  # gone just now, with another run
                times[os.path.relpath(entry.path, logs)] = entry.stat().st_mtime_ns
    return times


def _files(folder: Path | str) -> Iterator[os.DirEntry[str]]:
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if entry.is_dir():
            yield from _files(entry.path)
        else:
            yield entry


def step_warnings(
    results: Path, configured: Configured, with_shards: bool = True
) -> list[StepWarning]:
    """Return what the logs of a results folder warn of, each warning of a cohort or model once.

    What several steps say of one cohort in the same words is the first one's.

    Parameters
    ----------
    results : Path
        The folder; its logs lie in `logs`.
    configured : Configured
    with_shards : bool
        Whether the logs of scoring are read too, one a shard.
    """
    first: dict[tuple[str | None, str | None, str], StepWarning] = {}
    for step in STEPS:
        if step not in configured.steps or (STEPS[step][1] == SHARD and not with_shards):
            continue
        for log, cohort, model in _logs_of(step, results, configured):
            for text in _texts(results / "logs" / log):
                warning = StepWarning(step, cohort, model, text, log)
                first.setdefault((cohort, model, text), warning)
    return list(first.values())


def _logs_of(
    step: str, results: Path, configured: Configured
) -> Iterator[tuple[str, str | None, str | None]]:
    """Yield the logs that a step may have, with their cohort and model."""
    scope = STEPS[step][1]
    if scope == RUN:
        yield f"{step}.log", None, None
    elif scope == COHORT:
        yield from ((f"{step}/{cohort}.log", cohort, None) for cohort in configured.cohorts)
    elif scope in (MODEL, TRAINING):
        names = configured.models if scope == MODEL else configured.trainings
        yield from ((f"{step}/{name}.log", None, name) for name in names)
    elif scope == BOTH:
        for cohort in configured.cohorts:
            for model in configured.models:
                yield f"{step}/{cohort}.{model}.log", cohort, model
    elif scope == PROBE:
        yield from ((f"{step}/{probe}.log", None, None) for probe in configured.probes)
    elif scope == PROBE_MODEL:
        for probe, models in configured.probes.items():
            yield from ((f"{step}/{probe}.{model}.log", None, model) for model in models)
    elif scope == TABLE:
        yield from ((f"{step}/{table}.log", None, None) for table in configured.tables)
    elif scope == COHORT_TABLE:
        for cohort in configured.cohorts:
            for table in configured.tables:
                yield f"{step}/{cohort}.{table}.log", cohort, None
    else:
        for model in configured.models:
            planned = _planned(results, model)
            times = log_times(results / "logs" / step / model)
            for shard in sorted(times, key=lambda log: (len(log), log)):  # 2.log before 10.log
                if times[shard] >= planned:  # else of a plan before
                    yield f"{step}/{model}/{shard}", None, model


def _planned(results: Path, model: str) -> int:
    try:
        return (results / "plan" / model / "plan.json").stat().st_mtime_ns
    except OSError:
        return 0


def _texts(log: Path) -> Iterator[str]:
    try:
        text = log.read_text("utf-8", "replace")
    except OSError:
        return
    for line in text.splitlines() if " WARNING " in text else ():
        if match := _WARNING.fullmatch(line):
            yield match[1].strip()


# -- on the terminal --------------------------------------------------------------------------


def shown_at_the_end(
    warnings: Sequence[StepWarning], is_new: Mapping[str, bool], table: str
) -> str:
    """Return the list that a run ends with; "" of no warnings.

    Those of this run come first, those of scoring last; like ones are one line with a count.

    Parameters
    ----------
    warnings : sequence of StepWarning
    is_new : mapping
        Log → whether it was written in this run.
    table : str
        Where all of them are.
    """
    if not warnings:
        return ""
    groups: dict[tuple[str, str], list[StepWarning]] = {}
    for warning in warnings:
        groups.setdefault((warning.step, _alike(warning)), []).append(warning)
    ordered = sorted(
        groups.values(),
        key=lambda group: not any(is_new.get(warning.log, False) for warning in group),
    )
    lines = [f"  - {_line(group, is_new)}" for group in ordered[:_SHOWN]]
    if len(ordered) > _SHOWN:
        lines.append(f"  … and {len(ordered) - _SHOWN} more in {table}")
    one = len(warnings) == 1
    head = f"1 warning (also in {table}):" if one else f"{len(warnings)} warnings (all in {table}):"
    return "\n".join([head, *lines])


def _alike(warning: StepWarning) -> str:
    """Return what is the same in warnings that differ in numbers only, where there are many."""
    is_shard = STEPS[warning.step][1] == SHARD
    return re.sub(r"\d+", "0", warning.text) if is_shard else warning.text


def _line(group: Sequence[StepWarning], is_new: Mapping[str, bool]) -> str:
    first = group[0]
    words = [STEPS[first.step][0]]
    for kind, names in (
        ("cohort", _distinct(warning.cohort for warning in group)),
        ("model", _distinct(warning.model for warning in group)),
    ):
        if names:
            words.append(f"{kind} {names[0]}" if len(names) == 1 else f"{len(names)} {kind}s")
    alike = len(group) if STEPS[first.step][1] == SHARD else 1
    text = first.text if len(first.text) <= _LONGEST else first.text[: _LONGEST - 1] + "…"
    more = f" (and {alike - 1} alike)" if alike > 1 else ""
    old = "" if any(is_new.get(warning.log, False) for warning in group) else " [an earlier run]"
    return f"{', '.join(words)}: {text}{more}{old}"


def _distinct(names: Iterable[str | None]) -> list[str]:
    return list(dict.fromkeys(name for name in names if name is not None))

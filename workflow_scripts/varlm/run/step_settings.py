"""Parts of the config as the steps take them: JSON texts, threads and GPUs."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from varlm.run.config_keys import LOOP, CohortFile, is_address, label_tables
from varlm.run.dense_models import any_dense
from varlm.run.model_settings import model_kinds
from varlm.run.score_tables import ScoreTable, score_tables
from varlm.run.step_warnings import STEPS
from varlm.tables.score_kinds import ScoreKind


def shown_settings(config: Mapping[str, Any], addresses: Iterable[str]) -> str:
    """Return the config for the reports, without what addresses have after "?": maybe a token.

    What is younger than most projects is not shown where it is as by default, so that their reports
    are not made again for it: tables of scores, calibration, dense scores where no model has such,
    match groups; of trainings, elements and groups of genomes. What is probed is in no report of a
    cohort.
    """
    later = ("scores", "calibrate")
    annotate = {k: value for k, value in config["annotate"].items() if k not in later or value}
    scoring = {k: value for k, value in config["scoring"].items() if k != "dense"}
    scoring = config["scoring"] if any_dense(config) else scoring
    shown = {**config, "annotate": annotate, "scoring": scoring}
    shown.pop("probe", None)
    shown["evaluate"] = _without_defaults(config["evaluate"])
    shown["train"] = {name: _as_before(training) for name, training in config["train"].items()}
    text = json.dumps(shown, sort_keys=True)
    for address in addresses:
        text = text.replace(address, re.sub(r"\?.*", "?…", address))
    return text


def _as_before(training: Mapping[str, Any]) -> dict[str, Any]:
    """Return a training without its younger keys where they are as by default."""
    windows = {k: value for k, value in training["windows"].items() if k != "shares" or value}
    genomes = {
        name: {k: value for k, value in genome.items() if k != "group" or value}
        for name, genome in training["genomes"].items()
    }
    kept = {key: value for key, value in training.items() if key != "elements" or value}
    return {**kept, "windows": windows, "genomes": genomes}


def evaluate_settings(evaluate: Mapping[str, Any] | None, files: Collection[CohortFile]) -> str:
    """Return the config's `evaluate` as the step takes it; where tables lie is told by itself.

    A label whose table the sheet names is none of a cohort for which it names none.

    Parameters
    ----------
    evaluate : mapping, optional
    files : collection of CohortFile
        Those of the cohort.
    """
    settings = dict(evaluate or {})
    tables = label_tables(evaluate, files)
    labels = {
        name: {key: value for key, value in label.items() if key != "table"}
        for name, label in settings.get("labels", {}).items()
        if label["table"] is None or name in tables
    }
    return json.dumps(_without_defaults({**settings, "labels": labels}), sort_keys=True)


# Keys of `evaluate`, and of its labels, that old configs do not have: at these values the texts
# are as before, so that nothing is evaluated or shown again for them.
_NEW: dict[str, Any] = {"fit": [], "match": None, "mutation_context": True, "strata": None}
_NEW_OF_LABELS = {"group": None, "pairs": False, "harmful": None}


def _without_defaults(evaluate: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the config's `evaluate` without its newer keys where they have their defaults."""
    if evaluate is None:
        return None
    labels = {
        name: {k: v for k, v in label.items() if k not in _NEW_OF_LABELS or v != _NEW_OF_LABELS[k]}
        for name, label in evaluate.get("labels", {}).items()
    }
    settings = {k: v for k, v in evaluate.items() if k not in _NEW or v != _NEW[k]}
    return {**settings, "labels": labels}


def checked_settings(config: Mapping[str, Any]) -> str:
    """Return what the step check_inputs needs of the config."""
    annotate = config["annotate"]
    return json.dumps(
        {
            "models": _checked_models(config),
            **{key: annotate[key] for key in ("info", "intervals", "bigwigs")},
            "browsers": config["report"]["browsers"],
            "evaluate": _without_defaults(config["evaluate"]),
            **({"scores": score_settings(config)} if annotate.get("scores") else {}),
        },
        sort_keys=True,
    )


def score_settings(config: Mapping[str, Any]) -> list[str]:
    """Return the tables of scores, each as `ScoreTable.from_json` reads it."""
    return [table.to_json() for table in score_tables(config)]


def shown_tables(config: Mapping[str, Any]) -> list[str]:
    """Return the tables of scores as the annotated table tells them, addresses less their "?…"."""
    return [shown_table(config, name) for name in config["annotate"]["scores"]]


def shown_table(config: Mapping[str, Any], name: str) -> str:
    """Return a table of scores as JSON, without what an address has after "?"."""
    table = _table(config, name)
    return replace(table, path=table.path.partition("?")[0]).to_json()


def ranked_tables(config: Mapping[str, Any]) -> list[str]:
    """Return the names of the tables of scores that have percentiles, if they know enough."""
    if not config["scoring"]["background_sites"]:
        return []
    return [table.name for table in score_tables(config) if table.ranked]


def joined_table(config: Mapping[str, Any], name: str, files: Sequence[str]) -> str:
    """Return a table of scores as the steps that read it take it.

    Parameters
    ----------
    config : mapping
    name : str
    files : sequence of str
        Where its files lie on this machine, the first first.
    """
    table = _table(config, name)
    is_fetched = is_address(table.path)
    return (replace(table, path=str(files[0])) if is_fetched else table).to_json()


def _table(config: Mapping[str, Any], name: str) -> ScoreTable:
    return next(table for table in score_tables(config) if table.name == name)


def _checked_models(config: Mapping[str, Any]) -> list[str] | dict[str, str | None]:
    """Return the models' names, or, where not all scores are masked, name → kind, if known.

    Behind the kind of a model of the transcript's strand, that is said, and behind one whose scores
    are calibrated.
    """
    kinds = {name: _said(kind) for name, kind in model_kinds(config).items()}
    return list(kinds) if set(kinds.values()) <= {"masked"} else kinds


def _said(kind: ScoreKind | None) -> str | None:
    if kind is None:
        return None
    more = ["transcript"] if kind.strands == "transcript" else []
    return "/".join([kind.name, *more, *(["calibrated"] if kind.calibrated else [])])


def steps_of(config: Mapping[str, Any]) -> list[str]:
    """Return the steps whose results a config asks for, in flow order."""
    annotate, regions = config["annotate"], config["regions"]
    drawn = config["tracks"] == "all" or (config["tracks"] == "auto" and regions is not None)
    drawn = drawn and bool(config["models"])
    asked_for = {
        "index_annotation": config["reference"]["annotation"],
        "call_consequences": config["reference"]["annotation"],
        "carry_info": annotate["info"],
        "join_scores": annotate.get("scores"),  # none in what a report is shown
        "rank_scores": annotate.get("scores"),
        "find_circular": config["models"],
        "saturate": regions is not None,
        "export_regions": regions is not None,
        "evaluate": config["evaluate"] is not None,
        # None in what a report is shown.
        **dict.fromkeys(("embed", "probe", "describe_probe"), config.get("probe")),
        "measure_dense": any_dense(config),
        "measure_elements": any(
            training.get("elements") for training in config.get("train", {}).values()
        ),
        "draw_tracks": drawn,
        "build_hub": drawn,
    }
    return [step for step in STEPS if asked_for.get(step, True)]


def loop_settings(training: Mapping[str, Any]) -> str:
    """Return how a model is trained, as the step train takes it."""
    windows = training["windows"]
    return json.dumps(
        {
            **{name: training[name] for name in LOOP},
            "micro_batch": min(training["micro_batch"], training["batch_size"]),
            "jitter": stride(windows) // 2,
        }
    )


def stride(windows: Mapping[str, Any]) -> int:
    """Return the bp between the starts of two training windows: half a window by default."""
    bp: int = windows["stride"] or windows["length"] // 2
    return bp


def gpus_of_a_job(device: str) -> int:
    """Return how many GPUs a job that scores asks for: one, where there may be one."""
    return 0 if device in ("cpu", "mps") else 1


def threads_of_a_job(cores: int, gpus: int | None) -> int:
    """Return the processor cores of a job that scores.

    Parameters
    ----------
    cores : int
        Those of the run.
    gpus : int, optional
        How many jobs have a GPU at once (--resources gpu=N); None: all cores are one job's.
    """
    return max(1, cores // gpus) if gpus else cores

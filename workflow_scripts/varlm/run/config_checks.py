"""What a JSON schema cannot say of a config: keys that contradict each other or name nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from varlm.run.combinations import combination_errors, unknown
from varlm.run.config_keys import (
    BY_NAMES,
    CONSEQUENCES,
    GROUP_NAMES,
    INTERVAL_SUFFIXES,
    MUTATION_CONTEXT,
    NEAR_NAMES,
    TABLE_COLUMNS,
    group_columns,
    is_address,
)
from varlm.run.model_settings import (
    model_columns,
    model_kinds,
    possible_kinds,
)
from varlm.run.probes import probe_errors
from varlm.run.score_checks import compared_columns, score_errors
from varlm.run.score_tables import score_tables
from varlm.run.training_checks import training_errors
from varlm.tables.columns import annotated_names


def cross_checks(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong between the keys of a config."""
    regions = config["regions"]
    if regions is not None and (regions["bed"] is None) == (regions["contigs"] is None):
        which = "neither" if regions["bed"] is None else "both"
        yield f"regions: found {which} of bed and contigs; give one of them"
    limits = config["normalise"]
    low, high = limits["min_af"], limits["max_af"]
    if low is not None and high is not None and low > high:
        yield f"normalise.min_af: {low} is above normalise.max_af ({high}); swap or widen them"
    yield from _tag_clashes(config)
    yield from _case_clashes(config)
    yield from _column_clashes(config)
    yield from score_errors(config)
    if _calibrates(config):
        yield from _calibration_errors(config)
    yield from training_errors(config)
    if config["evaluate"] is not None:
        yield from _evaluation_errors(config)
    yield from probe_errors(config)
    for key in ("cohorts", "results", "store"):
        if is_address(config[key]):
            kind = "file" if key == "cohorts" else "folder"
            yield f"{key}: found {config[key]!r}; this must be a {kind} on a disk, not an address"
    results, store = Path(config["results"]).absolute(), Path(config["store"]).absolute()
    if results == store:
        yield f"store: {config['store']} is also the folder of the results; give it its own"


def _tag_clashes(config: Mapping[str, Any]) -> Iterator[str]:
    """Say which models would write one INFO field, as `x` and `FWD_x` do."""
    kinds = model_kinds(config)
    for name, kind in kinds.items():
        for prefix in ("FWD_", "REV_", *(["CALIBRATED_"] if _calibrates(config) else [])):
            other = name.removeprefix(prefix)
            if other == name or other not in kinds:
                continue
            columns = {
                possible.column
                for possible in possible_kinds(kinds[other])
                if possible.calibrated or prefix != "CALIBRATED_"
            }
            shared = [own.column for own in possible_kinds(kind) if own.column in columns]
            if shared:
                tag = f"{shared[0].upper()}_{name}"
                yield f"models: {name} and {other} would both write INFO/{tag}; rename one"


def _calibrates(config: Mapping[str, Any]) -> bool:
    return config["annotate"]["calibrate"] is not None


def _calibration_errors(config: Mapping[str, Any]) -> Iterator[str]:
    """Say why no score can be calibrated by its mutation context."""
    key = f"annotate.calibrate: found {config['annotate']['calibrate']!r}"
    if config["scoring"]["background_sites"] == 0:
        yield (
            f"{key}, but scoring.background_sites is 0: the scores of random sites of the genome "
            "are what it takes the means of; raise it, or remove annotate.calibrate"
        )
    if not any(kind is None or kind.is_llr for kind in model_kinds(config).values()):
        yield f"{key}, but no model has log-likelihood ratios, which it is for; remove it"


def _case_clashes(config: Mapping[str, Any]) -> Iterator[str]:
    """Say what has one name in two cases: one file on some disks, one column in SQL."""
    named = {"annotate.scores": config["annotate"]["scores"]}
    for key, names in {
        **{key: config[key] for key in ("models", "train", "probe")},
        **named,
    }.items():
        first: dict[str, str] = {}
        for name in names:
            other = first.setdefault(name.casefold(), name)
            if other != name:
                yield f"{key}: {other} and {name} differ only in case; rename one"


def _column_clashes(config: Mapping[str, Any]) -> Iterator[str]:
    """Say which names of tracks and INFO fields would make a column that is there already.

    In any case of letters: SQL, and so DuckDB, takes `Gene` and `gene` for one column.
    """
    makers = {
        column.casefold(): (column, "the annotated table itself makes") for column in TABLE_COLUMNS
    }
    for model, kind in model_kinds(config).items():
        for column in (f"{model}_{suffix}" for suffix in model_columns(kind)):
            makers.setdefault(column.casefold(), (column, f"the model {model} makes"))
    annotate = config["annotate"]
    entries = [
        (f"annotate.info ({tag})", [f"info_{tag}"]) for tag in dict.fromkeys(annotate["info"])
    ]
    for key, suffixes in (("intervals", INTERVAL_SUFFIXES), ("bigwigs", ("",))):
        for name in annotate[key]:
            entries.append((f"annotate.{key}.{name}", [name + suffix for suffix in suffixes]))
    for table in score_tables(config):
        for score in table.columns:
            names = [table.column_name(score)]
            names += [table.percentile_name(score)] if score in table.ranked else []
            entries.append((f"annotate.scores.{table.name}.columns.{score.name}", names))
    for key, columns in entries:
        for column in columns:
            other, maker = makers.setdefault(column.casefold(), (column, f"{key} makes"))
            if maker == f"{key} makes":
                continue
            too = "too" if other == column else f"as {other}: the two differ only in case"
            yield f"{key}: makes the column {column}, which {maker} {too}; {_remedy(key)}"


def _remedy(key: str) -> str:
    if key.startswith("annotate.info"):
        return "leave one out, or rename it in the VCF (bcftools annotate --rename-annots)"
    return "give it another name"


def _evaluation_errors(config: Mapping[str, Any]) -> Iterator[str]:
    """Say what is wrong in `evaluate` that its schema cannot tell."""
    evaluate, models = config["evaluate"], config["models"]
    columns = _columns(config)
    for name, label in evaluate["labels"].items():
        key = f"evaluate.labels.{name}"
        yield from _label_errors(key, label, config["annotate"]["info"])
        if label["table"] is None and label["column"] is not None:
            yield from unknown(f"{key}.column", "column", label["column"], columns)
        if label["table"] is None:
            for group in group_columns(label):
                yield from unknown(f"{key}.group", "column", group, [*columns, *GROUP_NAMES])
    match = evaluate.get("match") or {"by": [], "near": []}
    for key, names in (("by", BY_NAMES), ("near", NEAR_NAMES)):
        for name in match[key]:
            yield from unknown(f"evaluate.match.{key}", "column", name, [*columns, *names])
    for name in evaluate["scores"]:
        yield from unknown(f"evaluate.scores.{name}", "column", name, columns)
        if name in models:
            yield (
                f"evaluate.scores.{name}: is the name of a model too, whose score is compared "
                "anyway; give the column another name"
            )
    yield from _baseline_errors(config)
    for pair in evaluate["contrasts"]:
        for term in pair:
            yield from unknown("evaluate.contrasts", "consequence", term, CONSEQUENCES)
    own = {
        f"{model}_{possible.column}": model
        for model, kind in model_kinds(config).items()
        for possible in possible_kinds(kind)
    }
    known = [*models, *own, *compared_columns(config), *_baseline(config)]
    yield from combination_errors(evaluate, own, known)


def _baseline(config: Mapping[str, Any]) -> list[str]:
    """Return the name of the baseline that evaluate makes, if it makes one."""
    return [MUTATION_CONTEXT] if config["evaluate"][MUTATION_CONTEXT] else []


def _baseline_errors(config: Mapping[str, Any]) -> Iterator[str]:
    """Say which score has the baseline's name."""
    remedy = "give it another name, or set evaluate.mutation_context: false"
    for name in _baseline(config):
        if name in config["models"]:
            yield f"models.{name}: is the name of a baseline of evaluate; {remedy}"
        elif name in compared_columns(config):
            key = name if name in config["evaluate"]["scores"] else "a column of annotate.scores"
            yield f"evaluate.scores: {key} is the name of a baseline of evaluate; {remedy}"


def _label_errors(key: str, label: Mapping[str, Any], carried: Collection[str]) -> Iterator[str]:
    if (label["column"] is None) == (label["info"] is None):
        which = "neither" if label["column"] is None else "both"
        yield f"{key}: found {which} of column and info; give one of them"
    elif label["info"] is not None and label["table"] is not None:
        yield f"{key}: found info and table; a table has a column: give column instead of info"
    elif label["info"] is not None and label["info"] not in carried:
        yield f"{key}.info: {label['info']} is not carried along; add it to annotate.info"
    if bool(label["positive"]) != bool(label["negative"]):
        present, other = ("positive", "negative") if label["positive"] else ("negative", "positive")
        yield (
            f"{key}: {present} is given without {other}; give the values of both classes, or "
            "neither where the label is a number"
        )
    if both := [value for value in label["positive"] if value in label["negative"]]:
        yield f"{key}: {both[0]!r} is both positive and negative; keep one"
    if label["absolute"] and label["positive"]:
        yield f"{key}.absolute: is for numbers, not for classes; remove it"
    if label["harmful"] and label["positive"]:
        yield f"{key}.harmful: is for numbers; of classes the positive one is harmful; remove it"
    if label["pairs"] and not label["group"]:
        yield f"{key}.pairs: there are no groups; name their column in group, or remove pairs"
    if label["pairs"] and not label["positive"]:
        yield f"{key}.pairs: is for classes, not for a number; give positive and negative"


def _columns(config: Mapping[str, Any]) -> list[str]:
    """Return every column that the annotated table has, or may have by what is known so far."""
    annotate, kinds = config["annotate"], model_kinds(config)
    return annotated_names(
        {model: kind for model, kind in kinds.items() if kind is not None},
        [
            *(
                f"{model}_{column}"
                for model, kind in kinds.items()
                if kind is None
                for column in model_columns(kind)
            ),
            *(f"info_{tag}" for tag in annotate["info"]),
            *(name + suffix for name in annotate["intervals"] for suffix in INTERVAL_SUFFIXES),
            *annotate["bigwigs"],
            *(name for table in score_tables(config) for name in table.possible_names),
        ],
    )

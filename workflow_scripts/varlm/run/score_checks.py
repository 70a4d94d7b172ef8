"""What a JSON schema cannot say of `annotate.scores`, and of a config without models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from varlm.run.config_keys import is_address
from varlm.run.model_settings import model_columns, model_kinds
from varlm.run.score_tables import CONTIG, ScoreTable, score_tables
from varlm.tables.columns import calibrated_columns

# INFO fields of the annotated VCF that are of no model: `varlm.results.tags` has what they mean.
_OWN_TAGS = (
    "VARLM_CONSEQUENCE",
    "VARLM_GENE",
    "VARLM_TRANSCRIPT",
    "VARLM_PROTEIN",
    "VARLM_REJECTED",
)
_TELLING = ("scores", "info", "intervals", "bigwigs")  # keys of annotate that tell something


def score_errors(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the tables of scores, or that there is nothing to do."""
    if not config["models"]:
        yield from _idle(config)
    tags = {
        f"{column.upper()}_{model}": model
        for model, kind in model_kinds(config).items()
        for column in model_columns(kind)
    }
    for table in score_tables(config):
        key = f"annotate.scores.{table.name}"
        if table.name in config["models"]:
            yield f"{key}: is the name of a model too; give the table another name"
        yield from _path_errors(table, f"{key}.path")
        yield from _column_errors(table, f"{key}.columns")
        for tag in table.possible_names:
            if tag in tags:
                yield (
                    f"{key}: makes INFO/{tag}, which the model {tags[tag]} makes too; give the "
                    "table or its column another name"
                )
            elif tag in _OWN_TAGS:
                yield f"{key}: makes INFO/{tag}, a field of varlm's own; give it another name"


def _idle(config: Mapping[str, Any]) -> Iterator[str]:
    """Say that there is nothing to do or to compare without a model."""
    annotate, evaluate = config["annotate"], config["evaluate"]
    if config["reference"]["annotation"] is None and not any(annotate[key] for key in _TELLING):
        yield (
            "models: missing; set it. Without a model there is nothing to tell of the alleles, for "
            "the config has neither annotate.scores (published scores) nor reference.annotation "
            "(consequences)"
        )
    if evaluate is not None and not compared_columns(config):
        yield (
            "evaluate: there is no score to evaluate: no model, no column of annotate.scores that "
            "says which end is harmful, and no evaluate.scores; add one, or remove evaluate"
        )


def compared_columns(config: Mapping[str, Any]) -> list[str]:
    """Return the columns that are compared: those of `evaluate.scores`, and of tables of scores.

    And of models those beside their score: the calibrated ones.
    """
    ways = config["evaluate"]["scores"]
    tables = [table.column_name(c) for table in score_tables(config) for c in table.ranked]
    kinds = {model: kind for model, kind in model_kinds(config).items() if kind is not None}
    names = dict.fromkeys([*ways, *tables, *calibrated_columns(kinds)])
    return [name for name in names if ways.get(name) != "none"]


def _path_errors(table: ScoreTable, key: str) -> Iterator[str]:
    rest = table.path.replace(CONTIG, "")
    if "{" in rest or "}" in rest:
        yield f"{key}: found {table.path}; the only name in braces is {CONTIG}"
    if table.by_contig and is_address(table.path):
        yield (
            f"{key}: found {table.path}; one file a contig must lie on a disk: download them, or "
            "name one file"
        )


def _column_errors(table: ScoreTable, key: str) -> Iterator[str]:
    for column in table.columns:
        is_text = column.type == "text" or column.rule == "list"
        if column.harmful is not None and is_text:
            what = "a list" if column.rule == "list" and column.type != "text" else "text"
            yield (
                f"{key}.{column.name}.harmful: found {column.harmful}, but the column is {what}; "
                "a score is a number by the rule max, min or first: remove harmful, or correct "
                "type and rule"
            )
        elif column.type == "text" and column.rule in ("max", "min"):
            yield (
                f"{key}.{column.name}.rule: found {column.rule}, but the column is text; use first "
                "or list"
            )

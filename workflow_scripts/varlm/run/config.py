"""The config: checked whole, all errors at once, defaults filled in.

The Snakefile imports this module on every start and in every cluster job, so nothing heavy is
imported here: jsonschema and yaml are loaded by Snakemake itself.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from varlm.errors import UserError
from varlm.run.config_checks import cross_checks

_MOST_VALUES = 100_000  # in a config; one key for each of many models and tracks is far fewer


def checked_config(
    written: Mapping[str, Any], schema_path: Path
) -> tuple[dict[str, Any], list[str]]:
    """Return a copy of the config and its errors; without any, with every default filled in.

    `regions` is None, or a mapping with `bed`, `contigs` (`all`, a list of names, or None),
    `sample` and `seed`, whichever form it was given in.

    Raises
    ------
    UserError
        If the config is too large to look into.
    """
    _check_size(written)
    schema = yaml.safe_load(schema_path.read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    errors = [
        line
        for error in sorted(
            validator.iter_errors(dict(written)), key=lambda e: list(map(str, e.path))
        )
        for line in _explain(error)
    ]
    errors += _missing_inputs(written)
    config: dict[str, Any] = deepcopy(dict(written))
    if not errors:
        config["models"] = config.get("models") or {}
        config = _with_defaults(config, schema)
        config["regions"] = _regions(config["regions"])
        errors = list(cross_checks(config))
    return config, errors


def _check_size(written: Mapping[str, Any]) -> None:
    """Refuse a config that YAML aliases blow up (some lines can stand for 10⁹ values).

    Validation and messages walk every value, so it must come first; the walk itself ends at
    `_MOST_VALUES`.
    """
    left = _MOST_VALUES
    waiting: list[Any] = [written]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            waiting.extend(value.values())
        elif isinstance(value, list | tuple):
            waiting.extend(value)
        left -= 1
        if left < len(waiting):
            raise UserError(
                f"the config holds more than {_MOST_VALUES:,} values; do its YAML aliases (*name) "
                "multiply each other? Write the values out"
            )


def _with_defaults(value: Any, schema: Mapping[str, Any]) -> Any:
    if not isinstance(value, dict):
        return value
    for key, child in schema.get("properties", {}).items():
        if key not in value and "default" in child:
            value[key] = deepcopy(child["default"])
        if key in value:
            value[key] = _with_defaults(value[key], child)
    extra = schema.get("additionalProperties")
    if isinstance(extra, dict):
        for key in value:
            value[key] = _with_defaults(value[key], extra)
    return value


def _missing_inputs(config: Mapping[str, Any]) -> Iterator[str]:
    if config.get("cohorts") is None and config.get("regions") is None:
        yield (
            "cohorts: missing; set it. Only where regions says where to score every SNV can there "
            "be no cohort sheet"
        )


def _regions(regions: str | Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return any form of the key `regions` as a whole mapping; None is none."""
    if regions is None:
        return None
    regions = {"bed": regions} if isinstance(regions, str) else regions
    whole = {"bed": None, "contigs": None, "sample": None, "seed": 0, **regions}
    if isinstance(whole["contigs"], list):
        whole["contigs"] = list(map(str, whole["contigs"]))  # YAML reads a contig 1 as a number
    return whole


def _explain(error: Any) -> Iterator[str]:
    key = ".".join(map(str, error.absolute_path))
    value = _shown(error.instance)
    description = error.schema.get("description", "")
    if error.validator == "additionalProperties":
        known = list(error.schema["properties"])
        for name in error.instance:
            if name not in known:
                path = f"{key}.{name}" if key else str(name)
                close = difflib.get_close_matches(str(name), known, n=1)
                hint = f"did you mean {close[0]}?" if close else f"known keys: {', '.join(known)}"
                yield f"{path}: unknown key (value {_shown(error.instance[name])}); {hint}"
    elif error.validator == "required":
        for name in error.validator_value:
            if name not in error.instance:
                meaning = error.schema["properties"][name].get("description", "")
                path = f"{key}.{name}" if key else name
                yield f"{path}: missing; set it. {meaning}".strip()
    elif error.validator == "anyOf" and all(
        "required" in branch for branch in error.validator_value
    ):
        names = " and ".join(branch["required"][0] for branch in error.validator_value)
        yield f"{key}: found neither of {names}; give one of them"
    elif error.validator == "enum":
        allowed = ", ".join("null" if v is None else str(v) for v in error.validator_value)
        yield f"{key}: found {value}; use one of {allowed}"
    elif error.validator == "type":
        types = error.validator_value
        types = " or ".join(types) if isinstance(types, list) else types
        yield f"{key or 'config'}: found {value}; expected {types}. {description}".strip()
    elif error.validator in ("minimum", "maximum"):
        side = "at least" if error.validator == "minimum" else "at most"
        yield f"{key}: found {value}; expected {side} {error.validator_value}"
    elif error.validator == "minItems":
        yield f"{key}: found {value}; expected a list of at least {error.validator_value}"
    elif error.validator == "minProperties":
        yield f"{key}: found {value}; name at least one. {description}"
    elif "propertyNames" in error.absolute_schema_path:
        yield (
            f"{key}: the name {value} cannot be used in column and INFO names; "
            "use up to 40 letters, digits and _, starting with a letter"
        )
    elif error.validator == "pattern" and key.endswith("revision"):
        yield f"{key}: found {value}; expected a full commit hash of 40 hexadecimal digits"
    else:
        yield f"{key}: found {value}; {description or error.message}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"

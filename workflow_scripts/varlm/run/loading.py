"""Config, cohort sheet and the inputs that they name: read together, all errors in one message."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from varlm.errors import UserError, listed_errors
from varlm.run import inputs
from varlm.run.cohort_sheet import WHERE, Cohorts, checked_cohorts
from varlm.run.config import checked_config
from varlm.run.config_keys import REGIONS_COHORT, SHEET_LABELS, is_address, labels_of
from varlm.run.model_settings import model_errors
from varlm.run.shipped import Shipped


def load_run(
    written: Mapping[str, Any], schema: Path, shipped: Shipped, *, look: bool
) -> tuple[dict[str, Any], Cohorts]:
    """Return the config with its defaults, and the cohorts; `varlm:NAME` is a path in both.

    Parameters
    ----------
    written : mapping
        The config as Snakemake read it.
    schema : Path
        Its JSON schema.
    shipped : Shipped
    look : bool
        Whether each input and checkpoint must be there by now; False where rules of another
        workflow may make it, and for jobs on nodes that may not see it.

    Raises
    ------
    UserError
        One message with every error of the config and the sheet and every missing input, each
        with its key or line.
    """
    config, errors = checked_config(written, schema)
    whole = not errors
    errors += inputs.find_shipped(config, shipped)
    if whole:
        errors += model_errors(config)
    if look:
        errors += inputs.missing(config)
    cohorts, sheet_message = _cohorts(config, shipped, look)
    if whole and sheet_message is None:
        errors += _label_errors(config, cohorts)
    config_message = listed_errors(errors, "in the config") if errors else None
    if config_message or sheet_message:
        raise UserError("\n".join(filter(None, (config_message, sheet_message))))
    return config, cohorts


def _cohorts(config: Mapping[str, Any], shipped: Shipped, look: bool) -> tuple[Cohorts, str | None]:
    """Return the cohorts of a config, which may have errors, and what is wrong in their sheet."""
    sheet = config.get("cohorts")
    if not isinstance(sheet, str) or not sheet or is_address(sheet):
        return {}, None
    reserved = [REGIONS_COHORT] if config.get("regions") is not None else []
    try:
        cohorts, errors = checked_cohorts(Path(sheet), reserved, shipped.path)
    except UserError as error:
        return {}, str(error)
    if look:
        errors += inputs.missing_in_sheet(cohorts, Path(sheet))
    return cohorts, f"{sheet}: {listed_errors(errors, WHERE)}" if errors else None


def _label_errors(config: Mapping[str, Any], cohorts: Cohorts) -> Iterator[str]:
    """Yield which labels are of cohorts or tables that the sheet does not name."""
    known = [*cohorts, *([] if config["regions"] is None else [REGIONS_COHORT])]
    for name, label in (config["evaluate"] or {"labels": {}})["labels"].items():
        key = f"evaluate.labels.{name}"
        if label["cohort"] not in (None, *known):
            yield (
                f"{key}.cohort: there is no cohort {label['cohort']!r}; there are "
                f"{', '.join(known)}"
            )
        if label["table"] == SHEET_LABELS and not any(map(labels_of, cohorts.values())):
            yield (
                f"{key}.table: found sheet, but {config['cohorts']} names no file in a column "
                "labels; add it, or name the table here"
            )

"""A config or a cohort sheet by itself, as the workflow reads the two together."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from varlm.errors import UserError, listed_errors
from varlm.run.cohort_sheet import WHERE, Cohorts, checked_cohorts
from varlm.run.config import checked_config


def load_config(written: Mapping[str, Any], schema_path: Path) -> dict[str, Any]:
    """Return the config with every default filled in; `UserError` with all that is wrong."""
    config, errors = checked_config(written, schema_path)
    if errors:
        raise UserError(listed_errors(errors, "in the config"))
    return config


def load_cohorts(sheet: Path, reserved: Collection[str] = ()) -> Cohorts:
    """Return the cohorts of a sheet; `UserError` with all that is wrong."""
    cohorts, errors = checked_cohorts(sheet, reserved)
    if errors:
        raise UserError(f"{sheet}: {listed_errors(errors, WHERE)}")
    return cohorts

"""All that the steps warned of, as one table: warnings.tsv."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from varlm.files.whole import atomic_path
from varlm.run.step_warnings import StepWarning
from varlm.tables.spreadsheet import escaped

COLUMNS = {
    "step": "the step that warned, as its folder of logs is called",
    "cohort": "its cohort; NA of a step that works for all of them",
    "model": "its model, or the training of one; NA of a step that works for all of them",
    "warning": "what it said",
    "log": "the log that has it, below logs/",
}


def write_warnings(warnings: Sequence[StepWarning], path: Path) -> None:
    """Write the table, one row a warning; text is made safe for spreadsheets."""
    rows = [
        [getattr(warning, name) for name in ("step", "cohort", "model", "text", "log")]
        for warning in warnings
    ]
    lines = ["\t".join("NA" if cell is None else escaped(cell) for cell in row) for row in rows]
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(["\t".join(COLUMNS), *lines]) + "\n", encoding="utf-8")

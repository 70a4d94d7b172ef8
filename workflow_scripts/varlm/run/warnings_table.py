"""All that the steps warned of, as one table: warnings.tsv."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from varlm.run.step_warnings import StepWarning

COLUMNS = {
    "step": "the step that warned, as its folder of logs is called",
    "cohort": "its cohort; missing of a step that works for all of them",
    "model": "its model, or the training of one; missing of a step that works for all of them",
    "warning": "what it said",
    "log": "the log that has it, below logs/",
}


def write_warnings(warnings: Sequence[StepWarning], path: Path) -> None:
    """Write the table, one row a warning, as `varlm.tables.tsv` writes tables."""
    import polars as pl  # here, since every cluster job imports what the Snakefile does

    from varlm.files.whole import atomic_path
    from varlm.tables.tsv import write_tsv

    rows = [(one.step, one.cohort, one.model, one.text, one.log) for one in warnings]
    table = pl.DataFrame(rows, schema=dict.fromkeys(COLUMNS, pl.String), orient="row")
    with atomic_path(path) as temporary:
        write_tsv(table, temporary)

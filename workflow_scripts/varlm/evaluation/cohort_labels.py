"""Labels of a cohort's alleles: added to its table, and their tasks with their match groups."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from varlm.evaluation.groups import class_groups, group_names, number_groups
from varlm.evaluation.label_tables import match_labels, read_label_table
from varlm.evaluation.labels import LabelSpec, column_text
from varlm.evaluation.tasks import Task, label_task

log = logging.getLogger(__name__)

ALLELE = ("chrom", "pos", "ref", "alt")
_EXAMPLES = 3


def add_labels(
    table: pl.DataFrame, specs: Sequence[LabelSpec], contigs: Mapping[str, str]
) -> tuple[pl.DataFrame, dict[str, dict[str, Any]]]:
    """Add a column of text for each label, and one for its groups; return what was matched, too.

    Parameters
    ----------
    table : polars.DataFrame
        Columns of the annotated table.
    specs : sequence of LabelSpec
    contigs : mapping
        CHROM of the cohort → contig of the reference.
    """
    counted: dict[str, dict[str, Any]] = {}
    columns = []
    for spec in specs:
        counted[spec.name] = {}
        own_groups = None
        if spec.table is not None:
            where = f"{spec.where}: {spec.table}"
            rows = read_label_table(spec.table, spec.column, spec.where, spec.group)
            matched = match_labels(table, rows, contigs, where)
            if matched.unmatched:
                log.warning(
                    "%s: %d of %d labels are of no allele of the cohort: %s",
                    where,
                    matched.unmatched,
                    matched.rows,
                    "; ".join(matched.examples[:_EXAMPLES]),
                )
            counted[spec.name] = {
                "label_rows": matched.rows,
                "label_rows_unmatched": matched.unmatched,
                "unmatched_examples": matched.examples[:_EXAMPLES],
            }
            labels, own_groups = matched.labels, matched.groups
        elif spec.column in table.columns:
            labels = column_text(table[spec.column])
        else:
            labels = pl.Series([None] * table.height, dtype=pl.String)
        columns.append(labels.alias(_label(spec)))
        if spec.group:
            columns.append(group_names(table, spec.group, own_groups).alias(_group(spec)))
    table = table.with_columns(columns)
    if columns and table.select(pl.struct(ALLELE).is_duplicated().any()).item():
        # An allele that several records have is labelled where one of them is.
        names = [column.name for column in columns]
        table = table.with_columns(pl.col(names).fill_null(strategy="backward").over(ALLELE))
    return table, counted


def _label(spec: LabelSpec) -> str:
    return f"label {spec.name}"


def _group(spec: LabelSpec) -> str:
    return f"group {spec.name}"


def labelled_task(spec: LabelSpec, table: pl.DataFrame, counts: dict[str, Any]) -> Task:
    """Return a label's task, with the groups that its columns name.

    Parameters
    ----------
    table : polars.DataFrame
        From `add_labels`, or rows of it.
    counts : dict
        How its labels were matched.
    """
    task = label_task(spec, table[_label(spec)], counts)
    if not spec.group:
        return task
    names = table[_group(spec)]
    if task.numbers is not None:
        groups = number_groups(names, ~np.isnan(task.numbers))
    else:
        assert task.positive is not None
        assert task.negative is not None
        groups = class_groups(names, task.positive, task.negative, spec, table)
    counted = "; ".join(f"{name} {number}" for name, number in groups.counts.items())
    log.info("%s: by %s: %s", spec.where, " and ".join(spec.group), counted.replace("_", " "))
    return replace(task, groups=groups, counts={**task.counts, **groups.counts})

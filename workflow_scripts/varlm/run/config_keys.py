"""What the keys of a config and the columns of the sheet are called, and what follows from them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from varlm.tables.columns import annotated_names
from varlm.tables.consequence_terms import IMPACTS

SHEET_COLUMNS = {
    "cohort": "name of the cohort: its folder in the results",
    "vcf": "VCF, VCF.gz or BCF file, relative to the working directory, or an address (https, s3)",
    "records": "optional: how many records the file must have",
    "sha256": "optional: the SHA-256 that the file must have",
    "labels": "optional: TSV of what is known of the alleles (evaluate.labels with table: sheet)",
}
COHORT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")

# The columns that every annotated table has.
TABLE_COLUMNS = tuple(annotated_names([]))
# Those that an entry of annotate.intervals makes, after its name.
INTERVAL_SUFFIXES = ("_overlap", "_name", "_distance")

# The consequences that `evaluate.contrasts` may name; the last is all that is outside genes.
CONSEQUENCES = (*IMPACTS, "intergenic")
MUTATION_CONTEXT = "mutation_context"  # the baseline that evaluate makes, among its scores

# What `group` of a label and `match.by` may name besides columns; and what `match.near` may.
GROUP_NAMES = ("amino_acid",)
CONTEXT_NAMES = ("trinucleotide", "pentamer", "cpg")
BY_NAMES = (*GROUP_NAMES, *CONTEXT_NAMES)
NEAR_NAMES = ("maf",)

# What is read through a storage plugin of Snakemake, not from a disk: https://…, s3://….
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")

# Keys of a training that the loop takes as they are: `varlm.training.settings.Settings`.
LOOP = (
    *("steps", "batch_size", "micro_batch", "learning_rate", "schedule", "warmup_steps"),
    *("decay_steps", "weight_decay", "beta1", "beta2", "clip", "seed", "precision"),
    *("evaluate_every", "validation_windows", "patience", "mask_share", "soft_masked_weight"),
)

# The table of a label that each cohort has for itself: the cohort sheet's column `labels`.
SHEET_LABELS = "sheet"

# What the results call the cohort that the config key `regions` makes.
REGIONS_COHORT = "regions"


@dataclass(frozen=True)
class CohortFile:
    """One row of the cohort sheet; None is what it does not give, `line` its 1-based line."""

    cohort: str
    vcf: str
    records: int | None = None
    sha256: str | None = None
    labels: str | None = None
    line: int = field(default=0, compare=False)


def labels_of(files: Collection[CohortFile]) -> str | None:
    """Return the file of labels that the sheet names for a cohort, in any of its lines."""
    return next((file.labels for file in files if file.labels is not None), None)


def label_tables(
    evaluate: Mapping[str, Any] | None, files: Collection[CohortFile]
) -> dict[str, str]:
    """Return label → its TSV, of the labels that have one for a cohort with these files."""
    labels = evaluate["labels"] if evaluate else {}
    tables = {
        name: labels_of(files) if label["table"] == SHEET_LABELS else label["table"]
        for name, label in labels.items()
    }
    return {name: table for name, table in tables.items() if table is not None}


def group_columns(label: Mapping[str, Any]) -> list[str]:
    """Return the columns that name a label's groups."""
    group = label.get("group") or []
    return [group] if isinstance(group, str) else list(group)


def is_address(value: str | None) -> bool:
    """Whether `value` is an address such as https://…, and not a path."""
    return value is not None and _ADDRESS.match(value) is not None

"""What a cohort's report leaves for the comparison of all cohorts: histograms, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from varlm.report.classes import class_column
from varlm.report.counts import Distribution, ModelCounts, distribution


def cohort_summary(
    cohort: str,
    accounting: Mapping[str, Any],
    plans: Mapping[str, Mapping[str, Any]],
    counts: Mapping[str, ModelCounts],
) -> dict[str, Any]:
    """Return what the comparison needs of a cohort, small whatever the cohort's size; JSON.

    Parameters
    ----------
    accounting : mapping
        `accounting.json`.
    plans : mapping
        Model → the cohort's counts in its `plan.json`.
    counts : mapping
        Model → what `counts.count` returned.
    """
    column = class_column(counts)
    return {
        "cohort": cohort,
        **{name: accounting[name] for name in ("alleles_in", "accepted", "rejected")},
        "rejected_by_reason": dict(accounting["by_reason"]),
        "class": column,
        "models": {
            model: {
                "planned": dict(plans[model]),
                "classes": [
                    {"name": key[0], **_sparse(values)}
                    for key, values in of_model.by("classes", column).items()
                ],
            }
            for model, of_model in counts.items()
        },
    }


def _sparse(values: Distribution) -> dict[str, list[int]]:
    """Return a histogram's bins that are not empty, and their counts."""
    bins = np.flatnonzero(values.counts)
    return {"bins": bins.tolist(), "counts": values.counts[bins].tolist()}


def class_llrs(entry: Mapping[str, Any]) -> Distribution:
    """Return the LLRs of a class; `entry` is one of a summary's `classes`."""
    return distribution(np.array(entry["bins"], np.int64), np.array(entry["counts"], np.int64))


def all_llrs(summary: Mapping[str, Any], model: str) -> Distribution:
    """Return the LLRs of all alleles of a cohort under a model."""
    by_class = [class_llrs(entry) for entry in summary["models"][model]["classes"]]
    nothing = distribution(*np.empty((2, 0), np.int64))
    return sum(by_class, nothing)

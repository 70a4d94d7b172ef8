"""MultiQC custom content: a cohort's counts and median scores, as one row of a table.

MultiQC 1.35 runs script from sample and column names, so nothing but safe names goes there;
numbers are all that it gets besides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from varlm.report.scales import Scale, scales_of
from varlm.scoring.plan_record import Counts
from varlm.variants.accounting import Accounting

_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")


def safe_name(text: str) -> str:
    """Return a name with every character that is not a letter, digit, _, . or - as `_x{hex}_`."""
    return _UNSAFE.sub(lambda match: f"_x{ord(match[0]):x}_", text)


def _plain(title: str) -> str:
    """Return a kind's name in ASCII, for exports of tables."""
    return title.replace("−", "-")


def content(
    cohort: str,
    accounting: Accounting,
    plans: Mapping[str, Counts],
    medians: Mapping[str, float | None],
    scales: Mapping[str, Scale] | None = None,
    matched: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Return the content of `{cohort}_mqc.json`.

    Parameters
    ----------
    accounting : Accounting
    plans : mapping
        Model → the cohort's counts in its plan.
    medians : mapping
        Model → median score; None without alleles.
    scales : mapping, optional
        Model → scale of its scores; masked LLRs where none is given.
    matched : mapping, optional
        Table of published scores → accepted alleles that it has.
    """
    scales = scales or scales_of(list(medians))
    decimals = {}
    columns: dict[str, tuple[str, str, Any]] = {
        "alleles_in": ("Alleles", "ALT alleles of all records", accounting.alleles_in),
        "accepted": ("Accepted", "Alleles that were scored", accounting.accepted),
        "rejected": ("Rejected", "Alleles that were not", accounting.rejected),
    }
    for reason, count in accounting.by_reason.items():
        name = safe_name(reason)
        columns[f"rejected_{name}"] = (name, f"Alleles rejected as {name}", count)
    for model, median in medians.items():
        name, planned = safe_name(model), plans[model]
        scale = scales[model]
        score = f"{name}_median_{scale.kind.column}"
        meaning = f"{scale.kind.unit.capitalize()}, {scale.kind.strand}".removeprefix(
            ", "
        ).capitalize()
        columns[score] = (f"{name} median {_plain(scale.kind.title)}", meaning, median)
        decimals[score] = scale.bins.places
        for key, meaning, number in (
            ("sites_scored", "SNV sites scored in this run", planned.sites_scored),
            ("sites_from_store", "SNV sites from the store", planned.sites_from_store),
            ("alleles_scored", "Indels and MNVs scored in this run", planned.alleles_scored),
            ("alleles_from_store", "Indels and MNVs from the store", planned.alleles_from_store),
        ):
            columns[f"{name}_{key}"] = (f"{name} {key.replace('_', ' ')}", meaning, number)
    for table, number in (matched or {}).items():
        name = safe_name(table)
        columns[f"{name}_matched"] = (f"{name} matched", "Alleles that the table has", number)
    return {
        "id": "varlm",
        "section_name": "varlm",
        "description": "Variant effect scores of DNA language models: alleles in and out, and "
        "where their scores came from.",
        "plot_type": "table",
        "pconfig": {"id": "varlm_table", "title": "varlm: alleles and scores"},
        "headers": {
            name: {
                "title": title,
                "description": description,
                "format": f"{{:,.{decimals[name]}f}}" if name in decimals else "{:,d}",
            }
            for name, (title, description, _) in columns.items()
        },
        "data": {
            safe_name(cohort): {
                name: value for name, (_, _, value) in columns.items() if value is not None
            }
        },
    }

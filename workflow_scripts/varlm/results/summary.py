"""The counts of all cohorts in one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from varlm.errors import UserError

COUNTS = ("alleles_in", "accepted", "rejected")
ROWS = (
    "sites",
    "sites_scored",
    "sites_from_store",
    "alleles",
    "alleles_scored",
    "alleles_from_store",
)


def summarise(
    accountings: Sequence[Mapping[str, Any]], plans: Sequence[Mapping[str, Any]]
) -> list[dict[str, str]]:
    """Return one row per cohort and model, as text, with the same columns in each.

    `alleles_in`, `accepted`, `rejected` count ALT alleles; `sites` and `alleles` count unique SNV
    sites and unique indels and MNVs, split by whether they were scored or in the store;
    `background_scored` counts the sites scored for percentiles, `damaged_files` the files of the
    store that were set aside, both of the model's plan;
    `rejected_{reason}` follows for every reason that occurs.

    Raises
    ------
    UserError
        If the counts of a cohort do not add up.
    """
    reasons = sorted({reason for entry in accountings for reason in entry["by_reason"]})
    rows = []
    for entry in accountings:
        accepted, rejected = entry["accepted"], entry["rejected"]
        if entry["alleles_in"] != accepted + rejected or rejected != sum(
            entry["by_reason"].values()
        ):
            raise UserError(
                f"cohort {entry['cohort']}: {entry['alleles_in']} alleles in, {accepted} accepted, "
                f"{rejected} rejected for {entry['by_reason']}: the counts do not add up; delete "
                "its folder in the results and run again"
            )
        for plan in plans:
            counts = plan["cohorts"][entry["cohort"]]
            background = plan["background"] or {}
            if (counts["sites"], counts["alleles"]) != (entry["sites"], entry["other_alleles"]):
                raise UserError(
                    f"cohort {entry['cohort']}: model {plan['model']} planned {counts['sites']} "
                    f"sites and {counts['alleles']} other alleles, but {entry['sites']} and "
                    f"{entry['other_alleles']} were normalised; delete the plan and run again"
                )
            for kind in ("sites", "alleles"):
                parts = counts[f"{kind}_scored"] + counts[f"{kind}_from_store"]
                if counts[kind] != parts:
                    raise UserError(
                        f"cohort {entry['cohort']}: of {counts[kind]} {kind}, model "
                        f"{plan['model']} scored or found in the store {parts}; delete the plan "
                        "and run again"
                    )
            rows.append(
                {
                    "cohort": entry["cohort"],
                    "model": plan["model"],
                    **{name: str(entry[name]) for name in COUNTS},
                    **{name: str(counts[name]) for name in ROWS},
                    "background_scored": str(background.get("sites_scored", 0)),
                    "damaged_files": str(len(plan["damaged"])),
                    **{f"rejected_{r}": str(entry["by_reason"].get(r, 0)) for r in reasons},
                }
            )
    return rows

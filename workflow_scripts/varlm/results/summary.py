"""The counts of all cohorts in one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from varlm.annotation.mutation_calibration import CohortCalibration
from varlm.annotation.published.joining import ScoreJoin
from varlm.errors import UserError
from varlm.scoring.dense_scale import DenseScale
from varlm.scoring.plan_record import Plan
from varlm.variants.accounting import Accounting

COUNTS = ("alleles_in", "accepted", "rejected")
ROWS = (
    "sites",
    "sites_scored",
    "sites_from_store",
    "alleles",
    "alleles_scored",
    "alleles_from_store",
)

# A count as text, so that it stays what it is; numbers of other kinds, and what there is not.
Cell = str | float | None

# Of models with dense scores: how these are brought to the scale of masked ones, and how well they
# stand for them.
DENSE = (
    "dense_constant",
    "dense_constant_from",
    "dense_sites",
    "dense_spearman",
    "dense_pearson",
    "dense_rmse",
)

# Where scores are calibrated by mutation context: SNVs by what they were held against.
CALIBRATED = ("calibrated_by_pentamer", "calibrated_by_trinucleotide", "not_calibrated")


def summarise(
    accountings: Sequence[Accounting],
    plans: Sequence[Plan],
    scales: Mapping[str, DenseScale] | None = None,
    joins: Mapping[str, Mapping[str, ScoreJoin]] | None = None,
    calibrations: Mapping[str, CohortCalibration] | None = None,
) -> list[dict[str, Cell]]:
    """Return one row per cohort and model, with the same columns in each.

    Without a model it is one row per cohort, with the counts of its alleles.

    `alleles_in`, `accepted`, `rejected` count ALT alleles; `sites` and `alleles` count unique SNV
    sites and unique indels and MNVs, split by whether they were scored or in the store;
    `background_scored` counts the sites scored for percentiles, `damaged_files` the files of the
    store that were set aside, both of the model's plan;
    `alleles_without_score` counts, where there are any, the unique indels and MNVs for which the
    model's kind of score is not defined; `DENSE` are there where a model has dense scores, and
    empty for others; `CALIBRATED` are there where scores are calibrated by mutation context, and
    empty for models without log-ratios; `rejected_{reason}` follows for every reason that occurs.
    Of each table of published scores follow `{table}_matched`, `{table}_not_matched` and
    `{table}_on_lacking_contigs`, which count accepted alleles, and `{table}_refs_wrong`, its rows.

    Parameters
    ----------
    accountings : sequence of Accounting
    plans : sequence of Plan
    scales : mapping, optional
        Model → how its dense scores are beside masked ones; of dense ones alone.
    joins : mapping, optional
        Cohort → table → what was matched of it.
    calibrations : mapping, optional
        Cohort → how many of its SNVs were calibrated.

    Raises
    ------
    UserError
        If the counts of a cohort do not add up, or a plan is of other cohorts.
    """
    reasons = sorted({reason for accounting in accountings for reason in accounting.by_reason})
    unscored = any(sum((plan.unscored or {}).values()) for plan in plans)
    rows: list[dict[str, Cell]] = []
    for accounting in accountings:
        _check_accounting(accounting)
        of_cohort: list[dict[str, Cell]] = []
        for plan in plans:
            _check_plan(plan, accounting)
            row = _row(accounting, plan, unscored)
            row |= _dense_columns(scales.get(plan.model)) if scales else {}
            if calibrations:
                row |= _calibrated_columns(calibrations[accounting.cohort], plan.model)
            of_cohort.append({**row, **_rejected(accounting, reasons)})
        if not plans:
            of_cohort.append({**_counted(accounting), **_rejected(accounting, reasons)})
        published = _published((joins or {}).get(accounting.cohort, {}))
        rows += [{**row, **published} for row in of_cohort]
    return rows


def _row(accounting: Accounting, plan: Plan, unscored: bool) -> dict[str, Cell]:
    counts = asdict(plan.cohorts[accounting.cohort])
    cohort, *numbers = _counted(accounting).items()
    return {
        **dict([cohort, ("model", plan.model), *numbers]),
        **{name: str(counts[name]) for name in ROWS},
        **({"alleles_without_score": str(_unscored(plan, accounting))} if unscored else {}),
        "background_scored": str(plan.background.sites_scored if plan.background else 0),
        "damaged_files": str(len(plan.damaged)),
    }


def _counted(accounting: Accounting) -> dict[str, str]:
    numbers = {name: str(getattr(accounting, name)) for name in COUNTS}
    return {"cohort": accounting.cohort, **numbers}


def _rejected(accounting: Accounting, reasons: Sequence[str]) -> dict[str, str]:
    return {f"rejected_{reason}": str(accounting.by_reason.get(reason, 0)) for reason in reasons}


def _dense_columns(scale: DenseScale | None) -> dict[str, Cell]:
    if scale is None:
        return dict.fromkeys(DENSE)
    of = scale.overall
    measured = (of.spearman, of.pearson, of.rmse) if of else (None, None, None)
    numbers = [None if value is None else round(value, 4) for value in (scale.constant, *measured)]
    sites = of.sites if of else None
    return dict(zip(DENSE, (numbers[0], scale.origin, sites, *numbers[1:]), strict=True))


def _calibrated_columns(calibration: CohortCalibration, model: str) -> dict[str, Cell]:
    counts = calibration.models.get(model)
    if counts is None:
        return dict.fromkeys(CALIBRATED)
    numbers = (counts.pentamer, counts.trinucleotide, counts.none)
    return dict(zip(CALIBRATED, map(str, numbers), strict=True))


def _published(joins: Mapping[str, ScoreJoin]) -> dict[str, Cell]:
    """Return what was matched of each table."""
    return {
        f"{table}_{name}": str(getattr(joined, name))
        for table, joined in joins.items()
        for name in ("matched", "not_matched", "on_lacking_contigs", "refs_wrong")
    }


def _unscored(plan: Plan, accounting: Accounting) -> int:
    return (plan.unscored or {}).get(accounting.cohort, 0)


def _check_accounting(accounting: Accounting) -> None:
    if not accounting.adds_up:
        raise UserError(
            f"cohort {accounting.cohort}: {accounting.alleles_in} alleles in, "
            f"{accounting.accepted} accepted, {accounting.rejected} rejected for "
            f"{accounting.by_reason}: the counts do not add up; delete its folder in the results "
            "and run again"
        )


def _check_plan(plan: Plan, accounting: Accounting) -> None:
    """Check that the plan was made for these alleles, and that it accounts for each."""
    cohort, sites, alleles = accounting.cohort, accounting.sites, accounting.other_alleles
    if cohort not in plan.cohorts:
        raise UserError(
            f"cohort {cohort}: the plan of model {plan.model} is of the cohorts "
            f"{', '.join(plan.cohorts)}; delete the plan and run again"
        )
    counts = plan.cohorts[cohort]
    planned_alleles = counts.alleles + _unscored(plan, accounting)
    if (counts.sites, planned_alleles) != (sites, alleles):
        raise UserError(
            f"cohort {cohort}: model {plan.model} planned {counts.sites} sites and "
            f"{planned_alleles} other alleles, but {sites} and {alleles} were normalised; delete "
            "the plan and run again"
        )
    for kind, planned, settled in (
        ("sites", counts.sites, counts.sites_scored + counts.sites_from_store),
        ("alleles", counts.alleles, counts.alleles_scored + counts.alleles_from_store),
    ):
        if planned != settled:
            raise UserError(
                f"cohort {cohort}: of {planned} {kind}, model {plan.model} scored or found in the "
                f"store {settled}; delete the plan and run again"
            )

"""What a plan says: plan/{model}/plan.json, beside the shards."""

from __future__ import annotations

from dataclasses import dataclass

from varlm.files.json_record import JsonRecord, absent_if_none


@dataclass
class Counts:
    """How many unique rows a cohort, or all of them together, ask for."""

    sites: int = 0
    sites_from_store: int = 0
    sites_scored: int = 0
    alleles: int = 0
    alleles_from_store: int = 0
    alleles_scored: int = 0

    def add(self, kind: str, wanted: int, new: int) -> None:
        """Count `wanted` unique rows of a kind (sites or alleles), `new` of them unknown."""
        setattr(self, kind, getattr(self, kind) + wanted)
        setattr(self, f"{kind}_scored", getattr(self, f"{kind}_scored") + new)
        setattr(self, f"{kind}_from_store", getattr(self, f"{kind}_from_store") + wanted - new)


@dataclass(frozen=True, kw_only=True)
class Plan(JsonRecord):
    """What is to be scored for a model.

    Attributes
    ----------
    model : str
        The model's name.
    key : str
        The model's key in the store.
    shards : int
        The files shards/0.parquet … beside plan.json.
    sites_per_shard : int
        At most; an indel or MNV counts as `varlm.scoring.planning.ALLELE_COST` sites.
    total : Counts
        Over the unique rows of all cohorts and the background.
    background : Counts or None
        None where the background is in the store already, or none is wanted.
    cohorts : dict
        Cohort → counts of its own unique rows.
    damaged : dict
        Files of the store that were set aside → why.
    recovered : int
        Parts of the store that no commit listed, and that are listed again.
    unscored : dict or None
        Cohort → unique indels and MNVs that the model's kind of score is not defined for, and
        that are no `alleles` of its counts; None of a kind that is defined for all.
    beyond : int or None
        Sites in the shards that nobody asked for, which their tiles answer as well; None where
        scores are not of tiles.
    """

    MADE_BY = "plan"
    TO_DELETE = "its folder"

    model: str
    key: str
    shards: int
    sites_per_shard: int
    total: Counts
    background: Counts | None
    cohorts: dict[str, Counts]
    damaged: dict[str, str]
    recovered: int
    unscored: dict[str, int] | None = absent_if_none()  # noqa: RUF009
    beyond: int | None = absent_if_none()

"""The JSON files that steps hand on, whole, with what a test says of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from varlm.models.prepared import SCORING_VERSION, PreparedModel
from varlm.scoring.commit_record import CommitRecord, ShardRun
from varlm.scoring.plan_record import Counts, Plan
from varlm.variants.accounting import AccountedContig, AccountedFile, Accounting


def prepared_model(**changes) -> PreparedModel:
    """A model that no file belongs to."""
    model = PreparedModel(
        name="m",
        path="checkpoint",
        revision=None,
        folder=Path("/nowhere/checkpoint"),
        model_type="GPN",
        files={"config.json": "ab" * 32},
        window=64,
        strands="both",
        precision="float32",
        scoring_version=SCORING_VERSION,
        key="0" * 32,
    )
    return replace(model, **changes)


def accounting(**changes) -> Accounting:
    """A cohort of one file: nine alleles, six of them accepted."""
    entry = Accounting(
        cohort="c",
        files=(AccountedFile(path="c.vcf", format="vcf", records=9, alleles=9, sha256="ab" * 32),),
        alleles_in=9,
        accepted=6,
        rejected=3,
        by_reason={"symbolic": 2, "breakend": 1},
        sites=4,
        other_alleles=1,
        af_unreadable=0,
        contigs=(accounted_contig("chr1", "chr1", records=9),),
        contigs_without_records=(),
    )
    return replace(entry, **changes)


def accounted_contig(chrom: str, contig: str | None, **changes) -> AccountedContig:
    """A CHROM of a cohort."""
    entry = AccountedContig(
        chrom=chrom, contig=contig, records=1, how="same name", ref_checked=0, ref_mismatches=0
    )
    return replace(entry, **changes)


def plan(model: str = "m", cohorts=("c",), counts: Counts | None = None, **changes) -> Plan:
    """A plan of cohorts with the same counts, by default those of `accounting`."""
    counts = counts or Counts(
        sites=4, sites_scored=1, sites_from_store=3, alleles=1, alleles_scored=1
    )
    made = Plan(
        model=model,
        key="0" * 32,
        shards=1,
        sites_per_shard=1000,
        total=counts,
        background=Counts(sites=7, sites_scored=7),
        cohorts=dict.fromkeys(cohorts, counts),
        damaged={"x.parquet": "damaged"},
        recovered=0,
    )
    return replace(made, **changes)


def commit_record(**changes) -> CommitRecord:
    """A commit of one shard."""
    record = CommitRecord(
        model="m", key="0" * 32, sites=1, alleles=1, parts=1, known=0, runs=(shard_run(),)
    )
    return replace(record, **changes)


def shard_run(**changes) -> ShardRun:
    """How a shard of a site and an allele was scored."""
    run = ShardRun(sites=1, alleles=1, resumed=0, device="cpu", arithmetic="float32", seconds=0.5)
    return replace(run, **changes)

"""What the keys of a config and the columns of the sheet are called, and what follows from them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

SHEET_COLUMNS = {
    "cohort": "name of the cohort: its folder in the results",
    "vcf": "VCF, VCF.gz or BCF file, relative to the working directory, or an address (https, s3)",
    "records": "optional: how many records the file must have",
    "sha256": "optional: the SHA-256 that the file must have",
    "labels": "optional: TSV of what is known of the alleles (evaluate.labels with table: sheet)",
}
COHORT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")

# The columns that every annotated table has, and those of each model: `schemas.annotated`, which
# would import polars here (a test holds the two together).
TABLE_COLUMNS = (
    *("chrom", "pos", "id", "ref", "alt", "input_pos", "input_ref", "input_alt", "kind", "af"),
    *("consequence", "impact", "gene", "gene_id", "transcript", "biotype", "strand"),
    *("protein_change", "nearest_gene", "tss_distance", "consequences"),
    *("file", "record", "allele"),
)
MODEL_COLUMNS = ("llr", "llr_fwd", "llr_rev", "entropy", "p_ref", "p_alt", "percentile")

# The consequences that `evaluate.contrasts` may name: `consequences.terms.NAMES`, which would
# import numpy here (a test holds the two together), and all that is outside genes.
CONSEQUENCES = (
    *("splice_acceptor_variant", "splice_donor_variant", "stop_gained", "frameshift_variant"),
    *("stop_lost", "start_lost", "inframe_insertion", "inframe_deletion", "missense_variant"),
    *("protein_altering_variant", "splice_region_variant", "start_retained_variant"),
    *("stop_retained_variant", "synonymous_variant", "coding_sequence_variant"),
    *("5_prime_UTR_variant", "3_prime_UTR_variant", "non_coding_transcript_exon_variant"),
    *("intron_variant", "NMD_transcript_variant", "upstream_gene_variant"),
    *("downstream_gene_variant", "feature_elongation", "feature_truncation"),
    *("intergenic_variant", "intergenic"),
)

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
    """One row of the cohort sheet; `records` and `sha256` are None where not given."""

    cohort: str
    vcf: str
    records: int | None = None
    sha256: str | None = None
    labels: str | None = None


def window_of(config: Mapping[str, Any], model: Mapping[str, Any]) -> int:
    """Return the window in bp that a model scores with: its own, that of its training, or all's."""
    training = config["train"].get(model["train"])
    trained_with = training["windows"]["length"] if training else None
    window: int = model["window"] or trained_with or config["scoring"]["window"]
    return window


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


def is_address(value: str | None) -> bool:
    """Whether `value` is an address such as https://…, and not a path."""
    return value is not None and _ADDRESS.match(value) is not None


def addresses(
    config: Mapping[str, Any], cohorts: Mapping[str, list[CohortFile]]
) -> Iterator[tuple[str, str]]:
    """Yield each input that is an address, with the key that names it."""
    reference, normalise, annotate = (config[k] for k in ("reference", "normalise", "annotate"))
    inputs = [(f"reference.{key}", reference[key]) for key in ("fasta", "annotation", "aliases")]
    inputs.append(("normalise.regions", normalise["regions"]))
    inputs.append(("regions.bed", (config["regions"] or {}).get("bed")))
    for kind in ("intervals", "bigwigs"):
        inputs += [(f"annotate.{kind}.{name}", file) for name, file in annotate[kind].items()]
    labels = (config["evaluate"] or {"labels": {}})["labels"]
    inputs += [(f"evaluate.labels.{name}.table", label["table"]) for name, label in labels.items()]
    inputs += [
        (f"{config['cohorts']}, cohort {cohort}", labels_of(files))
        for cohort, files in cohorts.items()
    ]
    inputs += [
        (f"train.{name}.genomes.{genome}.{key}", file)
        for name, training in config["train"].items()
        for genome, files in training["genomes"].items()
        for key, file in files.items()
    ]
    inputs += [
        (f"{config['cohorts']}, cohort {cohort}", file.vcf)
        for cohort, files in cohorts.items()
        for file in files
    ]
    return ((key, value) for key, value in inputs if is_address(value))

"""Made-up scores for a normalised cohort, so that export is tested without a store or a model."""

import gzip
from pathlib import Path

import numpy as np
import polars as pl

from varlm.results.export import export_vcf
from varlm.results.tags import tag_names
from varlm.tables.parquet import write_table
from varlm.tables.schemas import annotated
from varlm.variants.cohort import NormalisedCohort
from varlm.variants.rejected import write_rejected

MODEL = "m"


def scored(result: NormalisedCohort, seed: int = 0) -> pl.DataFrame:
    """Return the annotated table of a cohort with random scores, entropy null for non-SNVs."""
    table = annotated([MODEL])
    rng = np.random.default_rng(seed)
    rows = result.variants
    for name, kind in table.schema.items():
        if name in rows.columns:
            continue
        column = pl.lit(None, dtype=kind)
        if name.startswith(f"{MODEL}_"):
            values = rng.normal(size=rows.height) * 10.0 ** rng.integers(-9, 9, rows.height)
            column = pl.lit(pl.Series(values, dtype=pl.Float32))
            if name.endswith(("entropy", "p_ref", "p_alt")):
                column = pl.when(pl.col("kind") == "snv").then(column)
        rows = rows.with_columns(column.alias(name))
    return rows.select(table.names)


def export_cohort(
    result: NormalisedCohort, vcfs: list[Path], folder: Path, contigs=None, index=None
) -> Path:
    """Export a normalised cohort with random scores; return the VCF."""
    folder.mkdir(exist_ok=True)
    write_table(scored(result), folder / "annotated.parquet", annotated([MODEL]))
    write_rejected(result.rejected, folder / "rejected.tsv.gz")
    out = folder / "annotated.vcf.gz"
    digests = [file.sha256 for file in result.accounting.files]
    table, rejected = folder / "annotated.parquet", folder / "rejected.tsv.gz"
    export_vcf(table, rejected, vcfs, [MODEL], contigs or {}, out, digests, index)
    return out


def lines(path: Path) -> list[bytes]:
    """Return the lines of a gzipped file."""
    with gzip.open(path, "rb") as file:
        return file.read().split(b"\n")[:-1]


def records(path: Path) -> list[list[bytes]]:
    """Return the fields of each record of a gzipped VCF, by nothing but split."""
    return [line.split(b"\t") for line in lines(path) if not line.startswith(b"#")]


def without_our_fields(info: bytes, models=(MODEL,)) -> bytes:
    """Return INFO less the fields that varlm writes for these models."""
    ours = {name.encode() for name in tag_names(models)}
    kept = [field for field in info.split(b";") if field.split(b"=")[0] not in ours]
    return b";".join(kept) or b"."


def our_fields(info: bytes) -> dict[str, list[str]]:
    """Return the values of the fields that varlm writes, one an allele."""
    ours = {name.encode() for name in tag_names([MODEL])}
    fields = (field.split(b"=", 1) for field in info.split(b";"))
    return {f[0].decode(): f[1].decode().split(",") for f in fields if f[0] in ours}

"""Print what the demo's scores say: python resources/demo/show.py results"""

import csv
import sys
from pathlib import Path

import numpy as np
import polars as pl

DEMO = Path(__file__).resolve().parent
BROKEN = ["stop_gained", "start_lost", "splice", "missense"]
NEUTRAL = ["synonymous", "intron", "utr", "intergenic"]


def truth() -> pl.DataFrame:
    """Return the simulated class of each record of the cohort denovo."""
    with (DEMO / "denovo.vcf").open() as file:
        rows = [line.split("\t")[7] for line in file if not line.startswith("#")]
    classes = [info.split(";")[0].removeprefix("CLASS=") for info in rows]
    return pl.DataFrame({"record": range(len(rows)), "class": classes}).cast({"record": pl.UInt32})


def auroc(low: np.ndarray, high: np.ndarray) -> float:
    """Return the chance that a value of `low` lies below one of `high` (ties count half)."""
    below = (low[:, None] < high).mean()
    return float(below + 0.5 * (low[:, None] == high).mean())


def main() -> None:
    """Print the counts, and the median LLR by what a mutation breaks."""
    results = Path(sys.argv[1])
    with (results / "summary.tsv").open() as file:
        counts = {row["cohort"]: row for row in csv.DictReader(file, delimiter="\t")}
    tables = {
        name: pl.read_parquet(results / f"cohorts/{name}/annotated.parquet") for name in counts
    }
    print("\ncohort        alleles  accepted  rejected   median LLR")
    for name, row in counts.items():
        reasons = ", ".join(
            f"{key.removeprefix('rejected_')} {value}"
            for key, value in row.items()
            if key.startswith("rejected_") and value != "0"
        )
        print(
            f"{name:<12}{row['alleles_in']:>9}{row['accepted']:>10}{row['rejected']:>10}"
            f"{tables[name]['gpn_llr'].median():>13.2f}" + (f"   ({reasons})" if reasons else "")
        )
    snv = tables["denovo"].filter(pl.col("kind") == "snv").join(truth(), on="record")
    by_class = (
        snv.group_by("class")
        .agg(pl.col("gpn_llr").median().alias("median"), pl.len().alias("n"))
        .sort("median")
    )
    print("\nunselected SNVs (denovo), median LLR by what the mutation breaks")
    for kind, median, n in by_class.iter_rows():
        print(f"  {kind:<17}{n:>5}  {median:>6.2f}  {'#' * round(max(-median, 0) * 10)}")
    groups = [
        snv.filter(pl.col("class").is_in(names))["gpn_llr"].to_numpy()
        for names in (BROKEN, NEUTRAL)
    ]
    print(
        f"\nAUROC of -LLR, {', '.join(BROKEN)}\nagainst {', '.join(NEUTRAL)}: {auroc(*groups):.3f}"
    )
    print(f"\nOpen {results}/index.html; tables, VCFs and logs are in {results}/ too.")


if __name__ == "__main__":
    main()

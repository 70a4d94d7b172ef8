"""Print the tables of README.md from what the evaluations of this folder wrote.

    python resources/models/saccharomyces/tables.py results

Run evaluation.yaml first, by itself and with each of the configs that are laid over it.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "workflow_scripts"))

from varlm.report.evaluation import read_evaluation

# Folder below the results, cohort, and what its alleles are.
COHORTS = [
    (".", "scer7", "seven strains"),
    ("sgrp", "sgrp", "37 strains"),
    (".", "regions", "all SNVs of random sites"),
    ("coding", "sgrp", "37 strains, where codon identity is known"),
    ("coding", "regions", "all SNVs, where codon identity is known"),
    ("apart", "sgrp", "37 strains, genes without a homologue"),
    ("apart", "regions", "all SNVs, genes without a homologue"),
    ("assays", "functional", "functional sites (UniProt)"),
    ("assays", "pab1", "PAB1's mutational scan"),
]
# Title, metric, and the group of alleles: `matched` is any that begins so.
TABLES = [
    ("AUROC", "auroc", "all"),
    ("AUROC within strata", "auroc_within_strata", "all"),
    ("Share of the AUROC that strata explain", "auroc_explained", "all"),
    ("Share of pairs in order, matched controls", "auroc_within_groups", "matched"),
    ("Share of pairs in order, match groups", "auroc_within_groups", "match groups"),
    ("Rare against common, alleles that were not turned", "auroc", "not turned"),
    ("Spearman's correlation", "spearman", "all"),
    ("Pearson's correlation", "pearson", "all"),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("results", type=Path, help="the folder of the runs' results")
    results = parser.parse_args().results
    rows = pl.concat(list(_evaluations(results)), how="vertical")
    for title, metric, group in TABLES:
        chosen = rows.filter(
            pl.col("metric") == metric, pl.col("group").str.starts_with(group), pl.col("value") > -9
        )
        for scores, part in _by_scores(chosen):
            print(f"\n{title}\n")
            print("| alleles | task | n | " + " | ".join(scores) + " |")
            print("|---" * (3 + len(scores)) + "|")
            for (about, task), of_task in part.group_by("about", "task", maintain_order=True):
                print(f"| {about} | {task} | {_number(of_task)} | " + _values(of_task, scores))


def _evaluations(results: Path) -> Iterator[pl.DataFrame]:
    for folder, cohort, about in COHORTS:
        path = results / folder / "cohorts" / cohort / "evaluation.tsv"
        if path.exists():
            yield read_evaluation(path).with_columns(about=pl.lit(about))


def _by_scores(rows: pl.DataFrame) -> Iterator[tuple[list[str], pl.DataFrame]]:
    """Yield the rows of the tasks that compare the same scores."""
    compared = rows.group_by("about", "task", maintain_order=True).agg(
        pl.col("score").unique(maintain_order=True).alias("scores")
    )
    joined = rows.join(compared, on=["about", "task"], maintain_order="left")
    for (scores,), part in joined.group_by("scores", maintain_order=True):
        yield list(scores), part


def _number(rows: pl.DataFrame) -> str:
    row = rows.row(0, named=True)
    if row["positives"] is None:
        return f"{row['alleles']:,}"
    return f"{row['positives']:,} / {row['negatives']:,}"


def _values(rows: pl.DataFrame, scores: list[str]) -> str:
    cells = []
    for score in scores:
        row = rows.filter(score=score).row(0, named=True)
        interval = "" if row["low"] is None else f" ({row['low']:.3f}–{row['high']:.3f})"
        cells.append(f"{row['value']:.3f}{interval}")
    return " | ".join(cells) + " |"


if __name__ == "__main__":
    main()

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
    ("apart", "scer7", "seven strains, genes without a homologue"),
    ("apart", "regions", "all SNVs, genes without a homologue"),
    ("coding", "sgrp", "37 strains"),
    ("coding", "regions", "all SNVs of random sites"),
    ("assays", "functional", "UniProt"),
    ("assays", "pab1", "PAB1"),
]
FREQUENCY = "allele frequency"
TASKS = {
    "stop_gained vs synonymous_variant": "stop gained against synonymous",
    "missense_variant vs synonymous_variant": "missense against synonymous",
    FREQUENCY: "singletons against common alleles",
    "functional": "functional sites against the same residue",
    "pab1": "mutational scan",
}
MODEL = "saccharomyces"
SCORES = {
    MODEL: "this model",
    "second_edition": "second edition",
    "markov": "Markov chain",
    "mutation_context": "mutation context",
    "spar_identity": "conservation",
    "codon_identity": "codons' conservation",
    f"{MODEL}+spar_identity": "model and conservation, mean rank",
    f"{MODEL}+codon_identity": "model and codons' conservation, mean rank",
    f"{MODEL}+spar_identity fitted": "fitted",
    f"{MODEL}+codon_identity fitted": "fitted",
    f"{MODEL}+spar_identity+mutation_context fitted": "and with context, fitted",
    f"{MODEL}+codon_identity+mutation_context fitted": "and with context, fitted",
}
# Title, metric, and how the group of alleles begins.
TABLES = [
    ("AUROC", "auroc", "all"),
    ("AUROC within strata", "auroc_within_strata", "all"),
    ("Share of pairs in order, matched controls", "auroc_within_groups", "matched"),
    ("Share of pairs in order, match groups", "auroc_within_groups", "match groups"),
    ("Spearman's correlation", "spearman", ""),
    ("Pearson's correlation", "pearson", ""),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("results", type=Path, help="the folder of the runs' results")
    rows = pl.concat(list(_evaluations(parser.parse_args().results)), how="vertical")
    for title, metric, group in TABLES:
        for scores, part in _by_scores(rows.filter(_shown(metric, group))):
            names = [SCORES[score] for score in scores]
            print(f"\n{title}:\n\n| alleles | task | n | {' | '.join(names)} |")
            print("|---" * (3 + len(scores)) + "|")
            for (about, task, of), row in part.group_by(
                "about", "task", "group", maintain_order=True
            ):
                whole = of.startswith(("all", "not turned", "match"))
                named = TASKS[task] if whole else f"{TASKS[task]}, {of}"
                print(f"| {about} | {named} | {_number(row)} | " + _values(row, scores))


def _shown(metric: str, group: str) -> pl.Expr:
    """Whether a row belongs into a table.

    Of rare against common alleles only those that are not turned count: turning LLRs favours any
    model that likes the reference.
    """
    rarity = pl.col("task") == FREQUENCY
    of = pl.col("group").str.starts_with(group)
    if metric in ("auroc", "auroc_within_strata"):
        of = (
            pl.when(rarity)
            .then(pl.col("group") == "not turned")
            .otherwise(pl.col("group") == group)
        )
    else:
        of &= ~rarity
    return (pl.col("metric") == metric) & pl.col("task").is_in(list(TASKS)) & of


def _evaluations(results: Path) -> Iterator[pl.DataFrame]:
    for folder, cohort, about in COHORTS:
        path = results / folder / "cohorts" / cohort / "evaluation.tsv"
        if path.exists():
            yield read_evaluation(path).with_columns(about=pl.lit(about), folder=pl.lit(folder))


def _by_scores(rows: pl.DataFrame) -> Iterator[tuple[list[str], pl.DataFrame]]:
    """Yield the scores that the runs of a table compare, and their rows."""
    kept = rows.filter(pl.col("value").is_not_null(), pl.col("score").is_in(list(SCORES)))
    compared = pl.col("folder").replace({"sgrp": ".", "apart": "."})
    for _, part in kept.group_by(compared, maintain_order=True):
        present = set(part["score"])
        yield [score for score in SCORES if score in present], part


def _number(rows: pl.DataFrame) -> str:
    row = rows.row(0, named=True)
    if row["positives"] is None:
        return f"{row['alleles']:,}"
    return f"{row['positives']:,} / {row['negatives']:,}"


def _values(rows: pl.DataFrame, scores: list[str]) -> str:
    cells = []
    for score in scores:
        of_score = rows.filter(score=score)
        if of_score.is_empty():
            cells.append("–")
            continue
        row = of_score.row(0, named=True)
        interval = "" if row["low"] is None else f" ({row['low']:.3f}–{row['high']:.3f})"
        cells.append(f"{row['value']:.3f}{interval}")
    return " | ".join(cells) + " |"


if __name__ == "__main__":
    main()

"""The rule evaluate through Snakemake: labels, frequencies, the report, what runs anew."""

import random

import polars as pl
import pytest

from making.workflow import made_genome, snakemake, write_config, write_fasta, write_sheet
from varlm.report.evaluation import read_evaluation

pytestmark = pytest.mark.slow

LABELS = {
    "assay": {"table": "sheet", "column": "effect"},
    "class": {"info": "CLASS", "positive": ["bad"], "negative": ["good"]},
}


def cohort_vcf(genome):
    """SNVs with AC, AN and a class; the effects of some of them."""
    rng = random.Random(3)
    sequence = genome["chr1"].upper()
    lines = [
        "##fileformat=VCFv4.2",
        "##contig=<ID=1>",
        '##INFO=<ID=AC,Number=A,Type=Integer,Description="x">',
        '##INFO=<ID=AN,Number=1,Type=Integer,Description="x">',
        '##INFO=<ID=CLASS,Number=1,Type=String,Description="x">',
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO",
    ]
    effects = ["chrom\tpos\tref\talt\teffect"]
    for pos in sorted(rng.sample(range(1, 2990), 90)):
        ref = sequence[pos - 1]
        if ref == "N":
            continue
        alt = rng.choice([base for base in "ACGT" if base != ref])
        info = f"AC={rng.choice([1, 1, 8, 30])};AN=40;CLASS={rng.choice(['bad', 'good'])}"
        lines.append(f"1\t{pos}\t.\t{ref}\t{alt}\t.\tPASS\t{info}")
        effects.append(f"chr1\t{pos}\t{ref}\t{alt}\t{rng.gauss(0, 1):.3f}")
    return "\n".join(lines) + "\n", "\n".join(effects) + "\n"


def configure(folder, **evaluate):
    write_config(
        folder,
        scoring={"window": 64, "precision": "float32", "background_sites": 0},
        annotate={"info": ["AC", "AN", "CLASS"]},
        report={"pictures": 0},
        evaluate={
            **{"labels": LABELS, "bootstrap": 20, "quantiles": [0.2]},
            **{"strata": {"by": ["cpg"]}, **evaluate},
        },
    )


OUTPUT = "results/cohorts/one/evaluation.tsv"
TARGETS = ("--", OUTPUT, "results/cohorts/one/report.html")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluated")
    genome = made_genome()
    write_fasta(folder / "genome.fa.gz", genome)
    vcf, effects = cohort_vcf(genome)
    (folder / "one.vcf").write_text(vcf)
    (folder / "assay.tsv").write_text(effects)
    (folder / "cohorts.tsv").write_text("cohort\tvcf\tlabels\none\tone.vcf\tassay.tsv\n")
    configure(folder)
    return folder, snakemake(folder, *TARGETS)


def test_every_task_is_measured_and_the_report_tells_of_it(finished):
    folder, _ = finished
    rows = read_evaluation(folder / OUTPUT)
    # Of a random score there may be something to explain, or nothing.
    measured = rows.filter(pl.col("value").is_not_null(), pl.col("metric") != "auroc_explained")
    assert {*measured.select("task", "metric").iter_rows()} == {
        ("assay", "spearman"),
        ("assay", "pearson"),
        ("class", "auroc"),
        ("class", "auprc"),
        ("class", "auroc_within_strata"),
        ("allele frequency", "auroc"),
        ("allele frequency", "auroc_within_strata"),
        ("allele frequency", "odds_ratio"),
        ("allele frequency", "spearman"),
    }
    table = pl.read_parquet(folder / "results/cohorts/one/annotated.parquet")
    assert rows.filter(task="assay", group="all")["alleles"].to_list() == [table.height] * 4
    assert set(rows["score"].drop_nulls()) == {"tiny", "mutation_context"}
    within = rows.filter(task="class", metric="auroc_within_strata")
    assert "(cpg) of one chromosome; alleles resampled" in within["note"][0]
    rare = rows.filter(task="allele frequency", metric="auroc").row(0, named=True)
    assert rare["positives"] == (table["info_AC"] == 1).sum()
    report = (folder / "results/cohorts/one/report.html").read_text()
    assert 'id="evaluation"' in report
    assert "allele count 1, by INFO/AC and INFO/AN" in report
    png = folder / "results/cohorts/one/figures/evaluation.png"
    assert png.read_bytes()[:4] == b"\x89PNG"


def test_another_label_table_is_measured_anew_and_null_runs_nothing(finished):
    folder, _ = finished
    # Named in the config, the table is the same.
    configure(folder, labels={**LABELS, "assay": {"table": "assay.tsv", "column": "effect"}})
    assert "rule evaluate:" not in snakemake(folder, *TARGETS)
    configure(folder)
    assert "rule evaluate:" not in snakemake(folder, *TARGETS)
    assert "Nothing to be done" in snakemake(folder, "--dry-run", *TARGETS)
    text = (folder / "assay.tsv").read_text()
    (folder / "assay.tsv").write_text(text + "chr1\t1\tN\tA\t0.5\n")
    jobs = snakemake(folder, *TARGETS)
    assert "rule evaluate:" in jobs
    assert "rule annotate:" not in jobs
    (folder / "assay.tsv").write_text(text)
    grouped = {**LABELS, "assay": {**LABELS["assay"], "group": "chrom"}}
    configure(folder, labels=grouped, match={"by": [], "near": [], "controls": 1})
    assert "rule evaluate:" in snakemake(folder, *TARGETS)
    matched = read_evaluation(folder / OUTPUT).filter(group="matched 1:1")
    assert matched.filter(task="class", metric="pairwise_accuracy")["value"].is_not_null().all()
    write_config(folder)
    assert "rule evaluate:" not in snakemake(folder, "--dry-run", reports=True)
    configure(folder)
    snakemake(folder, *TARGETS)


def test_a_label_of_an_unknown_cohort_and_a_missing_table_are_errors(finished):
    folder, _ = finished
    configure(folder, labels={"x": {"column": "kind", "cohort": "two"}})
    output = snakemake(folder, "--dry-run", *TARGETS, check=False)
    assert "evaluate.labels.x.cohort: there is no cohort 'two'; there are one" in output
    configure(folder, labels={"x": {"table": "absent.tsv", "column": "effect"}})
    assert "absent.tsv: input not found" in snakemake(folder, "--dry-run", *TARGETS, check=False)
    write_sheet(folder, {"one": ["one.vcf"]})
    configure(folder, labels={"x": {"table": "sheet", "column": "effect"}})
    output = snakemake(folder, "--dry-run", *TARGETS, check=False)
    assert "evaluate.labels.x.table: found sheet, but cohorts.tsv names no file" in output
    configure(folder)

"""Runs with tables of published scores: their columns in every output, with and without a model."""

import gzip
import json
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from making.made_tables import made_scores, write_parquets, write_tsv, write_vcf
from making.workflow import (
    GENE,
    made_genome,
    snakemake,
    vcf_text,
    write_config,
    write_fasta,
    write_sheet,
)

pytestmark = pytest.mark.slow

TABLES = {
    "cadd": {
        "path": "cadd.tsv.gz",
        "columns": {
            "phred": {"column": "PHRED", "harmful": "high", "unit": "phred"},
            "raw": "RawScore",
        },
    },
    "star": {
        "path": "llr_{contig}.parquet",
        "columns": {"llr": {"column": "llr", "harmful": "low", "unit": "nats"}},
    },
    "clinvar": {
        "path": "clinvar.vcf.gz",
        "columns": {
            "sig": {"column": "CLNSIG", "type": "text"},
            "stars": {"column": "STARS", "type": "integer"},
        },
    },
}
COLUMNS = ["cadd_phred", "cadd_phred_percentile", "cadd_raw", "clinvar_sig", "clinvar_stars"]
COLUMNS += ["star_llr", "star_llr_percentile"]  # as in the file, which PyYAML sorts


@dataclass
class Finished:
    folder: Path
    scores: dict

    @property
    def cohort(self):
        return self.folder / "results/cohorts/one"

    @property
    def table(self):
        return pl.read_parquet(self.cohort / "annotated.parquet")


def made(folder, **changes):
    """Write inputs and config, run, and return what there is."""
    genome = made_genome()
    scores = made_scores(genome)
    write_fasta(folder / "genome.fa.gz", genome)
    (folder / "genes.gff3.gz").write_bytes(gzip.compress((GENE + "\n").encode()))
    (folder / "one.vcf").write_text(vcf_text(genome, "chr1", "1", 1, 120))
    (folder / "small.bed").write_text("chr1\t600\t620\n")
    write_tsv(folder / "cadd.tsv.gz", scores)
    write_parquets(str(folder / "llr_{contig}.parquet"), scores)
    few = {snv: score for snv, score in scores.items() if snv[0] == "chr1" and snv[1] < 1500}
    write_vcf(folder / "clinvar.vcf.gz", few)
    write_sheet(folder, {"one": ["one.vcf"]})
    settings = {
        "reference": {"fasta": "genome.fa.gz", "annotation": "genes.gff3.gz"},
        "annotate": {"upstream": 50, "downstream": 50, "scores": TABLES},
        "regions": "small.bed",
        "evaluate": {
            "bootstrap": 5,
            "labels": {
                "sig": {
                    "column": "clinvar_sig",
                    "positive": ["Pathogenic"],
                    "negative": ["Benign"],
                }
            },
            "combine": [["cadd_phred", "star_llr"]],
        },
        **changes,
    }
    write_config(folder, **settings)
    snakemake(folder, reports=True)
    return Finished(folder, scores)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A run without a model."""
    return made(tmp_path_factory.mktemp("alone"), models={})


@pytest.fixture(scope="module")
def beside(tmp_path_factory):
    """A run with one."""
    return made(
        tmp_path_factory.mktemp("beside"), report={"pictures": 0}, regions=None, evaluate=None
    )


def test_columns_have_the_tables_values(alone):
    table = alone.table
    assert [name for name in table.columns if name.startswith(tuple(TABLES))] == COLUMNS
    snv = table.filter(kind="snv")
    for row in snv.iter_rows(named=True):
        score = alone.scores["chr1", row["pos"], row["ref"], row["alt"]]
        assert row["cadd_phred"] == pytest.approx(score)
        assert row["star_llr"] == pytest.approx(-score)
        known = row["pos"] < 1500
        assert row["clinvar_sig"] == (("Pathogenic" if score > 15 else "Benign") if known else None)
    assert table.filter(pl.col("kind") != "snv")["cadd_phred"].null_count() > 5
    worst = snv.sort("cadd_phred", descending=True)
    assert worst["cadd_phred_percentile"].is_sorted()
    assert worst["cadd_phred_percentile"][0] < 5
    # The two tables say the same the other way round.
    assert snv["star_llr_percentile"].to_list() == pytest.approx(
        snv["cadd_phred_percentile"].to_list()
    )


def test_tsv_vcf_and_regions_have_them(alone):
    text = pl.read_csv(alone.cohort / "annotated.tsv.gz", separator="\t", infer_schema_length=None)
    assert text["clinvar_sig"].to_list() == alone.table["clinvar_sig"].to_list()
    assert text["cadd_phred"].to_list() == pytest.approx(alone.table["cadd_phred"].to_list())
    lines = gzip.decompress((alone.cohort / "annotated.vcf.gz").read_bytes()).decode().splitlines()
    header = {line.partition("ID=")[2].partition(",")[0]: line for line in lines if "ID=" in line}
    assert set(COLUMNS) <= set(header)
    assert "Number=A,Type=Float" in header["cadd_phred"]
    assert "phred" in header["cadd_phred"]
    assert "Number=A,Type=Integer" in header["clinvar_stars"]
    assert "Number=A,Type=String" in header["clinvar_sig"]
    assert any(";cadd_phred=" in line for line in lines)
    regions = pl.read_parquet(alone.folder / "results/cohorts/regions/annotated.parquet")
    assert regions["cadd_phred"].null_count() == 0


def test_they_are_evaluated_and_combined(alone):
    rows = pl.read_csv(alone.cohort / "evaluation.tsv", separator="\t", null_values="NA")
    sig = rows.filter(task="sig", metric="auroc", group="all")
    by_score = dict(sig.select("score", "value").iter_rows())
    assert 0 <= by_score.pop("mutation_context") <= 1  # the baseline, of every table
    assert by_score == {"cadd_phred": 1.0, "star_llr": 1.0, "cadd_phred+star_llr": 1.0}


def test_what_was_matched_is_told(alone):
    summary = pl.read_csv(alone.folder / "results/summary.tsv", separator="\t")
    row = summary.filter(cohort="one").row(0, named=True)
    table = alone.table
    assert row["cadd_matched"] == table["cadd_phred"].is_not_null().sum()
    assert row["cadd_matched"] + row["cadd_not_matched"] == row["accepted"]
    assert row["clinvar_on_lacking_contigs"] == 0
    page = (alone.cohort / "report.html").read_text()
    body = page.partition("<script>")[0]
    for said in ("Published scores", "cadd_phred", "star_llr", 'id="hits"', "cadd.tsv.gz"):
        assert said in body
    assert "LLR" not in body
    assert f"{row['cadd_matched']} (" in body
    assert '"published_1"' in page  # a chart of each score
    assert "missense_variant" in body
    multiqc = json.loads((alone.cohort / "one_mqc.json").read_text())
    assert multiqc["data"]["one"]["cadd_matched"] == row["cadd_matched"]


def test_beside_a_model(beside):
    table = beside.table
    assert table["tiny_llr"].null_count() == 0
    assert table["cadd_phred"].is_not_null().any()
    at = table.columns.index
    assert at("star_llr_percentile") < at("tiny_llr")
    body = (beside.cohort / "report.html").read_text().partition("<script>")[0]
    assert 'id="scores"' in body
    assert 'id="published"' in body


def test_again_it_makes_nothing(alone, beside):
    for run in (alone, beside):
        assert "Nothing to be done" in snakemake(run.folder, reports=True)


def test_another_content_of_a_table_makes_its_columns_anew(alone):
    write_tsv(alone.folder / "cadd.tsv.gz", dict.fromkeys(alone.scores, 7.0))
    snakemake(alone.folder, "--", "results/cohorts/one/annotated.parquet")
    assert set(alone.table["cadd_phred"]) == {7.0, None}
    record = json.loads((alone.cohort / "scores/cadd.json").read_text())
    assert record["matched"] > 0


def test_another_rule_or_direction_makes_them_anew(beside):
    """Though Snakemake compares no params that are made of inputs."""
    write_config(
        beside.folder,
        name="other.yaml",
        reference={"fasta": "genome.fa.gz", "annotation": "genes.gff3.gz"},
        annotate={
            "upstream": 50,
            "downstream": 50,
            "scores": {**TABLES, "cadd": {**TABLES["cadd"], "columns": {"phred": "PHRED"}}},
        },
        report={"pictures": 0},
    )
    planned = snakemake(beside.folder, "--dry-run", config="other.yaml")
    for rule in ("join_scores", "annotate", "summarise"):
        assert f"rule {rule}:" in planned
    for rule in ("plan", "score", "commit", "calibrate"):
        assert f"rule {rule}:" not in planned
        assert f"checkpoint {rule}:" not in planned
    stars = [line for line in planned.splitlines() if "scores/star.parquet" in line]
    assert not any(line.strip().startswith("output:") for line in stars)


def test_wrong_tables_are_told_before_the_scoring(beside):
    folder = beside.folder
    (folder / "other.tsv").write_text("#chrom\tpos\tref\talt\tx\nplanet\t1\tA\tC\t0.5\n")
    other = {"path": "other.tsv", "columns": {"x": "x"}}
    write_config(
        folder,
        name="wrong.yaml",
        reference={"fasta": "genome.fa.gz"},
        annotate={"scores": {"other": other}},
        results="wrong",
    )
    said = snakemake(folder, config="wrong.yaml", check=False)
    assert "planet" in said
    assert not (folder / "wrong/plan").exists()

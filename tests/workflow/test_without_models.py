"""A run without models: it annotates, exports and reports, and has nothing of scores."""

import gzip
import json

import polars as pl
import pytest

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


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("without_models")
    genome = made_genome()
    write_fasta(folder / "genome.fa.gz", genome)
    (folder / "genes.gff3.gz").write_bytes(gzip.compress((GENE + "\n").encode()))
    (folder / "one.vcf").write_text(vcf_text(genome, "chr1", "1", 1, 60))
    (folder / "small.bed").write_text("1\t600\t620\n")
    write_sheet(folder, {"one": ["one.vcf"]})
    write_config(
        folder,
        reference={"fasta": "genome.fa.gz", "annotation": "genes.gff3.gz"},
        models=None,
        regions="small.bed",
        tracks="all",
    )
    snakemake(folder, reports=True)
    return folder


def test_it_annotates_and_exports(folder):
    cohort = folder / "results/cohorts/one"
    table = pl.read_parquet(cohort / "annotated.parquet")
    assert table["consequence"].is_not_null().all()
    assert not any("llr" in name for name in table.columns)
    assert {"snv", "ins"} <= set(table["kind"])  # no model rules them out
    assert pl.read_csv(cohort / "annotated.tsv.gz", separator="\t").columns == table.columns
    text = gzip.decompress((cohort / "annotated.vcf.gz").read_bytes()).decode()
    assert "VARLM_CONSEQUENCE=" in text
    assert "LLR" not in text
    accounting = json.loads((cohort / "accounting.json").read_text())
    assert table.height == accounting["accepted"]
    assert pl.read_parquet(folder / "results/cohorts/regions/annotated.parquet").height == 60


def test_it_reports_and_counts(folder):
    results = folder / "results"
    for page in ("cohorts/one/report.html", "cohorts/regions/report.html", "index.html"):
        text = (results / page).read_text()
        for absent in ("LLR", 'id="scores"', 'id="hits"', 'class="chart"', "Models"):
            assert absent not in text.replace("<script>", "\0").partition("\0")[0], (page, absent)
    summary = pl.read_csv(results / "summary.tsv", separator="\t")
    assert summary["cohort"].to_list() == ["one", "regions"]
    assert summary.columns[:4] == ["cohort", "alleles_in", "accepted", "rejected"]
    assert not (results / "tracks").exists()
    assert not (results / "plan").exists()
    assert not (folder / "store").exists()
    assert not (results / "cohorts/one/figures").exists()
    assert (results / "checked_inputs.json").exists()


def test_again_it_makes_nothing(folder):
    assert "Nothing to be done" in snakemake(folder, reports=True)

"""What steps warn of reaches whoever runs the workflow, and stays with the results."""

import csv
import subprocess
import sys

import pytest

from making.workflow import (
    made_genome,
    snakemake,
    vcf_text,
    write_config,
    write_fasta,
    write_sheet,
)

pytestmark = pytest.mark.slow

CUT = "the last line does not end in a line feed"


@pytest.fixture
def folder(tmp_path):
    genome = made_genome()
    write_fasta(tmp_path / "genome.fa.gz", genome)
    for seed, name in enumerate(("one.vcf", "two.vcf")):
        (tmp_path / name).write_text(vcf_text(genome, "chr1", "1", seed, 40).rstrip("\n"))
    (tmp_path / "sites.bed").write_text("chr1\t0\t10\nchrZ\t0\t10\n")
    write_sheet(tmp_path, {"one": ["one.vcf"]})
    write_config(tmp_path, annotate={"intervals": {"site": "sites.bed"}})
    return tmp_path


def table(folder):
    with (folder / "results/warnings.tsv").open() as file:
        return [(row["step"], row["cohort"]) for row in csv.DictReader(file, delimiter="\t")]


def test_warnings_are_told_where_a_run_ends(folder):
    output = snakemake(folder)
    end = output[output.index("2 warnings (all in results/warnings.tsv):") :]
    assert f"  - reading the VCF files, cohort one: one.vcf: {CUT}" in end
    assert "  - joining the annotated table, cohort one: sites.bed: contig 'chrZ'" in end
    assert "earlier run" not in end
    assert table(folder) == [("normalise", "one"), ("annotate", "one")]

    # Another cohort, and a run that fails: what the first one was told of stands, marked as old.
    write_sheet(folder, {"one": ["one.vcf"], "two": ["two.vcf"], "bad": ["sites.bed"]})
    output = snakemake(folder, "--keep-going", check=False)
    end = output[output.index("warnings (all in results/warnings.tsv):") :]
    lines = end.splitlines()
    assert lines[1].startswith(f"  - reading the VCF files, cohort two: two.vcf: {CUT}")
    assert f"cohort one: one.vcf: {CUT}" in end
    assert "[an earlier run]" in end
    assert ("normalise", "two") in table(folder)

    # A cohort that is gone is told of no more.
    write_sheet(folder, {"two": ["two.vcf"]})
    snakemake(folder)
    assert {cohort for _, cohort in table(folder)} == {"two"}


def test_a_workflow_that_imports_varlm_is_told_too(folder, root):
    (folder / "Snakefile").write_text(
        'configfile: "mine.yaml"\n'
        f'module varlm:\n    snakefile: "{root}/Snakefile"\n    config: config\n'
        "use rule * from varlm as varlm_*\n"
    )
    command = [sys.executable, "-m", "snakemake", "--directory", folder, "--cores", "2"]
    command += ["--snakefile", folder / "Snakefile", "results/cohorts/one/variants.parquet"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "1 warning (also in results/warnings.tsv):" in run.stderr
    assert table(folder) == [("normalise", "one")]

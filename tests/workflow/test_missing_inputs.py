"""What is missing is told before anything runs: all of it, with keys and lines, in one message."""

import subprocess
import sys

from making.workflow import snakemake, write_config, write_sheet

TRACKS = {"intervals": {"sites": "none.bed"}, "bigwigs": {"value": "none.bw"}}


def test_all_missing_inputs_and_checkpoints_at_once(tmp_path):
    write_sheet(tmp_path, {"a": ["one.vcf"], "b": ["https://127.0.0.1:9/two.vcf"]})
    write_config(
        tmp_path,
        reference={"fasta": "none.fa", "annotation": "none.gff3", "aliases": "none.tsv"},
        models={
            "gone": {"path": "none/model"},
            "unknown": {"path": "varlm:none"},
            "hub": {"path": "owner/name", "revision": "0" * 40},
            "trained": {"train": "mine"},
        },
        train={"mine": {"genomes": {"x": {"fasta": "train.fa"}}, "start": "begin"}},
        annotate=TRACKS,
    )
    output = snakemake(tmp_path, "--dry-run", check=False)
    assert "9 errors in the config:" in output
    for key in (
        *("reference.fasta", "reference.annotation", "reference.aliases"),
        *("annotate.intervals.sites", "annotate.bigwigs.value", "train.mine.genomes.x.fasta"),
        *("models.gone.path", "models.unknown.path", "train.mine.start"),
    ):
        assert f"  - {key}: " in output
    assert (
        "cohorts.tsv: 1 error in the cohort sheet:\n  - line 2: vcf: one.vcf: input not" in output
    )
    assert "models.hub" not in output
    assert "Exception" not in output
    assert "Traceback" not in output


def test_another_workflow_is_told_all_missing_inputs_at_once(tmp_path, root):
    (tmp_path / "one.vcf").write_text("x")
    write_sheet(tmp_path, {"a": ["one.vcf"], "b": ["two.vcf"]})
    write_config(
        tmp_path, reference={"fasta": "none.fa", "annotation": "none.gff3"}, annotate=TRACKS
    )
    (tmp_path / "Snakefile").write_text(
        'configfile: "mine.yaml"\n'
        f'module varlm:\n    snakefile: "{root}/Snakefile"\n    config: config\n'
        "use rule * from varlm as varlm_*\n"
    )
    command = [sys.executable, "-m", "snakemake", "--directory", tmp_path, "--dry-run"]
    run = subprocess.run(
        [*command, "--snakefile", tmp_path / "Snakefile"], capture_output=True, text=True
    )
    assert run.returncode != 0
    for line in (
        "reference.fasta: none.fa: input not found",
        "reference.annotation: none.gff3: input not found",
        "annotate.intervals.sites: none.bed: input not found",
        "cohorts.tsv, line 3: two.vcf: input not found",
    ):
        assert line in run.stderr + run.stdout

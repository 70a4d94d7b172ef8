"""What is missing is told before anything runs: all of it, with keys and lines, in one message."""

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

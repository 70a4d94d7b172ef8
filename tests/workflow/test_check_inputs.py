"""Faults of files that only late steps read stop a run before anything is scored."""

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

LABEL = {"table": "labels.tsv", "column": "class", "positive": ["bad"], "negative": ["good"]}


def test_nothing_is_scored_before_every_input_is_looked_at(tmp_path):
    genome = made_genome()
    write_fasta(tmp_path / "genome.fa.gz", genome)
    text = vcf_text(genome, "chr1", "1", 1, 60)
    (tmp_path / "one.vcf").write_text(text)
    write_sheet(tmp_path, {"one": ["one.vcf"]})
    (tmp_path / "sites.bed").write_text("chrZ\t0\t10\n")
    (tmp_path / "value.bw").write_text("no bigWig")
    (tmp_path / "labels.tsv").write_text("chrom\tpos\tref\talt\tclass\n1\t5\tA\tC\tBAD\n")
    tracks = {"intervals": {"site": "sites.bed"}, "bigwigs": {"value": "value.bw"}}
    evaluate = {"labels": {"known": LABEL}}
    write_config(tmp_path, annotate={**tracks, "info": ["AF"]}, evaluate=evaluate)
    output = snakemake(tmp_path, check=False)
    assert "error: 4 errors in the inputs:" in output
    for part in (
        "sites.bed: no region on a contig of the reference",
        "value.bw: not a bigWig",
        "annotate.info: no header line '##INFO=<ID=AF,…' in one.vcf (declared: X)",
        "evaluate.labels.known: no allele is bad, nor good; the values of class are BAD",
    ):
        assert f"  - {part}" in output.replace(f"{tmp_path}/", "")
    assert "rule plan:" not in output
    assert not (tmp_path / "results/plan").exists()

    # All is well now, and a fault that comes later scores nothing either.
    write_config(tmp_path, annotate={"info": ["X"]}, evaluate={})
    output = snakemake(tmp_path, "--", "results/commits/tiny.json")
    assert output.index("rule check_inputs:") < output.index("checkpoint plan:")
    assert "rule score:" in output
    write_config(tmp_path, annotate={"info": ["Y"]}, evaluate={})
    output = snakemake(tmp_path, check=False)
    assert "annotate.info: no header line '##INFO=<ID=Y,…'" in output
    assert "rule score:" not in output
    write_config(tmp_path, annotate={"info": ["X"]}, evaluate={})
    output = snakemake(tmp_path)
    assert "rule plan:" not in output

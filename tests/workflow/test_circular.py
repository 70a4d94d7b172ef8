"""Circular contigs in whole runs: only what depends on them is made again."""

import json
import re

import polars as pl
import pytest

from making.workflow import (
    GENE,
    WINDOW,
    made_genome,
    snakemake,
    summary,
    vcf_text,
    write_config,
    write_fasta,
    write_sheet,
)

RING = "MT\tx\tregion\t1\t400\t.\t+\t.\tID=MT;Is_circular=true"

OVER = """\
MT\tx\texon\t371\t430\t.\t+\t.\tgene_id "over"; transcript_id "t";
MT\tx\tCDS\t371\t430\t.\t+\t0\tgene_id "over"; transcript_id "t";
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A user's folder; an annotation that names no circular contig, and one that names chrM."""
    folder, genome = tmp_path_factory.mktemp("circular"), made_genome()
    write_fasta(folder / "genome.fa.gz", genome)
    (folder / "one.vcf").write_text(vcf_text(genome, "chr1", "1", 1, 20))
    (folder / "two.vcf").write_text(vcf_text(genome, "chrM", "MT", 2, 120))
    write_sheet(folder, {"a": ["one.vcf", "two.vcf"]})
    (folder / "plain.gff3").write_text(GENE + "\n")
    (folder / "ring.gff3").write_text(GENE + "\n" + RING + "\n")
    (folder / "over.gtf").write_text(OVER)
    for name, reference in {
        "plain": {"annotation": "plain.gff3"},
        "ring": {"annotation": "ring.gff3"},
        "none": {"annotation": "ring.gff3", "circular": "none"},
        "listed": {"circular": ["MT"]},
        "over": {"annotation": "over.gtf", "circular": ["MT"]},
        "wrong": {"circular": ["plasmid"]},
    }.items():
        write_config(folder, f"{name}.yaml", reference={"fasta": "genome.fa.gz", **reference})
    snakemake(folder, config="plain.yaml")
    return folder


def forget_circular(project):
    """Leave the folder as varlm left it before there was the step find_circular."""
    listed = "results/reference/circular.json"
    (project / listed).unlink()
    records = 0
    for path in (project / ".snakemake/metadata").rglob("*"):
        record = json.loads(path.read_text()) if path.is_file() else {}
        if listed in record.get("input", []):
            record["input"].remove(listed)
            path.write_text(json.dumps(record))
            records += 1
    assert records


def ran(output):
    return re.findall(r"^(?:local)?(?:rule|checkpoint) (\w+):$", output, re.M)


def table(project):
    return pl.read_parquet(project / "results/cohorts/a/annotated.parquet")


def test_results_of_before_there_were_circular_contigs_are_planned_once_more(project):
    before = table(project)
    forget_circular(project)
    expected = ["find_circular", "plan", "commit", "summarise", "tables"]
    assert ran(snakemake(project, config="plain.yaml")) == expected
    assert summary(project / "results")["a"]["sites_scored"] == "0"
    assert table(project).equals(before)
    assert "Nothing to be done" in snakemake(project, config="plain.yaml")


def test_what_the_annotation_calls_circular_is_scored_so(project):
    before = table(project)
    output = snakemake(project, config="ring.yaml")
    assert {"find_circular", "score", "calibrate", "annotate"} <= set(ran(output))
    assert not {"index_reference", "normalise", "prepare_model"} & set(ran(output))
    after = table(project)
    moved = before.with_columns((before["tiny_llr"] - after["tiny_llr"]).abs().alias("by"))
    mito = pl.col("chrom") == "MT"
    near = (pl.col("pos") <= WINDOW // 4) | (pl.col("pos") > 400 - WINDOW // 4)
    assert moved.filter(~mito)["by"].max() == 0
    assert moved.filter(mito & near)["by"].min() > 0
    assert moved.filter(mito & pl.col("pos").is_between(WINDOW, 400 - WINDOW))["by"].max() == 0
    assert "Nothing to be done" in snakemake(project, config="ring.yaml")
    # And back: the scores of the linear contig are still in the store.
    assert "score" not in ran(snakemake(project, config="none.yaml"))
    assert table(project).select("pos", "tiny_llr").equals(before.select("pos", "tiny_llr"))


def test_a_list_of_names_needs_no_annotation(project):
    snakemake(project, config="listed.yaml")
    text = (project / "results/reference/circular.json").read_text()
    assert '"chrM": "reference.circular"' in text
    output = snakemake(project, config="wrong.yaml", check=False)
    assert "reference.circular: not in the reference: 'plasmid'" in output


def test_a_gene_over_the_origin_of_a_listed_contig(project):
    snakemake(project, config="over.yaml")
    mito = table(project).filter(chrom="MT")
    over = (mito["pos"] <= 30) | (mito["pos"] > 370)
    assert 0 < over.sum() < mito.height
    assert (
        (mito["gene"].is_not_null() & (mito["consequence"] != "upstream_gene_variant"))
        .filter(over)
        .all()
    )

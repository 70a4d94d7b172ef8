"""A SpliceBERT through the whole workflow: each score is of the strand of the allele's gene."""

import gzip

import numpy as np
import polars as pl
import pytest
import torch

from making import berts
from making.workflow import snakemake, vcf_text, write_config, write_fasta, write_sheet
from varlm.genome.windows import reverse_complement
from varlm.models.loading import load_model

pytestmark = pytest.mark.slow

WINDOW = 40
# Forward from 101 to 700, reverse from 601 to 1200, both from 601 to 700.
GENES = "##gff-version 3\n" + "\n".join(
    f"chr1\tx\t{kind}\t{span}\t.\t{strand}\t.\t{attributes}"
    for name, span, strand in (("F", "101\t700", "+"), ("R", "601\t1200", "-"))
    for kind, attributes in (
        ("gene", f"ID=gene:{name};biotype=lncRNA"),
        ("lnc_RNA", f"ID=transcript:{name};Parent=gene:{name};biotype=lncRNA"),
        ("exon", f"Parent=transcript:{name}"),
    )
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The results of a run, what Snakemake printed, the genome and the model."""
    folder = tmp_path_factory.mktemp("transcript")
    genome = {"chr1": "".join(np.random.default_rng(4).choice([*"ACGT"], 1500))}
    write_fasta(folder / "genome.fa.gz", genome)
    (folder / "genes.gff3.gz").write_bytes(gzip.compress((GENES + "\n").encode()))
    (folder / "one.vcf").write_text(vcf_text(genome, "chr1", "chr1", 1, 120))
    write_sheet(folder, {"one": ["one.vcf"]})
    berts.splicebert(folder / "model")
    write_config(
        folder,
        reference={"fasta": "genome.fa.gz", "annotation": "genes.gff3.gz"},
        models={"splice": {"path": "model", "family": "splicebert", "window": WINDOW}},
        scoring={"precision": "float32", "background_sites": 40},
        annotate={"upstream": 0, "downstream": 0},
    )
    output = snakemake(folder, "--", "results/cohorts/one/annotated.parquet")
    model = load_model(folder / "model", family="splicebert")
    return folder / "results", output, genome["chr1"], model


def probability(model, genome, row, strand):
    """P(alt) − P(ref) at the masked site on a strand."""
    start = row["pos"] - 1 - WINDOW // 2
    text = "N" * max(-start, 0) + genome[max(start, 0) : start + WINDOW]
    window = np.frombuffer(text.ljust(WINDOW, "N").encode(), np.uint8)[None]
    index, bases = WINDOW // 2, "ACGT"
    if strand == "-":
        window, index, bases = reverse_complement(window), WINDOW // 2 - 1, "TGCA"
    p = model.site_probabilities(torch.from_numpy(model.encode(window)), index)[0]
    return float(p[bases.index(row["alt"])] - p[bases.index(row["ref"])])


def test_every_score_is_of_its_strand(run):
    results, _, genome, model = run
    table = pl.read_parquet(results / "cohorts/one/annotated.parquet")
    snvs = table.filter(pl.col("kind") == "snv")
    assert snvs.height > 60
    assert set(snvs["splice_strand"]) == {"+", "-", "both"}
    for row in snvs.iter_rows(named=True):
        pos = row["pos"]
        forward, reverse = 101 <= pos <= 700, 601 <= pos <= 1200
        expected = "both" if forward == reverse else "+" if forward else "-"
        assert row["splice_strand"] == expected
        by_strand = {strand: probability(model, genome, row, strand) for strand in "+-"}
        score = by_strand.get(expected, sum(by_strand.values()) / 2)
        assert row["splice_probability"] == pytest.approx(score, abs=1e-5)
        assert row["splice_probability_fwd"] == pytest.approx(by_strand["+"], abs=1e-5)
        assert row["splice_probability_rev"] == pytest.approx(by_strand["-"], abs=1e-5)
        assert 0 <= row["splice_percentile"] <= 100


def test_the_run_says_how_many_are_means(run):
    results, output, _, _ = run
    table = pl.read_parquet(results / "cohorts/one/annotated.parquet")
    scored = table.filter(pl.col("kind") == "snv")
    means = scored.filter(pl.col("splice_strand") == "both").height
    text = f"{means} of {scored.height} scores of model splice are means of both strands"
    assert text in output
    assert text in (results / "logs/annotate/one.log").read_text()

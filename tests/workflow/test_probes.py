"""Probes through Snakemake: embeddings, predictions, the page; what runs anew."""

import json
import random

import pytest
import yaml

from making.workflow import made_genome, snakemake, write_config, write_fasta
from varlm.tables.model_schemas import PROBE
from varlm.tables.tsv import read_tsv

pytestmark = pytest.mark.slow

CNN = {"channels": 4, "filters": [4, 4], "dense": 4, "epochs": 2}
FOLDER = "results/probes/made"


def variants(genome):
    """Variants with a number and a part of the genome, as text."""
    rng = random.Random(3)
    sequence = genome["chr1"].upper()
    lines = ["chrom\tpos\tref\talt\tlogFC\tpart"]
    for pos in sorted(rng.sample(range(600, 2900), 60)):
        ref = sequence[pos - 1]
        alt = rng.choice([base for base in "ACGT" if base != ref])
        lines.append(f"chr1\t{pos}\t{ref}\t{alt}\t{rng.gauss(0, 1):.3f}\tpart{pos % 3}")
    return "\n".join(lines) + "\n"


def configure(folder, **probe):
    keys = {"table": "variants.tsv", "label": "logFC", "absolute": True, "folds": "part"}
    keys |= {"length": 32, "bootstrap": 20, "kmers": 2, "cnn": CNN}
    write_config(folder, probe={"made": {**keys, **probe}})
    config = yaml.safe_load((folder / "mine.yaml").read_text())
    config["regions"] = {"contigs": ["chrM"], "sample": 5}
    del config["cohorts"]
    (folder / "mine.yaml").write_text(yaml.safe_dump(config))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("probed")
    genome = made_genome()
    write_fasta(folder / "genome.fa.gz", genome)
    (folder / "variants.tsv").write_text(variants(genome))
    configure(folder)
    snakemake(folder, "--", "probes")
    return folder


def test_a_run_writes_what_each_probe_says(finished):
    table = read_tsv(finished / FOLDER / "probe.tsv").cast(PROBE.schema)
    assert table["input"].unique(maintain_order=True).to_list() == [
        *("tiny", "one-hot", "k-mers", "GC")
    ]
    assert table["rows"].unique().to_list() == [60]
    summary = json.loads((finished / FOLDER / "probe.json").read_text())
    assert summary["run"]["label"] == "|logFC|"
    assert summary["verdict"][0] in (finished / FOLDER / "probe.html").read_text()
    assert (finished / FOLDER / "figures/probe.png").stat().st_size > 1000
    assert not (finished / "results/plan").exists()  # nothing was scored


def test_what_runs_anew_follows_the_config(finished):
    def planned():
        output = snakemake(finished, "-n", "--", "probes")
        steps = ("embed", "probe", "describe_probe")
        return [step for step in steps if f"rule {step}:" in output]

    assert planned() == []
    configure(finished, bootstrap=30)
    assert planned() == ["describe_probe"]
    configure(finished, kmers=3)
    assert planned() == ["probe", "describe_probe"]
    configure(finished, length=24)
    assert planned() == ["embed", "probe", "describe_probe"]

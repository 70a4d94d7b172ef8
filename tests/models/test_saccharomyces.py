"""The model that is shipped: whole, small, the same in gpn, and of some use."""

import json
import re

import numpy as np
import pytest
import torch

import making.toy_models as toy_models  # noqa: F401  one thread
from varlm.genome.encoding import index_reference
from varlm.genome.reference import Genome
from varlm.genome.windows import centre, site_windows
from varlm.models.loading import load_model
from varlm.scoring.scorer import Scorer

HELD_OUT = ("IV", "IX", "XV")
WINDOW = 512


@pytest.fixture(scope="module")
def folder():
    from pathlib import Path

    return Path(__file__).resolve().parents[2] / "resources/models/saccharomyces"


@pytest.fixture(scope="module")
def genome(shared_data, tmp_path_factory):
    path = tmp_path_factory.mktemp("r64")
    index_reference(shared_data / "yeast/genome.fa.gz", path)
    return Genome.open(path)


def test_it_is_small_and_described(folder):
    names = {file.name for file in folder.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md"} <= names
    assert sum(file.stat().st_size for file in folder.iterdir()) < 20e6
    card = (folder / "README.md").read_text()
    for part in ("## Data", "## Training", "## Limits", "## Licence", *HELD_OUT):
        assert part in card
    window = json.loads((folder / "tokenizer_config.json").read_text())["model_max_length"]
    assert window == WINDOW


@pytest.mark.filterwarnings("ignore")
def test_gpn_gives_the_same_logits(folder):
    gpn = pytest.importorskip("gpn")
    from transformers import AutoModelForMaskedLM

    gpn.register_auto_classes("gpn")
    theirs = AutoModelForMaskedLM.from_pretrained(folder).eval()
    ours = load_model(folder)
    rng = np.random.default_rng(1)
    windows = rng.choice(np.frombuffer(b"ACGT", np.uint8), (4, WINDOW))
    ids = torch.from_numpy(ours.encode(windows))
    masked = ids.long()
    masked[:, centre(WINDOW)] = 1
    with torch.no_grad():
        expected = theirs(input_ids=masked).logits[:, centre(WINDOW), 3:7]
    assert torch.allclose(ours.site_logits(ids, centre(WINDOW)), expected, atol=1e-4)


@pytest.mark.slow
@pytest.mark.real_data
def test_it_predicts_chromosomes_that_it_never_saw(folder, genome):
    rng = np.random.default_rng(2)
    starts = rng.integers(20_000, 400_000, 300)
    contig = genome.sequence("IX")
    windows = site_windows(contig, starts, WINDOW)
    base = np.array([b"ACGT".index(contig[i]) for i in starts])
    logits = Scorer(load_model(folder), "both", 16).sites(windows, str).astype(float)
    p = np.exp(logits - np.logaddexp.reduce(logits, axis=2, keepdims=True)).mean(1)
    loss = -np.log(p[np.arange(len(base)), base])
    # By the genome's composition alone the perplexity is 3.90.
    assert np.exp(loss.mean()) < 3.8


@pytest.mark.slow
@pytest.mark.real_data
def test_stops_are_less_likely_than_synonymous_changes(folder, genome, shared_data, tmp_path):
    """Each SNV of some codons of genes on chromosome IX, classed by the standard code."""
    import gzip

    genes = []
    with gzip.open(shared_data / "yeast/annotation.gff3.gz", "rt") as lines:
        for line in lines:
            cells = line.split("\t")
            if len(cells) > 6 and cells[0] == "IX" and cells[2] == "CDS" and cells[6] == "+":
                genes.append((int(cells[3]) - 1, int(cells[4]), re.sub(r".*Parent=", "", line)))
    contig = genome.sequence("IX")
    amino = dict(
        zip(
            (a + b + c for a in "TCAG" for b in "TCAG" for c in "TCAG"),
            "FFLLSSSSYY**CC*WLLLLPPPPHHQQRRRRIIIMTTTTNNKKSSRRVVVVAAAADDEEGGGG",
            strict=True,
        )
    )
    rng = np.random.default_rng(3)
    sites, alleles = [], {"stop": [], "synonymous": []}
    for start, end, parent in genes:
        whole = sum(other == parent for _, _, other in genes) == 1
        if not whole or (end - start) % 3 or end - start < 600:
            continue
        for codon in rng.choice(np.arange(30, (end - start) // 3 - 30), 2, replace=False):
            at = start + 3 * int(codon)
            text = contig[at : at + 3].tobytes().decode()
            for i in range(3):
                sites.append(at + i)
                for base in "ACGT":
                    changed = text[:i] + base + text[i + 1 :]
                    if base == text[i]:
                        continue
                    kind = {"*": "stop", amino[text]: "synonymous"}.get(amino[changed])
                    if kind is not None:
                        alleles[kind].append((len(sites) - 1, text[i], base))
    windows = site_windows(contig, np.array(sites), WINDOW)
    logits = Scorer(load_model(folder), "both", 16).sites(windows, str).mean(1)
    letter = {base: i for i, base in enumerate("ACGT")}
    llr = {
        kind: np.array([logits[i, letter[b]] - logits[i, letter[a]] for i, a, b in rows])
        for kind, rows in alleles.items()
    }
    assert len(llr["stop"]) > 15
    pairs = llr["stop"][:, None] < llr["synonymous"][None]
    assert pairs.mean() > 0.65


@pytest.mark.slow
@pytest.mark.real_data
def test_the_second_example_of_the_readme(folder, shared_data, tmp_path):
    """A slice of natural variants with config/yeast.yaml, the inputs by the names that it has."""
    import gzip
    import subprocess
    import sys

    import polars as pl
    import yaml

    root = folder.parent.parent.parent
    data = tmp_path / "data"
    data.mkdir()
    (tmp_path / "resources").symlink_to(root / "resources")
    yeast = shared_data / "yeast"
    for name, source in (
        ("Saccharomyces_cerevisiae.R64-1-1.dna.toplevel.fa.gz", yeast / "genome.fa.gz"),
        ("Saccharomyces_cerevisiae.R64-1-1.109.gff3.gz", yeast / "annotation.gff3.gz"),
    ):
        (data / name).symlink_to(source)
    lines = []
    with gzip.open(yeast / "cohorts/scer7.vcf.gz", "rt") as text:
        for line in text:
            kept = line.startswith("IX\t") and 100_000 < int(line.split("\t")[1]) < 104_000
            if line.startswith("#") or kept:
                lines.append(line)
    (data / "slice.vcf").write_text("".join(lines))
    (data / "cohorts.tsv").write_text("cohort\tvcf\nslice\tdata/slice.vcf\n")
    command = [sys.executable, "-m", "snakemake", "--snakefile", root / "Snakefile"]
    config = yaml.safe_load((root / "config/yeast.yaml").read_text())
    config["scoring"] = {"background_sites": 50}  # 10,000 take minutes
    (tmp_path / "yeast.yaml").write_text(yaml.safe_dump(config))
    command += ["--directory", tmp_path, "--configfile", tmp_path / "yeast.yaml", "--cores", "2"]
    command += ["--set-threads", "score=1"]
    done = subprocess.run(
        [*map(str, command), "--", "tables"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = pl.read_parquet(data / "results/cohorts/slice/annotated.parquet")
    assert found.height > 10
    assert found["saccharomyces_llr"].null_count() == 0
    assert found["consequence"].null_count() == 0

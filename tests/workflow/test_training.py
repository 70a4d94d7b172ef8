"""Training as a user runs it: a config, a run of Snakemake, and scores of what was trained."""

import json
import subprocess

import polars as pl
import pytest
import yaml

from making.config import load_config
from making.workflow import (
    made_genome,
    snakemake_command,
    vcf_text,
    write_config,
    write_fasta,
    write_sheet,
)
from varlm.errors import UserError

pytestmark = pytest.mark.slow

BLOCK = {
    "genomes": {"own": {"fasta": "genome.fa.gz", "annotation": "genes.gff3"}},
    "held_out": ["test"],
    "windows": {"length": 64},
    "model": {
        **{"family": "gpn", "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2},
    },
    "steps": 6,
    "batch_size": 4,
    "evaluate_every": 3,
    "warmup_steps": 2,
    "test_sites": 100,
    "mutated": {"pairs": 80, "most": [1, 4, 50], "kinds": "substitutions"},
}
GFF = "##gff-version 3\nchr1\tx\tgene\t101\t400\t.\t+\t.\tID=g\n" + "".join(
    f"chr1\tx\t{kind}\t101\t400\t.\t+\t{phase}\tID={kind};Parent={parent}\n"
    for kind, phase, parent in (("mRNA", ".", "g"), ("exon", ".", "mRNA"), ("CDS", "0", "mRNA"))
)


@pytest.fixture
def folder(tmp_path):
    genome = made_genome()
    genome["test"] = genome["chr1"][::-1]
    write_fasta(tmp_path / "genome.fa.gz", genome)
    (tmp_path / "genes.gff3").write_text(GFF)
    (tmp_path / "elements.bed").write_text(
        "".join(f"test\t{start}\t{start + 20}\n" for start in range(50, 350, 30))
    )
    matrix = "".join(" ".join(str(int(b == base)) for b in "ACGT") + "\n" for base in "TTACCCG")
    (tmp_path / "motifs.meme").write_text(
        f"MEME version 4\nMOTIF REB1\nletter-probability matrix: w= 7\n{matrix}"
    )
    (tmp_path / "a.vcf").write_text(vcf_text(genome, "chr1", "1", 1, 12))
    write_sheet(tmp_path, {"a": ["a.vcf"]})
    return tmp_path


def configure(folder, train, models, **changes):
    write_config(folder, train=train, models=models, normalise={"max_allele_length": 10}, **changes)


def run(folder, *arguments):
    return subprocess.run(
        snakemake_command(folder, *arguments), capture_output=True, text=True, check=False
    )


def test_one_run_trains_and_scores(folder):
    chain = {**BLOCK, "model": {"family": "markov", "order": 2}}
    elements = {"bed": "elements.bed", "motifs": "motifs.meme", "pairs": 5, "windows": 4}
    elements |= {"masked": 2, "models": ["base"]}
    train = {"mine": {**BLOCK, "compare": ["chain"], "elements": elements}, "chain": chain}
    configure(folder, train, {"mine": {"train": "mine"}, "base": {"train": "chain"}})
    done = run(folder)
    assert done.returncode == 0, done.stderr
    annotated = pl.read_parquet(folder / "results/cohorts/a/annotated.parquet")
    assert annotated.height
    assert annotated.select("mine_llr", "base_llr").null_count().sum_horizontal().item() == 0
    assert annotated["mine_llr"].to_list() != annotated["base_llr"].to_list()
    model = json.loads((folder / "results/models/mine.json").read_text())
    assert model["window"] == 64
    assert model["folder"].endswith("results/training/mine/checkpoint")
    said = [folder / f"results/training/{name}/checkpoint/corruption.json" for name in train]
    assert [path.is_file() for path in said] == [True, False]  # a chain hides no base

    done = run(folder, "--", "trained")
    assert done.returncode == 0, done.stderr
    made = folder / "results/training/mine"
    perplexity = pl.read_csv(made / "perplexity.tsv", separator="\t")
    assert set(perplexity["model"]) == {"mine", "chain", "chain, one side"}
    every = perplexity.filter((pl.col("region") == "all") & (pl.col("strands") == "mean"))
    assert every["perplexity"].is_between(3.5, 6).all()
    mutated = pl.read_csv(made / "mutated.tsv", separator="\t")
    assert mutated.select("model", "most", "decision").rows() == [
        (model, most, decision)
        for model in ("mine", "chain")
        for most in (1, 4)
        for decision in ("mean", "sum")
    ]
    assert set(mutated["kinds"]) == {"substitutions"}
    (pairs,) = set(mutated["pairs"])
    assert 70 <= pairs <= 80  # less those with unknown bases
    assert mutated["share"].is_between(0.2, 1).all()
    elements = pl.read_csv(made / "elements.tsv", separator="\t")
    assert elements.select("model", "likelihood", "pairs").rows() == [
        ("mine", "pseudo", 5),
        ("mine", "masked", 2),
        ("chain", "causal", 5),
        ("base", "causal", 5),
    ]
    assert elements.drop("model")[2].equals(elements.drop("model")[3])  # the same chain
    motifs = pl.read_csv(made / "motifs.tsv", separator="\t")
    assert motifs.select("model", "likelihood", "consensus", "pairs").rows() == [
        ("mine", "pseudo", "TTACCCG", 4),
        ("mine", "masked", "TTACCCG", 2),
        ("chain", "causal", "TTACCCG", 4),
        ("base", "causal", "TTACCCG", 4),
    ]
    assert not (folder / "results/training/chain/elements.tsv").exists()
    card = (made / "model_card.md").read_text()
    assert "| base | causal | 5 | " in card
    assert "Held out, in every genome: test." in card
    assert "| chain | all |" in card
    assert "| chain | 4 | " in card
    assert "1 to M random substitutions" in card
    assert (made / "learning_curve.png").stat().st_size > 5000
    assert (made / "learning_curve.svg").read_text().startswith("<svg")

    again = run(folder, "--", "trained", "tables")
    assert "Nothing to be done" in again.stdout + again.stderr

    # Another setting trains anew, and says so where a state of the old one is there.
    train["mine"]["seed"] = 5
    configure(folder, train, {"mine": {"train": "mine"}, "base": {"train": "chain"}})
    done = run(folder, "--", "trained")
    assert done.returncode != 0
    log = (folder / "results/logs/train/mine.log").read_text()
    assert "state.pt: the state of another training: seed changed since" in log
    (made / "state.pt").unlink()
    assert run(folder, "--", "trained").returncode == 0

    # One that starts from another waits for it, and takes its checkpoint.
    genomes = {"own": {**BLOCK["genomes"]["own"], "group": "near"}}
    windows = {"length": 64, "copies": "families", "shares": {"near": 1}}
    train["more"] = {**BLOCK, "start": "mine", "genomes": genomes, "windows": windows}
    configure(folder, train, {"mine": {"train": "mine"}, "base": {"train": "chain"}})
    curve = "results/training/more/learning_curve.tsv"
    done = run(folder, "--dry-run", "--printshellcmds", "--", curve)
    assert "results/training/mine/checkpoint/model.safetensors" in done.stdout
    assert "--start results/training/mine/checkpoint" in done.stdout
    assert "--families --group own=near --share near=1" in done.stdout
    train["more"]["start"] = "mime"
    configure(folder, train, {"mine": {"train": "mine"}, "base": {"train": "chain"}})
    done = run(folder, "--dry-run", "--", curve)
    assert "train.more.start: found 'mime', but there is no such folder" in (
        done.stdout + done.stderr
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"genomes": {}}, "train.mine.genomes: found {}; name at least one"),
        ({"mutated": {"most": [0]}}, "train.mine.mutated.most.0: found 0; expected at least 1"),
        ({"mutated": {"kinds": "swap"}}, "train.mine.mutated.kinds: found 'swap'; use one of all"),
        ({"elements": {}}, "train.mine.elements: found neither bed nor motifs"),
        (
            {"elements": {"bed": "x"}, "held_out": []},
            "train.mine.elements: every contig is trained on; name some in held_out or validation",
        ),
        (
            {"elements": {"bed": "x", "models": ["n"]}},
            "train.mine.elements.models: found 'n'; name some of the key models, m",
        ),
        (
            {"elements": {"bed": "x", "models": ["far"]}},
            "train.mine.elements.models: found 'far'; name some of the key models, m",
        ),
        (
            {"elements": {"bed": "x", "models": ["pieces"]}},
            "train.mine.elements.models: pieces is a DNABERT-2, which does not answer every base",
        ),
        ({"steps": 0}, "train.mine.steps: found 0; expected at least 1"),
        ({"schedule": "cosin"}, "train.mine.schedule: found 'cosin'; use one of cosine"),
        ({"model": {"family": "bert"}}, "train.mine.model.family: found 'bert'; use one of gpn"),
        ({"window": 3}, "train.mine.window: unknown key (value 3); did you mean windows?"),
        ({"validation": ["test"]}, "train.mine.validation: test is in held_out too"),
        ({"compare": ["other"]}, "train.mine.compare: found 'other'; name others of the key train"),
        ({"compare": ["far"]}, "train.mine.compare: far is trained on test, which test mine"),
        (
            {"compare": ["far"], "held_out": ["chr1"], "windows": {"length": 999}},
            "train.mine.compare: far is trained on windows of 64 bp, expected 999 bp as here",
        ),
        (
            {"genomes": {"own": {"fasta": "x", "group": "near"}}},
            "train.mine.windows.shares: own have a group, but no group has a share",
        ),
        (
            {"windows": {"shares": {"near": 0.5}}},
            "no share is there for own (group: none); no genome is in near; "
            "the shares add up to 0.5, not to 1",
        ),
        ({"start": "far"}, "train.mine.start: far has other contigs in held_out"),
        ({"start": "mine"}, "train.mine.start: found 'mine'; the trainings mine wait in a ring"),
        ({"start": "x", "model": {"family": "markov"}}, "train.mine.start: found 'x'; a Markov"),
    ],
)
def test_a_wrong_config_says_what_is_wrong(root, change, message):
    config = {
        "reference": {"fasta": "x"},
        "cohorts": "x",
        "models": {"m": {"train": "mine"}, "pieces": {"path": "x", "family": "dnabert2"}},
        "train": {"mine": {**BLOCK, **change}, "far": {**BLOCK, "held_out": ["chr1"]}},
    }
    with pytest.raises(UserError) as error:
        load_config(config, root / "config/schemas/config.schema.yaml")
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"path": None, "train": None}, "models.m: found neither of path and train"),
        ({}, "models.m: found neither of path and train"),
        ({"path": "x", "train": "mine"}, "models.m: found both of path and train"),
        ({"train": "min"}, "models.m.train: found 'min'; the key train has mine"),
    ],
)
def test_a_model_is_a_path_or_a_training(root, model, message):
    config = {
        "reference": {"fasta": "x"},
        "cohorts": "x",
        "models": {"m": model},
        "train": {"mine": BLOCK},
        "normalise": {"max_allele_length": 10},
    }
    with pytest.raises(UserError) as error:
        load_config(config, root / "config/schemas/config.schema.yaml")
    assert message in str(error.value)


def test_the_shipped_models_config_is_one(root):
    text = (root / "resources/models/saccharomyces/training.yaml").read_text()
    config = load_config(yaml.safe_load(text), root / "config/schemas/config.schema.yaml")
    genomes = {name: len(training["genomes"]) for name, training in config["train"].items()}
    diverged = dict.fromkeys(["diverged", "families", "more", "second_edition"], 63)
    assert genomes == {**dict.fromkeys(config["train"], 13), **diverged}
    held_out = {tuple(training["held_out"]) for training in config["train"].values()}
    assert held_out == {("IV", "IX", "XV")}

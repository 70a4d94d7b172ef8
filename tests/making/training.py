"""Small genomes, corpora and settings for the tests of training."""

import json
import random
from pathlib import Path

import numpy as np
import torch

from varlm.cli import main
from varlm.training.corpus import Corpus
from varlm.training.families import new_network
from varlm.training.loop import Training, identity
from varlm.training.processes import Processes
from varlm.training.settings import Settings

SETTINGS = {
    "steps": 6,
    "batch_size": 4,
    "micro_batch": 4,
    "learning_rate": 0.01,
    "schedule": "cosine",
    "warmup_steps": 2,
    "decay_steps": 0,
    "weight_decay": 0.01,
    "beta1": 0.9,
    "beta2": 0.98,
    "clip": 1.0,
    "seed": 3,
    "precision": "float32",
    "evaluate_every": 3,
    "validation_windows": 8,
    "patience": None,
    "mask_share": 0.15,
    "soft_masked_weight": 0.1,
    "jitter": 8,
}
MODEL = {
    "family": "gpn",
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 2,
    "first_kernel_size": 5,
}


def settings(**changes) -> Settings:
    return Settings(**{**SETTINGS, **changes})


def bases(count: int, seed: int) -> str:
    return "".join(random.Random(seed).choices("ACGT", k=count))


def write_genome(path: Path, contigs: dict[str, str]) -> Path:
    path.write_text("".join(f">{name}\n{seq}\n" for name, seq in contigs.items()))
    return path


def prepare(folder: Path, genomes: dict[str, dict[str, str]], *options, window=32, stride=16):
    """Run prepare_training on genomes; return its status."""
    arguments = []
    for name, contigs in genomes.items():
        fasta = write_genome(folder / f"{name}.fa", contigs)
        arguments += ["--genome", f"{name}={fasta}"]
        if (gff := folder / f"{name}.gff3").exists():
            arguments += ["--annotation", f"{name}={gff}"]
    return main(
        [
            *("prepare_training", *arguments, "--window", str(window), "--stride", str(stride)),
            *("--promoter", "10", "--out", str(folder / "corpus"), *options),
        ]
    )


def make_corpus(folder: Path, genomes: dict[str, dict[str, str]], *options, **sizes) -> Corpus:
    assert prepare(folder, genomes, *options, **sizes) == 0
    return Corpus.open(folder / "corpus")


def small_corpus(folder: Path) -> Corpus:
    """One genome of random sequence with a soft-masked stretch; `v` validates, `h` is held out."""
    main_contig = bases(1500, 1)
    contigs = {
        "a": main_contig[:700] + main_contig[700:900].lower() + main_contig[900:],
        "v": bases(400, 2),
        "h": bases(400, 3),
    }
    return make_corpus(folder, {"g": contigs}, "--validation", "v", "--held-out", "h")


def periodic_corpus(folder: Path) -> Corpus:
    """A genome that can be learnt: each base follows from the one before it, nearly always."""
    rng = np.random.default_rng(0)

    def contig(length):
        steps = (rng.random(length) < 0.05) * rng.integers(1, 4, length)
        return "".join("ACGT"[i] for i in (np.arange(length) + np.cumsum(steps)) % 4)

    contigs = {"a": contig(4000), "v": contig(600), "h": contig(600)}
    return make_corpus(
        folder,
        {"g": contigs},
        *("--validation", "v", "--held-out", "h", "--keep-similar", "--keep-copies"),
    )


GFF = """##gff-version 3
c\tx\tgene\t101\t200\t.\t+\t.\tID=g1
c\tx\tmRNA\t101\t200\t.\t+\t.\tID=t1;Parent=g1
c\tx\texon\t101\t140\t.\t+\t.\tID=e1;Parent=t1
c\tx\texon\t161\t200\t.\t+\t.\tID=e2;Parent=t1
c\tx\tCDS\t111\t140\t.\t+\t0\tID=c1;Parent=t1
c\tx\tCDS\t161\t190\t.\t+\t0\tID=c1;Parent=t1
c\tx\tgene\t301\t360\t.\t-\t.\tID=g2
c\tx\tmRNA\t301\t360\t.\t-\t.\tID=t2;Parent=g2
c\tx\texon\t301\t360\t.\t-\t.\tID=e3;Parent=t2
c\tx\tCDS\t301\t360\t.\t-\t0\tID=c2;Parent=t2
"""


PROGRAM = Path(__file__).resolve().parents[2] / "workflow_scripts"

ALONE = Processes(0, 1, torch.device("cpu"))


def new_training(corpus, model=None, **changes):
    chosen = settings(**changes)
    torch.manual_seed(chosen.seed)
    new = new_network(model or MODEL, corpus.window)
    return Training(new.network, corpus, chosen, ALONE, identity(new.config, corpus, chosen))


def command(folder, out, model=MODEL, **changes):
    return [
        *("train", "--corpus", folder / "corpus", "--model", json.dumps(model)),
        *("--settings", json.dumps({**SETTINGS, **changes}), "--device", "cpu"),
        *("--state", out / "state.pt", "--out", out / "checkpoint", "--curve", out / "curve.tsv"),
    ]

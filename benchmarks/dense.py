"""Dense scores beside masked ones, by region class of yeast and for each encoder.

    python benchmarks/dense.py --data DATA [--sites 1000] [--steps 1000] [--threads 1]

The steps that a run takes, on the same random sites: index_reference, index_annotation,
prepare_model (score: dense) and measure_dense, with an empty store. The model that ships is a
convnet. The others are small and trained here for a while on the same genome, with the corruption
of every training of varlm: they know little, but of what they know the constant has to hold. varlm
trains no legacy ConvNet: its weights are random, so that no theory says anything of it, and its row
shows what the measurement of an unfit model looks like.

How much of a window a tile may take follows from the last table: the same sites of the model that
ships, each at so many bp from the nearer end of its window.
"""

import argparse
import datetime
import json
import os
import platform
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "workflow_scripts"), str(ROOT / "tests")]

from making.toy_models import CONFIGS, make_checkpoint
from varlm import cli
from varlm.annotation.site_classes import CLASSES
from varlm.genome.reference import Genome
from varlm.genome.windows import reverse_complement
from varlm.models.language_model import LanguageModel
from varlm.models.loading import load_model
from varlm.models.prepared import PreparedModel
from varlm.scoring import dense_scale, formulas
from varlm.scoring.dense_scale import Agreement, DenseScale
from varlm.scoring.hardware import Hardware
from varlm.scoring.inference import site_windows_of
from varlm.scoring.stored_sites import sites_through_store
from varlm.store import Store

WINDOW = 512
CONTEXTS = (256, 192, 128, 96, 64, 32, 0)  # bp
BATCH = 16  # windows
TRAINED_WINDOW = 128  # bp, of those that are trained here
TRAINED = {
    "bytenet": {"hidden_size": 64, "slim": True, "num_hidden_layers": 8, "dilation_cycle": 4},
    "roformer": {
        **{"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 4},
        "num_attention_heads": 4,
    },
}
SETTINGS = {
    **{"batch_size": 16, "micro_batch": 16, "learning_rate": 1e-3, "schedule": "linear"},
    **{"warmup_steps": 50, "decay_steps": 0, "weight_decay": 0.01, "beta1": 0.9, "beta2": 0.98},
    **{"clip": 1.0, "seed": 1, "precision": "float32", "validation_windows": 1, "patience": None},
    **{"mask_share": 0.15, "soft_masked_weight": 0.1, "jitter": 0},
}

HEAD = (
    "# Dense scores beside masked ones, in yeast\n"
    "{date}, {machine}, {threads}; {sites} random sites and their three SNVs each, LLRs in nats, "
    "strand means, float32. Rows of a few sites say little: the annotation has hardly any UTRs and "
    "introns. Made by `benchmarks/dense.py`.\n"
)


@dataclass(frozen=True)
class Case:
    """A model to measure: its encoder, what its weights are, its checkpoint and window in bp."""

    encoder: str
    weights: str
    folder: Path
    window: int = WINDOW


class Bench:
    """Yeast below `data`, and a folder to work in."""

    def __init__(self, data: Path, folder: Path, threads: int):
        self.fasta = data / "yeast/genome.fa.gz"
        self.annotation = data / "yeast/annotation.gff3.gz"
        self.folder, self.threads = folder, threads
        self.reference = folder / "reference"
        step("index_reference", fasta=self.fasta, reference=self.reference)
        step(
            "index_annotation",
            annotation=self.annotation,
            reference=self.reference,
            out=folder / "annotation",
        )

    def trained(self, encoder: str, steps: int) -> Case:
        """Train a small model of an encoder."""
        corpus = self.folder / "corpus"
        if not corpus.exists():
            genome = {"genome": f"yeast={self.fasta}", "annotation": f"yeast={self.annotation}"}
            step(
                "prepare_training",
                **genome,
                window=TRAINED_WINDOW,
                stride=TRAINED_WINDOW,
                promoter=500,
                out=corpus,
            )
        model = {"family": "gpn", "encoder": encoder, **TRAINED[encoder]}
        out = self.folder / encoder
        started = time.monotonic()
        step(
            "train",
            corpus=corpus,
            model=json.dumps(model),
            settings=json.dumps({**SETTINGS, "steps": steps, "evaluate_every": steps}),
            state=self.folder / f"{encoder}.state",
            device="cpu",
            threads=self.threads,
            out=out,
            curve=self.folder / f"{encoder}.tsv",
        )
        seconds = time.monotonic() - started
        told = f"{steps} steps of {SETTINGS['batch_size']} windows of {TRAINED_WINDOW} bp"
        return Case(encoder, f"trained here, {told} ({seconds:.0f} s)", out, TRAINED_WINDOW)

    def measure(self, case: Case, sites: int) -> DenseScale:
        """Score the sites both ways; return what measure_dense wrote."""
        prepared = self.folder / f"{case.encoder}.json"
        step(
            "prepare_model",
            name=case.encoder,
            path=case.folder,
            window=case.window,
            strands="both",
            score="dense",
            precision="float32",
            model=prepared,
        )
        scale = self.folder / f"{case.encoder}.dense.json"
        step(
            "measure_dense",
            model=prepared,
            reference=self.reference,
            store=self.folder / "store",
            annotation=self.folder / "annotation",
            upstream=500,
            sites=sites,
            least_spearman=0.9,
            device="cpu",
            threads=self.threads,
            scale=scale,
        )
        return DenseScale.read(scale)


def step(name: str, /, **options: object) -> None:
    """Run a step of varlm in this process."""
    words = [w for key, value in options.items() for w in (f"--{key.replace('_', '-')}", value)]
    if cli.main([name, *map(str, words)]):
        sys.exit(f"{name} failed")


def table(case: Case, scale: DenseScale) -> str:
    """Return a model's rows: all sites, then each class."""
    assert scale.overall is not None
    head = (
        f"\n## {case.encoder}, {case.weights}\n"
        f"Constant {scale.constant:.3f} nats ({scale.origin}).\n\n"
        "| sites | number | Spearman | Pearson | RMSE after the constant | masked − dense |\n"
        "| --- | --- | --- | --- | --- | --- |\n"
    )
    named = sorted(scale.by_class, key=CLASSES.index)
    rows = [("all", scale.overall), *((name, scale.by_class[name]) for name in named)]
    return head + "".join(row(name, agreement) for name, agreement in rows)


def row(name: str, of: Agreement) -> str:
    """Return a row of the table."""
    correlations = ["–" if r is None else f"{r:.3f}" for r in (of.spearman, of.pearson)]
    return (
        f"| {name} | {of.sites} | {' | '.join(correlations)} | {of.rmse:.3f} | {of.shift:.3f} |\n"
    )


def by_context(bench: Bench, case: Case, sites: int) -> str:
    """Return how the agreement depends on where in its window a site lies."""
    model = PreparedModel.read(bench.folder / f"{case.encoder}.json")
    masked = dense_scale.masked_model(model)
    assert masked is not None
    genome, store = Genome.open(bench.reference), Store(bench.folder / "store")
    chosen, hardware = dense_scale.sample(genome, sites), Hardware(threads=bench.threads)
    scored = sites_through_store(chosen, genome, store, masked, hardware).sites
    hidden = dense_scale.snv_llrs(scored, genome)
    constant = DenseScale.read(bench.folder / f"{case.encoder}.dense.json").constant
    text = (
        f"\n## {case.encoder}: a site's distance from the nearer end of its window\n"
        f"Of {case.window} bp. A tile is a quarter of a window from both ends.\n\n"
        "| bp | Spearman | RMSE after the constant |\n| --- | --- | --- |\n"
    )
    network = load_model(case.folder)
    for context in CONTEXTS:
        numbers = formulas.logit_columns(seen_at(network, genome, scored, case.window, context))
        dense = dense_scale.snv_llrs(scored.select("contig", "pos").hstack(numbers), genome)
        of = dense_scale.agreement(dense, hidden, constant)
        text += f"| {context} | {of.spearman:.3f} | {of.rmse:.3f} |\n"
    return text


def seen_at(
    network: LanguageModel, genome: Genome, sites: pl.DataFrame, window: int, context: int
) -> np.ndarray:
    """Return unmasked logits of sites with `context` bp on their left: (sites, 2, 4)."""
    windows = site_windows_of(genome, sites, window, context)
    numbers = np.empty((len(windows), 2, 4), np.float32)
    for start in range(0, len(windows), BATCH):
        rows = slice(start, start + BATCH)
        forward, reverse = windows[rows], reverse_complement(windows[rows])
        for strand, (read, place) in enumerate(
            ((forward, context), (reverse, window - 1 - context))
        ):
            ids = torch.from_numpy(network.encode(read))
            logits = network.tile_logits(ids, place, place + 1)[:, 0]
            numbers[rows, strand] = (logits if strand == 0 else logits.flip(1)).numpy()
    return numbers


def cases(bench: Bench, steps: int) -> list[Case]:
    """Return the models, trained where they have to be."""
    legacy = make_checkpoint(bench.folder / "legacy", CONFIGS["legacy"])
    return [
        Case("convnet", "the model that ships", ROOT / "resources/models/saccharomyces"),
        *(bench.trained(encoder, steps) for encoder in TRAINED),
        Case("legacy", "ConvNet of before, random weights", legacy),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sites", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=1000, help="of training")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/dense.md")
    args = parser.parse_args()
    machine = f"{os.cpu_count()} cores ({platform.machine()})"
    text = HEAD.format(
        date=datetime.date.today().isoformat(),
        machine=machine,
        threads=f"{args.threads} thread{'s' if args.threads > 1 else ''}",
        sites=args.sites,
    )
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(args.data.resolve(), Path(folder), args.threads)
        measured = cases(bench, args.steps)
        for case in measured:
            text += table(case, bench.measure(case, args.sites))
        text += by_context(bench, measured[0], args.sites)
    print(text)
    args.out.write_text(text)


if __name__ == "__main__":
    main()

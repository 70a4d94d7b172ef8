r"""Measure how models predict genes with and without a homologue on the chromosomes trained on.

    python resources/models/saccharomyces/apart.py --genome GENOME.fa.gz \
        --annotation GENES.gff3.gz saccharomyces=resources/models/saccharomyces \
        diverged=results/training/diverged/checkpoint

Draws coding bases of the contigs held out, as many of the proteins that have a homologue elsewhere
as of those that have none (homologues.tsv), masks each alone, and prints their perplexity, the mean
of both strands' probabilities, with 95 % bootstrap intervals, and its ratio to the first model's.
"""

import argparse
import io
import logging
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "workflow_scripts"))

from homologues import FOLDER, Protein, read_proteins

from varlm.genome.encoding import index_reference
from varlm.genome.reference import Genome
from varlm.genome.windows import site_windows
from varlm.models.loading import load_model
from varlm.scoring.batch_size import default_batch, fitting_batch, take_device
from varlm.training.corpus import REGIONS
from varlm.training.perplexity import Sites, measure, table

_CODING = REGIONS.index("coding")
_UNSEEN = "without a homologue"
_KNOWN = "with a homologue"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="+", metavar="NAME=FOLDER")
    parser.add_argument("--genome", type=Path, required=True)
    parser.add_argument("--annotation", type=Path, required=True)
    parser.add_argument("--held-out", nargs="+", default=["IV", "IX", "XV"])
    parser.add_argument("--sites", type=int, default=10_000, help="of each kind of gene")
    parser.add_argument("--window", type=int, default=512, help="bp")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    homologue = dict(
        pl.read_csv(FOLDER / "homologues.tsv", separator="\t")
        .select("gene", "homologue")
        .iter_rows()
    )
    proteins = [p for p in read_proteins(args.genome, args.annotation, {}) if p.gene in homologue]
    kinds = {
        _UNSEEN: [p for p in proteins if not homologue[p.gene]],
        _KNOWN: [p for p in proteins if homologue[p.gene]],
    }
    rng = np.random.default_rng(args.seed)
    with tempfile.TemporaryDirectory() as folder:
        index_reference(args.genome, Path(folder), io.BytesIO(), "--genome")
        genome = Genome.open(Path(folder))
        drawn = [draw(genome, chosen, args.sites, args.window, rng) for chosen in kinds.values()]
    sites = Sites(
        windows=np.concatenate([part.windows for part in drawn]),
        base=np.concatenate([part.base for part in drawn]),
        region=np.full(2 * args.sites, _CODING),
    )
    device, found = take_device("auto"), {}
    for name, _, folder in (pair.partition("=") for pair in args.models):
        model = load_model(Path(folder), device=device)
        batch = fitting_batch(model, args.window, default_batch(model, args.window))
        found |= measure(name, model, sites, batch)
    print("| genes | model | proteins | sites | perplexity | ratio to the first |")
    print("|---" * 6 + "|")
    for i, (kind, chosen) in enumerate(kinds.items()):
        own = slice(i * args.sites, (i + 1) * args.sites)
        losses = {name: {way: of[own] for way, of in ways.items()} for name, ways in found.items()}
        for line in lines(table(losses, sites.region[own])):
            model, numbers = line
            print(f"| {kind} | {model} | {len(chosen):,} | {numbers}")


def draw(
    genome: Genome, proteins: list[Protein], count: int, window: int, rng: np.random.Generator
) -> Sites:
    """Draw so many of the proteins' coding bases."""
    spans = sorted({(p.contig, start, end) for p in proteins for start, end in p.spans})
    places = np.concatenate([np.arange(start, end) for _, start, end in spans])
    contigs = np.repeat(
        [contig for contig, _, _ in spans], [end - start for _, start, end in spans]
    )
    chosen = np.sort(rng.choice(places.size, count, replace=False))
    windows = np.concatenate(
        [
            site_windows(genome.sequence(contig), places[chosen][contigs[chosen] == contig], window)
            for contig in dict.fromkeys(contigs[chosen].tolist())
        ]
    )
    base = np.searchsorted(np.frombuffer(b"ACGT", np.uint8), windows[:, window // 2])
    return Sites(windows, base.astype(np.int64), np.full(count, _CODING))


def lines(measured: pl.DataFrame) -> Iterator[tuple[str, str]]:
    """Yield each model with its sites, perplexity and ratio, of both strands in coding sequence."""
    for row in measured.filter(strands="mean", region="coding").iter_rows(named=True):
        low, high = row["perplexity_low"], row["perplexity_high"]
        ratio = f"{row['ratio']:.4f} ({row['ratio_low']:.4f}–{row['ratio_high']:.4f})"
        shown = f"{row['perplexity']:.3f} ({low:.3f}–{high:.3f})"
        yield row["model"], f"{row['sites']:,} | {shown} | {ratio} |"


if __name__ == "__main__":
    main()

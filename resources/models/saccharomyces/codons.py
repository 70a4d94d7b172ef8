"""Tell how well coding bases are predicted by codons alone, the reading frame known.

    python resources/models/saccharomyces/codons.py --genome GENOME.fa.gz --annotation GENES.gff3.gz

What codon usage and the pairs of neighbouring codons say of a base, counted on the chromosomes that
are trained on: a measure of how far below it a model would have to know proteins. Prints the
perplexity of single bases on the contigs held out, given the other two bases of the codon, and
given the codons on both sides too (a chain of codons, each predicted from the one before).
"""

import argparse
import io
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "workflow_scripts"))

from varlm.annotation.genes.coding import Sequences, coding_positions
from varlm.annotation.genes.gff import read_annotation
from varlm.annotation.genes.models import build
from varlm.genome.contig_names import ContigNames
from varlm.genome.encoding import index_reference
from varlm.genome.reference import Genome

_PLACES = (16, 4, 1)  # of a codon's three bases in its number
_NUMBERS = str.maketrans({base: chr(i) for i, base in enumerate("ACGT")})
_PRIOR = 50.0  # codons that a pair of codons is drawn to the usage by


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--genome", type=Path, required=True)
    parser.add_argument("--annotation", type=Path, required=True)
    parser.add_argument("--held-out", nargs="+", default=["IV", "IX", "XV"])
    parser.add_argument("--left-out", nargs="+", default=["VI", "Mito"], help="counted nowhere")
    args = parser.parse_args()
    train, test = [], []
    for contig, codons in coding_sequences(args.genome, args.annotation):
        if contig not in args.left_out:
            (test if contig in args.held_out else train).append(codons)
    usage = np.bincount(np.concatenate(train), minlength=64) + 1.0
    pairs = np.zeros((64, 64))
    for codons in train:
        np.add.at(pairs, (codons[:-1], codons[1:]), 1)
    share = usage / usage.sum()
    following = (pairs + _PRIOR * share) / (pairs.sum(1, keepdims=True) + _PRIOR)
    alone, neighbours = [], []
    for codons in test:
        middle = codons[1:-1]
        of_codon = np.broadcast_to(np.log(share), (middle.size, 64))
        around = np.log(following[codons[:-2]]) + np.log(following[:, codons[2:]]).T
        alone.append(surprise(of_codon, middle))
        neighbours.append(surprise(around, middle))
    for name, values in (("the codon", alone), ("the codons beside it too", neighbours)):
        nats = np.concatenate(values, axis=1)
        by_place = ", ".join(f"{value:.3f}" for value in np.exp(nats.mean(1)))
        print(f"given {name}: perplexity {np.exp(nats.mean()):.3f} ({by_place}), n {nats.size:,}")


def surprise(log_weights: np.ndarray, codons: np.ndarray) -> np.ndarray:
    """Return −ln p of each base of codons, the other two known: shape (3, codons).

    Parameters
    ----------
    log_weights : shape (codons, 64)
        Of every codon in each place, up to a constant.
    codons : int64, shape (codons,)
    """
    nats = []
    for place in _PLACES:
        base = codons // place % 4
        alike = codons[:, None] + (np.arange(4) - base[:, None]) * place
        weights = np.take_along_axis(log_weights, alike, 1)
        total = np.logaddexp.reduce(weights, axis=1)
        nats.append(total - weights[np.arange(codons.size), base])
    return np.array(nats)


def coding_sequences(genome: Path, annotation: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield contig and codons (numbers from 0 to 63) of each coding sequence that is whole."""
    with tempfile.TemporaryDirectory() as folder:
        index_reference(genome, Path(folder), io.BytesIO(), "--genome")
        reference = Genome.open(Path(folder))
        features = read_annotation(annotation, "--annotation")
        models = build(features, annotation, ContigNames(reference.lengths, key=None))
        sequences = Sequences(reference)
        about = {row["index"]: row for row in models.transcripts.iter_rows(named=True)}
        for (index,), pieces in models.cds.group_by("index", maintain_order=True):
            contig, strand = about[index]["contig"], about[index]["strand"]
            text = sequences.coding(contig, coding_positions(pieces, strand), strand)
            bases = np.frombuffer(text.translate(_NUMBERS).encode(), np.uint8).astype(np.int64)
            if bases.size % 3 == 0 and bases.size > 6 and bases.max() < 4:
                yield contig, bases.reshape(-1, 3) @ np.array(_PLACES)


if __name__ == "__main__":
    main()

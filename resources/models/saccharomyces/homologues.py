"""Tell which proteins of the contigs held out have a homologue on one that is trained on.

    python resources/models/saccharomyces/homologues.py --genome GENOME.fa.gz \
        --annotation GENES.gff3.gz [--held-out IV …] [--genetic-code Mito=3 …]

Chromosomes held out are not clean: a gene there may have a paralogue elsewhere. Each protein is
aligned with those that are most like it, without gaps, around a word of four residues that both
have in a reduced alphabet of ten (Murphy et al. 2000, doi:10.1093/protein/13.3.149): Smith &
Waterman with affine gaps (Gotoh 1982, doi:10.1016/0022-2836(82)90398-9), BLOSUM62, a gap of n
residues costing 11 + n. The expectation is that of Karlin & Altschul 1990
(doi:10.1073/pnas.87.6.2264) with the constants that BLAST has for this scoring, over all proteins
searched; stretches of few kinds of residues are masked, as SEG does (Wootton & Federhen 1993).
There is no correction for composition, and what shares no words is not seen.

Writes `homologues.tsv` beside this file, and `no_homologue.bed`: the coding sequences of the
proteins without one.
"""

import argparse
import io
import math
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "workflow_scripts"))

from varlm.annotation.genes.coding import Sequences, coding_positions
from varlm.annotation.genes.codons import translated
from varlm.annotation.genes.gff import read_annotation
from varlm.annotation.genes.models import build
from varlm.genome.contig_names import ContigNames
from varlm.genome.encoding import index_reference
from varlm.genome.reference import Genome

FOLDER = Path(__file__).resolve().parent

ORDER = "ARNDCQEGHILKMFPSTWYVX"  # X: masked, unknown, a stop
_BLOSUM62 = """
 4 -1 -2 -2  0 -1 -1  0 -2 -1 -1 -1 -1 -2 -1  1  0 -3 -2  0
-1  5  0 -2 -3  1  0 -2  0 -3 -2  2 -1 -3 -2 -1 -1 -3 -2 -3
-2  0  6  1 -3  0  0  0  1 -3 -3  0 -2 -3 -2  1  0 -4 -2 -3
-2 -2  1  6 -3  0  2 -1 -1 -3 -4 -1 -3 -3 -1  0 -1 -4 -3 -3
 0 -3 -3 -3  9 -3 -4 -3 -3 -1 -1 -3 -1 -2 -3 -1 -1 -2 -2 -1
-1  1  0  0 -3  5  2 -2  0 -3 -2  1  0 -3 -1  0 -1 -2 -1 -2
-1  0  0  2 -4  2  5 -2  0 -3 -3  1 -2 -3 -1  0 -1 -3 -2 -2
 0 -2  0 -1 -3 -2 -2  6 -2 -4 -4 -2 -3 -3 -2  0 -2 -2 -3 -3
-2  0  1 -1 -3  0  0 -2  8 -3 -3 -1 -2 -1 -2 -1 -2 -2  2 -3
-1 -3 -3 -3 -1 -3 -3 -4 -3  4  2 -3  1  0 -3 -2 -1 -3 -1  3
-1 -2 -3 -4 -1 -2 -3 -4 -3  2  4 -2  2  0 -3 -2 -1 -2 -1  1
-1  2  0 -1 -3  1  1 -2 -1 -3 -2  5 -1 -3 -1  0 -1 -3 -2 -2
-1 -1 -2 -3 -1  0 -2 -3 -2  1  2 -1  5  0 -2 -1 -1 -1 -1  1
-2 -3 -3 -3 -2 -3 -3 -3 -1  0  0 -3  0  6 -4 -2 -2  1  3 -1
-1 -2 -2 -1 -3 -1 -1 -2 -2 -3 -3 -1 -2 -4  7 -1 -1 -4 -3 -2
 1 -1  1  0 -1  0  0  0 -1 -2 -2  0 -1 -2 -1  4  1 -3 -2 -2
 0 -1  0 -1 -1 -1 -1 -2 -2 -1 -1 -1 -1 -2 -1  1  5 -2 -2  0
-3 -3 -4 -4 -2 -2 -3 -2 -2 -3 -2 -3 -1  1 -4 -3 -2 11  2 -3
-2 -2 -2 -3 -2 -1 -2 -3  2 -1 -1 -2 -1  3 -3 -2 -2  2  7 -1
 0 -3 -3 -3 -1 -2 -2 -3 -3  3  1 -2  1 -1 -2 -2  0 -3 -1  4
"""
SCORES = np.full((len(ORDER), len(ORDER)), -1, np.int32)  # X against anything: -1
SCORES[:20, :20] = np.array(_BLOSUM62.split(), np.int32).reshape(20, 20)
_NOTHING = len(ORDER)  # before and after a target
_SCORES = np.pad(SCORES, ((0, 0), (0, 1)), constant_values=-1000)
OPEN, EXTEND = 11, 1
LAMBDA, KAPPA = 0.267, 0.041  # gapped, for BLOSUM62 with these costs (blast_stat.c)

EXPECTED = 1e-5  # below it, a homologue
LOOKED_AT = 3000  # shared words whose neighbourhood is the best
CANDIDATES = 20  # proteins around these that it is aligned with
WIDTH = 128  # diagonals that are aligned: gaps of 64 residues to either side
_NEAR, _AROUND = 8, 24  # residues before, and from, the first one of a word, in two rounds

_REDUCED = ("LVIM", "C", "A", "G", "ST", "P", "FYW", "EDNQ", "KR", "H")
WORD = 4
_SIMPLE, _ENTROPY = 12, 2.2  # residues, bits: SEG's window and threshold


@dataclass(frozen=True)
class Protein:
    """A protein: its gene, contig, and residues as indices of `ORDER`; its coding pieces."""

    gene: str
    contig: str
    residues: np.ndarray
    spans: tuple[tuple[int, int], ...] = ()


def encoded(text: str) -> np.ndarray:
    """Return residues as indices of `ORDER`; X for all that it lacks."""
    x = ORDER.index("X")
    return np.array([i if (i := ORDER.find(letter)) >= 0 else x for letter in text], np.int64)


def masked(residues: np.ndarray) -> np.ndarray:
    """Return residues with X in windows of few kinds."""
    if residues.size < _SIMPLE:
        return residues
    sums = np.zeros((residues.size + 1, len(ORDER)), np.int64)
    np.cumsum(residues[:, None] == np.arange(len(ORDER)), axis=0, out=sums[1:])
    share = (sums[_SIMPLE:] - sums[:-_SIMPLE]) / _SIMPLE
    entropy = -(share * np.log2(np.where(share > 0, share, 1))).sum(axis=1)
    low = np.flatnonzero(entropy < _ENTROPY)
    residues = residues.copy()
    residues[np.unique(low[:, None] + np.arange(_SIMPLE))] = ORDER.index("X")
    return residues


def best_scores(
    query: np.ndarray, targets: Sequence[np.ndarray], diagonals: np.ndarray
) -> np.ndarray:
    """Return the score of the best local alignment with each target, near a diagonal of each.

    Row by row of the query, all targets at once. Columns are diagonals: from one row to the next a
    match stays in its column, a gap in the target moves one back, and a gap in the query is a
    running maximum along the row, as two gaps cost more than one.

    Parameters
    ----------
    query : int, shape (length,)
    targets : sequence of int arrays
    diagonals : int, shape (targets,)
        Position in the target less that in the query; `WIDTH` of them around it are searched.
    """
    lined_up = np.full((len(targets), query.size + WIDTH), _NOTHING)
    for row, target, diagonal in zip(lined_up, targets, diagonals, strict=True):
        first = int(diagonal) - WIDTH // 2  # of the target, in column 0 of row 0
        low, high = max(first, 0), min(first + row.size, target.size)
        row[low - first : max(high, low) - first] = target[low : max(high, low)]
    slope = EXTEND * np.arange(WIDTH, dtype=np.int32)
    score = np.zeros((len(targets), WIDTH), np.int32)
    down = np.full_like(score, -1000)
    best = np.zeros_like(score)
    for i, residue in enumerate(query):
        down[:, :-1] = np.maximum(down[:, 1:] - EXTEND, score[:, 1:] - (OPEN + EXTEND))
        score += _SCORES[residue].take(lined_up[:, i : i + WIDTH])
        np.maximum(score, down, out=score)
        np.maximum(score, 0, out=score)
        along = np.maximum.accumulate(score + slope, axis=1)[:, :-1] - (OPEN + slope[1:])
        np.maximum(score[:, 1:], along, out=score[:, 1:])
        np.maximum(best, score, out=best)
    return best.max(axis=1)


def expectation(score: float, length: int, searched: int) -> float:
    """Return how many alignments of such a score chance has in `searched` residues."""
    return KAPPA * length * searched * math.exp(-LAMBDA * score)


class Index:
    """Where words of the proteins searched are."""

    def __init__(self, proteins: Sequence[np.ndarray]):
        self.lengths = np.array([residues.size for residues in proteins])
        # One after the other with X between them: no word's neighbourhood is another protein.
        gap = np.full(_AROUND, ORDER.index("X"))
        self.joined = np.concatenate([gap, *(part for p in proteins for part in (p, gap))])
        self.offset = np.cumsum(self.lengths + _AROUND) - self.lengths
        words = np.concatenate([_words(residues) for residues in proteins])
        sizes = np.maximum(self.lengths - WORD + 1, 0)
        protein = np.repeat(np.arange(sizes.size), sizes)
        place = np.arange(words.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        order = np.argsort(words, kind="stable")
        order = order[words[order] >= 0]
        self.protein, self.place = protein[order], place[order]
        self.counts = np.bincount(words[order], minlength=len(_REDUCED) ** WORD)
        self.starts = np.cumsum(self.counts) - self.counts

    def candidates(self, query: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the proteins that are most like a query around a word that both have.

        Returns
        -------
        proteins : int, shape (candidates,)
        diagonals : int, shape (candidates,)
            That of the word.
        """
        words = _words(query)
        at = np.flatnonzero(words >= 0)
        count = self.counts[words[at]]
        hit = np.repeat(self.starts[words[at]] - np.cumsum(count) + count, count)
        hit += np.arange(hit.size)
        at = np.repeat(at, count)
        padded = np.pad(query, _AROUND, constant_values=ORDER.index("X"))
        score = self._around(padded, at, hit, _NEAR)
        if hit.size > LOOKED_AT:
            kept = np.argpartition(-score, LOOKED_AT)[:LOOKED_AT]
            at, hit = at[kept], hit[kept]
            score = self._around(padded, at, hit, _AROUND)
        order = np.argsort(-score, kind="stable")
        protein = self.protein[hit[order]]
        order = order[np.sort(np.unique(protein, return_index=True)[1])[:CANDIDATES]]
        return self.protein[hit[order]], self.place[hit[order]] - at[order]

    def _around(
        self, padded: np.ndarray, at: np.ndarray, hit: np.ndarray, reach: int
    ) -> np.ndarray:
        """Return the score without gaps of `reach` residues before, and from, each word's start."""
        place = self.offset[self.protein[hit]] + self.place[hit]
        score = np.zeros(hit.size, np.int32)
        for shift in range(-reach, reach):
            ours = padded[at + (shift + _AROUND)] * len(ORDER)
            score += SCORES.ravel().take(ours + self.joined[place + shift])
        return score


def _words(residues: np.ndarray) -> np.ndarray:
    """Return the number of each word in the reduced alphabet, -1 where it has an X."""
    table = np.full(len(ORDER), -1)
    for number, letters in enumerate(_REDUCED):
        table[[ORDER.index(letter) for letter in letters]] = number
    reduced = table[residues]
    if reduced.size < WORD:
        return np.zeros(0, np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(reduced, WORD)
    numbers = windows @ (len(_REDUCED) ** np.arange(WORD)[::-1])
    return np.where((windows >= 0).all(axis=1), numbers, -1)


def search(queries: Sequence[Protein], targets: Sequence[Protein]) -> Iterator[dict[str, object]]:
    """Yield, for each query, its best target, and whether that is a homologue."""
    sequences = [masked(protein.residues) for protein in targets]
    index, searched = Index(sequences), sum(sequence.size for sequence in sequences)
    for query in queries:
        residues = masked(query.residues)
        near, diagonals = index.candidates(residues)
        scores = best_scores(residues, [sequences[i] for i in near], diagonals)
        best = int(scores.argmax()) if scores.size else None
        score = 0.0 if best is None else float(scores[best])
        expected = expectation(score, residues.size, searched)
        yield {
            "gene": query.gene,
            "protein_length": residues.size,
            "best_training_gene": None if best is None else targets[near[best]].gene,
            "bits": round((LAMBDA * score - math.log(KAPPA)) / math.log(2), 1),
            "evalue": f"{expected:.1e}",
            "homologue": expected < EXPECTED,
        }


def read_proteins(genome: Path, annotation: Path, codes: dict[str, int]) -> list[Protein]:
    """Return the proteins of a genome, the longest one of each gene."""
    with tempfile.TemporaryDirectory() as folder:
        index_reference(genome, Path(folder), io.BytesIO(), "genome")
        reference = Genome.open(Path(folder))
        features = read_annotation(annotation, "annotation")
        models = build(features, annotation, ContigNames(reference.lengths, key=None), codes)
        sequences = Sequences(reference)
        about = {row["index"]: row for row in models.transcripts.iter_rows(named=True)}
        proteins: dict[str, Protein] = {}
        for (index,), pieces in models.cds.group_by("index", maintain_order=True):
            row = about[index]
            bases = sequences.coding(
                row["contig"], coding_positions(pieces, row["strand"]), row["strand"]
            )
            text = translated(bases, row["genetic_code"]).rstrip("*")
            spans = tuple(pieces.select("start", "end").iter_rows())
            protein = Protein(row["gene_id"], row["contig"], encoded(text), spans)
            other = proteins.get(protein.gene)
            if other is None or protein.residues.size > other.residues.size:
                proteins[protein.gene] = protein
        return list(proteins.values())


def main(arguments: Sequence[str] | None = None) -> None:
    """Search, write the table and the intervals, and say how many there are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--genome", type=Path, required=True)
    parser.add_argument("--annotation", type=Path, required=True)
    parser.add_argument("--held-out", nargs="+", default=["IV", "IX", "XV"])
    parser.add_argument("--genetic-code", nargs="*", default=["Mito=3"], metavar="CONTIG=NUMBER")
    parser.add_argument("--out", type=Path, default=FOLDER)
    args = parser.parse_args(arguments)
    codes = {contig: int(n) for contig, _, n in (pair.partition("=") for pair in args.genetic_code)}
    proteins = read_proteins(args.genome, args.annotation, codes)
    queries = [protein for protein in proteins if protein.contig in args.held_out]
    targets = [protein for protein in proteins if protein.contig not in args.held_out]
    table = pl.DataFrame(list(search(queries, targets)), infer_schema_length=None)
    table.write_csv(args.out / "homologues.tsv", separator="\t")
    alone = set(table.filter(~pl.col("homologue"))["gene"])
    lines = [
        (protein.contig, start, end, protein.gene)
        for protein in queries
        if protein.gene in alone
        for start, end in protein.spans
    ]
    text = "".join("\t".join(map(str, line)) + "\n" for line in sorted(lines))
    (args.out / "no_homologue.bed").write_text(text)
    print(f"{table.height} proteins, {table.height - len(alone)} with a homologue")


if __name__ == "__main__":
    main()

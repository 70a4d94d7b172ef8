"""The search for homologues of proteins held out: planted ones are seen, shuffled ones are not."""

import importlib.util
import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from varlm.annotation.genes.codons import amino_acids

# Amino acids of proteins at large (Robinson & Robinson 1991), in the order of BLOSUM62.
FREQUENCIES = np.array(
    [
        *(0.07805, 0.05129, 0.04487, 0.05364, 0.01925, 0.04264, 0.06295, 0.07377, 0.02199, 0.05142),
        *(0.09019, 0.05744, 0.02243, 0.03856, 0.05203, 0.07120, 0.05841, 0.01330, 0.03216, 0.06441),
    ]
)


@pytest.fixture(scope="module")
def search():
    path = Path(__file__).resolve().parents[2] / "resources/models/saccharomyces/homologues.py"
    spec = importlib.util.spec_from_file_location("homologues", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def protein(rng, length):
    return rng.choice(20, length, p=FREQUENCIES / FREQUENCIES.sum())


def diverged(rng, residues, identity):
    """The same with other residues, a stretch lost and one gained."""
    changed = np.where(rng.random(residues.size) < identity, residues, protein(rng, residues.size))
    cut = residues.size // 3
    return np.concatenate(
        [changed[:cut], changed[cut + 7 : 2 * cut], protein(rng, 5), changed[2 * cut :]]
    )


def test_the_scores_are_blosum62(search):
    """Its ungapped lambda is 0.3176 (Karlin & Altschul; blast_stat.c)."""
    scores = search.SCORES[:20, :20]
    assert (scores == scores.T).all()
    chance = np.outer(FREQUENCIES, FREQUENCIES)
    assert (chance * np.exp(0.3176 * scores)).sum() == pytest.approx(1, abs=2e-3)


def slow_score(module, query, target):
    """Smith & Waterman with affine gaps, cell by cell."""
    rows, columns = query.size + 1, target.size + 1
    best = np.zeros((rows, columns))
    down, along = np.full((rows, columns), -math.inf), np.full((rows, columns), -math.inf)
    for i in range(1, rows):
        for j in range(1, columns):
            down[i, j] = max(down[i - 1, j] - 1, best[i - 1, j] - 12)
            along[i, j] = max(along[i, j - 1] - 1, best[i, j - 1] - 12)
            match = best[i - 1, j - 1] + module.SCORES[query[i - 1], target[j - 1]]
            best[i, j] = max(0, match, down[i, j], along[i, j])
    return best.max()


def test_alignments_are_those_of_smith_and_waterman(search):
    rng = np.random.default_rng(1)
    query = protein(rng, 60)
    targets = [diverged(rng, query, share) for share in (0.2, 0.5, 0.8, 1.0)]
    targets += [protein(rng, 30), np.concatenate([protein(rng, 25), diverged(rng, query, 0.7)])]
    offsets = np.array([0, 0, 0, 0, 0, 25])
    scores = search.best_scores(query, targets, offsets)
    assert scores.tolist() == [slow_score(search, query, target) for target in targets]
    assert scores[3] < search.best_scores(query, [query], np.array([0]))[0]


def test_planted_homologues_are_seen_and_shuffled_ones_are_not(search):
    rng = np.random.default_rng(2)
    queries = [protein(rng, int(n)) for n in rng.integers(200, 500, 40)]
    related = [diverged(rng, residues, 0.36) for residues in queries[:20]]  # 40 % with chance
    shuffled = [rng.permutation(residues) for residues in queries[20:]]
    others = [protein(rng, int(n)) for n in rng.integers(100, 600, 200)]
    targets = [
        search.Protein(f"t{i}", "II", residues)
        for i, residues in enumerate([*related, *shuffled, *others])
    ]
    named = [search.Protein(f"q{i}", "IV", residues) for i, residues in enumerate(queries)]
    table = pl.DataFrame(list(search.search(named, targets)))
    assert table.columns == [
        *("gene", "protein_length", "best_training_gene", "bits", "evalue", "homologue"),
    ]
    assert table["homologue"].to_list() == [True] * 20 + [False] * 20
    assert table["best_training_gene"][:20].to_list() == [f"t{i}" for i in range(20)]


def test_stretches_of_few_kinds_are_no_homology(search):
    rng = np.random.default_rng(3)
    repeat = search.encoded("QN" * 40)
    query = np.concatenate([protein(rng, 100), repeat, protein(rng, 100)])
    target = np.concatenate([protein(rng, 80), repeat, protein(rng, 120)])
    (row,) = search.search([search.Protein("q", "IV", query)], [search.Protein("t", "I", target)])
    assert not row["homologue"]
    assert (search.masked(query)[100:180] == search.ORDER.index("X")).all()


def test_from_a_genome_to_the_table_and_the_intervals(search, tmp_path, capsys):
    rng = np.random.default_rng(4)
    codon_of = {residue: codon for codon, residue in amino_acids(0).items()}
    family, alone = protein(rng, 150), protein(rng, 120)

    def encode(residues):
        return "ATG" + "".join(codon_of[search.ORDER[i]] for i in residues) + "TAA"

    held = "A" * 10 + encode(family) + "C" * 20 + encode(alone)
    (tmp_path / "g.fa").write_text(f">IV\n{held}\n>II\nGG{encode(diverged(rng, family, 0.8))}\n")
    second = 10 + 456 + 20
    spans = [("IV", "a", 11, 466), ("IV", "b", second + 1, second + 366), ("II", "c", 3, 452)]
    gff = "##gff-version 3\n"
    for contig, name, start, end in spans:
        for kind, parent in (
            ("gene", ""),
            ("mRNA", f";Parent=gene:{name}"),
            ("CDS", f";Parent=t:{name}"),
        ):
            prefix = {"gene": "gene", "mRNA": "t", "CDS": "c"}[kind]
            phase = 0 if kind == "CDS" else "."
            gff += (
                f"{contig}\tx\t{kind}\t{start}\t{end}\t.\t+\t{phase}\tID={prefix}:{name}{parent}\n"
            )
    (tmp_path / "g.gff3").write_text(gff)
    words = ["--genome", tmp_path / "g.fa", "--annotation", tmp_path / "g.gff3", "--held-out", "IV"]
    search.main([*map(str, words), "--genetic-code", "--out", str(tmp_path)])
    assert "2 proteins, 1 with a homologue" in capsys.readouterr().out
    table = pl.read_csv(tmp_path / "homologues.tsv", separator="\t")
    assert table.select("gene", "protein_length", "homologue").rows() == [
        ("a", 151, True),
        ("b", 121, False),
    ]
    assert table["best_training_gene"][0] == "c"
    bed = (tmp_path / "no_homologue.bed").read_text()
    assert bed == f"IV\t{second}\t{second + 366}\tb\n"

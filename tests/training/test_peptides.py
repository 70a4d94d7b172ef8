"""Peptides of coding sequence: read on both strands; common ones make their windows rarer."""

import json

import numpy as np
import polars as pl
import pytest

from making.training import bases, make_corpus
from varlm.annotation.genes.codons import amino_acids, translated
from varlm.training import peptides

COMPLEMENT = str.maketrans("ACGT", "TGCA")


def codes(text):
    return np.array(["ACGTN".index(letter) for letter in text], np.uint8)


def reverse(text):
    return text.translate(COMPLEMENT)[::-1]


def pieces(*rows):
    return pl.DataFrame(rows, ["start", "end", "phase", "strand"], orient="row")


@pytest.fixture
def every_peptide(monkeypatch):
    monkeypatch.setattr(peptides, "SCALED", 1)


def coding(count, seed, synonyms=0):
    """Codons of a random protein (by `seed`), which of its synonyms by `synonyms`."""
    by_residue = {}
    for codon, residue in amino_acids(0).items():
        by_residue.setdefault(residue, []).append(codon)
    by_residue.pop("*")
    protein = np.random.default_rng(seed).choice(sorted(by_residue), count)
    rng = np.random.default_rng(synonyms)
    return "".join(rng.choice(by_residue[residue]) for residue in protein)


def test_peptides_are_those_of_the_protein(every_peptide):
    gene = coding(40, 1)
    protein = translated(gene, 0)
    forward = "ACGTA" + gene + "TTT"
    places, hashes = peptides.sketch(codes(forward), pieces((4, 125, 1, "+")))
    assert places.tolist() == [5 + 3 * (i + peptides.K // 2) for i in range(40 - peptides.K + 1)]
    assert len(set(hashes.tolist())) == len(
        {protein[i : i + peptides.K] for i in range(40 - peptides.K + 1)}
    )
    # Other codons of the same protein, on the other strand, in two pieces.
    again = coding(40, 1, synonyms=5)
    assert again != gene
    turned = codes(
        again[60:].translate(COMPLEMENT)[::-1] + "NN" + again[:60][::-1].translate(COMPLEMENT)
    )
    split = pieces((62, 122, 0, "-"), (0, 60, 0, "-"))
    some, others = peptides.sketch(turned, split)
    assert set(others.tolist()) < set(hashes.tolist())
    assert len(others) == 2 * (20 - peptides.K + 1)  # none across the intron
    assert (np.diff(some) > 0).all()


def test_stop_codons_unknown_bases_and_short_pieces_have_no_peptides(every_peptide):
    gene = coding(7, 2) + "TAA" + coding(7, 3)
    assert len(peptides.sketch(codes(gene), pieces((0, 45, 0, "+")))[0]) == 2
    assert peptides.sketch(codes(gene[:4] + "N" + gene[5:21]), pieces((0, 21, 0, "+")))[0].size == 0
    for span in (
        (0, 20, 0, "+"),
        (0, 2, 2, "-"),
        (30, 51, 0, "+"),
    ):  # the last ends past the contig
        assert peptides.sketch(codes(gene), pieces(span))[0].size == 0


def _gff(spans):
    kinds = (("gene", "."), ("mRNA", "."), ("CDS", "0"))
    text = "##gff-version 3\n"
    for n, (contig, start, end) in enumerate(spans):
        parents = ("", f";Parent=gene{n}", f";Parent=mRNA{n}")
        for (kind, phase), parent in zip(kinds, parents, strict=True):
            place = f"{contig}\tx\t{kind}\t{start + 1}\t{end}"
            text += f"{place}\t.\t+\t{phase}\tID={kind}{n}{parent}\n"
    return text


def test_genes_of_a_family_count_together_and_coding_sequence_keeps_its_part(tmp_path):
    """Four paralogues whose DNA has changed, one gene of its own, and what is not coding."""
    family = [coding(400, 1, synonyms=s) for s in range(4)]
    own = coding(400, 2)
    spacer = bases(1200, 9)
    (tmp_path / "g.gff3").write_text(_gff([("c", 1200 * i, 1200 * (i + 1)) for i in range(5)]))
    genomes = {"g": {"c": "".join(family) + own + spacer}}
    sizes = {"window": 200, "stride": 200}
    before = make_corpus(tmp_path, genomes, **sizes).windows
    assert "families" not in json.loads((tmp_path / "corpus/corpus.json").read_text())
    corpus = make_corpus(tmp_path, genomes, "--families", **sizes)
    assert corpus.description.families
    after = corpus.windows
    gene = np.repeat(np.arange(6), 6)
    assert before["weight"].mean() > 0.98  # the DNA shows nothing of it, but for chance
    weight = np.bincount(gene, after["weight"])
    # A gene of the family counts a quarter of the one of its own; 5 genes in all, as before.
    assert weight[:4] == pytest.approx([30 / 8] * 4, rel=0.05)
    assert weight[4] == pytest.approx(30 / 2, rel=0.05)
    assert weight[5] == pytest.approx(6)
    assert weight.sum() == pytest.approx(before["weight"].sum())


def test_strains_count_as_one(tmp_path):
    """What weighs less as a copy already does not weigh less as a family, too."""
    gene, own = coding(400, 1), coding(400, 2)
    gff = _gff([("c", 0, 1200), ("c", 1200, 2400)])
    genomes = {name: {"c": gene + own} for name in ("a", "b", "d")}
    for name in genomes:
        (tmp_path / f"{name}.gff3").write_text(gff)
    sizes = {"window": 200, "stride": 200}
    plain = make_corpus(tmp_path, genomes, **sizes).windows["weight"]
    assert plain.to_list() == pytest.approx([1 / 3] * 36)
    families = make_corpus(tmp_path, genomes, "--families", **sizes).windows["weight"]
    assert families.to_list() == pytest.approx(plain.to_list())

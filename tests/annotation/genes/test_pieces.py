"""Contigs of few alleles share a piece: what it says must not depend on who shares it."""

import random

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import making.gff as making
from varlm.annotation.genes import calling, pieces
from varlm.annotation.genes.pieces import changed_span, read_piece, spans_of
from varlm.genome.line import STRIDE
from varlm.run import bcftools

SCAFFOLDS, LENGTH = 1500, 150
GENE, CODING = ((20, 60), (80, 130)), (30, 110)
DISTANCE = 15  # less than what lies between a gene and the end of its scaffold


def scaffolds():
    """A gene on each third scaffold, strand after strand; SNVs, and indels at either end."""
    draw = random.Random(6)
    contigs = {f"s{n}": "".join(draw.choices("ACGT", k=LENGTH)) for n in range(SCAFFOLDS)}
    genes = [
        making.Transcript(f"t{n}", f"g{n}", f"s{n}", "+-"[n % 2], GENE, CODING, symbol=f"G{n}")
        for n in range(0, SCAFFOLDS, 3)
    ]
    alleles = []
    for number, (name, sequence) in enumerate(contigs.items()):
        if number % 4:
            place = draw.randrange(LENGTH)
            ref = sequence[place]
            alleles.append((name, place + 1, ref, next(b for b in "ACGT" if b != ref)))
        if number % 8 == 1:
            alleles.append((name, 1, sequence[:3], sequence[2]))  # the anchor is behind it
            alleles.append((name, LENGTH, sequence[-1], sequence[-1] + "TT"))
    return contigs, genes, alleles


def end_to_end(contigs, genes, alleles):
    """The same genes and alleles on one contig."""
    origin = {name: number * LENGTH for number, name in enumerate(contigs)}

    def moved(spans, by):
        return tuple((start + by, end + by) for start, end in spans)

    joined = [
        making.Transcript(
            t.name,
            t.gene,
            "all",
            t.strand,
            moved(t.exons, origin[t.contig]),
            moved([t.coding], origin[t.contig])[0],
            symbol=t.symbol,
        )
        for t in genes
    ]
    return (
        {"all": "".join(contigs.values())},
        joined,
        [("all", pos + origin[name], ref, alt) for name, pos, ref, alt in alleles],
    )


@pytest.fixture
def consequences(tmp_path, make_reference):
    def call(name, contigs, genes, alleles):
        reference = make_reference(contigs, name)
        variants, source = tmp_path / f"{name}.variants.parquet", tmp_path / f"{name}.gff3"
        source.write_text(making.ensembl_gff3(genes))
        making.write_variants(variants, alleles, contigs)
        folder = tmp_path / f"{name}.annotation"
        if not folder.exists():
            making.index(folder, source, reference)
        out = tmp_path / f"{name}.parquet"
        return making.called(out, variants, reference, folder, DISTANCE, DISTANCE)

    return call


def test_many_scaffolds_cost_no_more_than_their_alleles(consequences, monkeypatch):
    read, asked = [], []
    read_one, run_one = calling.read_piece, bcftools.run
    monkeypatch.setattr(calling, "read_piece", lambda *a: (read.append(a[1:3]), read_one(*a))[1])
    contigs, genes, alleles = scaffolds()
    monkeypatch.setattr(bcftools, "run", lambda *a: (asked.append(a), run_one(*a))[1])
    table = consequences("many", contigs, genes, alleles)
    assert table.height == len(alleles)
    # Each piece is read to ask csq of it, and again to write its rows: two batches at most.
    assert len(read) <= 2 * calling.csq.workers()
    assert len(asked) <= 1 + calling.csq.workers()  # one tries the GFF3


def test_scaffolds_end_to_end_have_the_same_consequences(consequences):
    contigs, genes, alleles = scaffolds()
    # A deletion of a contig's first bases has its anchor behind it: on one contig it cannot.
    alleles = [allele for allele in alleles if len(allele[2]) == 1]
    apart = consequences("many", contigs, genes, alleles)
    joined = consequences("one", *end_to_end(contigs, genes, alleles))
    # Without a scaffold's end between them, the indels there touch no gene either: the genes are
    # further from it than DISTANCE.
    beside = ["nearest_gene", "tss_distance"]
    assert_frame_equal(apart.drop(beside), joined.drop(beside))
    assert set(apart["consequence"].unique()) > {"missense_variant", "intergenic_variant"}
    own = apart["nearest_gene"].is_not_null()
    assert_frame_equal(apart.filter(own).select(beside), joined.filter(own).select(beside))
    lone = [int(name[1:]) % 3 != 0 for name, *_ in alleles]
    assert own.to_list() == [not alone for alone in lone]
    assert apart["tss_distance"].is_null().to_list() == lone


@pytest.mark.parametrize(("exons", "rows"), [(0, 10**6), (20, 10**6), (7, 37), (10**6, 10**6)])
def test_who_shares_a_piece_changes_nothing(consequences, monkeypatch, exons, rows):
    contigs, genes, alleles = scaffolds()
    some = slice(0, 300)
    expected = consequences("a", contigs, genes[some], alleles[some])
    monkeypatch.setattr(pieces, "EXONS", exons)
    monkeypatch.setattr(pieces, "ROWS", rows)
    assert_frame_equal(consequences("a", contigs, genes[some], alleles[some]), expected)


def test_pieces_are_bounded_by_rows_and_exons(tmp_path, monkeypatch):
    contigs = dict.fromkeys("abcde", "ACGT" * 10)
    alleles = [(name, pos, "A", "G") for name in "abcde" for pos in (1, 5, 9)]
    path = tmp_path / "variants.parquet"
    making.write_variants(path, alleles, contigs)
    monkeypatch.setattr(pieces, "EXONS", 10)
    exons = {"a": 4, "b": 6, "c": 1, "d": 99}
    assert list(spans_of(pl.scan_parquet(path), 15, exons)) == [(0, 6), (6, 9), (9, 12), (12, 15)]
    assert list(spans_of(pl.scan_parquet(path), 15, {}, 7)) == [(0, 6), (6, 12), (12, 15)]
    monkeypatch.setattr(pieces, "ROWS", 4)
    assert list(spans_of(pl.scan_parquet(path), 15, {})) == [(0, 4), (4, 8), (8, 12), (12, 15)]


def test_the_first_base_of_each_contig_is_one(tmp_path):
    contigs = {"a": "ACGT" * 10, "b": "ACGT" * 10}
    alleles = [(name, 1, "AC", "C") for name in "ab"] + [("b", 1, "A", "G")]
    path = tmp_path / "variants.parquet"
    making.write_variants(path, alleles, contigs)
    piece = read_piece(pl.scan_parquet(path), 0, 3, {"a": 0, "b": 1})
    assert piece.which.tolist() == [0, 1, 2]  # alike, but on two contigs
    start, end = changed_span(piece)
    where = sorted(zip(start.tolist(), end.tolist(), strict=True))
    assert where == [(0, 1), (STRIDE, STRIDE + 1), (STRIDE, STRIDE + 1)]
    assert piece.contigs == {"a": 0, "b": 1}
    assert np.all(piece.pos == 1)
    assert isinstance(piece.ref, pl.Series)

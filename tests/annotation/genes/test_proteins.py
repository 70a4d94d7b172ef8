"""Several proteins of one transcript are told apart, and one in several pieces stays one."""

import gzip
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import making.gff as making
from making.gff import entries
from making.locus import Locus
from varlm.annotation.genes.gff import read_annotation
from varlm.annotation.genes.models import build
from varlm.genome.contig_names import ContigNames


@pytest.fixture(params=["+", "-"])
def locus(request):
    return Locus(request.param)


A, B = ((100, 160), (220, 280)), ((400, 460), (520, 580))


@pytest.mark.parametrize("with_genome", [True, False])
@pytest.mark.parametrize(
    ("of_a", "of_b"),
    [
        ("ID=cds-P1;Parent=g;protein_id=P1", "ID=cds-P2;Parent=g;protein_id=P2"),
        ("ID=cds-P1;Parent=g", "ID=cds-P2;Parent=g"),
        ("Parent=g;protein_id=P1", "Parent=g;protein_id=P2"),
        ("ID=a{n};Parent=g;protein_id=P1", "ID=b{n};Parent=g;protein_id=P2"),
    ],
)
def test_labels_tell_two_proteins_of_one_gene_apart(tmp_path, locus, of_a, of_b, with_genome):
    locus.add("gene", 50, 650, "ID=g;Name=G")
    locus.cds(locus.write(*A), of_a)
    locus.cds(locus.write(*B), of_b)
    gene_models = locus.models(tmp_path, with_genome)
    assert gene_models.genes == 1
    assert gene_models.left_out == {}
    assert locus.proteins(gene_models) == {"g:P1": list(A), "g:P2": list(B)}
    assert gene_models.transcripts["gene"].to_list() == ["G", "G"]
    # What lies between two proteins of one gene is no intron of either.
    exons = gene_models.exons.select("start", "end").rows()
    assert [locus.place(*exon) for exon in exons[:3]][:: 1 if locus.strand == "+" else -1] == [
        (50, 160),
        (220, 460),
        (520, 650),
    ]


def test_overlapping_proteins_share_pieces(tmp_path, locus):
    # The gene EDEN of the GFF3 specification: two starts, the other pieces the same.
    locus.add("gene", 50, 650, "ID=g")
    locus.add("mRNA", 50, 650, "ID=t;Parent=g")
    for start, end in A:
        locus.add("exon", start - 10, end + 10, "Parent=t")
    locus.write(*A)
    locus.cds(A, "ID=c3;Parent=t")
    locus.cds(((130, 160), A[1]), "ID=c4;Parent=t")
    gene_models = locus.models(tmp_path)
    assert locus.proteins(gene_models) == {"t:c3": list(A), "t:c4": [(130, 160), A[1]]}
    assert gene_models.left_out == {}
    assert gene_models.exons.filter(pl.col("index") == 0).height == 2


def test_a_polyprotein_and_its_longer_form(tmp_path, locus):
    # pp1a and pp1ab: a step back by one base, and the frame goes on.
    locus.add("gene", 50, 650, "ID=g")
    locus.cds(locus.write((100, 400)), "ID=cds-a;Parent=g;protein_id=a")
    for start, end in ((100, 340), (339, 600)):
        locus.add("CDS", start, end, "ID=cds-ab;Parent=g;protein_id=ab;exception=slip", 0)
    gene_models = locus.models(tmp_path)
    assert locus.proteins(gene_models) == {"g:a": [(100, 400)], "g:ab": [(100, 340), (339, 600)]}
    assert list(gene_models.left_out) == ["recoded (read as written by csq)"]


@pytest.mark.parametrize("exons", [True, False])
@pytest.mark.parametrize("label", ["ID=c{k};Parent={p}", "Parent={p}", "ID=c{k}{n};Parent={p}"])
@pytest.mark.parametrize("parent", ["g", "t"])
def test_frames_and_genome_tell_proteins_of_an_operon_apart(tmp_path, locus, exons, label, parent):
    locus.add("gene", 50, 750, "ID=g")
    if parent == "t":
        locus.add("mRNA", 50, 750, "ID=t;Parent=g")
        if exons:
            locus.add("exon", 50, 750, "Parent=t")
    orfs = [locus.write(*pieces) for pieces in ([(100, 190)], [(230, 350)], [(400, 700)])]
    for k, pieces in enumerate(orfs):
        locus.cds(pieces, label.replace("{k}", str(k)).replace("{p}", parent))
    gene_models = locus.models(tmp_path)
    assert sorted(locus.proteins(gene_models).values()) == [list(orf) for orf in orfs]
    assert gene_models.genes == 1
    assert gene_models.left_out == {}
    assert {locus.place(*e) for e in gene_models.exons.select("start", "end").rows()} == {(50, 750)}


@pytest.mark.parametrize("label", ["ID=c{n};Parent=t", "Parent=t", "ID=c;Parent=t"])
@pytest.mark.parametrize("exons", [True, False])
@pytest.mark.parametrize("with_genome", [True, False])
def test_one_protein_in_whole_codons_stays_one(tmp_path, locus, label, exons, with_genome):
    pieces = ((100, 160), (220, 280), (400, 460))
    locus.add("mRNA", 50, 650, "ID=t")
    for start, end in pieces if exons else ():
        locus.add("exon", start, end, "Parent=t")
    locus.cds(locus.write(*pieces), label)
    gene_models = locus.models(tmp_path, with_genome)
    assert locus.proteins(gene_models) == {"t": list(pieces)}
    assert gene_models.left_out == {}


def test_nested_genes_of_a_phage_without_protein_ids(tmp_path, locus):
    # cI and C64 of lambda: nested, an ID each (github.com/gpertea/gffread/issues/110).
    locus.add("gene", 100, 700, "ID=g")
    locus.write((100, 700))
    locus.write((301, 502))
    for name, (start, end) in (("cI", (100, 700)), ("c64", (301, 502))):
        locus.add("CDS", start, end, f"ID=cds-{name};Parent=g", 0)
    assert locus.proteins(locus.models(tmp_path)) == {"g:cI": [(100, 700)], "g:c64": [(301, 502)]}
    # Without a stop codon at the end it may be anything.
    locus.bases[499:502] = "GCC"
    locus.bases[502:505] = "GCC"
    gene_models = locus.models(tmp_path)
    assert gene_models.left_out == {"overlapping coding pieces": ["g"]}
    assert gene_models.cds.is_empty()


def test_proteins_that_cannot_be_told_apart_have_no_calls(tmp_path, locus):
    locus.add("gene", 50, 650, "ID=g")
    locus.cds(locus.write(*A), "Parent=g;protein_id=P1")
    locus.cds(locus.write(*B)[:1], "Parent=g;protein_id=P2")
    locus.cds(B[1:], "Parent=g")
    gene_models = locus.models(tmp_path)
    assert gene_models.left_out == {"proteins that cannot be told apart": ["g"]}
    assert gene_models.cds.is_empty()
    assert gene_models.transcripts["coding_start"].null_count() == 0


def test_a_protein_id_on_some_lines_is_that_of_the_same_cds(tmp_path, locus):
    locus.add("gene", 50, 650, "ID=g")
    for pieces, name in ((A, "P1"), (B, "P2")):
        locus.cds(locus.write(*pieces)[:1], f"ID={name};Parent=g;protein_id={name}")
        locus.cds(pieces[1:], f"ID={name};Parent=g")
    assert locus.proteins(locus.models(tmp_path)) == {"g:P1": list(A), "g:P2": list(B)}


def test_lines_numbered_twice_by_mistake_are_one_protein(tmp_path, locus):
    pieces = ((100, 161), (220, 281), (400, 461))
    locus.add("mRNA", 50, 650, "ID=t")
    for name, (start, end), phase in zip("abb", pieces, (0, 2, 1), strict=True):
        locus.add("CDS", start, end, f"ID={name};Parent=t", phase)
    assert locus.proteins(locus.models(tmp_path)) == {"t": list(pieces)}


def test_wrong_phases_make_no_proteins_of_pieces(tmp_path, locus):
    locus.add("mRNA", 50, 650, "ID=t")
    for n, (start, end) in enumerate(((100, 161), (220, 280))):
        locus.add("CDS", start, end, f"ID=c{n};Parent=t", 0)
    assert locus.models(tmp_path).left_out == {"phases against lengths": ["t"]}


def test_two_proteins_of_a_gtf_with_their_stop_codons(tmp_path, locus):
    of = 'gene_id "g"; transcript_id "t";'
    locus.add("transcript", 50, 750, of)
    locus.add("exon", 50, 750, of)
    for name, (start, end) in (("P1", (100, 190)), ("P2", (230, 350))):
        locus.write((start, end))
        locus.add("CDS", start, end - 3, f'{of} protein_id "{name}";', 0)
        locus.add("stop_codon", end - 3, end, of, 0)
    gene_models = locus.models(tmp_path)
    assert locus.proteins(gene_models) == {"t:P1": [(100, 190)], "t:P2": [(230, 350)]}
    # Without names the genome tells: a stop codon right behind the first.
    locus.lines = [
        (kind, start, end, attributes.split(" protein_id")[0], *rest)
        for kind, start, end, attributes, *rest in locus.lines
    ]
    gene_models = locus.models(tmp_path)
    assert locus.proteins(gene_models) == {"t:1": [(100, 190)], "t:2": [(230, 350)]}


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_operon_is_read_as_its_proteins_whatever_the_labels(tmp_path_factory, data):
    """Proteins of random pieces on one transcript, whose exons say where introns are."""
    locus = Locus(data.draw(st.sampled_from("+-")), data.draw(st.integers(0, 99)))
    at, orfs = 60, []
    for _ in range(data.draw(st.integers(2, 4))):
        sizes = data.draw(st.lists(st.integers(6, 40), min_size=1, max_size=3))
        sizes[-1] += -sum(sizes) % 3
        pieces = []
        for size in sizes:
            pieces.append((at, at + size))
            at += size + 30
        orfs.append(locus.write(*pieces))
        at += 10
    locus.add("mRNA", 50, at, "ID=t")
    inside = [(a[1], b[0]) for orf in orfs for a, b in pairwise(orf)]
    bounds = [50, *(edge for intron in inside for edge in intron), at]
    for start, end in zip(bounds[::2], bounds[1::2], strict=True):
        locus.add("exon", start, end, "Parent=t")
    label = data.draw(st.sampled_from(["ID=p{k}", "ID=p{k}x{n}", "protein_id=p{k}", "Note=p"]))
    for k, orf in enumerate(orfs):
        locus.cds(orf, "Parent=t;" + label.replace("{k}", str(k)))
    gene_models = locus.models(tmp_path_factory.mktemp("a"))
    assert sorted(locus.proteins(gene_models).values()) == [list(orf) for orf in orfs]


def test_consequences_of_two_proteins_of_one_gene(tmp_path, make_reference):
    locus = Locus()
    locus.add("gene", 50, 411, "ID=gene-G1;gene=G1;gene_biotype=protein_coding")
    locus.cds(locus.write((50, 230)), "ID=cds-A;Parent=gene-G1;protein_id=A")
    locus.cds(locus.write((261, 411)), "ID=cds-B;Parent=gene-G1;protein_id=B")
    contigs = {"c": "".join(locus.bases)}
    reference = make_reference(contigs)
    variants = tmp_path / "variants.parquet"
    alleles = making.write_variants(variants, making.every_snv(contigs), contigs)
    source = tmp_path / "a.gff3"
    source.write_text(locus.text)
    summary = making.index(tmp_path / "a", source, reference)
    assert (summary["genes"], summary["transcripts"]) == (1, 2)
    table = making.called(tmp_path / "a.parquet", variants, reference, tmp_path / "a")
    first = {pos: row for row, (_, pos, _, _) in enumerate(alleles)}
    assert table["consequence"][first[262]] == "start_lost"
    assert table["transcript"][first[262]] == "G1:B"
    assert table["consequence"][first[229]] in ("stop_lost", "stop_retained_variant")
    assert "intron_variant" not in set(table["consequence"])
    between = table["consequences"][first[240]].struct.field("consequence").to_list()
    assert sorted(between) == ["3_prime_UTR_variant", "5_prime_UTR_variant"]
    assert {transcript for _, transcript in entries(table)} >= {"G1:A", "G1:B"}


def _with_cds_attributes(text, gtf, number):
    """The text with CDS lines that have no ID and protein_id, or each an ID of its own."""
    lines = []
    for n, line in enumerate(text.splitlines()):
        columns = line.split("\t")
        if len(columns) == 9 and columns[2] == "CDS":
            dropped = ' protein_id "' if gtf else ("ID=", "protein_id=")
            kept = [a for a in columns[8].split(";") if not a.startswith(dropped)]
            columns[8] = ";".join([f"ID=line{n}"] * (number and not gtf) + kept)
        lines.append("\t".join(columns))
    return "\n".join(lines) + "\n"


@pytest.mark.real_data
@pytest.mark.parametrize("number", [True, False])
@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("yeast", "annotation.gff3.gz"),
        ("yeast", "annotation.ensembl109.gtf.gz"),
        ("human/chr21_grch38", "annotation.gff3.gz"),
    ],
)
def test_real_annotations_read_the_same_without_labels(tmp_path, shared_data, folder, name, number):
    text = gzip.decompress((shared_data / folder / name).read_bytes()).decode()
    fasta = gzip.decompress((shared_data / folder / "genome.fa.gz").read_bytes()).decode()
    contigs = {
        record.split(None, 1)[0]: "".join(record.split("\n")[1:]).encode()
        for record in fasta.split(">")[1:]
    }
    names = ContigNames({contig: len(bases) for contig, bases in contigs.items()})
    path = tmp_path / "a"

    def models(text):
        path.write_text(text)
        bases = {contig: np.frombuffer(data, np.uint8) for contig, data in contigs.items()}
        return build(read_annotation(path), path, names, {}, bases.__getitem__)

    expected = models(text)
    gene_models = models(_with_cds_attributes(text, ".gtf" in name, number))
    assert expected.cds.height > 5000
    assert gene_models.transcripts.equals(expected.transcripts)
    assert gene_models.exons.equals(expected.exons)
    assert gene_models.cds.equals(expected.cds)
    assert gene_models.left_out == expected.left_out

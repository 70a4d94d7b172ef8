"""An ID at several places of a contig is a gene at each; one in several pieces stays one."""

import polars as pl
import pytest

from making.locus import Locus

FIRST, SECOND = ((100, 160), (220, 280)), ((500, 561), (620, 679))
OF = 'gene_id "g"; transcript_id "NM_1";'


@pytest.fixture(params=["+", "-"])
def locus(request):
    return Locus(request.param)


def gtf_place(locus, pieces, turned=False, lines=(), cut=0):
    """A transcript of a GTF with untranslated ends; `cut`: bases of the stop codon left out."""
    start, end = pieces[0][0] - 20, pieces[-1][1] + 20
    locus.write(*pieces, turned=turned)
    for kind in lines:
        locus.add(kind, start, end, OF if kind != "gene" else 'gene_id "g";', turned=turned)
    (a, b), (c, d) = pieces
    locus.add("exon", start, b, OF, turned=turned)
    locus.add("exon", c, end, OF, turned=turned)
    coding = ((a + cut, b), (c, d)) if turned else ((a, b), (c, d - cut))
    locus.cds(coding, OF, turned=turned)


def check(locus, gene_models, second=SECOND):
    assert gene_models.left_out == {}
    table = gene_models.transcripts.sort("start")
    assert table["transcript"].to_list() == ["NM_1", "NM_1"]
    assert table["gene_id"].to_list() == ["g", "g"]
    spans = sorted(locus.place(*span) for span in table.select("start", "end").rows())
    assert spans == [(80, 300), (second[0][0] - 20, second[-1][1] + 20)]
    assert gene_models.exons.height == 4
    assert locus.proteins(gene_models) == {"NM_1": sorted([*FIRST, *second])}
    assert gene_models.cds.group_by("index").len()["len"].to_list() == [2, 2]


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("cut", [0, 3])
@pytest.mark.parametrize("lines", [(), ("transcript",), ("gene", "transcript"), ("gene",)])
def test_one_transcript_id_at_two_places_of_a_gtf(tmp_path, locus, turned, cut, lines):
    gtf_place(locus, FIRST, cut=cut, lines=lines)
    gtf_place(locus, SECOND, turned, cut=cut, lines=lines)
    gene_models = locus.models(tmp_path)
    assert {tuple(map(str, row)) for row in gene_models.transcripts.select("strand").rows()}
    if not cut:
        check(locus, gene_models)
        return
    assert gene_models.left_out == {}
    assert gene_models.transcripts["transcript"].to_list() == ["NM_1", "NM_1"]
    assert gene_models.cds.group_by("index").len()["len"].to_list() == [2, 2]


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("with_genome", [False, True])
@pytest.mark.parametrize("gene", ["gene", "pseudogene", None])
def test_one_id_at_two_places_of_a_gff3(tmp_path, locus, turned, with_genome, gene):
    for pieces, back in ((FIRST, False), (SECOND, turned)):
        start, end = pieces[0][0] - 20, pieces[-1][1] + 20
        locus.write(*pieces, turned=back)
        if gene:
            locus.add(gene, start, end, "ID=g;gene_id=g", turned=back)
        locus.add(
            "mRNA",
            start,
            end,
            "ID=NM_1;transcript_id=NM_1;gene_id=g" + ";Parent=g" * bool(gene),
            turned=back,
        )
        locus.add("exon", start, pieces[0][1], "Parent=NM_1", turned=back)
        locus.add("exon", pieces[1][0], end, "Parent=NM_1", turned=back)
        locus.cds(pieces, "ID=c;Parent=NM_1", turned=back)
    gene_models = locus.models(tmp_path, with_genome)
    check(locus, gene_models)
    assert gene_models.genes == 2
    assert set(gene_models.transcripts["strand"]) == ({"+", "-"} if turned else {locus.strand})


def test_a_transfer_rna_at_two_places(tmp_path, locus):
    for start in (100, 500):
        locus.add("gene", start, start + 70, "ID=trnM")
        locus.add("tRNA", start, start + 70, "ID=t;Parent=trnM")
        locus.add("exon", start, start + 70, "Parent=t")
    gene_models = locus.models(tmp_path)
    assert gene_models.genes == 2
    assert gene_models.transcripts["transcript"].to_list() == ["t", "t"]
    spans = {locus.place(*span) for span in gene_models.transcripts.select("start", "end").rows()}
    assert spans == {(100, 170), (500, 570)}


@pytest.mark.parametrize("turned", [False, True])
def test_one_lone_cds_id_at_two_places(tmp_path, locus, turned):
    for (start, end), back in (((100, 190), False), ((500, 590), turned)):
        locus.write((start, end), turned=back)
        locus.cds(((start, end),), "ID=P_1", turned=back)
    gene_models = locus.models(tmp_path)
    assert gene_models.transcripts["transcript"].to_list() == ["P_1", "P_1"]
    assert locus.proteins(gene_models) == {"P_1": [(100, 190), (500, 590)]}
    assert gene_models.left_out == {}


def test_trans_spliced_genes_stay_one(tmp_path, locus):
    # rps12 of a plastid: lines of one ID on both strands, marked.
    marks = "exception=trans-splicing;gbkey=Gene"
    for part, (start, end, turned) in enumerate(((100, 160, False), (500, 560, True)), 1):
        locus.add("gene", start, end, f"ID=gene-rps12;{marks};part={part}", turned=turned)
        locus.add("CDS", start, end, f"ID=cds-1;Parent=gene-rps12;{marks};part={part}", 0, turned)
    gene_models = locus.models(tmp_path)
    assert gene_models.left_out == {"trans-spliced": ["rps12"]}
    assert gene_models.transcripts.height == 1


@pytest.mark.parametrize("line", [True, False])
def test_unmarked_trans_splicing_of_a_gtf_stays_one(tmp_path, locus, line):
    # mod(mdg4) of the fly: one transcript line over exons on both strands.
    if line:
        locus.add("transcript", 100, 600, OF)
    for start, end, turned, phase in ((100, 161, False, 0), (501, 560, True, 2)):
        locus.add("exon", start, end, OF, turned=turned)
        locus.add("CDS", start, end, OF, phase, turned)
    gene_models = locus.models(tmp_path)
    assert gene_models.left_out == {"trans-spliced": ["NM_1"]}
    assert gene_models.transcripts.height == 1


@pytest.mark.parametrize("part", ["", ";part={n}"])
def test_a_transcript_on_a_line_for_each_exon_stays_one(tmp_path, locus, part):
    pieces = ((100, 161), (220, 279)) if not part else FIRST
    locus.write(*pieces)
    locus.add("gene", 80, 300, "ID=g")
    for n, (start, end) in enumerate(pieces):
        locus.add("mRNA", start, end, f"ID=t;Parent=g{part.format(n=n + 1)}")
        locus.add("exon", start, end, "Parent=t")
    locus.cds(pieces, "ID=c;Parent=t")
    gene_models = locus.models(tmp_path)
    assert locus.proteins(gene_models) == {"t": list(pieces)}
    assert gene_models.transcripts.height == 1


def test_an_operon_in_one_exon_of_a_gtf_is_one_transcript(tmp_path, locus):
    locus.add("exon", 50, 650, OF)
    for pieces in (((100, 160),), ((300, 390),)):
        locus.cds(locus.write(*pieces), OF)
    gene_models = locus.models(tmp_path)
    assert locus.proteins(gene_models) == {"NM_1:1": [(100, 160)], "NM_1:2": [(300, 390)]}
    assert gene_models.exons.select(pl.col("start").n_unique()).item() == 1


@pytest.mark.parametrize("turned", [False, True])
def test_a_non_coding_transcript_in_two_blocks_of_a_gtf(tmp_path, locus, turned):
    other = 'gene_id "h{n}"; transcript_id "h{n}";'
    for n in range(20):
        locus.add("exon", 900 + n, 930 + n, other.format(n=n))
        locus.add("exon", 950 + n, 990 + n, other.format(n=n))
        if n in (4, 12):
            start = 100 if n == 4 else 500
            locus.add("exon", start, start + 60, OF, turned=turned and n == 12)
            locus.add("exon", start + 120, start + 180, OF, turned=turned and n == 12)
    table = locus.models(tmp_path).transcripts.filter(pl.col("transcript") == "NM_1")
    spans = {locus.place(*span) for span in table.select("start", "end").rows()}
    assert spans == {(100, 280), (500, 680)}
    # Lines in the order of types: one block for each exon, which says nothing.
    locus.lines.sort(key=lambda line: line[1])
    if not turned:
        table = locus.models(tmp_path).transcripts.filter(pl.col("transcript") == "NM_1")
        assert table.height == 1

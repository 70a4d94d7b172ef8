"""Gene models of every kind of annotation file, and what is wrong with some."""

import gzip
import json
import logging

import polars as pl
import pytest

import making.gff as making
from making.gff import GENES, LENGTHS, Transcript, genome, index
from varlm.annotation.genes import gff
from varlm.annotation.genes.gff import read_annotation
from varlm.annotation.genes.models import build
from varlm.errors import UserError
from varlm.genome.contig_names import ContigNames

NAMES = ContigNames(LENGTHS)


@pytest.fixture
def models(tmp_path):
    """A function: text of an annotation → its gene models."""

    def make(text, names=NAMES, **codes):
        path = tmp_path / "a.gff"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return build(read_annotation(path), path, names, codes)

    return make


def feature(kind, start, end, attributes, strand="+", phase=".", contig="chr1", source="x"):
    """A GFF3 line; positions as in the file, 1-based."""
    columns = (contig, source, kind, start, end, ".", strand, phase, attributes)
    return "\t".join(map(str, columns)) + "\n"


def exons_of(gene_models, transcript):
    number = gene_models.transcripts.filter(pl.col("transcript") == transcript)["index"][0]
    return gene_models.exons.filter(pl.col("index") == number).select("start", "end").rows()


def cds_of(gene_models, transcript):
    number = gene_models.transcripts.filter(pl.col("transcript") == transcript)["index"][0]
    return gene_models.cds.filter(pl.col("index") == number).select("start", "end", "phase").rows()


@pytest.mark.parametrize("dialect", making.DIALECTS)
def test_every_dialect_gives_the_same_models(models, dialect):
    gene_models = models(making.DIALECTS[dialect]())
    assert gene_models.genes == len(GENES)
    assert gene_models.transcripts["transcript"].to_list() == ["tA", "tB", "tD", "tC", "tE"]
    for t in GENES:
        row = gene_models.transcripts.row(by_predicate=pl.col("transcript") == t.name, named=True)
        assert (row["contig"], row["strand"], row["biotype"]) == (t.contig, t.strand, t.biotype)
        assert (row["gene_id"], row["gene"]) == (t.gene, t.symbol)
        assert (row["start"], row["end"]) == (t.start, t.end)
        assert row["tss"] == (t.start if t.strand == "+" else t.end - 1)
        assert (row["coding_start"], row["coding_end"]) == (t.coding or (None, None))
        assert exons_of(gene_models, t.name) == list(t.exons)
        assert cds_of(gene_models, t.name) == t.cds()
    assert gene_models.left_out == {}


def test_dialects_are_told(tmp_path):
    path = tmp_path / "a"
    files = {}
    for name, text in making.DIALECTS.items():
        path.write_text(
            text().replace("\ttest\tgene", "\tBestRefSeq\tgene")
            if name.startswith("RefSeq")
            else text()
        )
        files[name] = read_annotation(path)
    assert files["RefSeq GFF3"].dialect == "RefSeq GFF3"
    assert files["SGD GFF3"].dialect == "SGD GFF3"
    assert files["Ensembl GFF3"].dialect == "Ensembl GFF3"
    assert files["GENCODE GFF3"].dialect == "GENCODE GFF3"
    assert all(file.gtf == ("GTF" in name) for name, file in files.items())
    assert files["RefSeq GFF3"].declared == {"chr1": 1500, "chr2": 600}


def test_chunks_of_any_size_give_the_same_features(tmp_path, monkeypatch):
    path = tmp_path / "a.gff3"
    path.write_bytes(gzip.compress(making.sgd().replace("\n", "\r\n").encode()))
    whole = read_annotation(path)
    assert "FASTA" not in str(whole.features["contig"].to_list())
    monkeypatch.setattr(gff, "_CHUNK", 50)
    assert read_annotation(path).features.equals(whole.features)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("chr1\tx\tgene\t10\t20\t.\t+\t.", "nine columns"),
        ("chr1 x gene 10 20 . + . ID=a", "nine columns"),
        ("chr1\tx\tgene\t10\t20\t.\t+\t.\tID=a\tmore", "nine columns"),
        ("chr1\tx\tgene\tten\t20\t.\t+\t.\tID=a", "start and an end"),
        ("chr1\tx\tgene\t21\t20\t.\t+\t.\tID=a", "start and an end"),
        ("chr1\tx\tgene\t0\t20\t.\t+\t.\tID=a", "start and an end"),
        ("chr1\tx\tgene\t1\t20\t.\tplus\t.\tID=a", "strand"),
        ("chr1\tx\tCDS\t1\t20\t.\t+\t3\tParent=a", "phase"),
    ],
)
def test_a_malformed_line_is_named(models, line, expected):
    text = "##gff-version 3\n\n" + feature("gene", 1, 30, "ID=g") + line + "\n"
    with pytest.raises(UserError, match=rf"a\.gff, line 4: .*{expected}"):
        models(text)


def test_files_without_features(models, tmp_path):
    for text in ("", "##gff-version 3\n", "##FASTA\n>chr1\nACGT\n"):
        with pytest.raises(UserError, match="no feature"):
            models(text)
    with pytest.raises(UserError, match="cannot be read"):
        read_annotation(tmp_path / "absent.gff")
    (tmp_path / "cut.gff.gz").write_bytes(gzip.compress(making.gtf().encode())[:-20])
    with pytest.raises(UserError, match="truncated"):
        read_annotation(tmp_path / "cut.gff.gz")


def test_fault_23_the_annotation_of_another_assembly(models):
    genes = [feature("gene", 300 * n + 1, 300 * n + 30, f"ID=g{n}") for n in range(20)]
    with pytest.raises(
        UserError, match=r"line 7: gene 1501-1530 on contig 'chr1'.* 1500 bp.*\(15 f"
    ):
        models("##gff-version 3\n" + "".join(genes))
    with pytest.raises(UserError, match=r"no feature lies on a contig.*'scaffold_1'.*'chr1'"):
        models(feature("gene", 1, 30, "ID=g", contig="scaffold_1"))
    with pytest.raises(UserError, match=r"'s4', … \(7 in all\); reference"):
        models("".join(feature("gene", 1, 30, f"ID={n}", contig=f"s{n}") for n in range(7)))


@pytest.mark.parametrize(
    "line",
    [
        "chr1\tx\tbiological_region\t10\t20\t2\t48e\t03\t. . external_name=oe",
        "chr1\tx\trepeat_region\tten\t20\t.\t+\t.\tID=a",
        "chr1\tx\tCpG_island\t21\t20\t.\t+\t.\tID=a",
        "chr1\tx\tmatch\t0\t20\t.\tplus\t3\tID=a",
        "chr1\tx\tenhancer\t10\t20\t.\t+",
        'track name="genes" description="of chr1"',
        "browser position chr1:1-100",
    ],
)
def test_malformed_lines_of_other_types_are_passed_over_and_counted(models, caplog, line):
    gene = feature("gene", 1, 30, "ID=g") + feature("CDS", 1, 30, "ID=c;Parent=g", phase=0)
    gene_models = models(f"{line}\n{gene}{line}\n")
    assert "2 malformed lines" in caplog.text
    assert "line 1: found" in caplog.text
    assert gene_models.transcripts["transcript"].to_list() == ["g"]
    assert gene_models.cds.height == 1


def test_a_feature_past_the_end_is_passed_over(models, caplog):
    genes = [
        feature("gene", start, start + 29, f"ID=g{start}")
        + feature("CDS", start, start + 29, f"ID=c{start};Parent=g{start}", phase=0)
        for start in (1, 101, 201)
    ]
    whole = models("".join(genes))
    for over in (
        feature("tmRNA", 1490, 1525, "ID=t"),
        feature("gene", 1490, 1525, "ID=h") + feature("CDS", 1490, 1525, "ID=d;Parent=h", phase=0),
        feature("ncRNA", 1600, 1650, "ID=t"),
        feature("CDS", 1490, 1525, "ID=t", phase=0),
    ):
        caplog.clear()
        gene_models = models(over + "".join(genes))
        assert "pass the end of their contig and are passed over (line 1: " in caplog.text
        assert "which has 1500 bp in the reference" in caplog.text
        assert gene_models.transcripts.equals(whole.transcripts)
        assert gene_models.cds.equals(whole.cds)
        # The header says that the contig is longer than the reference's.
        with pytest.raises(UserError, match="another assembly"):
            models("##sequence-region chr1 1 1700\n" + over + "".join(genes))


def test_few_of_many_features_past_the_ends_are_no_other_assembly(models):
    within = [feature("gene", n + 1, n + 30, f"ID=g{n}") for n in range(1000)]
    beyond = [feature("gene", 1600 + 50 * n, 1630 + 50 * n, f"ID=h{n}") for n in range(11)]
    assert models("".join(within + beyond[:9])).genes == 1000
    with pytest.raises(UserError, match=r"\(11 features pass the end.*another assembly"):
        models("".join(within + beyond))
    assert models("".join(within[:9] + beyond[:1])).genes == 9
    with pytest.raises(UserError, match="another assembly"):
        models("".join(within[:9] + beyond[:3]))


@pytest.mark.parametrize("gtf", [False, True])
def test_a_gene_of_which_a_part_passes_the_end_has_no_coding_calls(models, caplog, gtf):
    parts = [("exon", 1401, 1430), ("exon", 1461, 1520)]
    parts += [("CDS", 1401, 1430), ("CDS", 1461, 1520)]
    if gtf:
        of = 'gene_id "h"; transcript_id "t"; gene_biotype "protein_coding";'
        cut = feature("gene", 1401, 1520, 'gene_id "h"; gene_name "H";')
        cut += feature("transcript", 1401, 1520, of)
        whole = 'gene_id "g"; transcript_id "u";'
    else:
        of, whole = "Parent=t", "ID=u"
        cut = feature("gene", 1401, 1520, "ID=h;Name=H")
        cut += feature("mRNA", 1401, 1520, "ID=t;Parent=h")
    cut += "".join(feature(k, a, b, of, phase=0 if k == "CDS" else ".") for k, a, b in parts)
    others = "".join(
        feature("CDS", n, n + 29, whole.replace("g", f"g{n}").replace("u", f"u{n}"), phase=0)
        for n in range(1, 400, 40)
    )
    gene_models = models(cut + others)
    assert "pass the end of their contig" in caplog.text
    assert gene_models.left_out == {"passes the end of its contig": ["t"]}
    row = gene_models.transcripts.row(by_predicate=pl.col("transcript") == "t", named=True)
    assert (row["gene"], row["start"], row["end"], row["genetic_code"]) == ("H", 1400, 1500, None)
    assert (row["coding_start"], row["coding_end"]) == (1400, 1500)
    assert exons_of(gene_models, "t") == [(1400, 1430), (1460, 1500)]
    assert cds_of(gene_models, "t") == []
    assert gene_models.cds.height == 10


JGI = 'name "fgenesh1_pg.1"; transcriptId 1'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            feature("exon", 1, 90, JGI) + feature("CDS", 1, 90, JGI, phase=0),
            r"2 features, read as GTF \(types: CDS 1, exon 1; attributes: name 2, transcriptId 2\)"
            r".*a GTF has exons and CDS with gene_id",
        ),
        (
            "".join(
                feature("dispersed_repeat", n, n + 9, f"ID={n};Target=L1") for n in range(1, 4)
            ),
            r"3 features, read as GFF3 \(types: dispersed_repeat 3; attributes: ID 3, Target 3\)"
            r".*a GFF3 has genes and transcripts with ID, and exons and CDS with Parent",
        ),
        (
            feature("match", 1, 9, "ID=1") + feature("match_part", 1, 9, "Parent=1"),
            "match 1, match",
        ),
        (feature("similarity", 1, 9, 'Target "Motif:AluY" 1 300'), "similarity 1; attributes: Ta"),
        (feature("exon", 1, 90, "Name=a"), "types: exon 1; attributes: Name 1"),
        (
            feature("gene", 1, 90, "ID=g", contig="s1") + feature("region", 1, 9, "ID=r"),
            "region 1.*; 1 of its contigs are not in the reference",
        ),
    ],
)
def test_an_annotation_of_which_nothing_can_be_made(models, text, said):
    with pytest.raises(UserError, match=rf"a\.gff: no gene or transcript could be made.*{said}"):
        models(text)


def test_other_formats_are_refused(models):
    bed = "chr1\t10\t20\tname\t0\t+\n"
    with pytest.raises(
        UserError, match=r"no feature found.*2 malformed lines, line 1: found 'chr1"
    ):
        models(bed * 2)
    with pytest.raises(UserError, match=r"found GenBank; .* must name a GFF3 or GTF file"):
        models("LOCUS       NC_1    1500 bp    DNA     linear\nFEATURES\n")


def test_annotations_without_coding_genes_are_read(models):
    ncrna = feature("gene", 1, 90, "ID=g") + feature("lnc_RNA", 1, 90, "ID=t;Parent=g")
    assert models(ncrna).transcripts["transcript"].to_list() == ["t"]
    assert models(feature("gene", 1, 90, "ID=g")).transcripts["transcript"].to_list() == ["g"]
    assert models(feature("gene", 1, 90, 'gene_id "g";')).genes == 1


def test_parts_that_belong_to_nothing_are_counted(models, caplog):
    gene = feature("CDS", 1, 90, 'gene_id "g"; transcript_id "t";', phase=0)
    models(gene + feature("CDS", 1, 90, 'name "x";', phase=0) + feature("exon", 1, 90, 'name "x";'))
    assert "2 exons or CDS without gene_id and transcript_id" in caplog.text
    assert "line 2" in caplog.text
    caplog.clear()
    models(feature("CDS", 1, 90, "ID=g", phase=0) + feature("exon", 1, 90, "Name=x"))
    assert "1 exons or CDS without Parent" in caplog.text


def test_contig_names_are_matched(models, caplog):
    gene_models = models(making.gtf().replace("chr1\t", "1\t").replace("chr2\t", "Chr02\t"))
    assert gene_models.transcripts["contig"].unique(maintain_order=True).to_list() == [
        "chr1",
        "chr2",
    ]
    aliases = ContigNames(LENGTHS, {"NC_1.1": "chr1"})
    assert models(making.refseq().replace("chr1\t", "NC_1.1\t"), aliases).genes == 5
    caplog.clear()
    gene_models = models(making.gtf().replace("chr2\t", "scaffold_9\t"))
    assert "'scaffold_9'" in caplog.text
    assert gene_models.genes == 4
    assert gene_models.left_out == {"contig not in the reference": ["scaffold_9"]}
    # Same name, another length: the header's sequence-region contradicts the convention.
    gene_models = models("##sequence-region 1 1 99\n" + making.gtf().replace("chr1\t", "1\t"))
    assert gene_models.genes == 1


def test_genes_with_parts_directly_below(models):
    gene_models = models(
        feature("gene", 101, 160, "ID=gene-a;Name=abc;gene_biotype=protein_coding;locus_tag=a")
        + feature("CDS", 101, 160, "ID=cds-1;Parent=gene-a;transl_table=11", phase=0)
        # Prokka without genes; two lines of one CDS.
        + feature("CDS", 201, 230, "ID=p1;gene=dnaA;locus_tag=p1", phase=0)
        + feature("CDS", 251, 280, "ID=p1;gene=dnaA;locus_tag=p1", phase=0)
        # An mRNA beside: parts of the gene are the mRNA's.
        + feature("gene", 301, 400, "ID=c")
        + feature("mRNA", 301, 400, "ID=c1;Parent=c")
        + feature("CDS", 311, 340, "Parent=c", phase=0)
        # A pseudogene without any part; a transfer RNA of SGD; a top-level transcript.
        + feature("pseudogene", 501, 540, "ID=ps;gene_biotype=pseudogene")
        + feature("tRNA_gene", 601, 640, "ID=tr;Name=tr")
        + feature("noncoding_exon", 601, 610, "Parent=tr")
        + feature("noncoding_exon", 621, 640, "Parent=tr")
        + feature("lnc_RNA", 701, 740, "ID=lone")
        + feature("exon", 701, 740, "Parent=lone")
    )
    table = {row["transcript"]: row for row in gene_models.transcripts.iter_rows(named=True)}
    assert set(table) == {"a", "p1", "c1", "ps", "tr", "lone"}
    assert (table["a"]["gene"], table["a"]["genetic_code"]) == ("abc", 11)
    assert (table["p1"]["gene"], cds_of(gene_models, "p1")) == (
        "dnaA",
        [(200, 230, 0), (250, 280, 0)],
    )
    assert exons_of(gene_models, "c1") == [(300, 400)]
    assert cds_of(gene_models, "c1") == [(310, 340, 0)]
    assert (table["ps"]["biotype"], exons_of(gene_models, "ps")) == ("pseudogene", [(500, 540)])
    assert exons_of(gene_models, "tr") == [(600, 610), (620, 640)]
    assert table["lone"]["biotype"] == "lncRNA"
    assert gene_models.genes == 6


def test_several_parents_percent_encoding_and_nested_transcripts(models):
    gene_models = models(
        feature("gene", 101, 200, "ID=gene:a%2Cb;Name=x%3By")
        + feature("mRNA", 101, 200, "ID=t%2C1;Parent=gene:a%2Cb")
        + feature("mRNA", 101, 200, "ID=t2;Parent=gene:a%2Cb")
        + feature("exon", 101, 200, "Parent=t%2C1,t2")
        + feature("CDS", 101, 160, "Parent=t%2C1,t2", phase=0)
        + feature("gene", 301, 400, "ID=gene-m;gene=mir")
        + feature("primary_transcript", 301, 400, "ID=rna-p;Parent=gene-m")
        + feature("exon", 301, 400, "Parent=rna-p")
        + feature("miRNA", 311, 330, "ID=rna-q;Parent=rna-p")
        + feature("exon", 311, 330, "Parent=rna-q")
    )
    assert gene_models.transcripts["transcript"].to_list() == ["t,1", "t2", "p", "q"]
    assert gene_models.transcripts["gene_id"].to_list() == ["a,b", "a,b", "m", "m"]
    assert gene_models.transcripts["gene"].to_list() == ["x;y", "x;y", "mir", "mir"]
    assert cds_of(gene_models, "t,1") == cds_of(gene_models, "t2") == [(100, 160, 0)]


def _two_isoforms(parent_of_exons, parent_of_cds, *more):
    """A gene of two isoforms on either strand; {} in a parent is the transcript's name."""
    text = ""
    for gene, strand, start in (("A", "+", 101), ("B", "-", 501)):
        text += feature("gene", start, start + 199, f"ID={gene};Name={gene}", strand)
        for name in (f"{gene}.1", f"{gene}.2"):
            of_exons = parent_of_exons.format(t=name, g=gene)
            of_cds = parent_of_cds.format(t=name, g=gene)
            text += feature("mRNA", start, start + 199, f"ID={name};Parent={gene}", strand)
            for kind, attributes in more:
                extra = attributes.format(t=name, g=gene)
                text += feature(kind, start, start + 199, extra, strand)
            for low in (start, start + 100):
                text += feature("exon", low, low + 79, of_exons, strand)
                text += feature("CDS", low + 10, low + 69, of_cds, strand, 0)
    return text


@pytest.mark.parametrize(
    ("exons", "cds", "more"),
    [
        # TAIR10; chado; a protein that the file does not have.
        ("Parent={t}", "Parent={t},{t}-Protein;", [("protein", "ID={t}-Protein;Derives_from={t}")]),
        ("Parent={t}", "Parent={t}-P", [("polypeptide", "ID={t}-P;Derives_from={t}")]),
        ("Parent={t}", "Parent={t}-P", [("polypeptide", "ID={t}-P;Parent={t}")]),
        ("Parent={t}", "Derives_from={t}", []),
        ("Parent={t}", "Parent={t},{t}-Protein", []),
        ("Parent=nowhere,{t}", "Parent={t}, nowhere", []),
        # The gene beside its transcript.
        ("Parent={g},{t}", "Parent={t},{g}", []),
        # A region, an operon, a match beside the transcript.
        ("Parent=r,{t}", "Parent={t},r", [("region", "ID=r")]),
        ("Parent=op,{t}", "Parent={t},op", [("operon", "ID=op")]),
        ("Parent={t}", "Parent={t},m", [("match", "ID=m")]),
        ("Parent={t}", "Parent={t},chr1", [("chromosome", "ID=chr1")]),
    ],
)
def test_parents_that_are_no_transcripts_make_no_genes(models, exons, cds, more):
    expected = models(_two_isoforms("Parent={t}", "Parent={t}"))
    assert expected.genes == 2
    assert expected.transcripts["transcript"].to_list() == ["A.1", "A.2", "B.1", "B.2"]
    gene_models = models(_two_isoforms(exons, cds, *more))
    assert gene_models.genes == 2
    assert gene_models.transcripts.equals(expected.transcripts)
    assert gene_models.exons.equals(expected.exons)
    assert gene_models.cds.equals(expected.cds)


def test_genes_below_regions_and_operons_are_genes_of_their_own(models):
    def genes(above):
        return "".join(
            feature("gene", start, start + 89, f"ID=g{start};{above}")
            + feature("mRNA", start, start + 89, f"ID=t{start};Parent=g{start}")
            + feature("CDS", start, start + 89, f"Parent=t{start}", phase=0)
            for start in (101, 301)
        )

    expected = models(genes("Name=x"))
    assert expected.transcripts["gene_id"].to_list() == ["g101", "g301"]
    for above in (
        feature("operon", 101, 400, "ID=o") + genes("Name=x;Parent=o"),
        feature("region", 1, 1500, "ID=o") + genes("Name=x;Parent=o"),
        feature("chromosome", 1, 1500, "ID=chr1") + genes("Name=x;Parent=chr1"),
        feature("locus_cluster", 1, 1500, "ID=o") + genes("Name=x;Parent=missing,o"),
    ):
        gene_models = models(above)
        assert gene_models.genes == 2
        assert gene_models.transcripts.equals(expected.transcripts)
    # Coding pieces directly below: each is a gene, as without a parent.
    cds = [feature("CDS", n, n + 89, f"ID=c{n};Parent={{}}", phase=0) for n in (101, 301)]
    lone = models("".join(cds).replace("Parent={}", "product=x"))
    for text in (
        feature("region", 1, 1500, "ID=o") + "".join(cds).format("o", "o"),
        "".join(cds).format("chr1", "chr1"),
    ):
        assert models(text).transcripts.equals(lone.transcripts)
        assert models(text).genes == 2


def test_parts_with_a_transcript_id_for_a_parent(models):
    gene_models = models(
        "".join(
            feature(kind, low, low + 49, "gene_id=g;transcript_id=t", phase=phase)
            for low, phase in ((101, 0), (201, 1))
            for kind in ("exon", "CDS")
        )
    )
    assert gene_models.transcripts["transcript"].to_list() == ["t"]
    assert exons_of(gene_models, "t") == [(100, 150), (200, 250)]
    assert cds_of(gene_models, "t") == [(100, 150, 0), (200, 250, 1)]


def test_untranslated_introns_of_sgd(models):
    gene_models = models(
        feature("gene", 101, 400, "ID=Y;Name=Y;gene=TFC3", source="SGD")
        + feature("mRNA", 101, 400, "ID=Y_mRNA;Parent=Y")
        + feature("five_prime_UTR_intron", 121, 150, "Parent=Y_mRNA")
        + feature("CDS", 201, 260, "Parent=Y_mRNA", phase=0)
        + feature("intron", 261, 300, "Parent=Y_mRNA")
        + feature("CDS", 301, 360, "Parent=Y_mRNA", phase=0)
    )
    assert exons_of(gene_models, "Y_mRNA") == [(100, 120), (150, 260), (300, 400)]


def test_one_id_on_two_contigs_is_two_genes(models):
    twice = (*GENES[4:], Transcript(**{**vars(GENES[4]), "contig": "chr1"}))
    for dialect in (making.ensembl_gff3, making.gtf, making.refseq):
        gene_models = models(dialect(twice))
        assert gene_models.genes == 2
        assert gene_models.transcripts["contig"].to_list() == ["chr1", "chr2"]
        assert gene_models.cds.height == 2


def test_what_is_left_out_of_coding_calls(models):
    def gene(name, strand, *pieces):
        text = feature("gene", 101, 400, f"ID={name}", strand)
        text += feature("mRNA", 101, 400, f"ID={name}.t;Parent={name}", strand)
        text += feature("exon", 101, 400, f"Parent={name}.t", strand)
        for start, end, phase, *other in pieces:
            text += feature("CDS", start, end, f"Parent={name}.t", *(other or [strand]), phase)
        return text

    gene_models = models(
        gene("good", "+", (101, 140, 0), (201, 250, 2))
        + gene("spliced", "+", (101, 130, 0), (201, 230, 0, "-"))
        + gene("phases", "+", (101, 140, 0), (201, 250, 0))
        + gene("overlap", "+", (101, 160, 0), (131, 190, 0))
        + gene("short", "+", (101, 102, 0))
        + gene("slips", "+", (101, 140, 0), (140, 188, 2))
        + gene("nowhere", "?", (101, 130, 0))
        + feature("gene", 101, 400, "ID=ps;gene_biotype=pseudogene;pseudo=true")
        + feature("CDS", 101, 130, "Parent=ps", phase=0)
    )
    assert gene_models.left_out == {
        "trans-spliced": ["spliced.t"],
        "no strand": ["nowhere.t"],
        "non-coding biotype": ["ps"],
        "overlapping coding pieces": ["overlap.t"],
        "phases against lengths": ["phases.t"],
        "shorter than a codon": ["short.t"],
    }
    called = gene_models.transcripts.filter(pl.col("genetic_code").is_not_null())
    assert called["transcript"].to_list() == ["good.t", "slips.t"]
    assert cds_of(gene_models, "slips.t") == [(100, 140, 0), (139, 188, 2)]


def test_incomplete_coding_sequences(models):
    gene_models = models(
        feature("gene", 101, 400, "ID=g", "-")
        + feature("mRNA", 101, 400, "ID=t;Parent=g", "-")
        + feature("CDS", 101, 140, "Parent=t", "-", 0)
        + feature("CDS", 201, 241, "Parent=t", "-", 2)  # 5': two bases of a codon begun before
        + feature("gene", 501, 600, "ID=h")
        + feature("mRNA", 501, 600, "ID=u;Parent=h")
        + feature("CDS", 501, 502, "Parent=u", phase=2)  # shorter than its phase
        + feature("CDS", 551, 560, "Parent=u", phase=0)
        + feature("gene", 701, 790, "ID=i")
        + feature("mRNA", 701, 790, "ID=v;Parent=i")
        + feature("CDS", 701, 740, "Parent=v")  # no phases at all
        + feature("CDS", 751, 790, "Parent=v")
    )
    assert gene_models.left_out == {}
    assert cds_of(gene_models, "t") == [(100, 140, 0), (200, 241, 2)]
    assert cds_of(gene_models, "u") == [(550, 560, 0)]
    assert cds_of(gene_models, "v") == [(700, 740, 0), (750, 790, 2)]


@pytest.mark.parametrize(
    ("kind", "flag"), [("region", "Is_"), ("contig", "is_"), ("source", "Is_")]
)
def test_circular_contigs_and_organelles_of_ncbi(models, kind, flag):
    text = (
        feature(kind, 1, 200, f"ID=r;{flag}circular=true;genome=chloroplast", contig="chr3")
        + feature("gene", 190, 230, "ID=gene-o", contig="chr3")
        + feature("CDS", 190, 230, "ID=cds-o;Parent=gene-o", phase=0, contig="chr3")
        + feature("gene", 31, 60, "ID=gene-k", contig="chr3")
        + feature("CDS", 31, 60, "ID=cds-k;Parent=gene-k", phase=0, contig="chr3")
    )
    gene_models = models(text)
    assert gene_models.left_out == {}
    assert gene_models.refused == ["chr3"]
    assert gene_models.circular == ["chr3"]
    spans = gene_models.transcripts.select("transcript", "start", "end").rows()
    assert spans == [("k", 30, 60), ("o", 189, 230)]
    assert models(text, chr3=11).refused == []


def test_stop_codons_of_gtf_across_an_intron(models):
    lines = [
        feature("exon", 101, 131, 'gene_id "g"; transcript_id "t";'),
        feature("exon", 201, 260, 'gene_id "g"; transcript_id "t";'),
        feature("CDS", 101, 130, 'gene_id "g"; transcript_id "t";', phase=0),
        feature("stop_codon", 131, 131, 'gene_id "g"; transcript_id "t";', phase=0),
        feature("stop_codon", 201, 202, 'gene_id "g"; transcript_id "t";', phase=2),
    ]
    gene_models = models("".join(lines))
    assert cds_of(gene_models, "t") == [(100, 131, 0), (200, 202, 2)]
    # A CDS that has its stop codon already (Augustus).
    gene_models = models(
        "".join(
            [
                *lines[:2],
                lines[2].replace("\t130\t", "\t131\t"),
                feature("CDS", 201, 202, 'gene_id "g"; transcript_id "t";', phase=2),
                *lines[3:],
            ]
        )
    )
    assert cds_of(gene_models, "t") == [(100, 131, 0), (200, 202, 2)]


def test_the_folder_of_the_step(tmp_path, make_reference, caplog):
    caplog.set_level(logging.INFO)
    source = tmp_path / "a.gff3"
    source.write_text(making.gencode_gff3())
    reference = make_reference(genome())
    summary = index(tmp_path / "a", source, reference)
    assert summary == json.loads((tmp_path / "a" / "annotation.json").read_text())
    assert summary["dialect"] == "GENCODE GFF3"
    assert (summary["genes"], summary["transcripts"], summary["coding_transcripts"]) == (5, 5, 4)
    assert summary["biotypes"] == {"protein_coding": 4, "lncRNA": 1}
    assert summary["genetic_codes"] == {"chr1": 1, "chr2": 1}
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [
        "annotation.json",
        "cds.parquet",
        "coding.0.gff3",
        "exons.parquet",
        "recoded.parquet",
        "transcripts.parquet",
    ]
    index(tmp_path / "a", source, reference, "--genetic-codes", "chr1=3", "--genetic-codes", "2=4")
    assert sorted(path.name for path in (tmp_path / "a").glob("*.gff3")) == [
        "coding.3.gff3",
        "coding.4.gff3",
    ]


def test_a_line_without_end_is_refused(tmp_path):
    path = tmp_path / "bomb.gff"
    line = b"chr1\t.\tgene\t1\t9\t.\t+\t.\tID=a\n"
    path.write_bytes(gzip.compress(line + line[:-1] + b"x" * (24 << 20)))
    with pytest.raises(UserError, match=r"bomb\.gff, line 2: longer than 16777216 bytes"):
        read_annotation(path)


def test_behind_a_fasta_mark_lines_may_have_any_length(tmp_path):
    path = tmp_path / "a.gff"
    text = b"chr1\t.\tgene\t1\t9\t.\t+\t.\tID=a\n##FASTA\n>chr1\n" + b"ACGT" * (9 << 20)
    path.write_bytes(gzip.compress(text, 1))
    assert read_annotation(path).features["id"].to_list() == ["a"]
    path.write_bytes(gzip.compress(text, 1)[:-9])
    with pytest.raises(UserError, match="truncated"):
        read_annotation(path)


def test_a_missing_file_is_named_with_its_key(tmp_path):
    with pytest.raises(UserError, match=r"none\.gff: cannot be read .*; here must name a GFF3"):
        read_annotation(tmp_path / "none.gff", "here")

"""Tables as their authors publish them, in small; and real cohorts as tables of themselves."""

import random

import polars as pl
import pysam
import pytest

from making.score_tables import frame_of, snvs, table, write_indexed, write_score_vcf
from making.vcf import bcftools
from varlm.annotation.published.joining import Joiner, join_scores
from varlm.annotation.published.tables import opened
from varlm.files.whole import write_digest
from varlm.genome.contig_names import ContigNames
from varlm.genome.encoding import index_reference
from varlm.genome.reference import Genome
from varlm.tables.parquet import write_table
from varlm.tables.schemas import VARIANTS
from varlm.variants.cohort import CohortVcf, NormaliseOptions, normalise

SEQUENCE = "".join(random.Random(13).choices("ACGT", k=80))
A, B = ((pos, SEQUENCE[pos - 1], "ACGT".replace(SEQUENCE[pos - 1], "")[0]) for pos in (5, 9))


@pytest.fixture
def look_up(tmp_path, make_reference):
    genome = Genome.open(make_reference({"1": SEQUENCE}))
    alleles = pl.DataFrame(
        [("1", *A), ("1", *B)], schema=["contig", "pos", "ref", "alt"], orient="row"
    )

    def columns(described):
        source = opened(described, ContigNames(genome.lengths), tmp_path)
        return Joiner(described, source, genome).columns(alleles)

    return columns


def test_cadd(tmp_path, look_up):
    lines = [
        "## CADD GRCh38-v1.7 (c) all rights reserved",
        "#Chrom\tPos\tRef\tAlt\tRawScore\tPHRED",
    ]
    lines += [(1, *A, "1.234567", "15.43"), (1, *B, "-0.5", "0.001")]
    path = write_indexed(tmp_path / "cadd.tsv", lines)
    harmful = {"harmful": "high"}
    columns = look_up(table(path, ("raw", "RawScore", harmful), ("phred", "PHRED"), name="cadd"))
    assert columns.to_dict(as_series=False) == {
        "cadd_raw": [1.234567, -0.5],
        "cadd_phred": [15.43, 0.001],
    }


def test_gpn_msa(tmp_path, look_up):
    path = write_indexed(tmp_path / "scores.tsv", [(1, *A, "-5.12"), (1, *B, "0.3")])
    assert look_up(table(path, ("llr", 5)))["t_llr"].to_list() == [-5.12, 0.3]


def test_alphamissense_of_two_transcripts(tmp_path, look_up):
    lines = ["# Copyright", "# Licensed"]
    names = ["#CHROM", "POS", "REF", "ALT", "genome", "uniprot_id", "transcript_id"]
    lines.append("\t".join([*names, "protein_variant", "am_pathogenicity", "am_class"]))
    lines += [
        ("chr1", *A, "hg38", "P1", "ENST1.1", "V2L", "0.21", "likely_benign"),
        ("chr1", *A, "hg38", "P2", "ENST2.1", "V9L", "0.94", "likely_pathogenic"),
    ]
    path = write_indexed(tmp_path / "am.tsv", lines)
    columns = look_up(
        table(
            path,
            ("worst", "am_pathogenicity", {"rule": "max"}),
            ("all", "am_pathogenicity", {"rule": "list"}),
            ("class", "am_class", {"type": "text", "rule": "first"}),
            ("proteins", "uniprot_id", {"type": "text", "rule": "list"}),
        )
    )
    assert columns.rows() == [(0.94, "0.21,0.94", "likely_benign", "P1,P2"), (None,) * 4]


def test_a_wide_table_as_dbnsfp(tmp_path, look_up):
    names = ["#chr", "pos(1-based)", "ref", "alt", *(f"c{n}" for n in range(400)), "REVEL_score"]
    more = ["."] * 400
    lines = [names, (1, *A, *more, "0.1;.;0.7"), (1, *B, *more, ".;.")]
    path = write_indexed(tmp_path / "db.tsv", ["\t".join(lines[0]), *lines[1:]])
    described = table(path, ("revel", "REVEL_score", {"rule": "max"}), ("c", "c399"))
    assert look_up(described).rows() == [(0.7, None), (None, None)]


def test_clinvar(tmp_path, look_up):
    infos = [("CLNSIG", ".", "String"), ("RS", ".", "String"), ("DB", "0", "Flag")]
    records = [
        (1, *A, "CLNSIG=Pathogenic,_risk_factor;RS=17"),
        (1, *B, "RS=5;DB;CLNSIGCONF=x"),
    ]
    path = write_score_vcf(tmp_path / "clinvar.vcf", records, infos)
    described = table(
        path,
        ("significance", "CLNSIG", {"type": "text"}),
        ("rs", "RS", {"type": "integer"}),
        ("known", "DB", {"type": "integer"}),
    )
    assert look_up(described).rows() == [("Pathogenic,_risk_factor", 17, None), (None, 5, 1)]


def test_gpn_star_whose_contigs_are_numbers(tmp_path, look_up):
    rows = [(1, *row[1:]) for row in snvs(SEQUENCE, "1")]
    frame_of(rows, "chrom", "pos", "ref", "alt", "llr").write_parquet(tmp_path / "llr_chr1.parquet")
    by_key = {row[1:4]: row[4] for row in rows}
    for path in (tmp_path / "llr_chr{contig}.parquet", tmp_path / "llr_chr1.parquet"):
        columns = look_up(table(path, ("llr", "llr")))
        assert columns["t_llr"].to_list() == [by_key[A], by_key[B]]


# -- real data --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def yeast(shared_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("yeast")
    index_reference(shared_data / "yeast/genome.fa.gz", folder / "reference")
    return Genome.open(folder / "reference")


@pytest.mark.real_data
def test_a_real_cohort_with_indels_finds_each_allele_in_its_own_file(yeast, shared_data, tmp_path):
    vcf = shared_data / "yeast/cohorts/by_rm.gatk.vcf.gz"
    result = normalise("c", [CohortVcf(vcf)], yeast, NormaliseOptions())
    variants = result.variants
    assert (variants["kind"] != "snv").sum() > 1000
    tags = ("AC", "AF")
    write_table(variants, tmp_path / "variants.parquet", VARIANTS)
    described = table(vcf, *((tag, tag) for tag in tags))
    out = tmp_path / "scores.parquet"
    record = join_scores(tmp_path / "variants.parquet", yeast, None, described, out)
    assert record.matched == record.alleles == variants.height
    assert record.refs_wrong == 0
    own = own_values(vcf, variants)
    read = pl.read_parquet(out)
    for tag in tags:
        # Where two records spell one allele, the first one's value is taken.
        differ = [r for r, o in zip(read[f"t_{tag}"], own[tag], strict=True) if r != o]
        assert (
            len(differ)
            <= variants.height - variants.select("contig", "pos", "ref", "alt").n_unique()
        )


def own_values(vcf, variants):
    """AC and AF of each allele, from the record that it came of."""
    values = {"AC": [], "AF": []}
    with pysam.VariantFile(str(vcf)) as file:
        by_record = [(record.info.get("AC"), record.info.get("AF")) for record in file]
    for record, allele in variants.select("record", "allele").iter_rows():
        for tag, numbers in zip(values, by_record[record], strict=True):
            number = numbers[allele - 1]
            values[tag].append(float(f"{number:.6g}"))
    return values


@pytest.mark.real_data
def test_real_snvs_against_bcftools_annotate(yeast, shared_data, tmp_path):
    """Contig I of the outgroup's SNVs, and a table of all SNVs of that contig."""
    vcf = shared_data / "yeast/cohorts/spar5.outgroup.snv.vcf.gz"
    sequence = yeast.sequence("I").tobytes().decode()
    rows = [row for row in snvs(sequence, "I") if row[2] in "ACGT"]
    path = write_indexed(tmp_path / "t.tsv", ["#chrom\tpos\tref\talt\tS", *rows])
    frame_of(rows).write_parquet(tmp_path / "t.parquet", row_group_size=10_000)
    part = tmp_path / "I.vcf"
    with pysam.TabixFile(str(vcf)) as file:
        part.write_text("\n".join([*file.header, *file.fetch("I")]) + "\n")
    variants = normalise("c", [CohortVcf(part)], yeast, NormaliseOptions()).variants
    write_table(variants, tmp_path / "variants.parquet", VARIANTS)
    write_digest(tmp_path / "variants.parquet")
    expected = annotated_by_bcftools(part, path, tmp_path)
    for described in (table(path, ("s", "S")), table(tmp_path / "t.parquet", ("s", "score"))):
        out = tmp_path / "scores.parquet"
        record = join_scores(tmp_path / "variants.parquet", yeast, None, described, out)
        assert record.matched == variants.height > 10_000
        read = variants.select("pos", "ref", "alt").with_columns(pl.read_parquet(out))
        assert {row[:3]: row[3] for row in read.iter_rows()} == expected


def annotated_by_bcftools(vcf, scores, folder):
    """(pos, ref, alt) → the score that `bcftools annotate` carries over."""
    header = folder / "header"
    header.write_text("##INFO=<ID=S,Number=1,Type=String,Description=s>\n")
    columns = "CHROM,POS,REF,ALT,S"
    out = folder / "annotated.vcf"
    compressed = folder / "cohort.vcf.gz"
    pysam.tabix_compress(str(vcf), str(compressed), force=True)
    pysam.tabix_index(str(compressed), preset="vcf", force=True)
    bcftools("annotate", "-a", scores, "-h", header, "-c", columns, "-Ov", "-o", out, compressed)
    with pysam.VariantFile(str(out)) as file:
        return {(r.pos, r.ref, r.alts[0]): float(r.info["S"]) for r in file}

"""Every allele in, each accepted or rejected with its reason; equal to `bcftools norm`."""

import gzip
import itertools
import logging
from collections import Counter
from dataclasses import asdict

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from making.vcf import alleles_of, bgzipped, intake, norm_of_file, norm_oracle, reasons, vcf_text
from varlm.errors import UserError
from varlm.genome.encoding import index_reference
from varlm.genome.reference import Genome
from varlm.tables.schemas import REJECTED, VARIANTS
from varlm.variants.cohort import REASONS, CohortVcf, NormaliseOptions, normalise

#              1234567890123456789012345678901234567890
CONTIG = "GATTTCACACAGNACGTTAAAAAAACCGTAGGTACGATCG"
CONTIGS = {"I": CONTIG, "II": CONTIG[::-1], "III": "ACGT"}


@pytest.fixture
def take(tmp_path, make_reference):
    """A function: records (or text, or bytes) → the intake's result."""

    def run(*inputs, contigs=CONTIGS, header=(), reference=None, **options):
        paths = []
        folder = make_reference(reference or CONTIGS)
        for index, records in enumerate(inputs):
            text = records
            if not isinstance(text, str | bytes):
                text = vcf_text(records, contigs, header=header)
            path = tmp_path / f"{index}.vcf"
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
            paths.append(path)
        return intake(folder, *paths, **options)

    return run


def written(path, text):
    path.write_text(text)
    return path


def rows(result, *columns):
    return result.variants.select(columns or ["contig", "pos", "ref", "alt"]).rows()


# -- classes of alleles (fault 12) ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("pos", "ref", "alt", "reason"),
    [
        (1, "G", ".", "missing_alt"),
        (1, "G", "*", "spanning_deletion"),
        (1, "G", "<DEL>", "symbolic"),
        (1, "G", "<*>", "symbolic"),
        (1, "G", "<NON_REF>", "symbolic"),
        (1, "G", "G<ctg1>", "symbolic"),
        (1, "G", "G[II:5[", "breakend"),
        (1, "G", "]II:5]G", "breakend"),
        (1, "G", "]<ctg1>:5]G", "breakend"),
        (1, "G", "G.", "breakend"),
        (1, "G", ".G", "breakend"),
        (13, "N", "A", "ref_not_acgt"),
        (12, "GN", "G", "ref_not_acgt"),
        (1, "R", "A", "ref_not_acgt"),
        (1, "-", "A", "ref_not_acgt"),
        (1, "G", "N", "alt_not_acgt"),
        (1, "G", "R", "alt_not_acgt"),
        (1, "G", "-", "alt_not_acgt"),
        (1, "G", "U", "alt_not_acgt"),
        (1, "G", "A T", "alt_not_acgt"),
        (1, "G", "É", "alt_not_acgt"),
        (1, "G", "G", "alt_equals_ref"),
        (1, "G", "g", "alt_equals_ref"),
        (1, "GAT", "gat", "alt_equals_ref"),
        (1, "A", "C", "ref_mismatch"),
        (13, "A", "C", "reference_n"),
        (1, "GC", "G", "ref_mismatch"),
        (0, "G", "A", "out_of_bounds"),
        (41, "G", "A", "out_of_bounds"),
        (40, "GA", "G", "out_of_bounds"),
        (2**31 + 5, "G", "A", "out_of_bounds"),
        (10**30, "G", "A", "out_of_bounds"),
        (1, "G", "G" + "A" * 51, "too_long"),
    ],
)
def test_fault_09_10_12_each_class_has_its_reason(take, pos, ref, alt, reason):
    result = take([("I", pos, "x", ref, alt), ("I", 1, "y", "G", "C")])
    assert rows(result) == [("I", 1, "G", "C")]
    (row,) = result.rejected.rows(named=True)
    assert row["reason"] == reason
    assert (row["chrom"], row["pos"], row["id"], row["ref"]) == ("I", str(pos), "x", ref)
    assert row["alt"] == alt[:60]
    assert row["allele"] == (0 if alt == "." else 1)


def test_fault_12_lower_case_is_upper_cased_and_kept_as_given(take):
    result = take([("I", 1, "x", "g", "c"), ("I", 2, "y", "att", "at")])
    assert rows(result, "pos", "ref", "alt", "input_ref", "input_alt", "kind") == [
        (1, "G", "C", "g", "c", "snv"),
        (2, "AT", "A", "att", "at", "del"),
    ]


def test_all_reasons_are_told_apart_and_in_their_order(take, tmp_path):
    bed = tmp_path / "r.bed"
    bed.write_text("I\t0\t30\n")
    records = [
        ("I", 1, ".", "G", ".", ".", "bad", "."),
        ("nowhere", 0, ".", "G", "<DEL>,*,C", ".", "bad", "AF=1,1,1"),
        ("nowhere", 0, ".", "G", "C", ".", ".", "AF=0.5"),
        ("I", 0, ".", "A", "C", ".", ".", "AF=0.5"),
        ("I", 1, ".", "A", "C", ".", ".", "AF=0.9"),
        ("I", 2, ".", "A", "AGGGGGG", ".", ".", "AF=0.9"),
        ("I", 2, ".", "A", "AG", ".", ".", "AF=0.9"),
        ("I", 1, ".", "G", "C", ".", ".", "."),
        ("I", 1, ".", "G", "C", ".", ".", "AF=0.9"),
        ("I", 36, ".", "G", "C", ".", ".", "AF=0.9"),
        ("I", 36, ".", "G", "C", ".", ".", "AF=0.5"),
        ("I", 1, ".", "G", "C", ".", "PASS", "AF=0.5"),
    ]
    result = take(
        records,
        filter="pass",
        max_af=0.6,
        regions=bed,
        max_allele_length=5,
        indels="skip",
    )
    assert result.rejected["reason"].to_list() == [
        "missing_alt",
        "symbolic",
        "spanning_deletion",
        "filtered",
        "contig_unknown",
        "out_of_bounds",
        "ref_mismatch",
        "too_long",
        "indels_skipped",
        "af_missing",
        "af_out_of_range",
        "af_out_of_range",
        "outside_regions",
    ]
    assert result.rejected["detail"].to_list()[3:] == [
        "FILTER is bad",
        "not in the reference",
        "the contig has 40 bp",
        "the reference has G",
        "6 bp, the limit is 5",
        "",
        "",
        "AF is 0.9, the limits are 0 and 0.6",
        "AF is 0.9, the limits are 0 and 0.6",
        "",
    ]
    assert rows(result) == [("I", 1, "G", "C")]
    assert set(result.rejected["reason"]) <= set(REASONS)
    assert list(result.accounting.by_reason) == [
        reason for reason in REASONS if reason in result.accounting.by_reason
    ]


# -- records and alleles -------------------------------------------------------------------------


def test_fault_14_multiallelic_duplicate_and_equal_alts(take):
    result = take([("I", 3, "rs1;rs2", "TT", "T,TTT,T,<DEL>,TT,TA,CT,*", ".", ".", ".")])
    assert rows(result, "pos", "ref", "alt", "kind", "allele", "id") == [
        (2, "A", "AT", "ins", 2, "rs1;rs2"),
        (2, "AT", "A", "del", 1, "rs1;rs2"),
        (2, "AT", "A", "del", 3, "rs1;rs2"),
        (3, "T", "C", "snv", 7, "rs1;rs2"),
        (4, "T", "A", "snv", 6, "rs1;rs2"),
    ]
    assert result.rejected.select("allele", "reason").rows() == [
        (4, "symbolic"),
        (5, "alt_equals_ref"),
        (8, "spanning_deletion"),
    ]
    assert result.accounting.alleles_in == 8
    assert result.accounting.sites == 2
    assert result.accounting.other_alleles == 2


def test_fault_15_same_variant_in_different_spelling_has_one_key(take):
    start = CONTIG.index("AAAAAAA") + 1  # a run of seven, a T before it
    spellings = [
        (start - 1, "TA", "T"),
        (start, "AA", "A"),
        (start + 3, "AAA", "AA"),
        (start + 6, "AC", "C"),
        (start + 5, "AACCG", "ACCG"),
        (start - 2, "TTAAAAAAAC", "TTAAAAAAC"),
    ]
    result = take([("I", pos, ".", ref, alt) for pos, ref, alt in spellings])
    assert set(rows(result)) == {("I", start - 1, "TA", "T")}
    assert result.variants.height == len(spellings)
    assert result.accounting.other_alleles == 1


def test_mnvs_that_trim_to_snvs_are_snvs(take):
    result = take([("I", 1, ".", "GAT", "GCT"), ("I", 2, ".", "A", "C"), ("I", 5, ".", "TC", "CT")])
    assert rows(result, "pos", "ref", "alt", "kind", "input_pos") == [
        (2, "A", "C", "snv", 1),
        (2, "A", "C", "snv", 2),
        (5, "TC", "CT", "mnv", 5),
    ]
    assert result.accounting.sites == 1


def test_fault_17_unsorted_and_interleaved_records_give_the_same_rows(take):
    records = [(c, p, f"{c}{p}", CONTIGS[c][p - 1], "A") for c in ("I", "II") for p in range(1, 11)]
    records = [r for r in records if r[3] not in "AN"]
    shuffled = [records[i] for i in np.random.default_rng(1).permutation(len(records))]
    straight, mixed = take(records), take(shuffled)
    columns = ["chrom", "contig", "pos", "id", "ref", "alt"]
    assert rows(straight, *columns) == rows(mixed, *columns)
    assert rows(straight, "id") == [(f"{c}{p}",) for c, p, *_ in records]


def test_fault_16_rows_that_move_past_their_neighbours_are_sorted(tmp_path, make_reference):
    contig = "G" + "A" * 3000 + "CGT"
    folder = make_reference({"1": contig})
    vcf = tmp_path / "a.vcf"
    vcf.write_text(
        vcf_text([("1", 1500, "a", "A", "C"), ("1", 3001, "b", "AC", "C"), ("1", 9, "c", "A", "T")])
    )
    result = intake(folder, vcf)
    assert result.variants.select("pos", "id").rows() == [(1, "b"), (9, "c"), (1500, "a")]


def test_fault_13_two_megabases_of_alt_are_rejected_quickly(take):
    long = "ACGT" * 500_000
    records = [
        ("I", 1, ".", "G", "G" + long),
        ("I", 1, ".", "G", long + "G"),
        ("I", 1, ".", "G", "C"),
        ("I", 1, ".", "G", "C" + long),
    ]
    result = take(records)
    assert result.rejected["reason"].to_list() == ["too_long"] * 3
    assert result.rejected["detail"][0] == "2000000 bp, the limit is 50"
    assert result.rejected["alt"].str.len_chars().to_list() == [60] * 3


def test_shared_bases_do_not_count_as_length(tmp_path, make_reference):
    contig = "".join(np.random.default_rng(3).choice(list("ACGT"), 5000))
    folder = make_reference({"1": contig})
    snv = contig[:2000] + {"A": "C"}.get(contig[2000], "A") + contig[2001:4000]
    indel = contig[:2000] + "ACGTACGTAC" + contig[2000:4000]
    vcf = tmp_path / "a.vcf"
    vcf.write_text(vcf_text([("1", 1, ".", contig[:4000], f"{snv},{indel}")]))
    assert intake(folder, vcf, max_allele_length=1).accounting.by_reason == {"too_long": 1}
    kinds = intake(folder, vcf, max_allele_length=10).variants["kind"].to_list()
    assert sorted(kinds) == ["ins", "snv"]


def test_fault_24_alleles_at_both_ends_of_a_tiny_contig(take):
    records = [
        ("III", 1, ".", "A", "T"),
        ("III", 1, ".", "A", "TA"),
        ("III", 1, ".", "AC", "C"),
        ("III", 1, ".", "ACGT", "A"),
        ("III", 1, ".", "ACGT", "T"),
        ("III", 1, ".", "ACGT", "TTTT"),
        ("III", 4, ".", "T", "TA"),
        ("III", 4, ".", "T", "G"),
    ]
    assert rows(take(records), "pos", "ref", "alt", "kind") == [
        (1, "A", "T", "snv"),
        (1, "A", "TA", "ins"),
        (1, "AC", "C", "del"),
        (1, "ACG", "TTT", "mnv"),
        (1, "ACGT", "A", "del"),
        (1, "ACGT", "T", "del"),
        (4, "T", "G", "snv"),
        (4, "T", "TA", "ins"),
    ]


@pytest.mark.parametrize(
    ("fields", "pattern"),
    [
        (("I", ".", "x", "G", "A"), r"POS is '\.'"),
        (("I", "-5", "x", "G", "A"), "POS is '-5'"),
        (("I", "+5", "x", "G", "A"), r"POS is '\+5'"),
        (("I", "1.5", "x", "G", "A"), "POS is"),
        (("I", "٣", "x", "G", "A"), "POS is"),
        (("I", "", "x", "G", "A"), "POS is ''"),
        (("", 1, "x", "G", "A"), "CHROM is empty"),
        (("I", 1, "x", "", "A"), "REF is empty"),
        (("I", 1, "x", "G", ""), "ALT is empty"),
        (("I", 1, "x", "G", "A,,C"), "empty allele"),
        (("I", 1, "x", "G", ",A"), "empty allele"),
        (("I", 1, "x", "G", "A,"), "empty allele"),
    ],
)
def test_fault_08_malformed_fields_name_the_line(take, fields, pattern):
    good = ("I", 1, ".", "G", "A")
    with pytest.raises(UserError, match=r"0\.vcf, line 8: .*" + pattern):
        take([good, good, fields, good], contigs={"I": CONTIG, "II": CONTIG})


# -- names (fault 7, 11) -------------------------------------------------------------------------


def test_fault_07_undeclared_contig_info_and_filter_are_fine(take):
    text = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    result = take(text + "I\t1\t.\tG\tC\t.\tq10\tXX=1;AF=0.25;YY\n")
    assert rows(result, "contig", "pos", "af") == [("I", 1, 0.25)]


def test_fault_11_names_are_matched_and_told(take, caplog):
    caplog.set_level(logging.INFO)
    result = take([("chrI", 1, ".", "G", "C"), ("2", 1, ".", "G", "C"), ("9", 5, ".", "G", "C")])
    assert rows(result, "chrom", "contig") == [("chrI", "I"), ("2", "II")]
    assert reasons(result) == {"C": "contig_unknown"}
    assert [asdict(entry) for entry in result.accounting.contigs] == [
        {"chrom": "chrI", "contig": "I", "records": 1, "how": "prefix"}
        | {"ref_checked": 1, "ref_mismatches": 0},
        {"chrom": "2", "contig": "II", "records": 1, "how": "Roman numeral"}
        | {"ref_checked": 1, "ref_mismatches": 0},
        {"chrom": "9", "contig": None, "records": 1, "how": "not in the reference"}
        | {"ref_checked": 0, "ref_mismatches": 0},
    ]
    assert result.accounting.contigs_without_records == ("III",)
    assert "1 contigs matched (prefix): 'chrI' is 'I'" in caplog.text
    assert "1 contigs rejected (not in the reference): '9'" in caplog.text


def test_fault_11_no_name_in_common_is_an_error(take, tmp_path):
    records = [("NC_001133.9", 1, ".", "G", "C")]
    with pytest.raises(UserError, match=r"'NC_001133\.9'; reference: 'I', 'II', 'III'"):
        take(records)
    aliases = tmp_path / "aliases.tsv"
    aliases.write_text("alias\tcontig\nNC_001133.9\tI\n")
    assert rows(take(records, aliases=aliases), "chrom", "contig") == [("NC_001133.9", "I")]


@pytest.mark.parametrize(
    ("pos", "ref", "alt", "reason"),
    [
        (2, "A", "C", None),  # the reference has NARYVVACGTNNACGT
        (1, "T", "C", "reference_n"),
        (3, "A", "C", "reference_ambiguous"),  # R, reduced to its first base
        (3, "G", "C", "reference_ambiguous"),  # and to the other one
        (3, "C", "A", "ref_mismatch"),  # which is neither
        (3, "A,G", "C", "ref_not_acgt"),
        (2, "AA", "A", "reference_ambiguous"),
        (2, "CA", "C", "ref_mismatch"),
        (10, "TAC", "T", "reference_n"),
        (10, "TACAC", "T", "reference_n"),
        (10, "TACAG", "T", "ref_mismatch"),
        (10, "T", "TAC", None),
        (1, "CAACAA", "C", "reference_n"),  # N and ambiguous
        (3, "ac", "a", "reference_ambiguous"),
        (1, "GAG", "TAG", "reference_n"),
    ],
)
def test_a_reference_without_a_base_there_is_no_mismatch(tmp_path, pos, ref, alt, reason):
    index_reference(written(tmp_path / "r.fa", ">I\nNARYVVACGTNNACGT\n"), tmp_path / "reference")
    vcf = written(tmp_path / "a.vcf", vcf_text([("I", pos, "x", ref, alt)]))
    result = intake(tmp_path / "reference", vcf)
    assert result.rejected["reason"].to_list() == ([reason] if reason else [])
    assert result.variants.height == (reason is None)
    (contig,) = result.accounting.contigs
    assert contig.ref_checked == (reason in (None, "ref_mismatch"))
    assert contig.ref_mismatches == (reason == "ref_mismatch")
    if reason in ("reference_n", "reference_ambiguous"):
        there = "NARYVVACGTNNACGT"[pos - 1 : pos - 1 + len(ref)]
        assert result.rejected["detail"].to_list() == [f"the reference has {there}"]
        options = {"on_ref_mismatch": "error"}
        assert intake(tmp_path / "reference", vcf, **options).rejected.height == 1


def test_a_masked_reference_is_no_other_assembly(take, caplog):
    masked = {"I": CONTIG[:20] + "N" * 20}
    sites = [pos for pos in range(20, 40) if CONTIG[pos] in "ACGT"]
    records = [
        ("I", pos + 1, ".", CONTIG[pos], "A" if CONTIG[pos] != "A" else "C") for pos in sites
    ]
    result = take([*records, ("I", 1, ".", "G", "C")], reference=masked)
    assert result.accounting.by_reason == {"reference_n": 20}
    assert "20 of 21 alleles lie where the reference is N" in caplog.text


# -- REF (fault 10) ------------------------------------------------------------------------------


def wrong_refs(n, wrong):
    refs = {"A": "C", "C": "A", "G": "A", "T": "A"}
    sites = [i for i, base in enumerate(CONTIG) if base in "ACGT"]
    records = []
    for i in range(n):
        pos = sites[i % len(sites)]
        ref = CONTIG[pos] if i >= wrong else refs[CONTIG[pos]]
        records.append(("I", pos + 1, ".", ref, "T" if ref != "T" else "G"))
    return records


def test_fault_10_a_wrong_ref_is_rejected_or_an_error(take):
    records = [("I", 1, ".", "G", "C"), ("I", 2, ".", "C", "G"), ("I", 3, ".", "TA", "T")]
    result = take(records)
    assert result.rejected["detail"].to_list() == ["the reference has A", "the reference has TT"]
    with pytest.raises(UserError, match=r"0\.vcf, line \d+: REF 'C' at I:2 .*on_ref_mismatch"):
        take(records, on_ref_mismatch="error")


def test_fault_10_many_wrong_refs_are_another_assembly(take):
    assert take(wrong_refs(200, 20)).accounting.by_reason == {"ref_mismatch": 20}
    with pytest.raises(UserError, match=r"21 of 200 alleles \(10\.5 %\).*another assembly"):
        take(wrong_refs(200, 21))
    assert take(wrong_refs(200, 21), max_ref_mismatch=0.2).rejected.height == 21
    # A few say nothing.
    assert take(wrong_refs(12, 9)).rejected.height == 9


def renamed(how, n=40, wrong=20):
    """Records of which the first `wrong` are named as `how` does it; the alleles vary."""
    sites = [pos for pos, base in enumerate(CONTIG) if base in "ACGT"]
    records = []
    for i in range(n):
        pos = sites[i % len(sites)]
        ref = CONTIG[pos]
        # transversions that are no complements, so that each way of naming is told apart
        alt = {"A": "C", "C": "A", "G": "T", "T": "G"}[ref]
        ref, alt = how(ref, alt) if i < wrong else (ref, alt)
        records.append(("I", pos + 1, ".", ref, alt))
    return records


COMPLEMENTS = str.maketrans("ACGT", "TGCA")


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        (lambda ref, alt: (alt, ref), "In 20 of 20 mismatches ALT is the reference's base"),
        (
            lambda ref, alt: (alt, f"{ref},{alt}A"),
            "In 40 of 40 mismatches ALT is the reference's base",
        ),
        (
            lambda ref, alt: (ref.translate(COMPLEMENTS), alt.translate(COMPLEMENTS)),
            "In 20 of 20 mismatches REF is the complement of the reference's base",
        ),
        (
            lambda ref, alt: (alt.translate(COMPLEMENTS), ref),
            "In 20 of 20 mismatches ALT is the ref",
        ),
        (
            lambda _, alt: (alt.translate(COMPLEMENTS), alt),
            "The cohort was called against another assembly",
        ),
        (lambda ref, alt: (alt + ref, alt + ref + ref), "called against another assembly"),
    ],
)
def test_what_most_of_the_wrong_refs_are_is_said(take, caplog, how, expected):
    with pytest.raises(UserError) as error:
        take(renamed(how))
    assert expected in str(error.value)
    assert ("swapped" in str(error.value)) == ("ALT is the ref" in expected)
    assert str(error.value).endswith(", or raise normalise.max_ref_mismatch")
    take(renamed(how), max_ref_mismatch=1.0)
    # What every contig with so many has said of it asks whether it is the other assembly.
    causes = [r.getMessage() for r in caplog.records if r.name == "varlm.variants.assembly"]
    assert [expected in cause for cause in causes] == [True] * ("mismatches" in expected)


def test_the_record_counts_where_one_of_several_alts_is_the_references(take):
    records = renamed(lambda ref, alt: (alt, f"{ref},{alt.translate(COMPLEMENTS)}"))
    assert all(len(set(f"{r[3]},{r[4]}")) == 4 for r in records[:20])
    with pytest.raises(UserError, match="In 40 of 40 mismatches ALT is the reference's base"):
        take(records)


def test_plink_says_itself_that_its_ref_is_provisional(take):
    line = '##INFO=<ID=PR,Number=0,Type=Flag,Description="Provisional reference allele">'
    records = renamed(lambda ref, alt: (alt, ref))
    with pytest.raises(UserError, match=r"swapped, as PLINK.*\(INFO/PR, 'provisional"):
        take(records, header=[line])
    with pytest.raises(UserError, match=r"is ALT, which|swapped, as PLINK") as error:
        take(records)
    assert "INFO/PR" not in str(error.value)


def test_a_swapped_allele_is_told_in_the_table_and_in_the_strict_error(take):
    records = [("I", 1, ".", "C", "G"), ("I", 2, ".", "C", "G")]
    details = take(records).rejected["detail"].to_list()
    assert details == ["the reference has G, as ALT", "the reference has A"]
    with pytest.raises(UserError, match=r"line 7: REF 'C' at I:1 .*REF and ALT are swapped"):
        take(records, on_ref_mismatch="error")


# -- FILTER, AF, regions -------------------------------------------------------------------------


def test_filter_pass_takes_pass_and_missing(take):
    records = [("I", 1, f, "G", "C", ".", f, ".") for f in ("PASS", ".", "q10", "pass", "q10;s50")]
    result = take(records, filter="pass")
    assert result.variants["id"].to_list() == ["PASS", None]
    assert result.accounting.by_reason == {"filtered": 3}
    assert take(records).rejected.height == 0


@pytest.mark.parametrize(
    ("info", "alt", "expected", "unreadable"),
    [
        (".", "C", [None], 0),
        ("AF=0.5", "C", [0.5], 0),
        ("XAF=0.1;AF=0.5;AF_x=1", "C", [0.5], 0),
        ("AF=1e-3", "C", [0.001], 0),
        ("AF=.", "C", [None], 0),
        ("AF=", "C", [None], 0),
        ("AF", "C", [None], 0),
        ("AF=abc", "C", [None], 1),
        ("AF=nan", "C", [None], 1),
        ("AF=1.5", "C", [None], 1),
        ("AF=-0.1", "C", [None], 1),
        ("AF=0.1,0.2", "C", [None], 1),
        ("AF=0.1,0.2", "C,T", [0.1, 0.2], 0),
        ("AF=0.1,.", "C,T", [0.1, None], 0),
        ("AF=0.1", "C,T", [None, None], 2),
        ("AC=1;AN=4", "C", [0.25], 0),
        ("AN=4;AC=1,3", "C,T", [0.25, 0.75], 0),
        ("AC=1,3;AN=4;AF=.", "C,T", [0.25, 0.75], 0),
        ("AC=1;AN=4;AF=0.5", "C", [0.5], 0),
        ("AC=0;AN=0", "C", [None], 0),
        ("AC=5;AN=4", "C", [None], 1),
        ("AC=x;AN=4", "C", [None], 1),
        ("AC=1", "C", [None], 0),
        ("AN=4", "C", [None], 0),
        ("AC=1;AN=4;AF=abc", "C", [None], 1),
    ],
)
def test_fault_18_allele_frequencies(take, info, alt, expected, unreadable):
    # Beside a record with AF and one without, for the columns' fast paths.
    others = [("I", 2, ".", "A", "C", ".", ".", "AF=0.125"), ("I", 3, ".", "T", "C")]
    for records in ([], others):
        result = take([("I", 1, ".", "G", alt, ".", ".", info), *records])
        frequencies = result.variants.filter(pl.col("pos") == 1).sort("allele")["af"].to_list()
        assert frequencies == [x if x is None else pytest.approx(x) for x in expected]
        assert result.accounting.af_unreadable == unreadable


def test_af_limits_are_inclusive_and_need_a_frequency(take):
    records = [
        ("I", 1, af, "G", "C", ".", ".", f"AF={af}")
        for af in ("0.01", "0.05", "0.1", "0.100001", "abc", ".")
    ]
    result = take(records, min_af=0.05, max_af=0.1)
    assert result.variants["id"].to_list() == ["0.05", "0.1"]
    assert result.accounting.by_reason == {"af_missing": 2, "af_out_of_range": 2}
    assert take(records, min_af=0.05).variants["id"].to_list() == ["0.05", "0.1", "0.100001"]
    assert take(records).variants.height == 6


@pytest.mark.parametrize(
    "encode", [str.encode, bgzipped, lambda text: gzip.compress(text.encode())]
)
def test_regions_take_the_normalised_ref(take, tmp_path, encode):
    bed = tmp_path / "regions.bed"
    bed.write_bytes(
        encode("# comment\ntrack name=x\nchrI\t1\t2\tname\nI\t4\t6\r\nI\t5\t8\n9\t0\t5\n")
    )
    records = [("I", i, str(i), CONTIG[i - 1], "G") for i in range(2, 11)]
    records += [("I", 4, "del", "TT", "T"), ("II", 1, "other", "G", "C")]
    result = take(records, regions=bed)
    # 0-based 1-2 is base 2; 4-6 and 5-8 are bases 5 to 8. The deletion's normalised REF is 2-3.
    assert sorted(result.variants["id"].to_list()) == ["2", "5", "6", "7", "8", "del"]
    assert set(result.rejected["reason"]) == {"outside_regions"}


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("I\t5\n", "line 1: found"),
        ("I\tx\t5\n", "line 1: found"),
        ("I\t1\t2\nI\t7\t5\n", "line 2: region 7-5"),
        ("I\t1\t41\n", "line 1: region 1-41, but contig 'I' is 0-40"),
        ("nowhere\t1\t2\n", "no region on a contig"),
        ("", "no region on a contig"),
    ],
)
def test_bed_errors_name_the_line(take, tmp_path, text, pattern):
    bed = tmp_path / "regions.bed"
    bed.write_text(text)
    with pytest.raises(UserError, match=r"regions\.bed.*" + pattern):
        take([("I", 1, ".", "G", "C")], regions=bed)


# -- text ----------------------------------------------------------------------------------------


def test_fault_18_bytes_outside_utf8(take):
    head = vcf_text([], CONTIGS).encode()
    line = b"I\t1\tna\xffme\tG\tC\t.\tf\xfe\tX=\xff;AF=0.5\n"
    assert rows(take(head + line), "id", "af") == [("na�me", 0.5)]
    (row,) = take(head + line.replace(b"\tC\t", b"\t\xff\t")).rejected.rows(named=True)
    assert (row["reason"], row["alt"]) == ("alt_not_acgt", "�")


def test_fault_21_crlf_lines_give_the_same_table(take):
    text = vcf_text([("I", 1, "x", "G", "C", ".", ".", "AF=0.5"), ("I", 2, ".", "A", "C")], CONTIGS)
    assert rows(take(text)) == rows(take(text.replace("\n", "\r\n")))
    assert rows(take(text.replace("\n", "\r\n")), "af") == [(0.5,), (None,)]


def test_quotes_blanks_and_null_words_are_text(take):
    ids = ['"', "'x", '""', "null", "NA", "NaN", " a b ", "\\N", "=cmd", "-", "x" * 10_000]
    result = take([("I", 1, name, "G", "C") for name in ids])
    assert rows(result.__class__(result.variants.sort("record"), None, {}), "id") == [
        (name,) for name in ids
    ]


def test_fault_06_header_only_gives_empty_tables(take):
    result = take([])
    assert result.variants.schema == pl.Schema(VARIANTS.schema)
    assert result.rejected.schema == pl.Schema(REJECTED.schema)
    assert result.accounting.alleles_in == result.accounting.sites == 0


def test_many_samples_give_the_same_table(take):
    records = [("I", 1, "a", "G", "C,T", ".", "PASS", "AF=0.5,0.1"), ("II", 1, "b", "G", "C")]
    narrow, wide = (take(vcf_text(records * 50, CONTIGS, samples=n)) for n in (0, 1000))
    assert narrow.variants.equals(wide.variants)
    assert wide.variants.height == 150


def test_a_missing_allele_among_several_keeps_its_index(take):
    rejected = take([("I", 1, "a", "G", "C,.,."), ("I", 1, "b", "G", ".")]).rejected
    assert rejected["allele"].to_list() == [2, 3, 0]


def test_thousands_of_contigs_in_one_file(tmp_path, make_reference):
    names = [f"scaffold_{i}" for i in range(3000)]
    folder = make_reference(dict.fromkeys(names, "ACGTACGT"))
    order = np.random.default_rng(0).permutation(3000).tolist()
    records = [(names[i], 2 + i % 2, i, "CG"[i % 2], "T") for i in order]
    vcf = tmp_path / "a.vcf"
    vcf.write_text(vcf_text(records))
    result = intake(folder, vcf)
    assert result.variants["contig"].to_list() == names
    assert result.variants["id"].to_list() == list(map(str, range(3000)))


def test_the_log_of_thousands_of_contigs_is_short(tmp_path, make_reference, caplog):
    contigs = {f"s{number}": "ACGT" * 4 for number in range(300)}
    genome = Genome.open(make_reference(contigs | {"right": "ACGT"}))
    # Another length each, and names that only a convention would match: a reason of its own each.
    header = "".join(f"##contig=<ID=chrs{n},length={20 + n}>\n" for n in range(300))
    rows = [f"chrs{number}\t1\t.\tA\tC\t.\t.\t.\n" for number in range(300)]
    path = tmp_path / "c.vcf"
    columns = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    rows.append("right\t1\t.\tA\tC\t.\t.\t.\n")
    path.write_text(f"##fileformat=VCFv4.2\n{header}{columns}{''.join(rows)}")
    with caplog.at_level(logging.INFO):
        result = normalise("c", [CohortVcf(path)], genome, NormaliseOptions())
    assert result.accounting.by_reason == {"contig_unknown": 300}
    assert len(caplog.messages) < 70
    assert any("more contigs likewise" in message for message in caplog.messages)


def test_too_many_alts_are_an_error(take):
    with pytest.raises(UserError, match="line 7: 65536 ALT alleles"):
        take([("I", 1, "a", "G", ",".join(["C"] * 65_536))])


def test_several_files_are_one_cohort(take):
    first = [("I", 5, "a", "T", "C"), ("II", 1, "b", "G", "C"), ("I", 1, "r", "C", "G")]
    second = [("I", 5, "c", "T", "C"), ("I", 2, "d", "A", "C"), ("I", 1, "s", "C", "G")]
    result = take(first, second)
    assert rows(result, "id", "file", "record") == [
        ("d", 1, 1),
        ("a", 0, 0),
        ("c", 1, 0),
        ("b", 0, 1),
    ]
    assert result.rejected.select("id", "file").rows() == [("r", 0), ("s", 1)]
    assert [file.records for file in result.accounting.files] == [3, 3]
    assert result.accounting.sites == 3


# -- the order of the files does not count --------------------------------------------------------

MITOCHONDRIA = {"I": CONTIG, "MT": CONTIG[:30]}


def declaring(contigs, records):
    """A VCF whose header declares contigs with these lengths (None: without)."""
    lines = [
        f"##contig=<ID={name}" + (f",length={length}>" if length else ">")
        for name, length in contigs.items()
    ]
    return vcf_text(records, header=lines)


def outcome(result):
    """What must not depend on the order of the files: all but their numbers."""
    rejected = result.rejected.drop("file", "record").sort(pl.all())
    entries = Counter(
        (entry.chrom, entry.contig, entry.records, entry.how, entry.ref_checked)
        for entry in result.accounting.contigs
    )
    return (
        result.variants.drop("file", "record").sort(pl.all()).rows(),
        rejected.rows(),
        entries,
        result.accounting.by_reason,
        sorted(result.accounting.contigs_without_records),
    )


def test_each_file_is_held_against_the_reference_by_its_own_lengths(take, caplog):
    """chrM of hg19 is another sequence than MT, in whichever file it comes."""
    same = declaring({"chrM": 30}, [("chrM", 2, "same", "A", "C")])
    other = declaring({"chrM": 29}, [("chrM", 2, "other", "A", "C")])
    silent = declaring({"chrM": None}, [("chrM", 2, "silent", "A", "C")])
    for files in itertools.permutations((same, other, silent)):
        result = take(*files, reference=MITOCHONDRIA)
        assert sorted(result.variants["id"]) == ["same", "silent"]
        assert reasons(result) == {"C": "contig_unknown"}
        assert result.rejected["id"].to_list() == ["other"]
        assert "another sequence" in result.rejected["detail"][0]
        assert result.accounting.contig_of_chrom == {"chrM": "MT"}
        assert sorted(entry.records for entry in result.accounting.contigs) == [1, 2]


def test_the_warning_about_a_length_names_its_file(take, caplog):
    files = [
        declaring({"I": length}, [("I", pos, ".", "A", "C")]) for pos, length in ((2, 40), (6, 9))
    ]
    take(*files)
    assert "1.vcf: contig 'I': the VCF's header says 9 bp, the reference has 40" in caplog.text
    assert "0.vcf: contig" not in caplog.text


def test_a_convention_looks_at_the_headers_of_all_files(tmp_path, make_reference):
    """Whether X is chromosome 10 is told by the other names, wherever they are declared."""
    folder = make_reference({"1": CONTIG, "2": CONTIG, "10": CONTIG})
    tell = written(tmp_path / "a.vcf", declaring({"II": 40}, [("II", 1, "a", "G", "C")]))
    use = written(tmp_path / "b.vcf", declaring({"X": 40}, [("X", 1, "b", "G", "C")]))
    for files in ((tell, use), (use, tell)):
        result = intake(folder, *files)
        assert rows(result, "chrom", "contig") == [("II", "2"), ("X", "10")]


@st.composite
def files_of_one_cohort(draw):
    names = st.sampled_from(["I", "chrI", "1", "chrM", "MT", "M", "X", "nowhere"])
    files = []
    for number in range(draw(st.integers(2, 4))):
        declared = draw(
            st.dictionaries(names, st.sampled_from([None, 40, 30, 29, len(CONTIG)]), max_size=4)
        )
        sites = draw(st.lists(st.tuples(names, st.integers(1, 30)), max_size=4))
        records = [
            (name, pos, f"{number}.{i}", CONTIG[pos - 1].replace("N", "A"), "<X>,TT,A")
            for i, (name, pos) in enumerate(sites)
        ]
        files.append(declaring(declared, records))
    return files


@given(files_of_one_cohort())
def test_the_order_of_the_files_does_not_count(tmp_path_factory, files):
    folder = tmp_path_factory.mktemp("order")
    index_reference(
        written(folder / "r.fa", "".join(f">{n}\n{s}\n" for n, s in MITOCHONDRIA.items())),
        folder / "reference",
    )
    paths = [written(folder / f"{i}.vcf", text) for i, text in enumerate(files)]
    outcomes = []
    for ordered in (paths, paths[::-1], paths[1:] + paths[:1]):
        try:
            outcomes.append(outcome(intake(folder / "reference", *ordered, max_ref_mismatch=1.0)))
        except UserError as error:
            outcomes.append(str(error)[-40:])  # names are in the files' order
    assert outcomes[0] == outcomes[1] == outcomes[2]


# -- bcftools norm is the oracle -----------------------------------------------------------------


@st.composite
def cohorts(draw):
    """A genome with repeats, and records on it with up to three ALTs each."""
    unit = st.sampled_from(["A", "C", "AC", "ACG", "TTG", "AAAT", "GATTACA"])
    contigs = {
        name: "".join(draw(unit) * draw(st.integers(1, 12)) for _ in range(draw(st.integers(1, 5))))
        for name in ("1", "2")
    }
    records = []
    for _ in range(draw(st.integers(1, 15))):
        name = draw(st.sampled_from(["1", "2"]))
        sequence = contigs[name]
        start = draw(st.integers(0, len(sequence) - 1))
        ref = sequence[start : start + draw(st.integers(1, 8))]
        change = st.one_of(
            st.text("ACGT", min_size=1, max_size=8),
            st.integers(0, 3).map(lambda n, ref=ref: ref[: len(ref) - n] or ref[:1]),
            st.integers(1, 3).map(lambda n, ref=ref: ref + ref[-1:] * n),
            st.integers(1, 3).map(lambda n, ref=ref: ref + ref * n),
        )
        alts = draw(st.lists(change, min_size=1, max_size=3))
        case = draw(st.sampled_from([str, str, str.lower]))
        records.append((name, start + 1, ".", case(ref), ",".join(map(case, alts))))
    return contigs, records


@settings(max_examples=40)
@given(cohorts())
def test_equal_to_bcftools_norm(tmp_path_factory, cohort):
    contigs, records = cohort
    folder = tmp_path_factory.mktemp("oracle")
    fasta, vcf = folder / "in.fa", folder / "in.vcf"
    fasta.write_text("".join(f">{name}\n{sequence}\n" for name, sequence in contigs.items()))
    index_reference(fasta, folder / "reference")
    vcf.write_text(vcf_text(records, contigs))
    result = intake(folder / "reference", vcf)
    assert set(result.accounting.by_reason) <= {"alt_equals_ref"}
    oracle = norm_oracle(result, folder / "reference", folder)
    assert result.variants.select("contig", "pos", "ref", "alt").rows() == oracle


REAL = [
    ("yeast", "cohorts/by_rm.gatk.vcf.gz"),
    ("yeast", "cohorts/scer7.vcf.gz"),
    ("yeast", "cohorts/sgrp.ensembl109.sites.vcf.gz"),
    ("human/chr21_grch38", "dbsnp149.vcf.gz"),
    ("human/chr21_grch38", "sample1.noheader_gt.vcf"),
    ("human/chr22_nfcore_grch38", "1000GP.chr22.local.vcf.gz"),
    ("human/chr22_nfcore_grch38", "gnomad.r2.1.1.af.vcf.gz"),
    ("human/chr22_nfcore_grch38", "NA12878_GIAB.chr22.local.vcf.gz"),
    ("human/chr20_hg19", "1000g_2535samples.vcf.gz"),
    ("human/chr20_hg19", "na12878.gatk.vcf.gz"),
]


@pytest.fixture(scope="module")
def real_reference(shared_data, tmp_path_factory):
    folders = {}

    def get(folder):
        if folder not in folders:
            folders[folder] = tmp_path_factory.mktemp("reference")
            index_reference(shared_data / folder / "genome.fa.gz", folders[folder])
        return folders[folder]

    return get


@pytest.mark.real_data
@pytest.mark.parametrize(("folder", "vcf"), REAL)
def test_equal_to_bcftools_norm_on_real_cohorts(shared_data, real_reference, tmp_path, folder, vcf):
    result = intake(real_reference(folder), shared_data / folder / vcf, max_allele_length=100_000)
    # Every REF of these files is the reference's; nothing but '*' has a reason to be rejected.
    assert set(result.accounting.by_reason) <= {"spanning_deletion"}
    oracle = norm_oracle(result, real_reference(folder), tmp_path)
    assert result.variants.select("contig", "pos", "ref", "alt").rows() == oracle


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("folder", "vcf"), [r for r in REAL if "scer7" in r[1] or "dbsnp" in r[1] or "1000GP" in r[1]]
)
def test_equal_to_bcftools_norm_on_the_file_itself(
    shared_data, real_reference, tmp_path, folder, vcf
):
    path = shared_data / folder / vcf
    result = intake(real_reference(folder), path, max_allele_length=100_000)
    assert alleles_of(result.variants) == norm_of_file(path, real_reference(folder), tmp_path)

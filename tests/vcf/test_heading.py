"""The beginning of a VCF or BCF, and whether the files of a cohort have the same samples."""

import gzip

import pytest

from making.vcf import bcf_of, bgzipped, vcf_text
from varlm.errors import UserError
from varlm.vcf.heading import check_samples, read_heading

CONTIGS = {"1": "ACGT" * 25}
GENOTYPE = '##FORMAT=<ID=GT,Number=1,Type=String,Description="x">'


@pytest.mark.parametrize("kind", ["vcf", "gzip", "bgzip", "bcf"])
def test_the_header_and_first_records_of_every_format(tmp_path, kind):
    records = [("1", pos, ".", "A", "C") for pos in (1, 5, 9)]
    text = vcf_text(records, CONTIGS, samples=2, header=[GENOTYPE])
    path = tmp_path / "a.vcf"
    path.write_text(text)
    if kind == "bcf":
        path = bcf_of(path)
    elif kind != "vcf":
        packed = {"gzip": lambda t: gzip.compress(t.encode()), "bgzip": bgzipped}[kind](text)
        path.write_bytes(packed)
    heading = read_heading(path, records=2)
    assert heading.header_lines[-1] == text.splitlines()[4].encode()
    expected = [] if kind == "bcf" else [line.encode() for line in text.splitlines()[5:7]]
    assert heading.first_records == expected


def test_only_the_beginning_of_a_file_is_read(tmp_path):
    path = tmp_path / "a.vcf"
    records = [("1", pos, ".", "A", "C") for pos in range(1, 200_000)]
    path.write_text(vcf_text(records, CONTIGS) + "what no reader of the whole file would take\n")
    assert read_heading(path, records=1).first_records[0].startswith(b"1\t1\t.\tA\tC")


def test_a_cut_bcf_header_is_named(tmp_path):
    path = tmp_path / "cut.bcf"
    path.write_bytes(b"BCF\2\2\xff\0\0\0##fileformat")
    with pytest.raises(UserError, match="truncated inside the header"):
        read_heading(path)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("S1\tS0", "the same names in another order"),
        ("S0\tS2", "only here S2; only there S1"),
        ("S0", "only here none; only there S1"),
    ],
)
def test_other_samples_in_a_cohort_are_refused(tmp_path, names, message):
    text = vcf_text([], CONTIGS, samples=2)
    (tmp_path / "a.vcf").write_text(text)
    (tmp_path / "b.vcf").write_text(text.replace("S0\tS1", names))
    with pytest.raises(UserError, match=f"b.vcf: its samples are not those of .*: {message}"):
        check_samples([read_heading(tmp_path / name) for name in ("a.vcf", "a.vcf", "b.vcf")])

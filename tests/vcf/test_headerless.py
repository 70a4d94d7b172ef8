"""VCF lines without a header, as users copy them from examples, are read as a VCF."""

import gzip

import pytest

from making.vcf import bgzipped
from varlm.errors import UserError
from varlm.vcf.columns import read_columns
from varlm.vcf.lines import open_vcf

NAMES = b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
FIVE = "1\t100\trs1\tA\tC\nchr2\t7\t.\tAT\tA,*\n"
WHOLE = [
    [b"1", b"100", b"rs1", b"A", b"C", b".", b".", b"."],
    [b"chr2", b"7", b".", b"AT", b"A,*", b".", b".", b"."],
]


def written(path, content):
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def fields(path, **options):
    source = open_vcf(path)
    lines = [
        chunk.line(index).split(b"\t")
        for chunk in source.chunks(**options)
        for index in range(chunk.records)
    ]
    return source, lines


@pytest.mark.parametrize(
    "text",
    [
        FIVE,
        FIVE.replace("\n", "\r\n"),
        FIVE + "\n\n",
        FIVE.rstrip("\n"),
        FIVE.replace("\t", " "),
        FIVE.replace("\t", "  "),
        "1 100 rs1\tA C\nchr2 7 .\tAT  A,*\n",
        "##fileformat=VCFv4.2\n" + FIVE,
        "# variants of mine\n" + FIVE,
        "#chrom\tpos\tid\tref\talt\n" + FIVE,
        "#CHROM\tPOS\tID\tREF\tALT\n" + FIVE,
        "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\n" + FIVE.replace("\n", "\t.\n"),
        FIVE.replace("\n", "\t.\t.\t.\n"),
        FIVE.replace("\n", " . . .\n").replace("\t", " "),
        FIVE.replace("\n", "\t.\t.\t.\tGT\t0/1\t1|1\n"),
        "1\t100\trs1\tA\tC\t.\nchr2\t7\t.\tAT\tA,*\t.\t.\t.\tGT\n",  # ragged
    ],
)
@pytest.mark.parametrize("pack", [str.encode, lambda t: gzip.compress(t.encode()), bgzipped])
def test_lines_without_a_header_are_records(tmp_path, caplog, text, pack):
    source, lines = fields(written(tmp_path / "a.vcf", pack(text)))
    assert lines == WHOLE
    assert source.header_lines[-1] == NAMES
    assert all(line.startswith(b"##") for line in source.header_lines[:-1])
    assert source.columns == 8
    assert source.records == 2
    said = [
        r.getMessage() for r in caplog.records if "read as a VCF's without samples" in r.message
    ]
    assert len(said) == 1
    assert ("more columns are left out" in said[0]) == ("0/1" in text)


@pytest.mark.parametrize("size", [1, 10, 1000])
def test_chunks_do_not_count(tmp_path, size):
    text = "".join(f"1 {pos} . A C\n" for pos in range(1, 200))
    source, lines = fields(written(tmp_path / "a.vcf", text), size=size)
    assert [int(line[1]) for line in lines] == list(range(1, 200))
    assert source.records == 199


def test_the_columns_are_those_of_any_vcf(tmp_path):
    path = written(tmp_path / "a.vcf", "1\t100\trs1\tA\tC\t30\tPASS\tAF=0.5;DP=3\n1\t5\t.\tG\tT\n")
    source = open_vcf(path)
    (chunk,) = source.chunks()
    assert read_columns(chunk, source).rows() == [
        (0, "1", "100", "rs1", "A", "C", "PASS", "AF=0.5;DP=3"),
        (1, "1", "5", ".", "G", "T", ".", "."),
    ]


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        (
            FIVE + "1\t5\t.\tA\n",
            "line 3: 4 columns, expected at least CHROM, POS, ID, REF",
        ),
        (FIVE + "1\t5\t.\rA\tC\n", "line 3: 4 columns, expected at least"),
        (FIVE + "1 5 . A C\n", "line 3: 1 column, expected at least"),
        ("## a note\n" + FIVE + "\n" + FIVE, "line 4: blank line"),
        (FIVE + "#CHROM\tPOS\tID\tREF\tALT\n" + FIVE, "line 3: a header line"),
        (FIVE + "1\t5\t.\tA\tC\0\n", "line 3: a NUL byte"),
        # what is no VCF
        ("1\t100\tA\tC\n", "no '#CHROM'"),
        ("1\t100\trs1\tA\n", "no '#CHROM'"),
        ("chr1\t10\t20\tname\t0\t+\n", "no '#CHROM'"),  # BED
        ("chr1\t10\t20\tACT\t0\t+\n", "no '#CHROM'"),
        ("1 881907 881906 -/C +\n", "no '#CHROM'"),  # VEP's own format
        ("chr1\tsrc\tgene\t1\t20\t.\t+\t.\tID=x\n", "no '#CHROM'"),  # GFF
        ("chrom\tpos\tid\tref\talt\n" + FIVE, "no '#CHROM'"),
        ("1\t-5\t.\tA\tC\n", "no '#CHROM'"),
        ("#CHROM\tPOS\tREF\tALT\tID\n1\t1\tA\tC\t.\n", "malformed header line"),
    ],
)
def test_what_is_no_such_line_is_an_error(tmp_path, text, pattern):
    with pytest.raises(UserError, match=pattern):
        fields(written(tmp_path / "a.vcf", text))


def test_only_column_names(tmp_path):
    source, lines = fields(written(tmp_path / "a.vcf", "#CHROM\tPOS\tID\tREF\tALT\n"))
    assert lines == []
    assert source.header_lines == [NAMES]
    assert fields(written(tmp_path / "b.vcf", NAMES + b"\n"))[1] == []

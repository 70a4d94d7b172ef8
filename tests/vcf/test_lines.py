"""The reader: formats by content, damage found, whole lines whatever the chunk size."""

import gzip
import shutil
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from making.vcf import bcf_of, bcftools, bgzipped, block_ends, tabix, vcf_text
from varlm.errors import UserError
from varlm.files import inflate
from varlm.vcf import lines as vcf_input
from varlm.vcf.lines import open_vcf

CONTIGS = {"1": "ACGT" * 5000, "2": "TTGCA" * 1000}
RECORDS = [("1", 4 * i + 1, f"rs{i}", "A", "C", ".", "PASS", "AF=0.25") for i in range(3000)]
TEXT = vcf_text(
    RECORDS,
    CONTIGS,
    samples=3,
    header=[
        '##INFO=<ID=AF,Number=A,Type=Float,Description="x">',
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="x">',
    ],
)
FEW = [("1", 1, "rs1", "A", "C"), ("1", 5, ".", "A", "AT,G"), ("2", 1, ".", "T", "<DEL>")]
BODY = "".join(line + "\n" for line in TEXT.splitlines() if not line.startswith("#")).encode()


def written(path, data):
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def body(path, size=None, **options):
    source = open_vcf(path, **options)
    text = b"".join(chunk.data for chunk in source.chunks(size))
    assert source.records == text.count(b"\n")
    return text


def refused(path, *patterns):
    with pytest.raises(UserError) as caught:
        body(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    for pattern in patterns:
        assert pattern in message, message
    return message


@pytest.mark.parametrize(
    ("name", "encode", "expected"),
    [
        ("a.vcf", str.encode, "vcf"),
        ("a.vcf.gz", bgzipped, "vcf.bgzip"),
        ("a.gz", lambda text: gzip.compress(text.encode()), "vcf.gzip"),
    ],
)
def test_fault_05_plain_gzip_and_mislabelled_suffixes(tmp_path, name, encode, expected):
    for suffix in ("", ".bcf", ".vcf", ".vcf.gz", ".txt"):
        path = written(tmp_path / (name + suffix), encode(TEXT))
        source = open_vcf(path)
        assert source.format == expected
        assert body(path) == BODY


def test_fault_05_bcf_is_told_by_content(tmp_path):
    bcf = bcf_of(written(tmp_path / "a.vcf", TEXT))
    uncompressed = tmp_path / "u.bcf"
    bcftools("view", "--no-version", "-Ou", "-o", uncompressed, bcf)
    for path in (bcf, uncompressed, shutil.copy(bcf, tmp_path / "named.vcf.gz")):
        source = open_vcf(path)
        assert source.format == "bcf"
        assert source.columns == 12
        assert body(path) == BODY
    assert open_vcf(bcf, genotypes=False).columns == 8


def test_joined_gzip_members_are_one_file(tmp_path):
    half = TEXT.index("\n", len(TEXT) // 2) - 5
    data = gzip.compress(TEXT[:half].encode()) + gzip.compress(TEXT[half:].encode())
    assert body(written(tmp_path / "a.gz", data + b"\0" * 100)) == BODY


def test_fault_01_bgzip_cut_at_a_block(tmp_path):
    data = bgzipped(TEXT)
    ends = block_ends(data)
    assert len(ends) > 20
    for end in (ends[0], ends[len(ends) // 2], ends[-2]):
        refused(written(tmp_path / "cut.vcf.gz", data[:end]), "truncated", "end")


def test_fault_01_bgzip_cut_inside_a_block(tmp_path):
    data = bgzipped(TEXT)
    marker = inflate.EOF_MARKER
    for cut in (40, len(data) // 2, len(data) - 30):
        refused(written(tmp_path / "cut.vcf.gz", data[:cut]), "truncated")
        # With an end marker behind the cut, the framing tells.
        refused(written(tmp_path / "cut2.vcf.gz", data[:cut] + marker))


def test_plain_gzip_cut_anywhere(tmp_path):
    data = gzip.compress(TEXT.encode())
    for cut in (5, 12, 100, len(data) // 2, len(data) - 1):
        refused(written(tmp_path / "cut.gz", data[:cut]))


@pytest.mark.parametrize("encode", [bgzipped, lambda text: gzip.compress(text.encode())])
def test_fault_03_no_flipped_bit_changes_the_text(tmp_path, encode):
    whole = encode(TEXT)
    refusals = 0
    for position in range(3, len(whole), len(whole) // 97):
        data = bytearray(whole)
        data[position] ^= 0x10
        path = written(tmp_path / "flip.gz", bytes(data))
        try:
            assert body(path) == BODY  # a header field without meaning, such as the time
        except UserError:
            refusals += 1
    assert refusals > 90


def test_fault_04_supplied_indexes_are_ignored(tmp_path):
    path, other = tmp_path / "a.vcf.gz", tmp_path / "b.vcf.gz"
    written(other, bgzipped(vcf_text(FEW, CONTIGS)))
    tabix(other)
    written(path, bgzipped(TEXT))
    shutil.copy(tmp_path / "b.vcf.gz.tbi", tmp_path / "a.vcf.gz.tbi")
    assert body(path) == BODY
    written(tmp_path / "a.vcf.gz.tbi", b"no index at all")
    assert body(path) == BODY


def test_fault_06_empty_and_header_only(tmp_path):
    refused(written(tmp_path / "empty.vcf", b""), "empty")
    header = vcf_text([], CONTIGS)
    assert body(written(tmp_path / "a.vcf", header)) == b""
    assert body(written(tmp_path / "b.vcf", header.rstrip("\n"))) == b""
    assert body(written(tmp_path / "a.vcf.gz", bgzipped(header))) == b""
    assert body(bcf_of(tmp_path / "a.vcf")) == b""
    refused(written(tmp_path / "nothing.vcf.gz", bgzipped("")), "holds nothing once decompressed")


@pytest.mark.parametrize(
    ("line", "pattern"),
    [
        ("", "blank line"),
        ("  ", "blank line"),
        ("1 100 . A C . . .", "tabs, not blanks"),
        ("1\t100\t.\tA\tC", "5 columns"),
        ("1\t100\t.\tA\tC\t.\t.\t.\textra", "9 columns"),
        ("garbage", "1 column,"),
        ("1\t100\t.\tA\0\tC\t.\t.\t.", "NUL byte in column 4"),
        ("1\t100\t.\tA\tC\t.\t.\tX=\0", "NUL byte in column 8"),
        ("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO", "header line"),
        ("##contig=<ID=1>", "header line"),
    ],
)
@pytest.mark.parametrize("at", [0, 1500, 2998])
def test_fault_08_malformed_lines_are_named(tmp_path, line, pattern, at):
    text = vcf_text(RECORDS, CONTIGS)
    head = text.count("\n#") + 1
    lines = text.splitlines()
    lines.insert(head + at, line)
    path = written(tmp_path / "a.vcf", "\n".join(lines) + "\n")
    for size in (None, 1000):
        with pytest.raises(UserError) as caught:
            body(path, size)
        assert f"{path}, line {head + at + 1}: " in str(caught.value)
        assert pattern in str(caught.value)


def test_blank_lines_after_the_last_record_are_dropped(tmp_path):
    for blank in ("\n", "\r\n", "\n" * 5000):
        path = written(tmp_path / "a.vcf", TEXT + blank)
        for size in (None, 1000):
            assert body(path, size) == BODY
    # … but there only, also where a chunk ends at them.
    path = written(tmp_path / "a.vcf", TEXT + "\n" * 5000 + TEXT.splitlines()[-1] + "\n")
    for size in (None, 1000):
        with pytest.raises(UserError, match="blank line"):
            body(path, size)


def test_a_last_line_without_line_feed_is_read_with_a_warning(tmp_path, caplog):
    assert body(written(tmp_path / "a.vcf", TEXT[:-1])) == BODY
    assert "does not end in a line feed" in caplog.text


def test_fault_21_crlf_lines_are_read(tmp_path):
    path = written(tmp_path / "a.vcf", TEXT.replace("\n", "\r\n"))
    assert body(path) == BODY.replace(b"\n", b"\r\n")
    assert open_vcf(path).header_lines == open_vcf(written(tmp_path / "b.vcf", TEXT)).header_lines


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("1\tx\t.\tA\tC\t.\t.\t.\n", "no '#CHROM'"),
        ("##fileformat=VCFv4.2\n1\t100\t.\tA\n", "line 2: no '#CHROM'"),
        ("##fileformat=VCFv4.2\n", "no '#CHROM'"),
        ("##fileformat=VCFv4.2\n#CHROM POS ID REF ALT QUAL FILTER INFO\n", "tabs, not blanks"),
        ("#CHROM\tPOS\tREF\tALT\tID\n", "expected #CHROM POS"),
        ("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tS1\n", "expected FORMAT"),
        (
            "##fileformat=VCFv4.2\n# a note\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n",
            "line 2",
        ),
        ("<html>404 not found</html>", "found an HTML page"),
        ("\x1f", "no '#CHROM'"),
    ],
)
def test_malformed_headers_are_named(tmp_path, text, pattern):
    refused(written(tmp_path / "a.vcf", text), pattern)


def test_format_without_samples_is_read(tmp_path):
    head = vcf_text([], CONTIGS).rstrip("\n") + "\tFORMAT\n"
    line = "1\t1\t.\tA\tC\t.\t.\t.\tGT\n"
    assert body(written(tmp_path / "a.vcf", head + line)) == line.encode()
    refused(written(tmp_path / "b.vcf", head + line.replace("\tGT", "")), "8 columns")


def test_a_missing_fileformat_line_and_a_byte_order_mark_are_tolerated(tmp_path, caplog):
    text = TEXT.split("\n", 1)[1]
    assert body(written(tmp_path / "a.vcf", text)) == BODY
    assert "##fileformat" in caplog.text
    caplog.clear()
    assert body(written(tmp_path / "b.vcf", b"\xef\xbb\xbf" + TEXT.encode())) == BODY
    assert not caplog.text


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"BZh91AY", "bzip2"),
        (b"PK\x03\x04", "zip"),
        (b"CRAM\3", "CRAM"),
        (b"\xff\xfe#\0", "UTF-16"),
    ],
)
def test_other_formats_are_named(tmp_path, data, name):
    refused(written(tmp_path / "a.vcf.gz", data), name)
    refused(written(tmp_path / "b.vcf.gz", gzip.compress(data)), name)


def test_a_missing_file_and_a_folder_are_errors(tmp_path):
    refused(tmp_path / "absent.vcf", "cannot be read")
    refused(tmp_path, "cannot be read")


def test_fault_56_an_endless_line_is_refused_early(tmp_path, monkeypatch):
    monkeypatch.setattr(vcf_input, "MAX_LINE", 1 << 20)
    bomb = vcf_text([], CONTIGS) + "1\t100\t.\tA\tC\t.\t.\tX=" + "A" * (60 << 20)
    data = gzip.compress(bomb.encode(), 9)
    assert len(data) < 100_000
    message = refused(written(tmp_path / "bomb.vcf.gz", data), "longer than 1048576 bytes")
    assert "line 6:" in message
    header = "##" + "x" * (8 << 20)
    refused(written(tmp_path / "header.vcf", header), "line 1: longer than")


def test_blank_lines_without_end_are_refused_early(tmp_path, monkeypatch):
    monkeypatch.setattr(vcf_input, "MAX_LINE", 1 << 20)
    bomb = gzip.compress(vcf_text(FEW, CONTIGS).encode() + b"\n" * (30 << 20), 9)
    with pytest.raises(UserError, match=r"bomb\.vcf\.gz, line \d+: blank lines"):
        for _ in open_vcf(written(tmp_path / "bomb.vcf.gz", bomb)).chunks(1 << 19):
            pass


@given(
    lengths=st.lists(st.integers(0, 40), max_size=40),
    size=st.integers(1, 300),
    wide=st.booleans(),
    crlf=st.booleans(),
)
def test_chunks_are_whole_lines_whatever_their_size(tmp_path_factory, lengths, size, wide, crlf):
    folder = tmp_path_factory.mktemp("chunks")
    fill = 2000 if wide else 0  # long lines take another way
    records = [
        ("1", i + 1, ".", "A", "C", ".", ".", "X" * (n + fill)) for i, n in enumerate(lengths)
    ]
    text = vcf_text(records).replace("\n", "\r\n" if crlf else "\n")
    source = open_vcf(written(folder / "a.vcf", text))
    lines, record, line = [], 0, text.count("\n#") + 2
    for chunk in source.chunks(size):
        assert (chunk.first_record, chunk.first_line) == (record, line)
        assert chunk.data.endswith(b"\n")
        lines += [chunk.line(i) for i in range(chunk.records)]
        record += chunk.records
        line += chunk.records
    assert [bytes(x).rstrip(b"\r") for x in lines] == [
        x.encode() for x in text.replace("\r", "").splitlines() if not x.startswith("#")
    ]


def test_declared_contigs(tmp_path):
    header = [
        "##contig=<ID=a,length=12,assembly=b37>",
        '##contig=<assembly="x,y=>",ID=b>',
        "##contig=<ID=c,length=twelve>",
        "##contig=<length=3>",
    ]
    source = open_vcf(written(tmp_path / "a.vcf", vcf_text([], header=header)))
    assert source.contig_lengths == {"a": 12, "b": None, "c": None}


def test_truncated_bcf_is_refused(tmp_path):
    bcf = bcf_of(written(tmp_path / "a.vcf", TEXT))
    content = gzip.decompress(bcf.read_bytes())
    for cut in (3, 8, 50, len(content) // 2, len(content) - 1):
        refused(written(tmp_path / "cut.bcf", bgzipped(content[:cut])))
    refused(written(tmp_path / "cut.bcf", bcf.read_bytes()[:-28]), "truncated")
    refused(written(tmp_path / "v1.bcf", b"BCF\1" + content[4:]), "other than 2")


def test_a_bcf_that_bcftools_cannot_read_is_one_error(tmp_path):
    bcf = bcf_of(written(tmp_path / "a.vcf", vcf_text(FEW, CONTIGS)))
    content = bytearray(gzip.decompress(bcf.read_bytes()))
    start = 9 + struct.unpack_from("<I", content, 5)[0]
    struct.pack_into("<i", content, start + 8, 77)  # CHROM: a contig that the header lacks
    refused(written(tmp_path / "b.bcf", bgzipped(bytes(content))), "bcftools")


def test_every_byte_of_a_bcf_record_may_be_wrong(tmp_path):
    # Neither a crash of bcftools nor a record lost: an error, or as many records as there were.
    bcf = bcf_of(written(tmp_path / "a.vcf", vcf_text(FEW, CONTIGS)))
    content = gzip.decompress(bcf.read_bytes())
    start = 9 + struct.unpack_from("<I", content, 5)[0]
    refusals = 0
    for position in range(start, len(content), 7):
        damaged = bytearray(content)
        damaged[position] ^= 0xFF
        try:
            body(written(tmp_path / "b.bcf", bgzipped(bytes(damaged))))
        except UserError:
            refusals += 1
    assert refusals > 0


def test_a_damaged_checksum_is_found_in_each_block(tmp_path):
    data = bytearray(bgzipped(TEXT))
    ends = block_ends(data)
    data[ends[3] - 8] ^= 1
    message = refused(written(tmp_path / "a.vcf.gz", bytes(data)), "checksum")
    assert f"byte {ends[2]}" in message


def test_other_extra_fields_of_a_block_are_passed_over(tmp_path):
    # RFC 1952 allows more subfields beside BC; htslib writes none.
    text = TEXT.encode()[:3000].rsplit(b"\n", 1)[0] + b"\n"
    deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
    payload = deflate.compress(text) + deflate.flush()
    extra = b"XX\x03\0abcBC\x02\0"
    size = 12 + len(extra) + 2 + len(payload) + 8
    block = (
        b"\x1f\x8b\x08\x04\0\0\0\0\0\xff"
        + struct.pack("<H", len(extra) + 2)
        + extra
        + struct.pack("<H", size - 1)
        + payload
        + struct.pack("<II", zlib.crc32(text), len(text))
    )
    path = written(tmp_path / "a.vcf.gz", block + inflate.EOF_MARKER)
    assert open_vcf(path).format == "vcf.bgzip"
    assert text.endswith(body(path))
    assert body(path)

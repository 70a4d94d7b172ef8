"""Text of any compression: pieces, whole lines, decoded lines; bounded, and told by content."""

import bz2
import gzip
import io
import lzma
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from making.vcf import bgzipped
from varlm.errors import UserError
from varlm.files import text

EXPECTED = "x.table must name a table"
COMPRESSIONS = [bytes, gzip.compress, bgzipped]


def zipped(data):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("x.tsv", data)
    return out.getvalue()


def written(folder, data):
    path = folder / "in.tsv"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("compress", COMPRESSIONS)
@pytest.mark.parametrize("data", [b"", b"a", b"a\nb\n", b"line\n" * 700_000])
def test_content_of_any_compression(tmp_path, compress, data):
    for mark in (b"", b"\xef\xbb\xbf"):
        pieces = list(text.content(written(tmp_path, compress(mark + data)), EXPECTED))
        assert b"".join(pieces) == data
        assert max(map(len, pieces)) <= 2 << 20


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (bz2.compress(b"text"), "bzip2"),
        (lzma.compress(b"text"), "xz"),
        (zipped(b"text"), "zip"),
        (b"\x28\xb5\x2f\xfd\0", "zstd"),
        (b"CRAM\3\0", "CRAM"),
        (b"BAM\1\0", "BAM"),
        ("text".encode("utf-16"), "UTF-16 text"),
    ],
)
def test_what_is_no_text_is_named_with_a_remedy(tmp_path, data, name):
    for packed in (data, gzip.compress(data)):
        with pytest.raises(UserError, match=rf"in\.tsv: found {name}; {EXPECTED}, plain.*: \w+"):
            list(text.content(written(tmp_path, packed), EXPECTED))


@pytest.mark.parametrize("data", [b"BZh1\t5\t9\n", b"CRAMER\t1\t2\n", b"PKD1\t1\t2\n"])
def test_names_that_begin_like_a_magic_are_text(tmp_path, data):
    assert b"".join(text.content(written(tmp_path, data), EXPECTED)) == data


def test_what_cannot_be_read_is_named(tmp_path):
    for read in (text.head, lambda *a: list(text.content(*a))):
        for path in (tmp_path, tmp_path / "none"):
            with pytest.raises(UserError, match=rf"{path}: cannot be read \(.*\); {EXPECTED}"):
                read(path, EXPECTED)


@given(st.lists(st.text("ab\n", max_size=9).map(str.encode), max_size=20), st.integers(1, 12))
def test_whole_lines_of_any_pieces(pieces, size):
    blocks = list(text.whole_lines(pieces, None, size, 1000, "", first=5))
    whole = b"".join(pieces)
    assert b"".join(block for block, _ in blocks) == whole
    assert all(block.endswith(b"\n") for block, _ in blocks[:-1])
    assert all(blocks)
    line = 5
    for block, number in blocks:
        assert number == line
        line += block.count(b"\n")


def test_the_lines_before_one_that_is_too_long_are_yielded(tmp_path):
    lines = text.whole_lines([b"a\nb", b"c" * 50, b"d" * 50], tmp_path, 1000, 60, "mend it")
    assert next(lines) == (b"a\n", 1)
    with pytest.raises(UserError, match="line 2: longer than 60 bytes; mend it"):
        next(lines)


def test_no_more_is_read_than_the_line_that_is_too_long(tmp_path):
    pieces_read = []
    pieces = (pieces_read.append(1) or b"a" * 100 for _ in range(1000))
    with pytest.raises(UserError, match="line 1: longer than 250"):
        list(text.whole_lines(pieces, tmp_path, 10_000, 250, ""))
    assert len(pieces_read) == 3


@given(st.text("aé\u2028\r\n", max_size=60), st.integers(1, 7), st.sampled_from(COMPRESSIONS))
def test_decoded_lines_are_those_of_universal_newlines(tmp_path_factory, data, size, compress):
    path = written(tmp_path_factory.mktemp("lines"), compress(data.encode()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "_PIECE", size)
        patch.setattr(text.inflate, "_PIECE", size)
        lines = list(text.decoded_lines(path, EXPECTED))
    expected = io.StringIO(data, newline=None).read().split("\n")
    assert lines == list(enumerate(expected if expected[-1] else expected[:-1], 1))


@pytest.mark.parametrize("compress", COMPRESSIONS)
def test_a_bomb_of_one_line_is_refused(tmp_path, compress):
    path = written(tmp_path, compress(b"a\tb\n" + b"x" * (24 << 20)))
    with pytest.raises(UserError, match=r"in\.tsv, line 2: longer than 16777216 characters"):
        list(text.decoded_lines(path, EXPECTED))


def test_bytes_that_are_no_utf8_are_named_with_their_line(tmp_path):
    path = written(tmp_path, b"a\nb\nc\xff\n")
    with pytest.raises(UserError, match=r"in\.tsv, line 3: not UTF-8 text"):
        list(text.decoded_lines(path, EXPECTED))
    path = written(tmp_path, b"a\nb\xc3")
    with pytest.raises(UserError, match=r"in\.tsv, line 2: not UTF-8 text"):
        list(text.decoded_lines(path, EXPECTED))

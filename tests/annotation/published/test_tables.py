"""What a table's file may be: headers, columns, indexes, and what is wrong with them."""

import gzip
import random

import numpy as np
import polars as pl
import pysam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from making.score_tables import (
    frame_of,
    snvs,
    tabix,
    table,
    write_indexed,
    write_score_vcf,
    write_text,
)
from varlm.annotation.published import indexed_text
from varlm.annotation.published.delimited import read_heading
from varlm.annotation.published.indexed_text import IndexedText
from varlm.annotation.published.keys import places_of
from varlm.annotation.published.tables import opened
from varlm.annotation.published.wanted import wanted_on
from varlm.errors import UserError
from varlm.genome.contig_names import ContigNames

SEQUENCE = "".join(random.Random(11).choices("ACGT", k=60))
ROWS = snvs(SEQUENCE, "chr1")
NAMES = ContigNames({"chr1": 60, "chr2": 60})


def refused(described, tmp_path, message):
    with pytest.raises(UserError, match=message):
        opened(described, NAMES, tmp_path)


# -- headers and columns ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "names", "before"),
    [
        (["## CADD", "#Chrom\tPos\tRef", "1\t2\tA"], ["Chrom", "Pos", "Ref"], 2),
        (["# licence", "#CHROM\tPOS\tREF", "# and more", "1\t2\tA"], ["CHROM", "POS", "REF"], 3),
        (["chr\tpos\tref", "1\t2\tA"], ["chr", "pos", "ref"], 1),
        (["# made", "", "chr\tpos\tref", "1\t2\tA"], ["chr", "pos", "ref"], 3),
        (["1\t2\tA"], None, 0),
        (["# made", "1\t2\tA"], None, 1),
        (["chr,pos,ref", "1,2,A"], ["chr", "pos", "ref"], 1),
        (["#chr\tpos\tref"], ["chr", "pos", "ref"], 1),
    ],
)
def test_headers_are_told_from_rows(lines, names, before, tmp_path):
    heading = read_heading(write_text(tmp_path / "t", lines))
    assert (heading.names, heading.width, heading.before) == (names, 3, before)


@pytest.mark.parametrize(
    ("names", "places"),
    [
        (["Chrom", "Pos", "Ref", "Alt", "RawScore", "PHRED"], (0, 1, 2, 3)),
        (["CHROM", "POS", "REF", "ALT", "genome", "am_pathogenicity"], (0, 1, 2, 3)),
        (["#chr", "pos(1-based)", "ref", "alt", "aaref", "REVEL_score"], (0, 1, 2, 3)),
        (["x", "alternate_allele", "reference_allele", "position", "chromosome"], (4, 3, 2, 1)),
    ],
)
def test_columns_of_the_key_are_told_by_their_usual_names(names, places):
    found = places_of(table("t", ("a", names[-1])), names, len(names), "t")
    assert (found.contig, found.pos, found.ref, found.alt) == places
    assert found.values == (len(names) - 1,)


REVEL = ["chr", "hg19_pos", "grch38_pos", "ref", "alt", "aaref", "aaalt", "REVEL"]


@pytest.mark.parametrize(
    ("described", "names", "message"),
    [
        (
            table("t", ("a", "REVEL")),
            REVEL,
            r"no column is called as one of pos .*scores\.t\.key\.pos",
        ),
        (table("t", ("a", "REVEL"), key={"pos": "hg18_pos"}), REVEL, "is it .*hg19_pos"),
        (table("t", ("a", "REVEL"), key={"pos": 9}), REVEL, "found 9, but the file has 8 columns"),
        (table("t", ("a", "revel"), key={"pos": 3}), REVEL, r"columns\.a: .*is it REVEL\?"),
        (
            table("t", ("a", "REVEL")),
            ["chr", "pos", "start", "ref"],
            "'pos' and 'start' may be pos",
        ),
        (table("t", ("a", "x")), None, "no line with the columns' names; give the column's number"),
    ],
)
def test_columns_that_cannot_be_found(described, names, message):
    with pytest.raises(UserError, match=message):
        places_of(described, names, len(names or REVEL), "t")


def test_a_line_of_another_width(tmp_path):
    path = write_text(tmp_path / "t.tsv", ["chrom\tpos\tref\talt\tx", "chr1\t1\tA\tC"])
    refused(table(path, ("a", "x")), tmp_path, "line 2: found 4 columns, expected 5")
    lines = ["chrom\tpos\tref\talt\tx", "chr1\t1\tA\tC\t1", "chr1\t1\tA\tC\t1\t2"]
    path = write_text(tmp_path / "t.tsv", lines)
    refused(table(path, ("a", "x")), tmp_path, "a line that does not read as 5 columns")
    path = write_text(tmp_path / "t.tsv", ["chrom\tpos\tref\talt\tx", "chr1\t2.5\tA\tC\t3"])
    refused(table(path, ("a", "x")), tmp_path, "a position, a whole number, in column 2")


# -- files ------------------------------------------------------------------------------------


def test_files_that_are_no_tables(tmp_path):
    columns = (("a", 5),)
    (tmp_path / "page").write_text("<!DOCTYPE html><html>login</html>")
    refused(table(tmp_path / "page", *columns), tmp_path, "an HTML page")
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    (tmp_path / "t.parquet").write_text(pointer)
    refused(table(tmp_path / "t.parquet", *columns), tmp_path, "a Git LFS pointer")
    refused(table(tmp_path / "none", *columns), tmp_path, r"none: cannot be read \(No such file")
    (tmp_path / "empty").write_text("")
    refused(table(tmp_path / "empty", *columns), tmp_path, "found no row")
    frame_of(ROWS).write_parquet(tmp_path / "whole.parquet")
    data = (tmp_path / "whole.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(data[:-20])
    refused(table(tmp_path / "cut.parquet", ("a", "score")), tmp_path, "damaged Parquet file")


def test_a_cut_bgzip_table(tmp_path):
    path = write_indexed(tmp_path / "t.tsv", ROWS)
    path.write_bytes(path.read_bytes()[:-28])
    refused(table(path, ("a", 5)), tmp_path, "truncated: the empty block that ends a bgzip file")


def test_an_index_of_another_file(tmp_path):
    path = write_indexed(tmp_path / "t.tsv", [f"# {'x' * 100_000}{n}" for n in range(9)] + ROWS)
    other = write_indexed(tmp_path / "u.tsv", ROWS)
    other.with_name("u.tsv.gz.tbi").write_bytes(path.with_name("t.tsv.gz.tbi").read_bytes())
    text = IndexedText(other, other.with_name("u.tsv.gz.tbi"))
    with pytest.raises(UserError, match=r"rows of 'chr1' there is nothing; the index is another"):
        b"".join(text.lines("chr1", 1, 60))
    longer = write_indexed(
        tmp_path / "v.tsv", [("chr1", pos, "A", "C", 1) for pos in range(1, 40_000)]
    )
    longer.with_name("v.tsv.gz.tbi").write_bytes(path.with_name("t.tsv.gz.tbi").read_bytes())
    text = IndexedText(longer, longer.with_name("v.tsv.gz.tbi"))
    with pytest.raises(UserError, match=r"index is another file's"):
        b"".join(text.lines("chr1", 1, 60))
    other.with_name("u.tsv.gz.tbi").write_bytes(gzip.compress(b"BAI\1"))
    refused(table(other, ("a", 5)), tmp_path, "not readable as the index of a table .*tabix -f")


def test_an_index_of_another_column_of_positions(tmp_path):
    lines = ["#chr\thg19_pos\tgrch38_pos\tref\talt\tREVEL"]
    lines += [(c, pos + 5, pos, ref, alt, s) for c, pos, ref, alt, s in ROWS]
    path = write_indexed(tmp_path / "t.tsv", lines)
    described = table(path, ("a", "REVEL"), key={"pos": "grch38_pos"})
    refused(described, tmp_path, "its index is of the positions in column 2, .* are in column 3")


def test_an_info_field_that_is_not_declared(tmp_path):
    path = write_score_vcf(
        tmp_path / "t.vcf", [("chr1", 1, "A", "C", "AF=1")], [("AF", "A", "Float")]
    )
    refused(table(path, ("a", "af")), tmp_path, r"no header line '##INFO=<ID=af,…' \(is it AF\?\)")


def test_a_gzip_table_without_an_index_is_read_whole(tmp_path, caplog):
    caplog.set_level("INFO")
    path = tmp_path / "t.tsv.gz"
    path.write_bytes(gzip.compress(b"chr\tpos\tref\talt\tx\nchr1\t1\tA\tC\t1\n"))
    assert opened(table(path, ("a", "x")), NAMES, tmp_path).contigs == {"chr1": "chr1"}
    assert "has no index, and is read whole; tabix makes one" in caplog.text


# -- the index, against pysam -----------------------------------------------------------------


@st.composite
def sorted_rows(draw):
    """Rows of some contigs, dense, sparse and far apart, and places to read."""
    lines = []
    for contig in draw(st.lists(st.sampled_from("abcd"), unique=True, min_size=1)):
        at = 0
        for _ in range(draw(st.integers(1, 30))):
            at += draw(st.sampled_from([0, 1, 2, 17, 500, 20_000, 300_000]))
            lines.append((contig, max(1, at), "A", "C", "x" * draw(st.sampled_from([1, 90, 5000]))))
    places = st.tuples(st.sampled_from("abcd"), st.integers(1, 4_000_000), st.integers(0, 400_000))
    near = st.sampled_from(lines).map(lambda row: (row[0], max(1, row[1] - 20), 40))
    return lines, draw(st.lists(st.one_of(places, near), min_size=5, max_size=10))


@pytest.mark.parametrize("csi", [False, True])
@given(case=sorted_rows())
def test_lines_of_a_place_are_those_that_pysam_gives(csi, case, tmp_path_factory):
    lines, places = case
    folder = tmp_path_factory.mktemp("index")
    path = write_indexed(folder / "t.tsv", ["#c\tp\tr\ta\tx", *lines], csi=csi)
    index = path.with_name(f"t.tsv.gz.{'csi' if csi else 'tbi'}")
    text = IndexedText(path, index)
    with pysam.TabixFile(str(path), index=str(index)) as file:
        assert text.contigs == file.contigs
        for contig, first, length in places:
            if contig in file.contigs:
                expected = list(file.fetch(contig, first - 1, first + length))
                read = b"".join(text.lines(contig, first, first + length)).decode()
                assert read.splitlines() == expected


def test_long_tables_are_read_in_many_blocks(tmp_path, monkeypatch):
    rows = [("c", pos, "A", "C", pos * 0.37) for pos in range(1, 60_000)]
    path = tabix(write_text(tmp_path / "t.tsv", rows))
    monkeypatch.setattr(indexed_text, "_RAW", (1 << 16, 1 << 17))
    text = IndexedText(path, path.with_name("t.tsv.gz.tbi"))
    for first, last in ((1, 59_999), (30_000, 30_001), (59_999, 10**9), (16_000, 33_000)):
        pieces = list(text.lines("c", first, last))
        numbers = [int(line.split()[1]) for line in b"".join(pieces).splitlines()]
        assert numbers == list(range(first, min(last, 59_999) + 1))
        assert all(piece.endswith(b"\n") for piece in pieces)


@pytest.mark.parametrize("is_indexed", [False, True])
def test_lines_that_end_as_on_windows(is_indexed, tmp_path):
    plain = tmp_path / "t.tsv"
    lines = ["#chrom\tpos\tref\talt\tx", *("\t".join(map(str, row)) for row in ROWS)]
    plain.write_bytes("".join(f"{line}\r\n" for line in lines).encode())
    path = tabix(plain) if is_indexed else plain
    source = opened(table(path, ("a", "x", {"type": "text"})), NAMES, tmp_path).source
    sites = pl.DataFrame({"row": [0], "pos": [7], "ref": [SEQUENCE[6]], "alt": ["N"]})
    wanted = wanted_on("chr1", np.frombuffer(SEQUENCE.encode(), np.uint8), sites)
    values = [v for _, rows in source.rows({"chr1": wanted}) for v in rows["value_0"]]
    assert set(values) >= {"7.0", "7.25", "7.5"}
    assert not any("\r" in value for value in values)

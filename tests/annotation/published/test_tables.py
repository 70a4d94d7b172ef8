"""What a table's file may be: headers, columns, indexes, and what is wrong with them."""

import gzip
import random

import numpy as np
import polars as pl
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
from making.vcf import bcf_of
from varlm.annotation.published.delimited import read_heading
from varlm.annotation.published.indexed_text import IndexedText
from varlm.annotation.published.keys import places_of
from varlm.annotation.published.tables import opened
from varlm.annotation.published.wanted import PADDING, wanted_on
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


def rows_of(described, tmp_path, *positions):
    """What is read where SNVs of chr1 are looked up."""
    source = opened(described, NAMES, tmp_path).source
    some = {"ref": "A", "alt": "C"}
    sites = pl.DataFrame([{"row": n, "pos": pos, **some} for n, pos in enumerate(positions)])
    wanted = wanted_on("chr1", np.frombuffer(SEQUENCE.encode(), np.uint8), sites)
    nothing = pl.DataFrame(schema={"pos": pl.Int64(), "value_0": pl.String()})
    parts = (rows.select(nothing.columns) for _, rows in source.rows({"chr1": wanted}))
    return pl.concat([nothing, *parts])


def with_index_of(path, other):
    path.with_name(f"{path.name}.tbi").write_bytes(
        other.with_name(f"{other.name}.tbi").read_bytes()
    )
    return path


def test_an_index_of_another_file(tmp_path):
    longer = write_indexed(tmp_path / "t.tsv", [f"# {'x' * 100_000}{n}" for n in range(9)] + ROWS)
    path = with_index_of(write_indexed(tmp_path / "u.tsv", ROWS), longer)
    with pytest.raises(UserError, match=r"rows of 'chr1' there is nothing; the index is another"):
        rows_of(table(path, ("a", 5)), tmp_path, 7)
    many = [("chr1", pos, "A", "C", 1) for pos in range(1, 40_000)]
    path = with_index_of(write_indexed(tmp_path / "v.tsv", many), longer)
    with pytest.raises(UserError, match=r"index is another file's"):
        rows_of(table(path, ("a", 5)), tmp_path, 7)


def test_an_index_in_which_a_contig_is_elsewhere(tmp_path):
    """The file was made again with its contigs in another order."""
    other = write_indexed(tmp_path / "t.tsv", [("chr2", *row[1:]) for row in ROWS] + ROWS)
    path = write_indexed(tmp_path / "u.tsv", ROWS + [("chr2", *row[1:]) for row in ROWS])
    with pytest.raises(UserError, match=r"rows of 'chr1' there is nothing; the index is another"):
        rows_of(table(with_index_of(path, other), ("a", 5)), tmp_path, 7)


def test_an_index_that_is_none(tmp_path):
    path = write_indexed(tmp_path / "t.tsv", ROWS)
    path.with_name("t.tsv.gz.tbi").write_bytes(gzip.compress(b"BAI\1"))
    refused(table(path, ("a", 5)), tmp_path, "not readable as the index of a table .*tabix -f")
    path = write_score_vcf(
        tmp_path / "t.vcf", [("chr1", 1, "A", "C", "S=1")], [("S", "A", "Float")]
    )
    bcf = bcf_of(path)
    bcf.with_name(f"{bcf.name}.csi").write_bytes(gzip.compress(b"BAI\1"))
    refused(table(bcf, ("a", "S")), tmp_path, "not readable as the index of a BCF .*bcftools index")


def test_an_index_of_another_vcf(tmp_path):
    infos = [("S", "A", "Float"), ("T", "1", "String")]
    record = ("chr1", 1, "A", "C", "S=1")
    noise = "".join(random.Random(1).choices("abcdefgh", k=200_000))
    longer = write_score_vcf(tmp_path / "t.vcf", [record], [*infos, (noise, "A", "Float")])
    path = with_index_of(write_score_vcf(tmp_path / "u.vcf", [record], infos), longer)
    refused(table(path, ("a", "S")), tmp_path, "index is another file's")


def test_a_block_that_is_damaged(tmp_path):
    score = random.Random(1).random
    rows = [("chr1", pos, "A", "C", score()) for pos in range(1, 150_000)]
    path = write_indexed(tmp_path / "t.tsv", rows)
    data = bytearray(path.read_bytes())
    at = len(data) * 9 // 10
    data[at : at + 100] = bytes(100)
    path.write_bytes(data)
    assert rows_of(table(path, ("a", 5)), tmp_path, 7)["pos"].max() <= 8
    with pytest.raises(UserError, match=r"t\.tsv\.gz: damaged, or .*copy or download both again"):
        rows_of(table(path, ("a", 5)), tmp_path, *range(100, 149_000, 500))


@pytest.mark.parametrize("shift", [-5, 5])
@pytest.mark.parametrize("start", [1, 20])
def test_an_index_of_another_column_of_positions(start, shift, tmp_path):
    """The columns may agree at first, as those of two assemblies do."""
    lines = ["#chr\thg19_pos\tgrch38_pos\tref\talt\tREVEL"]
    lines += [
        (c, pos + (shift if pos > start else 0) + 5, pos + 5, ref, alt, s)
        for c, pos, ref, alt, s in ROWS
    ]
    path = write_indexed(
        tmp_path / "t.tsv", sorted(lines, key=lambda r: r[1] if r[1] != "c" else 0)
    )
    described = table(path, ("a", "REVEL"), key={"pos": "grch38_pos"})
    message = (
        "not where its index has the position in its column 3.* index the table by that column"
    )
    with pytest.raises(UserError, match=message):
        rows_of(described, tmp_path, 40)


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


# -- what is read --------------------------------------------------------------------------


@st.composite
def sorted_rows(draw):
    """Positions, dense, sparse and far apart, and some to look up."""
    positions, at = [], 0
    for _ in range(draw(st.integers(1, 30))):
        at += draw(st.sampled_from([0, 1, 2, 17, 500, 20_000, 300_000]))
        positions.append(max(1, at))
    places = st.one_of(st.sampled_from(positions), st.integers(1, 4_000_000))
    return positions, sorted(set(draw(st.lists(places, min_size=1, max_size=10))))


@pytest.mark.parametrize("layout", ["tbi", "csi", "from_0", "ends"])
@pytest.mark.parametrize("base", [0, 1])
@given(case=sorted_rows())
def test_each_row_of_a_place_is_read_once(base, layout, case, tmp_path_factory):
    """However the index counts, and where it has a column of ends, so that rows overlap."""
    positions, sites = case
    folder = tmp_path_factory.mktemp("index")
    lines = [
        ("chr1", pos - 1 + base, "A", "C", number, pos + 1500)
        for number, pos in enumerate(positions)
    ]
    options = {"csi": layout == "csi", "zerobased": layout == "from_0"}
    path = write_indexed(folder / "t.tsv", lines, end=5 if layout == "ends" else 1, **options)
    rows = rows_of(table(path, ("a", 5), base=base), folder, *sites)
    assert rows["value_0"].is_unique().all()
    near = [n for n, pos in enumerate(positions) if any(0 <= s - pos <= PADDING for s in sites)]
    assert {*map(str, near)} <= {*rows["value_0"]}
    by_number = dict(zip(map(str, range(len(lines))), positions, strict=True))
    assert rows["pos"].to_list() == [by_number[value] for value in rows["value_0"]]


def test_a_contig_with_letters_that_mean_more(tmp_path):
    names = ["chr1:5-9", "chr1", "HLA:é,1"]
    rows = [(name, 7, "A", "C", name) for name in names]
    path = write_indexed(tmp_path / "t.tsv", rows)
    text = IndexedText(path, path.with_name("t.tsv.gz.tbi"))
    assert text.contigs == names
    for name in names:
        (lines,) = text.blocks([text.fetch(name, 7, 7)])
        assert lines.decode() == f"{name}\t7\tA\tC\t{name}\n"


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

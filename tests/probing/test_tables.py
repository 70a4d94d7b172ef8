"""Tables of probes: what is embedded of each row, what is left out, what is refused."""

import gzip

import numpy as np
import polars as pl
import pytest

from varlm.errors import UserError
from varlm.genome.circular import CircularContigs
from varlm.genome.contig_names import ContigNames
from varlm.genome.encoding import index_reference
from varlm.genome.reference import Genome
from varlm.genome.windows import reverse_complement
from varlm.probing.specification import ProbeLabel, ProbeSpec
from varlm.probing.tables import read_probe_table

CHR1 = "".join(np.random.default_rng(1).choice(list("ACGT"), 200))
CHR2 = "N" * 40 + "".join(np.random.default_rng(2).choice(list("ACGT"), 8)) + "N" * 52


@pytest.fixture
def genome(make_reference):
    return Genome.open(make_reference({"chr1": CHR1, "chr2": CHR2}))


@pytest.fixture
def read(tmp_path, genome):
    def read(text, label="y", positive=(), negative=(), absolute=False, genome=genome, **spec):
        path = text
        if isinstance(text, str):
            path = tmp_path / "table.tsv"
            path.write_text(text)
        names = ContigNames(genome.lengths)
        label = ProbeLabel("mpra", label, positive=positive, negative=negative, absolute=absolute)
        return read_probe_table(path, ProbeSpec(label, **spec), genome, names)

    return read


def tsv(*rows, header):
    return "\n".join("\t".join(map(str, row)) for row in (header.split(), *rows)) + "\n"


def rc(text):
    return reverse_complement(np.frombuffer(text.encode(), np.uint8)[None]).tobytes().decode()


INTERVAL, VARIANT = "chrom start end strand y", "chrom pos ref alt y"


# -- what is embedded -------------------------------------------------------------------------


def test_sequences_are_taken_as_they_are(read):
    table = read(tsv((" acgu ", 1.5, "a"), ("NACG", -2, "b"), header="sequence y set"), folds="set")
    rows = table.rows.frame
    assert (table.rows.kind, table.length, table.left_out) == ("sequences", 4, {})
    assert rows["sequence"].to_list() == ["ACGT", "NACG"]
    assert rows["label"].to_list() == [1.5, -2]
    assert rows["fold"].to_list() == ["a", "b"]
    assert rows["chrom"].to_list() == rows["start"].to_list() == [None, None]


def test_of_longer_sequences_the_middle(read):
    text = tsv(("AACCGGTT", 1, 1), ("AACGGTT", 1, 1), ("ACG", 1, 1), header="sequence y set")
    table = read(text, folds="set", length=4)
    assert table.rows.frame["sequence"].to_list() == ["CCGG", "ACGG"]
    assert table.left_out == {"too_short": 1}


def test_intervals_are_read_on_their_strand(read):
    text = tsv(
        ("chr1", 20, 33, "+", 1), ("1", 50, 63, "-", 2), ("chr1", 70, 83, ".", 3), header=INTERVAL
    )
    rows = read(text).rows.frame
    assert rows["sequence"].to_list() == [CHR1[20:33], rc(CHR1[50:63]), CHR1[70:83]]
    assert rows["start"].to_list() == [20, 50, 70]
    assert rows["strand"].to_list() == ["+", "-", "+"]
    assert rows["fold"].to_list() == ["chr1"] * 3  # as the reference names it


@pytest.mark.parametrize("size", [12, 13])
@pytest.mark.parametrize("length", [4, 5, 20, 21])
@pytest.mark.parametrize("strand", ["+", "-"])
def test_the_middle_of_an_interval_is_that_of_its_strand(read, size, length, strand):
    text = tsv(("chr1", 50, 50 + size, strand, 1), header=INTERVAL)
    (whole,) = read(text).rows.frame["sequence"]
    table = read(text, length=length)
    (sequence,) = table.rows.frame["sequence"]
    assert table.length == length
    assert sequence[length // 2] == whole[size // 2]
    shorter, longer = sorted([sequence, whole], key=len)
    assert shorter in longer
    start, end = table.rows.frame.row(0)[2:4]
    forward = CHR1[start:end]
    assert sequence == (forward if strand == "+" else rc(forward))


def test_variants_have_their_bases_around_them(read):
    alt = "A" if CHR1[99] != "A" else "C"
    more = "GA" + ("T" if CHR1[99] != "T" else "C")  # no base that could be trimmed
    end = next(end for end in range(103, 110) if CHR1[end - 1] != CHR1[99])
    text = tsv(
        ("chr1", 100, CHR1[99], alt, 1),  # a substitution
        ("chr1", 100, CHR1[99], CHR1[99] + more, 2),  # an insertion behind it
        ("chr1", 100, CHR1[99:end], CHR1[99], 3),  # a deletion behind it
        header=VARIANT,
    )
    table = read(text, length=16)
    rows = table.rows.frame
    assert table.rows.kind == "variants"
    assert table.length == 16
    site = 99
    assert rows["start"].to_list() == [site - 8, site + 1 - 8, site + 1 - 8]
    assert rows["sequence"].to_list() == [CHR1[91:107], CHR1[92:108], CHR1[92:108]]
    assert rows["alternate"].to_list() == [
        CHR1[91:99] + alt + CHR1[100:107],
        CHR1[92:100] + more + CHR1[100:105],
        CHR1[92:100] + CHR1[end : end + 8],
    ]
    assert read(text).length == 128


def alleles_at(site, text=CHR1):
    """REF, ALT of an SNV, an insertion, a deletion and a substitution of several bases."""
    base = text[site]
    other = "ACGT"["CGTA".index(base)]
    end = next(end for end in range(site + 4, site + 9) if text[end - 1] != base)
    yield base, other
    yield base, base + "GA" + other
    yield text[site:end], base
    yield text[site : site + 3], rc(text[site : site + 3])[::-1]  # the complement: all differ


def read_behind(text, site, ref, alt, length):
    """Return reference and ALT around a variant on -, by writing out both whole contigs.

    The middle is the first base that changes, as seen on the strand.
    """
    whole, other = rc(text), rc(text[:site] + alt + text[site + len(ref) :])
    shown_ref, shown_alt = rc(ref), rc(alt)
    while shown_ref and shown_alt and shown_ref[-1] == shown_alt[-1]:
        shown_ref, shown_alt = shown_ref[:-1], shown_alt[:-1]
    shared = 0
    while shared < min(len(shown_ref), len(shown_alt)) and shown_ref[shared] == shown_alt[shared]:
        shared += 1
    start = len(text) - site - len(ref) + shared - length // 2
    return whole[start : start + length], other[start : start + length]


@pytest.mark.parametrize("length", [16, 17])
def test_variants_are_read_on_their_strand(read, length):
    pairs = [(site, *pair) for site in range(60, 140, 7) for pair in alleles_at(site)]
    rows = [("chr1", site + 1, ref, alt, "-", 1) for site, ref, alt in pairs]
    forward = [(*row[:4], sign, 1) for row, sign in zip(rows, [*"+."] * len(rows), strict=False)]
    header = "chrom pos ref alt strand y"
    table = read(tsv(*rows, *forward, header=header), length=length)
    frame = table.rows.frame
    behind, ahead = frame[: len(rows)], frame[len(rows) :]
    expected = [read_behind(CHR1, *pair, length) for pair in pairs]
    assert behind["sequence"].to_list() == [reference for reference, _ in expected]
    assert behind["alternate"].to_list() == [alternate for _, alternate in expected]
    assert [rc(CHR1[a:b]) for a, b in behind.select("start", "end").iter_rows()] == [
        reference for reference, _ in expected
    ]
    plain = read(tsv(*([*row[:4], 1] for row in rows), header=VARIANT), length=length)
    columns = ["start", "end", "strand", "sequence", "alternate"]
    assert ahead.select(columns).equals(plain.rows.frame.select(columns))
    snvs = [i for i, (_, ref, alt) in enumerate(pairs) if len(ref) == len(alt) == 1]
    for row in snvs:
        one, other = behind.row(row)[-2:]
        assert [i for i in range(length) if one[i] != other[i]] == [length // 2]
        assert one[length // 2] == rc(pairs[row][1])


def test_ends_of_contigs_are_those_of_the_strand(read):
    """Of 16 bp on + 8 are before the first base that changes, on - behind the last one."""
    header = "chrom pos ref alt strand y"

    def snvs(*sites):
        for site, strand in sites:
            yield "chr1", site + 1, CHR1[site], "ACGT"["CGTA".index(CHR1[site])], strand, site

    text = tsv(*snvs((7, "+"), (8, "+"), (192, "+"), (193, "+")), header=header)
    assert read(text, length=16).rows.frame["label"].to_list() == [8, 192]
    text = tsv(*snvs((6, "-"), (7, "-"), (191, "-"), (192, "-")), header=header)
    assert read(text, length=16).rows.frame["label"].to_list() == [7, 191]
    deletions = []
    for at in (6, 7):  # what is lost begins behind it
        end = next(end for end in range(at + 4, at + 9) if CHR1[end - 1] != CHR1[at])
        deletions.append(("chr1", at + 1, CHR1[at:end], CHR1[at], "-", at))
    table = read(tsv(*deletions, header=header), length=16)  # ALT has 8 bp from before it
    assert table.rows.frame["label"].to_list() == [7]
    assert table.rows.frame["alternate"][0].endswith(rc(CHR1[:8]))
    assert table.left_out == {"past_contig_end": 1}


def test_a_circle_goes_on_on_both_strands(read, make_reference):
    folder = make_reference({"chr1": CHR1}, "circle")
    CircularContigs(contigs={"chr1": "the config"}).write(folder / "circular.json")
    genome = Genome.open(folder)
    alt = "ACGT"["CGTA".index(CHR1[2])]
    text = tsv(("chr1", 3, CHR1[2], alt, "-", 1), header="chrom pos ref alt strand y")
    (row,) = read(text, length=16, genome=genome).rows.frame.iter_rows(named=True)
    assert (row["start"], row["end"]) == (-5, 11)
    assert row["sequence"] == rc(CHR1[-5:] + CHR1[:11])
    (row,) = read(text, length=200, genome=genome).rows.frame.iter_rows(named=True)
    assert row["sequence"] == rc(CHR1[103:] + CHR1[:103])


def test_strands_of_variants_are_refused_as_those_of_intervals(read):
    text = tsv(
        ("chr1", 50, CHR1[49], "N", "+", 1),
        ("chr1", 50, CHR1[49], rc(CHR1[49]), 1, 1),
        header="chrom pos ref alt strand y",
    )
    with pytest.raises(UserError, match=r"line 3: the strand is '1'; expected \+, - or"):
        read(text)


def test_labels_of_two_classes(read):
    text = tsv(
        *(("ACGT", label, 1) for label in ("yes", "no", "maybe", ".", "yes")), header="sequence y f"
    )
    table = read(text, positive=("yes",), negative=("no",), folds="f")
    assert table.rows.frame["label"].to_list() == [1, 0, 1]
    assert table.rows.frame["row"].to_list() == [0, 1, 4]
    assert table.left_out == {"no_label": 1, "other_label": 1}


def test_absolute_labels(read):
    table = read(tsv(("AC", -3, 1), ("AC", 2, 1), header="sequence y f"), absolute=True, folds="f")
    assert table.rows.frame["label"].to_list() == [3, 2]


def test_formats_are_told_by_content(read, tmp_path):
    text = "## a comment\n#" + tsv(
        ("chr1", 20, 30, "-", 1), ("chr1", 40, 50, "+", 2), header=INTERVAL
    )
    plain = read(text)
    gzipped = tmp_path / "table.gz"
    gzipped.write_bytes(gzip.compress(text.encode()))
    frame = pl.DataFrame(
        {
            "chrom": ["chr1"] * 2,
            "start": [20, 40],
            "end": [30, 50],
            "strand": ["-", "+"],
            "y": [1, 2],
        }
    )
    frame.write_parquet(tmp_path / "table.parquet")
    assert read(gzipped).rows.frame.equals(plain.rows.frame)
    assert read(tmp_path / "table.parquet").rows.frame.equals(plain.rows.frame)


def test_a_circle_has_no_ends(read, make_reference):
    folder = make_reference({"chr1": CHR1}, "circle")
    CircularContigs(contigs={"chr1": "the config"}).write(folder / "circular.json")
    genome = Genome.open(folder)
    alt = "A" if CHR1[2] != "A" else "C"
    text = tsv(("chr1", 3, CHR1[2], alt, 1), header=VARIANT)
    (row,) = read(text, length=16, genome=genome).rows.frame.iter_rows(named=True)
    assert (row["start"], row["end"]) == (-6, 10)
    assert row["sequence"] == CHR1[-6:] + CHR1[:10]
    with pytest.raises(UserError, match="1 that would be embedded past an end of their contig"):
        read(text, length=16)


# -- what is left out -------------------------------------------------------------------------


def test_what_cannot_be_used_is_counted_and_logged(read, caplog):
    good = [
        ("chr1", 60 + i, CHR1[59 + i], "A" if CHR1[59 + i] != "A" else "C", i) for i in range(40)
    ]
    wrong = next(base for base in "ACGT" if base != CHR1[99])
    text = tsv(
        *good,
        ("chr9", 50, "A", "C", 1),
        ("chr1", 100, CHR1[99], "<DEL>", 1),
        ("chr1", 100, wrong, CHR1[99], 1),
        ("chr1", 100, CHR1[99], CHR1[99] + "ACGTACGTACGT", 1),
        ("chr1", 3, CHR1[2], "A" if CHR1[2] != "A" else "C", 1),
        ("chr2", 43, CHR2[42], "A" if CHR2[42] != "A" else "C", 1),
        ("chr1", 100, CHR1[99], "A", "NA"),
        header=VARIANT,
    )
    with caplog.at_level("INFO"):
        table = read(text, length=20)
    assert table.rows.frame.height == len(good)
    assert table.left_out == {
        "no_label": 1,
        "contig_unknown": 1,
        "not_acgt": 1,
        "ref_mismatch": 1,
        "too_long": 1,
        "past_contig_end": 1,
        "mostly_n": 1,
    }
    assert "1 of 47 rows are left out: whose REF is not in the reference" in caplog.text
    assert "the reference has no contig 'chr9'" in caplog.text
    levels = {record.message: record.levelname for record in caplog.records}
    assert [level for text, level in levels.items() if "without a label" in text] == ["INFO"]


# -- what is refused --------------------------------------------------------------------------

SEQUENCE = "sequence y chrom"


REFUSED = {
    "folds": (
        [("AC", 1)],
        "sequence y",
        r"table\.tsv has no column chrom; .*name one of them in probe\.mpra\.folds",
    ),
    "label": (
        [("AC", 1)],
        "sequence z",
        r"no column y; its columns are sequence, z: name one of them in probe\.mpra\.label",
    ),
    "kind": ([("chr1", 1)], "chrom y", "nothing says what its rows are: expected sequence; or"),
    "cells": ([("AC", 1, 1, 1)], SEQUENCE, "line 2: 4 cells, expected 3"),
    "number": (
        [("AC", 1, 1), ("AC", "big", 1)],
        SEQUENCE,
        "line 3: y is 'big'; expected a number",
    ),
    "letters": ([("ACE", 1, 1)], SEQUENCE, "line 2: the sequence is 'ACE'; expected A, C, G, T"),
    "lengths": (
        [("AC", 1, 1), ("ACG", 1, 1)],
        SEQUENCE,
        r"line 3: 3 bp, but .*line 2: 2 bp; .*set probe\.mpra\.length",
    ),
    "none": ([("AC", "", 1)], SEQUENCE, "none of 1 rows can be embedded .1 without a label"),
    "start": (
        [("chr1", "x", 20, "+", 1)],
        INTERVAL,
        "line 2: start is 'x'; expected a number, 0-based",
    ),
    "empty": (
        [("chr1", 20, 20, "+", 1)],
        INTERVAL,
        "line 2: found 20-20, but contig 'chr1' is 0-200",
    ),
    "end": ([("chr1", 190, 201, "+", 1)], INTERVAL, "line 2: found 190-201, but contig 'chr1'"),
    "strand": (
        [("chr1", 19, 21, "*", 1)],
        INTERVAL,
        r"line 2: the strand is '\*'; expected \+, - or",
    ),
    "contig": ([("chr8", 19, 21, "+", 1)], INTERVAL, "no row is on a contig of the reference"),
    "position": (
        [("chr1", 201, "A", "C", 1)],
        VARIANT,
        "line 2: position 201 .* is not on contig 'chr1'",
    ),
    "reference": (
        [("chr2", 1, "A", "C", 1)],
        VARIANT,
        "line 2: REF is 'A', but the reference holds 'N' at chr2:1; 1 of 1 REFs are wrong",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_makes_no_sense_is_refused(read, case):
    rows, header, message = REFUSED[case]
    with pytest.raises(UserError, match=message):
        read(tsv(*rows, header=header))


def test_classes_that_no_row_has_are_refused(read):
    with pytest.raises(
        UserError, match=r"probe\.mpra: no allele is a, nor b; the values of y are x"
    ):
        read(tsv(("AC", "x", 1), header=SEQUENCE), positive=("a",), negative=("b",))


def test_rows_of_parquet_are_named_by_number(read, tmp_path):
    frame = pl.DataFrame({"sequence": ["AC", "AX"], "y": [1.0, 2.0], "chrom": ["a", "b"]})
    frame.write_parquet(tmp_path / "t.parquet")
    with pytest.raises(UserError, match=r"t\.parquet, row 2: the sequence is 'AX'"):
        read(tmp_path / "t.parquet")
    (tmp_path / "t.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(UserError, match=r"t\.parquet: cannot be read as Parquet"):
        read(tmp_path / "t.parquet")


def test_lengths_may_differ_where_a_mean_is_stored(read):
    text = tsv(("AC", 1, 1), ("ACG", 1, 1), header=SEQUENCE)
    assert read(text, positions="mean").length is None


@pytest.mark.real_data
def test_every_variant_of_the_yeast_mpra_is_accounted_for(read, shared_data, tmp_path):
    yeast = shared_data / "yeast"
    index_reference(yeast / "genome.fa.gz", tmp_path / "yeast")
    genome = Genome.open(tmp_path / "yeast")
    path = yeast / "labels/mpra_renganaath2020.tsv.gz"
    table = read(path, label="logFC", absolute=True, genome=genome)
    assert table.left_out == {"too_long": 1}  # of 6,362 variants
    rows = table.rows.frame
    assert rows.height == 6361
    assert rows["label"].min() >= 0
    assert rows["fold"].n_unique() == 16
    assert rows["sequence"].str.len_bytes().unique().to_list() == [128]
    assert rows["alternate"].str.len_bytes().unique().to_list() == [128]
    assert (rows["sequence"] != rows["alternate"]).all()
    assert dict(rows["strand"].value_counts().iter_rows()) == {"+": 3137, "-": 3224}
    lines = pl.read_csv(path, separator="\t", infer_schema=False)[rows["row"]]
    substituted = (lines["ref"].str.len_bytes() == 1) & (lines["alt"].str.len_bytes() == 1)
    complement = str.maketrans("ACGT", "TGCA")
    for column, side in (("sequence", "ref"), ("alternate", "alt")):
        middle = rows[column].str.slice(64, 1).to_list()
        said = zip(lines[side], lines["strand"], middle, substituted, strict=True)
        assert all(
            base == (allele if strand == "+" else allele.translate(complement))
            for allele, strand, base, is_snv in said
            if is_snv
        )

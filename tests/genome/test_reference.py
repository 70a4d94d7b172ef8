"""The encoded genome: every FASTA dialect on purpose, equal to independent readers."""

import base64
import gzip
import hashlib
import os
import random

import pyfaidx
import pysam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from making.vcf import block_ends
from varlm.errors import UserError
from varlm.files import text as text_files
from varlm.genome.encoding import index_reference
from varlm.genome.reference import Genome


def index(tmp_path, content: bytes, name="in.fa"):
    fasta = tmp_path / name
    fasta.write_bytes(content)
    index_reference(fasta, tmp_path / "reference")
    return Genome.open(tmp_path / "reference")


def text(genome, contig):
    return genome.sequence(contig).tobytes().decode()


def test_lower_case_wrapping_and_iupac(tmp_path):
    genome = index(tmp_path, b">chr1 a description\nacgt\nNNRY\n\n>2\nACG\n")
    assert genome.names == ["chr1", "2"]
    assert text(genome, "chr1") == "ACGTNNRY"
    assert text(genome, "2") == "ACG"
    assert genome["chr1"].acgt == 4
    assert genome["chr1"].length == 8


def test_refget_digest_of_the_specification(tmp_path):
    # The GA4GH refget specification's example: sha512t24u of ACGT.
    genome = index(tmp_path, b">x\nAC\ngt\n")
    assert genome["x"].digest == "SQ.aKF498dAxcJAqme6QYQ7EZ07-fiw8Kw2"


def test_digest_ignores_wrapping_case_and_name(tmp_path):
    plain = index(tmp_path, b">chr1\nACGTACGT\n")["chr1"].digest
    wrapped = index(tmp_path, b">1 other\r\nacg\r\nTACGt\r\n")["1"].digest
    assert plain == wrapped


def test_uracil_is_thymine(tmp_path):
    assert text(index(tmp_path, b">r\nACGUu\n"), "r") == "ACGTT"


def test_fault_21_crlf_blanks_ragged_and_byte_order_mark(tmp_path):
    genome = index(tmp_path, b"\xef\xbb\xbf>a b c\r\nAC GT\r\n\r\nA\r\nCCC\tC\r\n")
    assert text(genome, "a") == "ACGTACCCC"


def test_fault_21_duplicate_names(tmp_path):
    with pytest.raises(UserError, match=r"in\.fa, line 5: .*'a' is given twice \(first on line 1"):
        index(tmp_path, b">a\nAC\n>b\nAC\n>a extra\nGG\n")


def test_fault_21_plain_gzip_and_bgzip_are_read(tmp_path):
    content = b">a\n" + b"ACGT" * 50_000 + b"\n"
    assert len(text(index(tmp_path, gzip.compress(content), "in.fa.gz"), "a")) == 200_000
    with pysam.BGZFile(str(tmp_path / "b.gz"), "w") as out:
        out.write(content)
    assert len(text(index(tmp_path, (tmp_path / "b.gz").read_bytes(), "c.fa"), "a")) == 200_000


def test_fault_20_a_stale_fai_is_never_used(tmp_path):
    (tmp_path / "in.fa.fai").write_text("a\t4\t9\t2\t5\n")
    assert text(index(tmp_path, b">a\nACGTT\n"), "a") == "ACGTT"


def test_empty_contigs_are_named_and_left_out(tmp_path):
    fasta = tmp_path / "in.fa"
    fasta.write_bytes(b">none\n>a\nAC\n>none2\n\n")
    indexed = index_reference(fasta, tmp_path / "reference")
    assert indexed.empty == ["none", "none2"]
    assert indexed.contigs["contig"].to_list() == ["a"]
    assert text(Genome.open(tmp_path / "reference"), "a") == "AC"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"\n\n", "no sequence found"),
        (b">a\n", "no sequence found"),
        (b"ACGT\n>a\nA\n", "line 1: sequence before the first"),
        (b">a\nAC\n>\nAC\n", "line 3: a '>' header without a name"),
        (b">a\nAC\nAXC\n", r"line 3: 'X' in the sequence of contig 'a'"),
        (b">a\nA-C\n", "line 2: '-' in the sequence"),
        (b">a\nMKVL*\n", "line 2: 'L' in the sequence"),
        (b">\xff\nAC\n", "not UTF-8"),
        (b"BZh91AY", r"found bzip2; reference\.fasta must name a FASTA file, .*: decompress it"),
    ],
)
def test_bad_input_names_file_and_line(tmp_path, content, message):
    with pytest.raises(UserError, match=rf"in\.fa.*{message}"):
        index(tmp_path, content)
    assert not (tmp_path / "reference" / "genome.fa").exists()
    assert not (tmp_path / "reference" / "contigs.parquet").exists()


def test_missing_file(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.fa: cannot be read .*; here must name a FASTA"):
        index_reference(tmp_path / "nowhere.fa", tmp_path / "reference", key="here")


def test_a_header_without_end_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"in\.fa, line 3: a '>' header longer than 16777216 bytes"):
        index(tmp_path, gzip.compress(b">a\nAC\n>" + b"x" * (24 << 20)))


def test_a_contig_of_one_line_may_be_longer_than_any_line_of_a_table(tmp_path):
    genome = index(tmp_path, gzip.compress(b">a\n" + b"AC" * (9 << 20), 1))
    assert genome["a"].length == 18 << 20


def bgzipped(tmp_path) -> bytes:
    rng = random.Random(1)
    with pysam.BGZFile(str(tmp_path / "whole.gz"), "w") as out:
        out.write(b">a\n" + bytes(rng.choices(b"ACGT", k=300_000)) + b"\n")
    return (tmp_path / "whole.gz").read_bytes()


def test_fault_1_bgzip_cut_at_a_block_boundary(tmp_path):
    data = bgzipped(tmp_path)
    with pytest.raises(UserError, match="truncated"):
        index(tmp_path, data[: block_ends(data)[1]])


def test_gzip_cut_in_the_middle(tmp_path):
    data = gzip.compress(b">a\n" + bytes(random.Random(1).choices(b"ACGT", k=300_000)))
    with pytest.raises(UserError, match="truncated"):
        index(tmp_path, data[: len(data) // 2])


def test_fault_3_bit_flip_in_compressed_data(tmp_path):
    data = bytearray(bgzipped(tmp_path))
    data[len(data) // 2] ^= 16
    with pytest.raises(UserError, match="damaged bgzip block at byte"):
        index(tmp_path, bytes(data))


@given(
    sequences=st.lists(st.text("ACGTNacgtn", min_size=1, max_size=70), min_size=1, max_size=4),
    width=st.integers(1, 80),
    chunk=st.integers(1, 40),
)
def test_any_wrapping_and_chunking(tmp_path_factory, sequences, width, chunk):
    folder = tmp_path_factory.mktemp("fasta")
    lines = []
    for number, sequence in enumerate(sequences):
        lines.append(f">c{number}")
        lines += [sequence[i : i + width] for i in range(0, len(sequence), width)]
    (folder / "in.fa").write_text("\n".join(lines) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_files, "_PIECE", chunk)
        index_reference(folder / "in.fa", folder / "reference")
    genome = Genome.open(folder / "reference")
    assert [text(genome, name) for name in genome.names] == [s.upper() for s in sequences]


def test_genome_fa_is_a_fasta_that_others_read(tmp_path):
    genome = index(tmp_path, b">a\nACGTNN\nRYACG\n>b\nGGGCC\n")
    with pysam.FastaFile(str(genome.fasta)) as fasta:
        assert fasta.fetch("a") == "ACGTNNRYACG"
        assert fasta.fetch("b", 1, 4) == "GGC"
    other = pyfaidx.Fasta(str(genome.fasta), rebuild=False)
    assert str(other["a"][2:8]) == "GTNNRY"


def test_a_shortened_genome_is_not_mapped(tmp_path):
    genome = index(tmp_path, b">a\nACGTNN\n")
    os.truncate(genome.fasta, 5)
    with pytest.raises(UserError, match="index_reference again"):
        Genome.open(tmp_path / "reference")


@pytest.mark.real_data
@pytest.mark.parametrize("fasta", ["yeast/genome.fa.gz", "human/chr22_nfcore_grch38/genome.fa.gz"])
def test_real_genome_equals_pyfaidx(tmp_path, shared_data, fasta):
    indexed = index_reference(shared_data / fasta, tmp_path)
    genome = Genome.open(tmp_path)
    source = tmp_path / "copy.fa"
    with gzip.open(shared_data / fasta) as stream:
        source.write_bytes(stream.read())
    other = pyfaidx.Fasta(str(source), as_raw=True)
    assert genome.names == list(other.keys())
    for row in indexed.contigs.iter_rows(named=True):
        expected = other[row["contig"]][:].upper()
        assert genome.sequence(row["contig"]).tobytes() == expected.encode()
        sha = base64.urlsafe_b64encode(hashlib.sha512(expected.encode()).digest()[:24])
        assert row["digest"] == "SQ." + sha.decode()

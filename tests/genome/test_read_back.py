"""The encoded genome as pyfaidx reads it: what is wrong in it is told, and no index is left."""

import os
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from varlm.cli import main
from varlm.genome import read_back
from varlm.genome.encoding import index_reference
from varlm.genome.read_back import ReadBackError, check, check_or_remove
from varlm.steps import index_reference as step

FASTA = ">one\nACGTacgtNN\nRY\n>two\nGGCCTTAAGG\n>three\nA\n"
FILES = ["contigs.parquet", "genome.fa", "genome.fa.fai"]


def indexed(folder, fasta=FASTA):
    (folder / "in.fa").write_text(fasta, encoding="utf-8")
    index_reference(folder / "in.fa", folder / "reference")
    return folder / "reference"


def keep_times(path):
    """A function that rewrites a file as `edit` says, under the time that it had."""

    def rewrite(edit):
        before = path.stat()
        path.write_bytes(edit(path.read_bytes()))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    return rewrite


def files_of(folder):
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


def test_a_right_genome_is_left_as_it_is(tmp_path):
    folder = indexed(tmp_path)
    before = files_of(folder)
    with warnings.catch_warnings(action="error"):
        check_or_remove(folder)
    assert files_of(folder) == before
    assert sorted(before) == FILES


def test_a_flipped_base_is_told_and_no_index_is_left(tmp_path):
    folder = indexed(tmp_path)
    keep_times(folder / "genome.fa")(lambda text: text.replace(b"GGCCTTAAGG", b"GGCCTTAACG"))
    with pytest.raises(ReadBackError) as told:
        check_or_remove(folder)
    for words in ("genome.fa", "contig 'two'", "pyfaidx reads", "SQ.", "defect of varlm or of the"):
        assert words in str(told.value)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "two\t10\t23",
            "two\t10\t22",
            r"fai: contig 'two': .* as 10, 22, 10, 11, expected 10, 23, 10, 11",
        ),
        (
            "one\t12\t",
            "one\t11\t",
            r"fai: contig 'one': .* as 11, 5, 12, 13, expected 12, 5, 12, 13",
        ),
        ("two\t", "too\t", r"fai: contig 'two': pyfaidx reads the name 'too'"),
        ("three\t1\t41\t1\t2\n", "", r"fai: pyfaidx reads 2 contigs, expected the 3"),
        ("three\t", "two\t", r"fai: pyfaidx cannot read it \(Duplicate key"),
        ("two\t10\t", "two\tten\t", r"fai: pyfaidx cannot read it \(invalid literal"),
    ],
)
def test_a_wrong_index_is_told(tmp_path, old, new, says):
    folder = indexed(tmp_path)
    text = (folder / "genome.fa.fai").read_text()
    assert old in text
    (folder / "genome.fa.fai").write_text(text.replace(old, new))
    with pytest.raises(ReadBackError, match=says):
        check(folder)


def test_bytes_that_are_no_text_are_told(tmp_path):
    folder = indexed(tmp_path)
    keep_times(folder / "genome.fa")(lambda text: text.replace(b"GGCCTT", b"GG\xffCTT"))
    with pytest.raises(ReadBackError, match="contig 'two': pyfaidx reads"):
        check(folder)


def test_a_cut_genome_is_told(tmp_path):
    folder = indexed(tmp_path)
    keep_times(folder / "genome.fa")(lambda text: text[:30])
    with pytest.raises(ReadBackError, match="contig 'two': pyfaidx reads"):
        check(folder)


def test_an_index_older_than_its_genome_is_told(tmp_path):
    """Tools would make it anew, in a folder that is no longer theirs to write to."""
    folder = indexed(tmp_path)
    os.utime(folder / "genome.fa.fai", ns=(0, (folder / "genome.fa").stat().st_mtime_ns - 1))
    with pytest.raises(ReadBackError, match=r"older than genome\.fa"):
        check(folder)


@pytest.mark.parametrize(
    "name", ["a|b", "HLA-A*01:01:01:01", "x=1;y,2", "#1", ">>", "é\u2028ü", "x" * 60_000]
)
def test_names_with_odd_characters(tmp_path, name):
    check(indexed(tmp_path, f">plain\nACGT\n>{name} words\nGGTTA\n"))


def test_thousands_of_contigs(tmp_path):
    fasta = "".join(f">scaffold_{number}\nAC{'G' * (number % 7)}\n" for number in range(20_000))
    check(indexed(tmp_path, fasta))


@given(lengths=st.lists(st.integers(1, 40), min_size=1, max_size=5), piece=st.integers(1, 12))
@settings(max_examples=50)
def test_pieces_of_any_size(tmp_path_factory, lengths, piece):
    folder = tmp_path_factory.mktemp("pieces")
    fasta = "".join(
        f">c{number}\n{('ACGTN' * 8)[:length]}\n" for number, length in enumerate(lengths)
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(read_back, "_PIECE", piece)
        check(indexed(folder, fasta))


def test_the_step_reads_back_what_it_wrote(tmp_path, monkeypatch, capsys):
    """A base that changes between writing and reading, as a bad disk does it."""
    (tmp_path / "in.fa").write_text(FASTA)
    write = step.encoding.index_reference

    def write_badly(*words):
        result = write(*words)
        keep_times(words[1] / "genome.fa")(lambda text: text.replace(b"NNRY", b"NNRR"))
        return result

    monkeypatch.setattr(step.encoding, "index_reference", write_badly)
    words = ["index_reference", "--fasta", tmp_path / "in.fa", "--reference", tmp_path / "out"]
    assert main([*map(str, words)]) == 2
    assert "genome.fa: contig 'one': pyfaidx reads" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []
    monkeypatch.undo()
    assert main([*map(str, words)]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [*FILES, "reference.json"]

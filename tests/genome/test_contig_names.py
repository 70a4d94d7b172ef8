"""Names are matched when there is no doubt, and not otherwise."""

import gzip

import pytest

from varlm.errors import UserError
from varlm.genome.contig_names import ContigNames, read_aliases

YEAST = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XVI", "Mito"]
HUMAN = [*map(str, range(1, 23)), "X", "Y", "MT"]
WORM = ["I", "II", "III", "IV", "V", "X", "MtDNA"]
PLANT = ["Chr1", "Chr2", "ChrM", "ChrC"]


def match(reference, name, declared=(), **aliases):
    names = ContigNames(dict.fromkeys(reference, 100), aliases)
    return names.match(name, declared if isinstance(declared, dict) else dict.fromkeys(declared))


@pytest.mark.parametrize(
    ("reference", "name", "contig"),
    [
        (YEAST, "IV", "IV"),
        (YEAST, "chrIV", "IV"),
        (YEAST, "chr4", "IV"),
        (YEAST, "4", "IV"),
        (YEAST, "chr04", "IV"),
        (YEAST, "chr16", "XVI"),
        (YEAST, "10", "X"),
        (YEAST, "chrX", "X"),
        (YEAST, "chrM", "Mito"),
        (YEAST, "chrmt", "Mito"),
        (YEAST, "MT", "Mito"),
        (YEAST, "mitochondrion", "Mito"),
        (YEAST, "17", None),
        (YEAST, "2-micron", None),
        (HUMAN, "chr1", "1"),
        (HUMAN, "CHR22", "22"),
        (HUMAN, "chrX", "X"),
        (HUMAN, "chrM", "MT"),
        (HUMAN, "IV", "4"),
        (HUMAN, "chr23", None),
        (HUMAN, "NC_000001.11", None),
        (HUMAN, "chr", None),
        (HUMAN, "", None),
        (WORM, "1", "I"),
        (WORM, "chrX", "X"),
        (WORM, "10", None),  # X is the sex chromosome: IX is not there
        (WORM, "chrM", "MtDNA"),
        (PLANT, "1", "Chr1"),
        (PLANT, "Mt", "ChrM"),
        (PLANT, "Pt", "ChrC"),
        (PLANT, "chloroplast", "ChrC"),
        (["chr1", "chr2"], "1", "chr1"),
        (["chr1", "1"], "1", "1"),
        (["chr1", "1"], "chr1", "chr1"),
    ],
)
def test_conventions(reference, name, contig):
    assert match(reference, name).contig == contig


def test_x_is_chromosome_ten_only_where_other_numerals_say_so():
    autosomes = list(map(str, range(1, 23)))
    unknown = match(autosomes, "X", ["1", "2", "X", "Y"])
    assert unknown.contig is None
    assert "sex chromosome" in unknown.how
    assert match(autosomes, "chrX", ["chrI", "chrII", "chrX"]).contig == "10"


def test_several_fitting_contigs_are_an_error():
    with pytest.raises(UserError, match=r"'01' may be any of 'chr1', '1'.*reference\.aliases"):
        match(["chr1", "1"], "01")
    with pytest.raises(UserError, match="'MT', 'chrM'"):
        match(["MT", "chrM"], "Mito")


def test_a_declared_length_that_differs_forbids_a_convention(caplog):
    # chrM of hg19 (16,571 bp) is another sequence than MT.
    outcome = match(["MT"], "chrM", {"chrM": 101})
    assert outcome.contig is None
    assert "101 bp" in outcome.how
    assert "100 bp" in outcome.how
    assert match(["MT"], "chrM", {"chrM": 100}).contig == "MT"
    assert not caplog.text
    # The same name, or an alias that the user gave, stands, with a warning.
    assert match(["MT"], "MT", {"MT": 101}).contig == "MT"
    assert "101 bp" in caplog.text
    caplog.clear()
    assert match(["MT"], "chrM", {"chrM": 101}, chrM="MT").contig == "MT"
    assert "101 bp" in caplog.text


def test_aliases_come_before_conventions():
    assert match(["1", "2"], "chr1", chr1="2").contig == "2"
    assert match(["1", "2"], "chr1", chr1="2").how == "alias file"


def aliases(tmp_path, text, contigs=("1", "2")):
    path = tmp_path / "aliases.tsv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_aliases(path, contigs)


REPORT = """\
# Assembly name:  GRCh38.p14
# Sequence-Name\tSequence-Role\tGenBank-Accn\tRelationship\tRefSeq-Accn\tUCSC-style-name\r
1\tassembled-molecule\tCM000663.2\t=\tNC_000001.11\tchr1\r
2\tassembled-molecule\tCM000664.2\t=\tNC_000002.12\tchr2\r
HSCHR1\tunlocalized-scaffold\tKI270706.1\t=\tna\tna\r
"""


@pytest.mark.parametrize("encode", [str.encode, lambda text: gzip.compress(text.encode())])
def test_assembly_report(tmp_path, encode):
    expected = {
        "CM000663.2": "1",
        "NC_000001.11": "1",
        "chr1": "1",
        "CM000664.2": "2",
        "NC_000002.12": "2",
        "chr2": "2",
    }
    assert aliases(tmp_path, encode(REPORT)) == expected
    swapped = aliases(tmp_path, encode(REPORT), ["NC_000001.11"])
    assert swapped == {"1": "NC_000001.11", "CM000663.2": "NC_000001.11", "chr1": "NC_000001.11"}
    with pytest.raises(UserError, match="line 3: the reference has '1' and 'chr1'"):
        aliases(tmp_path, encode(REPORT), ["1", "chr1"])


def test_alias_table(tmp_path):
    text = "alias\tcontig\tnote\n\nA\t1\tx\nB\t1\tx\n1\t1\tx\nC\tabsent\tx\n"
    assert aliases(tmp_path, text) == {"A": "1", "B": "1"}
    assert aliases(tmp_path, "#contig\talias\n1\tA\n") == {"A": "1"}


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("a\tb\nx\t1\n", "line 1: found the columns"),
        ("alias\tcontig\nA\t1\nA\t2\n", "line 3: the alias 'A' stands for '1' and for '2'"),
        ("alias\tcontig\n2\t1\n", "line 2: the alias '2' of '1' is itself a contig"),
        ("alias\tcontig\nA\n", "line 2: 1 columns"),
        ("alias\tcontig\nA\tabsent\n", "no line names a contig"),
        ("", "no line names a contig"),
        (b"\xff\xfe", "found UTF-16 text; .*: save it as UTF-8"),
        (b"alias\tcontig\n\xff\t1\n", "line 2: not UTF-8 text"),
        (gzip.compress(b"alias\tcontig\n", mtime=0)[:-3], "truncated inside the gzip data"),
    ],
)
def test_alias_errors_name_the_line(tmp_path, text, pattern):
    with pytest.raises(UserError, match=pattern):
        aliases(tmp_path, text)


def test_a_missing_alias_file_is_an_error(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_aliases(tmp_path / "absent.tsv", ["1"])


def test_aliases_that_are_a_bomb(tmp_path):
    (tmp_path / "a.tsv").write_bytes(gzip.compress(b"alias\tcontig\n" + b"x" * (24 << 20)))
    with pytest.raises(UserError, match=r"a\.tsv, line 2: longer than"):
        read_aliases(tmp_path / "a.tsv", ["1"])


def test_aliases_of_old_spreadsheets_end_their_lines_in_carriage_returns(tmp_path):
    (tmp_path / "a.tsv").write_bytes(b"\xef\xbb\xbfalias\tcontig\rchrom1\t1\r")
    assert read_aliases(tmp_path / "a.tsv", ["1"]) == {"chrom1": "1"}


def test_names_without_a_key_for_aliases_name_another_remedy():
    names = ContigNames({"1": 5, "chr1": 5}, key=None)
    with pytest.raises(UserError, match="name contigs as the FASTA does"):
        names.match("Chr01", {"Chr01": None})

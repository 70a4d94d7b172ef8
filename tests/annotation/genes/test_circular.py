"""Which contigs an annotation calls circular."""

import gzip
import logging

import pytest

from varlm.annotation.genes import circular
from varlm.annotation.genes.circular import annotated_circular
from varlm.errors import UserError
from varlm.genome.contig_names import ContigNames

NAMES = ContigNames({"chr1": 900, "chrM": 300, "pA.1": 60, "pB": 80})


def line(contig, kind, end, attributes, start=1):
    return f"{contig}\tx\t{kind}\t{start}\t{end}\t.\t+\t.\t{attributes}\n"


GENE = line("chr1", "gene", 700, "ID=G1", start=200)
WHOLE = {
    "NCBI": line("pA.1", "region", 60, "ID=pA.1:1..60;Dbxref=taxon:1;Is_circular=true;gbkey=Src"),
    "the last attribute": line("pA.1", "region", 60, "ID=x;Is_circular=true"),
    "the first one": line("pA.1", "contig", 60, "Is_circular=true;ID=x"),
    "Ensembl": line("pA.1", "chromosome", 60, "ID=chromosome:pA.1;Is_circular=true"),
    "lower case": line("pA.1", "plasmid", 60, "ID=x;is_circular=True"),
    "blanks": line("pA.1", "region", 60, "ID=x; Is_circular=true;"),
    "an escaped name": line("pA%2E1", "region", 60, "ID=x;Is_circular=true"),
    "Windows": line("pA.1", "region", 60, "ID=x;Is_circular=true").replace("\n", "\r\n"),
    "no line end": line("pA.1", "region", 60, "ID=x;Is_circular=true").rstrip("\n"),
}


def circular_in(tmp_path, text, names=NAMES):
    (tmp_path / "a.gff3").write_text(text, newline="")
    return annotated_circular(tmp_path / "a.gff3", names)


@pytest.mark.parametrize("spelling", WHOLE)
def test_a_line_of_the_whole_contig_says_so(tmp_path, spelling):
    text = "##gff-version 3\n" + GENE + WHOLE[spelling]
    assert circular_in(tmp_path, text) == {"pA.1": "line 3 of the annotation"}


@pytest.mark.parametrize(
    "other",
    [
        line("pA.1", "region", 60, "ID=x;Is_circular=false"),
        line("pA.1", "region", 60, "ID=x;Note=not Is_circular=true"),
        line("pA.1", "region", 60, "ID=x;Is_circular=truer"),
        line("pA.1", "circular_RNA", 50, "ID=x;Is_circular=true", start=20),
        line("elsewhere", "region", 60, "ID=x;Is_circular=true"),
        "#" + line("pA.1", "region", 60, "ID=x;Is_circular=true"),
        "##FASTA\n>x\tIs_circular=true\nACGT\n",
        'pA.1\tx\tgene\t1\t60\t.\t+\t.\tgene_id "Is_circular=true";\n',
    ],
)
def test_what_does_not_say_so(tmp_path, other):
    assert circular_in(tmp_path, GENE + other) == {}


def test_names_match_as_elsewhere(tmp_path):
    names = ContigNames(NAMES.lengths, {"NC_9.1": "pB"})
    text = line("MT", "region", 300, "Is_circular=true") + line(
        "NC_9.1", "region", 80, "Is_circular=true"
    )
    assert circular_in(tmp_path, text, names) == {
        "chrM": "line 1 of the annotation",
        "pB": "line 2 of the annotation",
    }


def test_another_length_is_told_and_does_not_count(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        found = circular_in(tmp_path, line("chrM", "region", 290, "ID=x;Is_circular=true"))
    assert found == {}
    assert "line 1" in caplog.text
    assert "290" in caplog.text
    assert "300" in caplog.text


def test_lines_are_found_in_pieces_of_any_size_and_compressed(tmp_path, monkeypatch):
    text = GENE * 40 + WHOLE["NCBI"] + GENE * 40 + line("pB", "region", 80, "Is_circular=true")
    path = tmp_path / "a.gff3.gz"
    path.write_bytes(gzip.compress(text.encode()))
    for size in (1, 100, 1 << 20):
        monkeypatch.setattr(circular, "_CHUNK", size)
        assert annotated_circular(path, NAMES) == {
            "pA.1": "line 41 of the annotation",
            "pB": "line 82 of the annotation",
        }


def test_a_sequence_section_is_not_read_as_lines(tmp_path, monkeypatch):
    """A contig of megabases on one line is no line that is too long for an annotation."""
    monkeypatch.setattr(circular, "LONGEST", 1000)
    monkeypatch.setattr(circular, "_CHUNK", 100)
    text = WHOLE["NCBI"] + "##FASTA\n>pA.1\n" + "ACGT" * 1_000_000 + "\n"
    assert circular_in(tmp_path, text) == {"pA.1": "line 1 of the annotation"}


def test_a_damaged_file_is_an_error(tmp_path):
    path = tmp_path / "a.gff3.gz"
    path.write_bytes(gzip.compress(GENE.encode() * 999)[:-20])
    with pytest.raises(UserError, match=r"a\.gff3\.gz"):
        annotated_circular(path, NAMES)

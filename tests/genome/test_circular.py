"""Circular contigs of a reference folder, and their names in the store."""

import json

import pytest

from varlm import cli
from varlm.errors import UserError
from varlm.genome.circular import CircularContigs
from varlm.genome.contig_names import ContigNames
from varlm.genome.reference import Genome
from varlm.genome.regions import named_circular

CONTIGS = {"chrI": "ACGTACGTAC", "chrM": "TTGACCA", "plasmid": "GGATC"}


@pytest.fixture
def reference(make_reference):
    return make_reference(CONTIGS)


def find_circular(reference, *options, status=0):
    words = ["find_circular", "--reference", reference, *options]
    assert cli.main(list(map(str, words))) == status


def test_a_folder_that_says_nothing_has_linear_contigs(reference):
    """As every folder of before the step find_circular."""
    genome = Genome.open(reference)
    assert genome.circular == {}
    assert not any(genome[name].circular for name in genome.names)
    assert genome.stored_as == genome.contigs["digest"].to_list()


def test_a_circular_contig_has_another_name_in_the_store(reference):
    find_circular(reference, "--contig", "chrM")
    genome = Genome.open(reference)
    assert [genome[name].circular for name in genome.names] == [False, True, False]
    one, mito, plasmid = genome.contigs["digest"]
    assert genome.stored_as == [one, "circular." + mito, plasmid]
    assert genome["chrM"].digest == mito


def test_names_are_matched_as_elsewhere(reference, tmp_path):
    (tmp_path / "aliases.tsv").write_text("alias\tcontig\npX\tplasmid\n")
    find_circular(
        reference, "--contig", "MT", "--contig", "pX", "--aliases", tmp_path / "aliases.tsv"
    )
    assert Genome.open(reference).circular == {
        "chrM": "reference.circular",
        "plasmid": "reference.circular",
    }


def test_an_unknown_name_is_an_error_with_the_closest_ones():
    names = ContigNames({name: len(text) for name, text in CONTIGS.items()})
    with pytest.raises(UserError) as error:
        named_circular(["chrM", "plasmit"], names)
    assert "reference.circular" in str(error.value)
    assert "'plasmit' (is it 'plasmid'" in str(error.value)


def test_an_annotation_says_which(reference, tmp_path):
    (tmp_path / "a.gff3").write_text("chrM\tx\tregion\t1\t7\t.\t+\t.\tID=M;Is_circular=true\n")
    find_circular(reference, "--annotation", tmp_path / "a.gff3")
    assert Genome.open(reference).circular == {"chrM": "line 1 of the annotation"}
    find_circular(reference)  # reference.circular: none, later
    assert json.loads((reference / "circular.json").read_text()) == {"contigs": {}}
    assert Genome.open(reference).circular == {}


def test_contigs_that_the_reference_no_longer_has_are_passed_over(reference):
    """Steps that need no windows may run before `find_circular`, after the FASTA changed."""
    CircularContigs(contigs={"gone": "x", "plasmid": "y"}).write(reference / "circular.json")
    assert Genome.open(reference).circular == {"plasmid": "y"}


def test_a_file_that_is_none_is_an_error(reference):
    (reference / "circular.json").write_text('{"contigs": ["chrM"]}')
    with pytest.raises(UserError, match="find_circular makes it anew"):
        Genome.open(reference)

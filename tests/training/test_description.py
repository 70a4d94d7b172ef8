"""corpus.json: read and written byte for byte; a damaged one is an error."""

import json

import pytest

from making.training import GFF, bases, make_corpus, small_corpus
from varlm.errors import UserError
from varlm.training.description import CorpusDescription


def test_what_is_read_is_written_byte_for_byte(tmp_path):
    (tmp_path / "g.gff3").write_text(GFF)
    contigs = {"c": bases(900, 1), "v": bases(100, 2), "h": "N" * 40 + bases(200, 3)}
    make_corpus(tmp_path, {"g": contigs}, "--held-out", "h", "--genic-share", "0.3")
    path = tmp_path / "corpus/corpus.json"
    description = CorpusDescription.read(path)
    description.write(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()
    assert description.genic_share == 0.3
    assert [genome.annotation for genome in description.genomes] == ["g.gff3"]
    assert description.sets["held_out"].bases["intergenic"] == 240


def test_the_keys_and_their_order_are_those_of_earlier_corpora(tmp_path):
    small_corpus(tmp_path)
    content = json.loads((tmp_path / "corpus/corpus.json").read_text())
    assert list(content) == [
        *("digest", "bases", "window", "stride", "genic_share", "deduplicate", "exclude_similar"),
        *("promoter", "held_out", "validation", "genomes", "sets"),
    ]
    assert list(content["genomes"][0]) == ["name", "fasta", "annotation", "contigs", "bases"]
    assert list(content["sets"]) == ["train", "validation", "held_out"]
    assert list(content["sets"]["train"]) == [
        *("contigs", "bases", "windows", "drawn", "genic", "weight", "left_out"),
    ]


@pytest.mark.parametrize("text", ["{", "[]", '{"genomes": [], "sets": {}}', '{"sets": {}}'])
def test_a_damaged_description_is_an_error(tmp_path, text):
    (tmp_path / "corpus.json").write_text(text)
    with pytest.raises(UserError, match=r"corpus\.json: not as the step prepare_training writes"):
        CorpusDescription.read(tmp_path / "corpus.json")


def test_whether_contigs_can_choose_a_checkpoint(tmp_path):
    assert small_corpus(tmp_path).description.validates
    contigs = {"g": {"a": bases(600, 1), "h": bases(300, 2)}}
    assert not make_corpus(tmp_path, contigs, "--held-out", "h").description.validates

"""Every input of a config and of the sheet is found by its key; those that are missing are told."""

from pathlib import Path

import pytest

from making.config import load_config
from varlm.errors import UserError
from varlm.run import inputs
from varlm.run.config_keys import CohortFile
from varlm.run.shipped import Shipped

GENOMES = {"one": {"fasta": "t.fa", "annotation": "t.gff3"}}
FULL = {
    "reference": {"fasta": "g.fa", "annotation": "g.gff3", "aliases": "a.tsv"},
    "cohorts": "c.tsv",
    "models": {"m": {"path": "ckpt"}, "n": {"train": "mine"}},
    "normalise": {"regions": "n.bed"},
    "regions": "r.bed",
    "annotate": {"intervals": {"i": "i.bed"}, "bigwigs": {"w": "w.bw"}},
    "evaluate": {
        "labels": {
            "own": {"table": "sheet", "column": "x"},
            "l": {"table": "l.tsv", "column": "x"},
        }
    },
    "train": {
        "mine": {"genomes": GENOMES},
        "more": {"genomes": GENOMES, "start": "begin"},
        "most": {"genomes": GENOMES, "start": "mine"},
    },
}
KEYS = {
    "reference.fasta": "g.fa",
    "reference.annotation": "g.gff3",
    "reference.aliases": "a.tsv",
    "normalise.regions": "n.bed",
    "regions.bed": "r.bed",
    "annotate.intervals.i": "i.bed",
    "annotate.bigwigs.w": "w.bw",
    "evaluate.labels.l.table": "l.tsv",
    **{f"train.{name}.genomes.one.fasta": "t.fa" for name in ("mine", "more", "most")},
    **{f"train.{name}.genomes.one.annotation": "t.gff3" for name in ("mine", "more", "most")},
}


@pytest.fixture
def config(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return load_config(FULL, root / "config/schemas/config.schema.yaml")


def make_checkpoint(folder, *files):
    folder.mkdir()
    for name in files or ("config.json", "model.safetensors"):
        (folder / name).touch()


def test_each_key_that_names_a_file(config):
    found = {place.key: place.value for place in inputs.places(config, inputs.FILES)}
    assert found == KEYS


def test_all_that_is_missing_at_once_with_its_key(config):
    errors = list(inputs.missing(config))
    told = {error.partition(": ")[0] for error in errors}
    assert told == {*KEYS, "models.m.path", "train.more.start"}
    assert "annotate.bigwigs.w: w.bw: input not found (relative to /" in "".join(errors)


def test_nothing_is_missing_where_all_is_there(config, tmp_path):
    for name in KEYS.values():
        (tmp_path / name).write_text("x")
    make_checkpoint(tmp_path / "ckpt")
    make_checkpoint(tmp_path / "begin")
    assert list(inputs.missing(config)) == []


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["model.safetensors"], "ckpt: no checkpoint, since it has no config.json"),
        (["config.json"], "ckpt: no checkpoint, since it has no weights (model.safetensors,"),
    ],
)
def test_a_folder_that_is_no_checkpoint(config, tmp_path, files, said):
    make_checkpoint(tmp_path / "ckpt", *files)
    assert f"models.m.path: {said}" in "".join(inputs.missing(config))


@pytest.mark.parametrize("path", ["https://x/g.fa", "s3://b/g.fa"])
def test_an_address_is_looked_up_by_snakemake(path):
    assert inputs.file_problem(path) is None


def test_a_folder_is_no_file_and_a_path_may_be_odd(tmp_path):
    assert "found a folder, expected a file" in inputs.file_problem(str(tmp_path))
    assert "input not found" in inputs.file_problem("a\0b")
    assert "cannot be looked up (File name too long)" in inputs.file_problem("x" * 300)


def test_a_config_with_errors_is_searched_as_far_as_it_goes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    broken = {"reference": "g.fa", "annotate": {"bigwigs": {"w": "w.bw", "x": 3}}, "train": None}
    assert [error.partition(":")[0] for error in inputs.missing(broken)] == ["annotate.bigwigs.w"]
    assert [place.key for place in inputs.places({"regions": "r.bed"}, inputs.FILES)] == ["regions"]


def test_the_sheets_files_are_told_with_their_lines(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.vcf").write_text("x")
    files = [
        CohortFile("x", "a.vcf", line=2),
        CohortFile("x", "none.vcf", labels="none.tsv", line=5),
        CohortFile("x", "https://h/one.vcf", line=6),
    ]
    first, second = inputs.missing_in_sheet({"x": files}, Path("c.tsv"))
    assert first.startswith("line 5: vcf: none.vcf: input not found")
    assert second.startswith("line 5: labels: none.tsv: input not found")


def test_shipped_names_become_paths_wherever_an_input_is_named(config, tmp_path):
    shipped = Shipped(
        ["resources/demo/x.bed", "resources/models/m/config.json"], lambda _: tmp_path
    )
    config["reference"]["fasta"] = config["annotate"]["intervals"]["i"] = "varlm:demo/x.bed"
    config["models"]["m"]["path"] = config["train"]["more"]["start"] = "varlm:m"
    config["annotate"]["bigwigs"]["w"] = "varlm:none"
    (error,) = inputs.find_shipped(config, shipped)
    assert error.startswith("annotate.bigwigs.w: varlm:none: varlm ships nothing of this name")
    assert config["reference"]["fasta"] == "resources/demo/x.bed"
    assert config["annotate"]["intervals"]["i"] == "resources/demo/x.bed"
    assert config["models"]["m"]["path"] == "resources/models/m"
    assert config["train"]["more"]["start"] == "resources/models/m"
    assert not [error for error in inputs.missing(config) if "varlm:" in error]


def test_the_key_that_names_an_input_first(config):
    cohorts = {"x": [CohortFile("x", "g.fa", line=2), CohortFile("x", "a.vcf", None, None, "l", 3)]}
    keys = inputs.keys_of(config, cohorts)
    assert keys["t.fa"] == "train.mine.genomes.one.fasta"
    assert keys["g.fa"] == "reference.fasta"
    assert keys["a.vcf"] == keys["l"] == "c.tsv, line 3"


def test_credentials_in_an_address():
    assert inputs.has_credentials("https://me:secret@there/x")
    assert not inputs.has_credentials("https://there/x@y")


def test_addresses_become_storage_objects_or_one_message():
    def storage(address):
        if not address.startswith("https:"):
            raise LookupError("no plugin\nsecond line")
        return address.upper()

    named = [("a", "https://there/x"), ("b", "https://there/y")]
    assert inputs.storage_objects(named, storage, LookupError) == {
        "https://there/x": "HTTPS://THERE/X",
        "https://there/y": "HTTPS://THERE/Y",
    }
    named += [("c", "sftp://there/z"), ("d", "https://me:secret@there/x")]
    with pytest.raises(UserError) as told:
        inputs.storage_objects(named, storage, LookupError)
    first, *lines = str(told.value).splitlines()
    assert first == "2 inputs that cannot be fetched:"
    assert lines[0].startswith("  - c: sftp://there/z cannot be fetched: no storage plugin of Snak")
    assert "sftp:// (no plugin); use a path" in lines[0]
    assert lines[1].startswith("  - d: the address holds a user name or password")
    assert "secret" not in str(told.value)


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("genome.fa", "did you mean genome.fa.gz?"),
        ("sub/geno.fa.gz", "there is no folder sub: correct the path"),
        ("other.bed", "correct the path"),
        ("~/genome.fa", "~ is not filled in here"),
        ("dangling.vcf", "it is a link to gone.vcf, which is not there"),
        ("one.vcf", "not to the sheet: did you mean sheets/one.vcf?"),
    ],
)
def test_what_a_missing_input_may_have_been_meant_to_be(tmp_path, monkeypatch, path, hint):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "genome.fa.gz").write_text("x")
    (tmp_path / "dangling.vcf").symlink_to("gone.vcf")
    (tmp_path / "sheets").mkdir()
    (tmp_path / "sheets/one.vcf").write_text("x")
    problem = inputs.file_problem(path, Path("sheets/cohorts.tsv"))
    assert problem.startswith(f"{path}: input not found (relative to {tmp_path}); ")
    assert hint in problem


def test_empty_and_unreadable_inputs(tmp_path, monkeypatch):
    (tmp_path / "empty.bed").touch()
    assert "the file is empty (0 bytes)" in inputs.file_problem(str(tmp_path / "empty.bed"))
    locked = tmp_path / "locked.bed"
    locked.write_text("x")
    monkeypatch.setattr(inputs.os, "access", lambda *_: False)  # root reads everything
    assert "cannot be read (its permissions)" in inputs.file_problem(str(locked))
    assert inputs.file_problem("/dev/null") is not None  # no file of a size, but not readable now
    monkeypatch.undo()
    assert inputs.file_problem("/dev/null") is None

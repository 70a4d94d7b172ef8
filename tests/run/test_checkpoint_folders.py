"""Checkpoints by their folders: which files, and what is none."""

import pytest

from varlm.models import checkpoint
from varlm.run import checkpoint_folders


def test_the_weights_are_those_that_a_model_is_loaded_from():
    assert (*checkpoint._SAFETENSORS, *checkpoint._PICKLES) == checkpoint_folders.WEIGHTS


def test_the_files_of_a_folder(tmp_path):
    for name in ("config.json", "model.safetensors", "x.bin", "README.md"):
        (tmp_path / name).touch()
    (tmp_path / "sub.json").mkdir()
    names = ("config.json", "model.safetensors", "x.bin")
    assert checkpoint_folders.files_of(str(tmp_path)) == [str(tmp_path / name) for name in names]
    assert checkpoint_folders.files_of("owner/name") == []


@pytest.mark.parametrize("revision", [None, "main", "", "A" * 40])
def test_a_hub_id_needs_a_commit(revision, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert checkpoint_folders.model_problem("owner/name", "a" * 40) is None
    problem = checkpoint_folders.model_problem("owner/name", revision)
    assert problem.startswith("found 'owner/name', but there is no such folder")
    assert "give its revision" in problem


def test_neither_a_folder_nor_a_hub_id(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "a/file").touch()
    for path in ("nowhere", "./a/b", "a/file"):
        problem = checkpoint_folders.model_problem(path, "a" * 40)
        assert "there is no such folder" in problem
        assert "no hub id" in problem


def test_where_a_training_starts():
    train = {"a": {"start": None}, "b": {"start": "a"}, "c": {"start": "some/folder"}}
    starts = [checkpoint_folders.start_folder(train, name, "out") for name in train]
    assert starts == [None, "out/training/a/checkpoint", "some/folder"]
    assert checkpoint_folders.trained_files("out", "a")[:2] == [
        "out/training/a/checkpoint/config.json",
        "out/training/a/checkpoint/model.safetensors",
    ]

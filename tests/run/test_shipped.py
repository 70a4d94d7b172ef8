"""Files that ship with varlm, by name."""

import os

import pytest

from varlm.errors import UserError
from varlm.run.shipped import Shipped, copy

FILES = [
    "config/schemas/x.yaml",
    "resources/demo/genome.fa",
    "resources/demo/model/config.json",
    "resources/demo/model/model.safetensors",
    "resources/models/yeast/background.varlm.tar",
    "resources/models/yeast/config.json",
    "resources/models/yeast/model.safetensors",
]


@pytest.fixture
def asked():
    return []


@pytest.fixture
def shipped(tmp_path, asked):
    def bring(files):
        asked.append(list(files))
        return tmp_path / "checkout"

    return Shipped(FILES, bring)


def test_what_can_be_named(shipped):
    assert shipped.names == ["yeast", "demo/genome.fa", "demo/model"]


def test_a_model_is_a_folder_and_all_its_files_are_brought(shipped, asked, tmp_path):
    assert shipped.path("varlm:yeast") == str(tmp_path / "checkout/resources/models/yeast")
    assert asked == [FILES[4:]]
    assert shipped.path("varlm:demo/genome.fa").endswith("/resources/demo/genome.fa")
    assert asked[1] == ["resources/demo/genome.fa"]


def test_below_the_working_directory_the_path_is_relative(shipped, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shipped.path("varlm:demo/model") == "checkout/resources/demo/model"


@pytest.mark.parametrize("value", ["resources/demo/genome.fa", "https://x/y", "a:b", "yeast", ""])
def test_any_other_value_stays(shipped, asked, value):
    assert shipped.path(value) == value
    assert asked == []


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("varlm:yaest", "did you mean varlm:yeast?"),
        ("varlm:../etc/passwd", ""),
        ("varlm:demo", ""),
        ("varlm:", ""),
    ],
)
def test_an_unknown_name_lists_those_that_ship(shipped, value, hint):
    with pytest.raises(UserError) as caught:
        shipped.path(value)
    message = str(caught.value)
    assert message.startswith(f"{value}: varlm ships nothing of this name; {hint}")
    assert message.endswith("it ships varlm:yeast, varlm:demo/genome.fa, varlm:demo/model")


def test_a_copy_of_the_same_bytes_keeps_its_time(tmp_path):
    content = {"a/b.bin": b"\xff\n\n", "c": b"1"}
    assert copy(list(content), content.__getitem__, tmp_path / "to") == tmp_path / "to"
    file = tmp_path / "to/a/b.bin"
    assert file.read_bytes() == b"\xff\n\n"
    os.utime(file, (5, 5))
    copy(list(content), content.__getitem__, tmp_path / "to")
    assert file.stat().st_mtime == 5
    copy(["a/b.bin"], lambda _: b"new", tmp_path / "to")
    assert file.read_bytes() == b"new"
    assert sorted(path.name for path in (tmp_path / "to/a").iterdir()) == ["b.bin"]


def test_what_ships_is_in_the_checkout(root):
    lines = (root / "rules/package.txt").read_text().splitlines()
    shipped = Shipped([line for line in lines if not line.startswith("#")], lambda _: root)
    assert {"saccharomyces", "demo/model", "demo/genome.fa"} <= {*shipped.names}
    for name in shipped.names:
        assert (root / shipped.path(f"varlm:{name}")).exists(), name

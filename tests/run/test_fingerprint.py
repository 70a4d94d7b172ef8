"""The content of an input file decides, whatever its modification time says."""

import os

import pytest

from varlm.run import fingerprint as module


@pytest.fixture(autouse=True)
def fresh():
    module.fingerprint.cache_clear()
    yield
    module.fingerprint.cache_clear()


def seen(path):
    module.fingerprint.cache_clear()
    return module.fingerprint(str(path))


def test_content_not_time(tmp_path):
    path = tmp_path / "a.vcf"
    path.write_bytes(b"one")
    before = seen(path)
    os.utime(path, (1, 1))
    assert seen(path) == before
    path.write_bytes(b"two")
    os.utime(path, (1, 1))
    assert seen(path) != before
    path.unlink()
    assert seen(path) == "absent"


def test_a_large_file_is_known_by_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "WHOLE", 1 << 20)
    path = tmp_path / "large"
    data = bytearray(os.urandom(64) * (1 << 19))
    path.write_bytes(data)
    os.utime(path, (1, 1))
    before = seen(path)
    assert seen(path) == before
    for place in (0, len(data) - 1):
        changed = bytearray(data)
        changed[place] ^= 1
        path.write_bytes(changed)
        os.utime(path, (1, 1))
        assert seen(path) != before
    path.write_bytes(data[:-1])
    os.utime(path, (1, 1))
    assert seen(path) != before


def test_what_the_content_of_inputs_is_known_by(tmp_path):
    file = tmp_path / "a"
    file.write_bytes(b"x")
    paths = [str(file), None, "https://h/a", "made.vcf", str(tmp_path / "none")]
    known = module.fingerprints(paths, lambda path: path == "made.vcf")
    assert known == [module.fingerprint(str(file)), "https://h/a", "made by a rule", "absent"]

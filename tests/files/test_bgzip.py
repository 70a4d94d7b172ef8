"""The bgzip writer: any bytes, however they are written; every error raised."""

import gzip
import random
import subprocess
import sys

import pysam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from varlm.files import bgzip, inflate
from varlm.files.bgzip import BgzfWriter


def written(path, pieces):
    with BgzfWriter(path) as out:
        for piece in pieces:
            out.write(piece)
    return path.read_bytes()


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_what_is_read_is_what_was_written(tmp_path_factory, pieces):
    path = tmp_path_factory.mktemp("bgzf") / "x.gz"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bgzip, "_BLOCK", 5)
        data = written(path, pieces)
        assert data == written(path, [b"".join(pieces)])
    assert gzip.decompress(data) == b"".join(pieces)
    with path.open("rb") as file:
        assert b"".join(inflate.inflate(file, path, lambda _: None)) == b"".join(pieces)
    with pysam.BGZFile(str(path), "rb") as file:
        assert file.read() == b"".join(pieces)


def test_bytes_that_do_not_compress_fit_their_blocks(tmp_path):
    content = random.Random(0).randbytes(3_000_000)
    path = tmp_path / "x.gz"
    assert gzip.decompress(written(path, [content])) == content
    with path.open("rb") as file:
        assert b"".join(inflate.inflate(file, path, lambda _: None)) == content


def test_bgzip_sees_the_end_marker(tmp_path):
    written(tmp_path / "x.gz", [b"text\n"])
    assert (tmp_path / "x.gz").read_bytes().endswith(inflate.EOF_MARKER)


@pytest.mark.parametrize("size", [10, 5_000_000])
def test_fault_26_a_full_device(size):
    code = (
        "import sys, random; from pathlib import Path\n"
        "from varlm.files.bgzip import BgzfWriter\n"
        "with BgzfWriter(Path('/dev/full')) as out:\n"
        f"    out.write(random.Random(0).randbytes({size}))\n"
    )
    package = bgzip.__file__.rsplit("/varlm/", 1)[0]
    result = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": package}, capture_output=True, text=True
    )
    assert result.returncode != 0
    assert "No space left on device" in result.stderr


def test_an_error_of_the_writer_s_user_leaves_no_end_marker_and_stays_itself(tmp_path):
    def fail():
        with BgzfWriter(tmp_path / "x.gz") as out:
            out.write(b"x" * 3_000_000)
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        fail()
    assert not (tmp_path / "x.gz").read_bytes().endswith(inflate.EOF_MARKER)

"""The command line: one step is imported, expected errors are one line and status 2."""

import errno
import os
import re
import subprocess
import sys

import pytest

from varlm import cli


@pytest.fixture
def varlm(root):
    def run(*arguments, **kwargs):
        command = [sys.executable, str(root / "workflow_scripts"), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, **kwargs)

    return run


def test_help_lists_every_step(varlm):
    shown = varlm("--help").stdout
    assert all(step in shown for step in cli.STEPS)


def test_an_unknown_step(varlm):
    result = varlm("scoer")
    assert result.returncode == 2
    assert "invalid choice: 'scoer'" in result.stderr


def test_a_user_error_is_one_line(varlm, tmp_path):
    (tmp_path / "bad.fa").write_text("ACGT\n")
    result = varlm("index_reference", "--fasta", tmp_path / "bad.fa", "--reference", tmp_path / "r")
    assert result.returncode == 2
    assert result.stderr.startswith("error: ")
    assert len(result.stderr.splitlines()) == 1


def test_each_log_ends_with_time_and_peak_memory(varlm, tmp_path):
    (tmp_path / "in.fa").write_text(">a\nACGT\n")
    result = varlm("index_reference", "--fasta", tmp_path / "in.fa", "--reference", tmp_path / "r")
    last = result.stderr.splitlines()[-1]
    assert re.search(r"index_reference finished in \d+\.\d s, peak memory [1-9]\d+ MB$", last)


def test_fault_26_a_full_disk_is_one_line(root, tmp_path):
    (tmp_path / "in.fa").write_text(">a\n" + "ACGT" * 100_000)
    limited = f"ulimit -f 64; trap '' XFSZ; exec '{sys.executable}' \"$0\" \"$@\""
    step = ["index_reference", "--fasta", tmp_path / "in.fa", "--reference", tmp_path]
    result = subprocess.run(
        ["bash", "-c", limited, root / "workflow_scripts", *step],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2, result.stderr
    assert "file-size limit" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "genome.fa").exists()


def test_other_errors_keep_their_traceback(monkeypatch, tmp_path):
    def defect(*_):
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    monkeypatch.setattr("varlm.genome.encoding.index_reference", defect)
    with pytest.raises(OSError, match="Bad file descriptor"):
        cli.main(["index_reference", "--fasta", "x", "--reference", str(tmp_path)])

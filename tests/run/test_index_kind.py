"""Which index the results get is known before the run, and never by a stale index."""

import gzip
import json
import os

import pytest

from varlm.run import environment
from varlm.run import index_kind as module
from varlm.run.index_kind import TBI_LIMIT, index_kind

LIMIT = 3000  # bp: large enough that a .gz of it is no proof of a small genome


def fasta(path, *lengths, width=60, end="\n"):
    lines = []
    for number, length in enumerate(lengths):
        lines.append(f">chr{number} of {length} bp > so it says")
        lines += ["A" * min(width, length - at) for at in range(0, length, width)]
    text = (end.join(lines) + end).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return str(path)


@pytest.mark.parametrize("name", ["ref.fa", "ref.fa.gz"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
@pytest.mark.parametrize(
    ("lengths", "kind"),
    [
        ((10, 2999, 2999), "tbi"),
        ((10, 3000, 20), "csi"),
        ((5000,), "csi"),
        ((2000, 2000), "tbi"),
    ],
)
def test_the_longest_contig_decides(tmp_path, name, end, lengths, kind):
    path = fasta(tmp_path / name, *lengths, end=end)
    assert index_kind(path, tmp_path / "none", LIMIT) == kind


@pytest.mark.parametrize("size", [1, 2, 7, 61, 1000])
def test_pieces_do_not_count(tmp_path, size):
    path = tmp_path / "a.fa"
    for lengths, expected in (((2999, 5), False), ((7, 3000), True)):
        fasta(path, *lengths)
        text = path.read_bytes()
        pieces = (text[at : at + size] for at in range(0, len(text), size))
        assert module._has_contig(pieces, LIMIT) is expected


def test_a_small_file_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "content", None)
    assert index_kind(fasta(tmp_path / "a.fa", 100), tmp_path) == "tbi"
    assert index_kind(fasta(tmp_path / "a.fa.gz", 100), tmp_path) == "tbi"


def test_an_index_beside_the_fasta_spares_the_reading(tmp_path, monkeypatch):
    path = fasta(tmp_path / "a.fa", 4000)
    monkeypatch.setattr(module, "content", None)
    (tmp_path / "a.fa.fai").write_text("x\t100\t3\t60\t61\nchr1\t3000\t200\t60\t61\n")
    assert index_kind(path, tmp_path, LIMIT) == "csi"
    (tmp_path / "a.fa.fai").write_text("x\t100\t3\t60\t61\nchr1\t2999\t200\t60\t61\n")
    assert index_kind(path, tmp_path, LIMIT) == "tbi"


@pytest.mark.parametrize("text", ["", "chr1\n", "chr1\tlong\t3\t60\t61\n"])
def test_a_stale_or_broken_index_is_passed_over(tmp_path, text):
    path = fasta(tmp_path / "a.fa", 4000)
    index = tmp_path / "a.fa.fai"
    index.write_text(text or "chr1\t100\t3\t60\t61\n")
    if not text:
        os.utime(index, (1, 1))
    assert index_kind(path, tmp_path, LIMIT) == "csi"


def test_the_encoded_genome_of_another_fasta_says_nothing(tmp_path, monkeypatch):
    path = fasta(tmp_path / "a.fa", 4000)
    reference = tmp_path / "reference"
    reference.mkdir()
    (reference / "genome.fa.fai").write_text("chr1\t100\t6\t100\t101\n")
    (reference / "reference.json").write_text(json.dumps({"fasta": "b.fa"}))
    assert index_kind(path, reference, LIMIT) == "csi"
    (reference / "reference.json").write_text(json.dumps({"fasta": path}))
    assert index_kind(path, reference, LIMIT) == "tbi"  # told, not read
    for broken in ("", "[]", "{}"):
        (reference / "reference.json").write_text(broken)
        assert index_kind(path, reference, LIMIT) == "csi"


@pytest.mark.parametrize("content", [None, b"", b"\x1f\x8b\x08\x00damaged" * 9, b"no FASTA" * 999])
def test_what_is_no_fasta_is_left_to_the_step(tmp_path, content):
    path = tmp_path / "a.fa"
    if content is not None:
        path.write_bytes(content)
    assert index_kind(str(path), tmp_path, 100) in {"tbi", "csi"}
    assert index_kind(str(path), tmp_path, TBI_LIMIT) == "tbi"


def test_steps_are_told(monkeypatch):
    monkeypatch.delenv("VARLM_INDEX", raising=False)
    assert environment.index_kind() is None
    for kind in ("tbi", "csi"):
        monkeypatch.setenv("VARLM_INDEX", environment.for_steps("x", "python", kind)["VARLM_INDEX"])
        assert environment.index_kind() == kind
    monkeypatch.setenv("VARLM_INDEX", "bai")
    assert environment.index_kind() is None

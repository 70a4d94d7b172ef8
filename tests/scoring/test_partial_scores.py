"""What a stopped job leaves: whole records only, of the same shard, model and genome."""

import os

import numpy as np
import pytest
from filelock import FileLock

from varlm.scoring import partial_scores
from varlm.scoring.partial_scores import Method, open_partial_scores

OF = {"shard": "abc", "key": "k"}
METHOD = Method("winograd", 8, "cpu")
RNG = np.random.default_rng(1)
SITES = [RNG.normal(size=(n, 2, 4)).astype(np.float32) for n in (3, 5)]
ALLELES = [RNG.normal(size=(n, 2)) for n in (2, 1)]


@pytest.fixture
def left(tmp_path):
    """The file that a job leaves which kept two stretches of sites and two of alleles."""
    path = tmp_path / "scores" / "partial"
    partial = open_partial_scores(path, OF)
    partial.begin(METHOD)
    for sites in SITES:
        partial.add_sites(sites, 1.5)
    for alleles in ALLELES:
        partial.add_alleles(alleles, 0.25)
    partial._file.close()
    partial._lock.release()
    return path


def rows(partial) -> tuple[int, int]:
    return len(partial.sites()), len(partial.alleles())


def test_what_was_kept_is_found_bit_for_bit(left):
    found = open_partial_scores(left, OF)
    assert np.array_equal(found.sites(), np.concatenate(SITES))
    assert np.array_equal(found.alleles(), np.concatenate(ALLELES))
    assert (found.method, found.resumed, found.seconds) == (METHOD, 11, 3.5)


def test_a_strand_that_is_not_scored_stays_so(tmp_path):
    path = tmp_path / "partial"
    partial = open_partial_scores(path, OF)
    partial.begin(METHOD)
    logits = SITES[0].copy()
    logits[:, 1] = np.nan
    partial.add_sites(logits, 1)
    partial._file.close()
    partial._lock.release()
    assert np.array_equal(open_partial_scores(path, OF).sites(), logits, equal_nan=True)


def test_a_file_cut_anywhere_gives_its_whole_records(left):
    """The power went while a record, or the header, was written."""
    text = left.read_bytes()
    header = text.index(b"\n") + 1
    sizes = [header]
    for part in (*SITES, *ALLELES):
        sizes.append(sizes[-1] + partial_scores._HEAD.size + part.nbytes)
    assert sizes[-1] == len(text)
    counts = [(0, 0), (3, 0), (8, 0), (8, 2), (8, 3)]
    for length in range(len(text) + 1):
        left.write_bytes(text[:length])
        found = open_partial_scores(left, OF)
        whole = sum(size <= length for size in sizes)
        assert rows(found) == (counts[whole - 1] if whole else (0, 0))
        if whole:
            assert left.stat().st_size == sizes[whole - 1]
        found._lock.release()


def test_what_follows_a_cut_is_appended_to_the_whole_records(left):
    os.truncate(left, left.stat().st_size - 1)
    found = open_partial_scores(left, OF)
    assert rows(found) == (8, 2)
    found.begin(METHOD)
    found.add_alleles(ALLELES[1], 0.25)
    found._file.close()
    found._lock.release()
    assert np.array_equal(open_partial_scores(left, OF).alleles(), np.concatenate(ALLELES))


def test_no_flipped_bit_changes_a_score(left):
    text = bytearray(left.read_bytes())
    start = text.index(b"\n") + 1
    for at in range(start, len(text)):
        text[at] ^= 1 << (at % 8)
        left.write_bytes(text)
        text[at] ^= 1 << (at % 8)
        found = open_partial_scores(left, OF)
        sites, alleles = rows(found)
        assert sites + alleles < 11
        assert np.array_equal(found.sites(), np.concatenate(SITES)[:sites])
        assert np.array_equal(found.alleles(), np.concatenate(ALLELES)[:alleles])
        found._lock.release()


@pytest.mark.parametrize("other", [{"shard": "abd", "key": "k"}, {"shard": "abc"}, {}])
def test_scores_of_anything_else_are_not_used(left, other, caplog):
    assert rows(open_partial_scores(left, other)) == (0, 0)
    assert "of another shard, model or genome" in caplog.text
    assert not left.exists()


def test_a_second_job_on_the_shard_neither_reads_nor_writes_the_file(left, monkeypatch, caplog):
    monkeypatch.setattr(partial_scores, "_WAIT", 0.1)
    before = left.read_bytes()
    with FileLock(f"{left}.lock"):
        second = open_partial_scores(left, OF)
        second.begin(METHOD)
        second.add_sites(SITES[0], 1)
        second.remove()
    assert rows(second) == (3, 0)
    assert left.read_bytes() == before
    assert "another job is scoring this shard" in caplog.text


def test_nothing_is_left_of_a_shard_that_is_done(left):
    found = open_partial_scores(left, OF)
    found.begin(METHOD)
    found.remove()
    assert list(left.parent.iterdir()) == []

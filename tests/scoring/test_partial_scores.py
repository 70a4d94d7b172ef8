"""What a stopped job leaves: whole stretches only, of the same shard, model and genome."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from filelock import FileLock
from polars.testing import assert_frame_equal

from varlm.scoring import partial_scores
from varlm.scoring.inference import ALLELES, SITES
from varlm.scoring.partial_scores import Method, open_partial_scores

OF = {"shard": "abc", "key": "k"}
METHOD = Method("winograd", 8, "cpu", asked=16, halvings=1)
# Written by varlm at commit c9c1f55, with the numbers below: tests/data/partial.
OLD = Path(__file__).resolve().parents[1] / "data/partial/c9c1f55"


def stretches(kind, *sizes, rng):
    return [
        pl.DataFrame(
            {name: rng.normal(size=size) for name in kind.schema},
            schema_overrides=dict(kind.schema),
        )
        for size in sizes
    ]


RNG = np.random.default_rng(1)
SITE_STRETCHES = stretches(SITES, 3, 5, rng=RNG)
ALLELE_STRETCHES = stretches(ALLELES, 2, 1, rng=RNG)
EXPECTED = {
    "sites": pl.concat(SITE_STRETCHES),
    "alleles": pl.concat(ALLELE_STRETCHES),
}


def close(partial) -> None:
    """As the end of the process does: what was written stays, the lock is free."""
    partial._lock.release()


@pytest.fixture
def left(tmp_path):
    """What a job leaves which kept two stretches of sites and two of alleles."""
    path = tmp_path / "scores" / "partial"
    partial = open_partial_scores(path, OF)
    partial.begin(METHOD)
    for sites in SITE_STRETCHES:
        partial.add(sites, 1.5, 8)
    for alleles in ALLELE_STRETCHES:
        partial.add(alleles, 0.25, 8)
    close(partial)
    return path


def files(path) -> list[Path]:
    return sorted(path.iterdir())


def rows(partial) -> tuple[int, int]:
    return partial.scores(SITES.schema).height, partial.scores(ALLELES.schema).height


def check_scores(partial) -> None:
    """What is there is what was added, bit for bit, from the first row on."""
    for kind in (SITES, ALLELES):
        scores = partial.scores(kind.schema)
        expected = EXPECTED[kind.name][: scores.height]
        assert scores.to_numpy().tobytes() == expected.to_numpy().tobytes()


def test_what_was_kept_is_found_bit_for_bit(left):
    found = open_partial_scores(left, OF)
    assert rows(found) == (8, 3)
    check_scores(found)
    assert (found.method, found.resumed) == (METHOD, 11)
    assert found.seconds == pytest.approx(3.5)


def test_any_program_that_knows_arrow_reads_a_stretch(left):
    first = next(path for path in files(left) if path.suffix == ".arrow")
    table = pl.read_ipc(first)
    assert_frame_equal(table.drop("seconds"), SITE_STRETCHES[0])
    assert table["seconds"].to_list() == [0.5, 0.5, 0.5]


def test_a_strand_that_is_not_scored_stays_so(tmp_path):
    path = tmp_path / "partial"
    partial = open_partial_scores(path, OF)
    partial.begin(METHOD)
    nan = pl.lit(float("nan"), pl.Float32())
    logits = SITE_STRETCHES[0].with_columns(nan.alias(n) for n in SITES.schema if n[0] == "r")
    partial.add(logits, 1, 8)
    close(partial)
    again = open_partial_scores(path, OF).scores(SITES.schema)
    assert_frame_equal(again, logits, check_exact=True)
    assert again["rev_a"].is_nan().all()


def test_another_kind_of_score_needs_no_code_here(left):
    attention = pl.DataFrame({"attention": [0.25, 0.5]})
    partial = open_partial_scores(left, OF)
    partial.add(attention, 1.0, 8)
    close(partial)
    again = open_partial_scores(left, OF)
    assert rows(again) == (8, 3)
    assert_frame_equal(again.scores(attention.schema), attention)
    assert again.resumed == 13


def test_the_record_has_the_batch_in_force_for_each_stretch(left):
    """Memory ran out in the last stretch: the next job starts with what did fit."""
    partial = open_partial_scores(left, OF)
    partial.begin(METHOD)
    assert len(files(left)) == 5  # nothing new to say
    partial.add(ALLELE_STRETCHES[0], 1.0, 2)
    close(partial)
    again = open_partial_scores(left, OF)
    assert again.method == replace(METHOD, batch_size=2)
    assert rows(again) == (8, 5)


def damaged(left, name, data: bytes):
    """Open what is left with other bytes in one of its files; it is put back afterwards."""
    copy = left.with_name("damaged")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(left, copy)
    (copy / name).write_bytes(data)
    partial = open_partial_scores(copy, OF)
    close(partial)
    return partial, copy


COUNTS = [(0, 0), (0, 0), (3, 0), (8, 0), (8, 2)]  # rows before the file of each number


@pytest.mark.parametrize("number", range(5))
def test_a_file_cut_anywhere_ends_the_resumption_there(left, number, caplog):
    """The power went while it was written, or the disk lost a part of it."""
    path = files(left)[number]
    data = path.read_bytes()
    for length in sorted({0, 1, *range(7, len(data), 41), len(data) - 1}):
        partial, copy = damaged(left, path.name, data[:length])
        assert rows(partial) == COUNTS[number]
        check_scores(partial)
        assert len(files(copy)) == number
    assert f"{path.name} is cut or changed" in caplog.text


@pytest.mark.parametrize("number", range(5))
def test_no_flipped_bit_changes_a_score(left, number):
    path = files(left)[number]
    data = bytearray(path.read_bytes())
    for at in range(0, len(data), 1 if number == 0 else 5):
        data[at] ^= 1 << (at % 8)
        partial, _ = damaged(left, path.name, bytes(data))
        data[at] ^= 1 << (at % 8)
        assert rows(partial) == COUNTS[number]
        check_scores(partial)


@pytest.mark.parametrize("number", range(5))
def test_a_file_that_is_missing_ends_the_resumption_there(left, number):
    files(left)[number].unlink()
    partial = open_partial_scores(left, OF)
    assert rows(partial) == COUNTS[number]
    assert len(files(left)) == number


def test_what_follows_a_damage_is_numbered_after_the_whole_files(left):
    last = files(left)[-1]
    last.write_bytes(last.read_bytes()[:-1])
    (left / f".{last.name}.123.tmp").write_bytes(b"half")  # a write that was under way
    partial = open_partial_scores(left, OF)
    assert rows(partial) == (8, 2)
    partial.begin(METHOD)
    partial.add(ALLELE_STRETCHES[1], 0.25, 8)
    close(partial)
    assert [path.name for path in files(left)][-1] == last.name
    again = open_partial_scores(left, OF)
    assert rows(again) == (8, 3)
    check_scores(again)


@pytest.mark.parametrize("other", [{"shard": "abd", "key": "k"}, {"shard": "abc"}, {}])
def test_scores_of_anything_else_are_not_used(left, other, caplog):
    assert rows(open_partial_scores(left, other)) == (0, 0)
    assert "of another shard, model or genome" in caplog.text
    assert not left.exists()


def test_nothing_is_used_where_a_later_file_is_of_something_else(left, tmp_path):
    other = open_partial_scores(tmp_path / "other", {"shard": "other"})
    other._files = len(files(left))
    other.begin(METHOD)
    close(other)
    shutil.copy(files(tmp_path / "other")[0], left)
    partial = open_partial_scores(left, OF)
    assert (rows(partial), partial.seconds, partial.method) == ((0, 0), 0.0, None)
    assert not left.exists()


def test_a_second_job_on_the_shard_neither_reads_nor_writes_the_folder(left, monkeypatch, caplog):
    monkeypatch.setattr(partial_scores, "_WAIT", 0.1)
    before = {path: path.read_bytes() for path in files(left)}
    with FileLock(f"{left}.lock"):
        second = open_partial_scores(left, OF)
        second.begin(METHOD)
        second.add(SITE_STRETCHES[0], 1, 8)
        second.remove()
    assert rows(second) == (3, 0)
    assert {path: path.read_bytes() for path in files(left)} == before
    assert "another job is scoring this shard" in caplog.text


def test_nothing_is_left_of_a_shard_that_is_done(left):
    partial = open_partial_scores(left, OF)
    partial.begin(METHOD)
    partial.remove()
    assert list(left.parent.iterdir()) == []


# What the version before left: one file


def old_scores() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    sites = np.concatenate([rng.normal(size=(n, 8)).astype(np.float32) for n in (3, 5)])
    sites[:3, 4:] = np.nan
    return sites, np.concatenate([rng.normal(size=(n, 2)) for n in (2, 1)])


def test_the_file_of_an_earlier_version_is_taken_over(tmp_path):
    path = tmp_path / "partial"
    shutil.copy(OLD, path)
    for opening in range(2):  # from the file; from the folder that took its place
        partial = open_partial_scores(path, OF)
        for kind, expected in zip((SITES, ALLELES), old_scores(), strict=True):
            np.testing.assert_array_equal(partial.scores(kind.schema).to_numpy(), expected)
        assert partial.method == Method("winograd", 8, "cpu")
        assert (partial.resumed, round(partial.seconds, 6)) == (11, 3.5), opening
        assert path.is_dir()
        close(partial)


def test_an_earlier_versions_file_that_is_cut_gives_its_whole_records(tmp_path):
    data, path = OLD.read_bytes(), tmp_path / "partial"
    found = set()
    for length in range(len(data)):
        path.write_bytes(data[:length])
        partial = open_partial_scores(path, OF)
        for kind, expected in zip((SITES, ALLELES), old_scores(), strict=True):
            scores = partial.scores(kind.schema).to_numpy()
            np.testing.assert_array_equal(scores, expected[: len(scores)])
        found.add(rows(partial))
        close(partial)
        shutil.rmtree(path, ignore_errors=True)
    assert found == {(0, 0), (3, 0), (8, 0), (8, 2)}


def test_no_flipped_bit_of_an_earlier_versions_record_changes_a_score(tmp_path):
    data, path = bytearray(OLD.read_bytes()), tmp_path / "partial"
    for at in range(data.index(b"\n") + 1, len(data)):
        data[at] ^= 1 << (at % 8)
        path.write_bytes(data)
        data[at] ^= 1 << (at % 8)
        partial = open_partial_scores(path, OF)
        assert sum(rows(partial)) < 11
        for kind, expected in zip((SITES, ALLELES), old_scores(), strict=True):
            scores = partial.scores(kind.schema).to_numpy()
            np.testing.assert_array_equal(scores, expected[: len(scores)])
        close(partial)
        shutil.rmtree(path)


def test_an_earlier_versions_scores_of_something_else_are_not_used(tmp_path, caplog):
    path = tmp_path / "partial"
    shutil.copy(OLD, path)
    assert rows(open_partial_scores(path, {"shard": "other"})) == (0, 0)
    assert "of another shard, model or genome" in caplog.text
    assert not path.exists()

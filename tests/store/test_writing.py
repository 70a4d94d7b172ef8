"""The commit builder: all that a block adds or nothing, whatever it adds again."""

import fcntl

import pytest

from making.store import (
    KEY,
    MODEL,
    allele_rows,
    background_rows,
    files,
    make_store,
    site_rows,
)
from varlm.errors import UserError
from varlm.store import KINDS, Store

SITES, ALLELES, BACKGROUND = (KINDS[name] for name in ("sites", "alleles", "background"))


def test_a_block_is_one_commit(tmp_path):
    with Store(tmp_path).committing(KEY, MODEL) as commit:
        commit.add("SQ.a", SITES, site_rows([1, 2]))
        commit.add("SQ.a", ALLELES, allele_rows([1]))
        commit.add("SQ.b", SITES, site_rows([3]))
        assert Store(tmp_path).parts(KEY) == [], "nothing exists before the block's end"
    (listed,) = Store(tmp_path).commits(KEY)
    assert list(listed.parts) == commit.done.parts
    assert {(part.contig, part.kind, part.rows) for part in listed.parts} == {
        ("SQ.a", "sites", 2),
        ("SQ.a", "alleles", 2),
        ("SQ.b", "sites", 1),
    }


def test_the_store_of_a_block_sees_it_afterwards(tmp_path):
    store = Store(tmp_path)
    assert store.read_sites(KEY, "SQ.a").is_empty()
    with store.committing(KEY, MODEL) as commit:
        commit.add("SQ.a", SITES, site_rows([1]))
    assert store.read_sites(KEY, "SQ.a").equals(site_rows([1]))


def test_a_block_that_adds_nothing_new_writes_nothing(tmp_path):
    make_store(tmp_path, [[1, 2]])
    before = files(tmp_path)
    with Store(tmp_path).committing(KEY, MODEL) as commit:
        commit.add("SQ.a", SITES, site_rows([1]))
        commit.add("SQ.b", SITES, site_rows([]))
    assert (commit.done.parts, commit.done.known) == ([], 1)
    assert files(tmp_path) == before


def test_a_block_that_fails_leaves_nothing(tmp_path):
    store = make_store(tmp_path, [[1, 2]])
    before = files(tmp_path)

    def add_and_fail():
        with store.committing(KEY, MODEL) as commit:
            commit.add("SQ.a", SITES, site_rows([3]))
            commit.write("SQ.b", SITES, site_rows([3]))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        add_and_fail()
    assert files(tmp_path) == before
    assert store.read_sites(KEY, "SQ.a").equals(site_rows([1, 2]))
    assert store.read_sites(KEY, "SQ.b").is_empty()


def test_a_failed_block_keeps_a_part_that_another_commit_lists(tmp_path):
    store = make_store(tmp_path, [[1, 2]])
    before = files(tmp_path)

    def write_again_and_fail():
        with store.committing(KEY, MODEL) as commit:
            commit.write("SQ.a", SITES, site_rows([1, 2]))  # the same bytes, the same name
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_again_and_fail()
    assert files(tmp_path) == before


def test_the_lock_is_held_for_the_whole_block(tmp_path):
    def take_the_lock():
        with (tmp_path / KEY / "lock").open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    with Store(tmp_path).committing(KEY, MODEL), pytest.raises(BlockingIOError):
        take_the_lock()
    take_the_lock()


# The same sequence again: contigs of one sequence have one digest


@pytest.mark.parametrize("between", [[], ["SQ.b"]], ids=["neighbouring", "apart"])
@pytest.mark.parametrize(
    ("kind", "rows"), [(SITES, site_rows), (ALLELES, allele_rows)], ids=["sites", "alleles"]
)
def test_rows_of_a_digest_that_comes_again_are_stored_once(tmp_path, kind, rows, between):
    with Store(tmp_path).committing(KEY, MODEL) as commit:
        for contig, positions in [
            ("SQ.a", [1, 2, 5]),
            *((name, [1]) for name in between),
            ("SQ.a", [2, 3, 5]),
        ]:
            commit.add(contig, kind, rows(positions))
    assert commit.done.known == rows([2, 5]).height
    assert Store(tmp_path).read(KEY, kind, "SQ.a").equals(rows([1, 2, 3, 5]))
    stored = sum(part.rows for part in Store(tmp_path).parts(KEY) if part.contig == "SQ.a")
    assert stored == rows([1, 2, 3, 5]).height


@pytest.mark.parametrize("between", [[], ["SQ.b"]], ids=["neighbouring", "apart"])
def test_within_the_tolerance_the_first_value_stays(tmp_path, between):
    pieces = [("SQ.a", 0.0), *((name, 0.0) for name in between), ("SQ.a", 5e-4)]
    sites = [(contig, site_rows([1, 2], shift)) for contig, shift in pieces]
    done = Store(tmp_path).commit(KEY, MODEL, sites)
    assert done.known == 2
    assert Store(tmp_path).read_sites(KEY, "SQ.a").equals(site_rows([1, 2]))


@pytest.mark.parametrize("between", [[], ["SQ.b"]], ids=["neighbouring", "apart"])
def test_another_value_stores_nothing(tmp_path, between):
    pieces = [("SQ.a", 0.0), *((name, 0.0) for name in between), ("SQ.a", 0.01)]
    sites = [(contig, site_rows([1, 2], shift)) for contig, shift in pieces]
    with pytest.raises(UserError, match=r"score of 1 \(fwd_a .* on contig SQ\.a .*another value"):
        Store(tmp_path).commit(KEY, MODEL, sites)
    assert files(tmp_path) == {}


@pytest.mark.parametrize("names", [["BG.a", "BG.a"], ["BG.a", "BG.b", "BG.a", "BG.b"]])
def test_a_background_that_comes_again_is_stored_once(tmp_path, names):
    rows = background_rows([1, 2])
    done = Store(tmp_path).commit(KEY, MODEL, background=[(name, rows) for name in names])
    assert [part.contig for part in done.parts] == sorted(set(names))
    assert done.known == rows.height * (len(names) - len(set(names)))
    assert Store(tmp_path).read_background(KEY, "BG.a").equals(rows)


def test_pieces_beyond_a_part_that_come_again_are_stored_once(tmp_path, monkeypatch):
    monkeypatch.setattr("varlm.store.writing.PART_ROWS", 3)
    rows = site_rows(range(1, 8))
    done = Store(tmp_path).commit(KEY, MODEL, [("SQ.a", rows), ("SQ.a", rows)])
    assert [part.rows for part in done.parts] == [3, 3, 1]
    assert done.known == 7
    assert Store(tmp_path).read_sites(KEY, "SQ.a").equals(rows)

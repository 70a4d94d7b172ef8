"""The store: what was committed is read back, once, and nothing damaged is."""

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from varlm.errors import UserError
from varlm.schemas import LOGIT_COLUMNS
from varlm.store import ALLELE_SCHEMA, SITE_SCHEMA, Store

KEY = "key"


def site_rows(positions, seed=0):
    rng = np.random.default_rng(seed)
    logits = {name: rng.normal(size=len(positions)).astype("f4") for name in LOGIT_COLUMNS}
    return pl.DataFrame({"pos": positions, **logits}, schema=SITE_SCHEMA)


def allele_rows(keys):
    return pl.DataFrame(
        [(pos, ref, alt, 0.5, -0.5) for pos, ref, alt in keys], schema=ALLELE_SCHEMA, orient="row"
    )


def test_an_absent_store_is_empty(tmp_path):
    store = Store(tmp_path / "none")
    assert store.read_sites(KEY, "SQ.a").schema == pl.Schema(SITE_SCHEMA)
    assert store.read_alleles(KEY, "SQ.a").is_empty()
    assert not (tmp_path / "none").exists()


def test_round_trip_and_ranges(tmp_path):
    store = Store(tmp_path)
    rows = site_rows([2, 5, 9])
    alleles = allele_rows([(4, "A", "AT"), (4, "A", "ATT"), (8, "AC", "A")])
    store.commit(KEY, {"name": "m"}, [("SQ.a", rows)], [("SQ.a", alleles)])
    assert store.read_sites(KEY, "SQ.a").equals(rows)
    assert store.read_alleles(KEY, "SQ.a").equals(alleles)
    assert store.read_sites(KEY, "SQ.a", 3, 5)["pos"].to_list() == [5]
    assert store.read_alleles(KEY, "SQ.a", 5, 100)["pos"].to_list() == [8]
    assert store.known_sites(KEY, "SQ.a")["pos"].to_list() == [2, 5, 9]
    assert store.read_sites(KEY, "SQ.b").is_empty()
    assert store.read_sites("other key", "SQ.a").is_empty()


@given(pieces=st.lists(st.sets(st.integers(1, 50), min_size=1), min_size=1, max_size=5))
def test_several_commits_read_as_one_sorted_table(tmp_path_factory, pieces):
    store = Store(tmp_path_factory.mktemp("store"))
    whole = site_rows(list(range(1, 51)))
    for piece in pieces:
        rows = whole.filter(pl.col("pos").is_in(sorted(piece)))
        store.commit(KEY, {}, [("SQ.a", rows)], [])
    expected = whole.filter(pl.col("pos").is_in(sorted(set().union(*pieces))))
    assert store.read_sites(KEY, "SQ.a").equals(expected)


def test_the_same_commit_twice_is_one(tmp_path):
    store = Store(tmp_path)
    for _ in range(2):
        store.commit(KEY, {}, [("SQ.a", site_rows([1, 2]))], [])
    assert len(store.parts(KEY)) == 1
    assert len(list((tmp_path / KEY / "commits").iterdir())) == 1


def test_nothing_to_commit_writes_nothing(tmp_path):
    assert Store(tmp_path / "s").commit(KEY, {}, [("SQ.a", site_rows([]))], []) == []
    assert not (tmp_path / "s").exists()


def test_a_failed_commit_leaves_the_old_state(tmp_path, monkeypatch):
    store = Store(tmp_path)
    store.commit(KEY, {}, [("SQ.a", site_rows([1]))], [])

    def second_piece_fails():
        yield "SQ.a", site_rows([2])
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        store.commit(KEY, {}, second_piece_fails(), [])
    assert Store(tmp_path).read_sites(KEY, "SQ.a")["pos"].to_list() == [1]


def test_uncommitted_and_temporary_files_are_not_read(tmp_path):
    store = Store(tmp_path)
    store.commit(KEY, {}, [("SQ.a", site_rows([1]))], [])
    (tmp_path / KEY / "SQ.a" / "0000.parquet").write_bytes(b"no parquet")
    (tmp_path / KEY / "commits" / ".1.tmp").write_bytes(b"{")
    assert store.read_sites(KEY, "SQ.a")["pos"].to_list() == [1]


def only_part(tmp_path):
    return next((tmp_path / KEY / "SQ.a").glob("*.parquet"))


def flip_a_bit(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [flip_a_bit, lambda path: path.unlink()])
def test_a_damaged_part_is_never_read_and_its_rows_become_unknown(tmp_path, damage):
    store = Store(tmp_path)
    store.commit(KEY, {}, [("SQ.a", site_rows([1, 2]))], [])
    damage(only_part(tmp_path))
    with pytest.raises(UserError, match=r"(damaged|lost).*--forcerun plan"):
        Store(tmp_path).read_sites(KEY, "SQ.a")
    again = Store(tmp_path)
    assert [part.rows for part in again.discard_damaged(KEY)] == [2]
    assert again.read_sites(KEY, "SQ.a").is_empty()
    assert again.discard_damaged(KEY) == []
    again.commit(KEY, {}, [("SQ.a", site_rows([1, 2]))], [])
    assert Store(tmp_path).read_sites(KEY, "SQ.a").equals(site_rows([1, 2]))


def test_duplicate_rows_in_a_commit_are_a_defect(tmp_path):
    with pytest.raises(AssertionError, match="duplicate sites"):
        Store(tmp_path).commit(KEY, {}, [("SQ.a", site_rows([3, 3]))], [])


@pytest.mark.parametrize(
    ("text", "message"), [("{", "not a commit"), (json.dumps({"layout": 99}), "store layout 99")]
)
def test_a_foreign_commit_file(tmp_path, text, message):
    (tmp_path / KEY / "commits").mkdir(parents=True)
    (tmp_path / KEY / "commits" / "x.json").write_text(text)
    with pytest.raises(UserError, match=message):
        Store(tmp_path).parts(KEY)

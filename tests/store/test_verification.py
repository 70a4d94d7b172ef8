"""Verification: whatever is wrong has one line, and a sound store has none."""

import os
import time
from dataclasses import replace
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from making.store import (
    KEY,
    MODEL,
    add_unseen,
    allele_rows,
    background_rows,
    files,
    list_parts,
    make_store,
    site_rows,
)
from varlm.errors import UserError
from varlm.store import KINDS, Part, Store, verification
from varlm.store.layout import place
from varlm.store.part_file import write_part
from varlm.store.stretches import stretches
from varlm.store.verification import abandoned, model_keys, verify


def add_part(folder, rows, kind="sites", claims=()):
    """List a part that may be wrong, or of which the commit says something wrong."""
    part = write_part(folder, KEY, KINDS[kind], "SQ.w", rows)
    list_parts(Store(folder), [replace(part, **dict(claims))])
    return part


@given(commits=st.lists(st.sets(st.integers(1, 50), min_size=1), max_size=4))
@settings(max_examples=15)
def test_a_sound_store_has_no_faults_and_is_left_alone(tmp_path_factory, commits):
    folder = tmp_path_factory.mktemp("store")
    store = make_store(folder, commits)
    store.commit(KEY, MODEL, background=[("BG.x", background_rows([1, 2]))])
    before = files(folder)
    assert verify(folder, KEY) == []
    assert files(folder) == before


@settings(max_examples=40)
@given(data=st.data())
def test_any_changed_byte_or_lost_file_is_told(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("store")
    make_store(folder, [range(1, 9), range(5, 20)])
    name = data.draw(st.sampled_from(sorted(files(folder))))
    content = bytearray((folder / name).read_bytes())
    (folder / name).unlink()
    how = data.draw(st.sampled_from(["flip", "cut", "delete"]))
    if how == "flip":
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    if how == "cut":
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    if how != "delete":
        (folder / name).write_bytes(content)
    faults = verify(folder, KEY)
    if how == "delete" and "commits" in name:  # then its parts are what is left
        assert {fault.path.parent.name for fault in faults} == {"SQ.a"}
        assert all("no commit lists it" in fault.found for fault in faults)
    else:
        assert folder / name in {fault.path for fault in faults}
        assert len(str(faults[0]).splitlines()) == 1


SITES = site_rows([3, 5, 9])


@pytest.mark.parametrize(
    ("claims", "says"),
    [
        ({"rows": 4}, "3 rows, its commit says 4"),
        ({"first": 1}, "positions 3 to 9, its commit says 1 to 9"),
        ({"last": 8}, "positions 3 to 9, its commit says 3 to 8"),
        ({"bytes": 1}, "its commit says 1"),
        ({"kind": "alleles"}, "its own metadata says model key, sites of SQ.w"),
        ({"kind": "elephants"}, "'elephants', which this varlm does not know"),
    ],
)
def test_a_commit_that_says_something_else(tmp_path, claims, says):
    part = add_part(tmp_path, SITES, claims=claims)
    (fault,) = verify(tmp_path, KEY)
    assert fault.path == part.path(tmp_path / KEY)
    assert says in fault.found
    assert "delete the file" in fault.remedy


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (SITES[::-1], "not sorted or twice: 9, then 5"),
        (SITES[[0, 1, 1, 2]], "not sorted or twice: 5, then 5"),
        (SITES.with_columns(pos=pl.Series([3, None, 9], dtype=pl.UInt32)), "without a position"),
        (SITES.drop("fwd_a"), "other columns than sites have: pos: UInt32, fwd_c"),
        (SITES.with_columns(pl.col("pos").cast(pl.Int64)), "other columns"),
        (
            SITES.with_columns(fwd_c=pl.when(pos=5).then(float("inf")).cast(pl.Float32)),
            "1 rows without a finite score, the first at 5",
        ),
    ],
)
def test_a_part_of_other_rows(tmp_path, rows, says):
    add_part(tmp_path, rows, claims={"first": 3, "last": 9})
    (fault,) = verify(tmp_path, KEY)
    assert says in fault.found


def test_alleles_are_sorted_by_all_of_their_key(tmp_path):
    rows = allele_rows([3, 4])
    add_part(tmp_path, rows, "alleles")
    assert verify(tmp_path, KEY) == []
    add_part(tmp_path, rows[[1, 0, 2, 3]], "alleles")
    (fault,) = verify(tmp_path, KEY)
    assert "not sorted or twice: 3 A AT, then 3 A AC" in fault.found


def test_a_part_of_another_model_and_one_that_is_no_table(tmp_path):
    foreign = write_part(tmp_path, "other", KINDS["sites"], "SQ.w", SITES)
    (tmp_path / KEY / "SQ.w").mkdir(parents=True)
    foreign.path(tmp_path / "other").rename(foreign.path(tmp_path / KEY))
    name, size = place(lambda file: file.write(b"text"), tmp_path / KEY / "SQ.w", ".parquet")
    list_parts(Store(tmp_path), [foreign, Part("sites", "SQ.w", name, size, 1, 1, 1)])
    found = sorted(fault.found for fault in verify(tmp_path, KEY))
    assert "its own metadata says model other" in found[0]
    assert found[1].startswith("no part of a varlm score store")


@pytest.mark.parametrize("stretch", [3, 1_000_000])
def test_two_values_of_one_row_are_one_line_a_pair_of_files(tmp_path, monkeypatch, stretch):
    monkeypatch.setattr(verification, "_STRETCH", stretch)
    store = make_store(tmp_path, [range(1, 20)])
    add_unseen(store, range(10, 30), shift=1e-4)  # within the tolerance
    assert verify(tmp_path, KEY) == []
    bad = add_unseen(store, range(25, 40), shift=0.5)
    (fault,) = verify(tmp_path, KEY)
    assert bad.sha256 in str(fault)
    assert "hold different scores of 25 (fwd_a" in fault.found
    assert "delete one file" in fault.remedy


def test_files_that_no_commit_lists(tmp_path):
    make_store(tmp_path, [range(1, 5)])
    part = write_part(tmp_path, KEY, KINDS["sites"], "SQ.a", SITES)
    (tmp_path / KEY / "SQ.a" / "notes.txt").write_text("mine")
    found = {fault.path.name for fault in verify(tmp_path, KEY)}
    assert found == {f"{part.sha256}.parquet", "notes.txt"}


def test_parts_without_any_commit_are_a_model_too(tmp_path):
    write_part(tmp_path, KEY, KINDS["sites"], "SQ.a", SITES)
    assert model_keys(Store(tmp_path)) == [KEY]
    (fault,) = verify(tmp_path, KEY)
    assert "no commit lists it" in fault.found


def test_temporary_files_are_faults_once_they_are_a_day_old(tmp_path):
    make_store(tmp_path, [range(1, 5)])
    for name, age in ((f".{'0' * 32}.tmp", 100_000), (f".{'1' * 32}.tmp", 1000), (".a.tmp", 1e6)):
        path = tmp_path / KEY / "SQ.a" / name
        path.touch()
        os.utime(path, (time.time() - age,) * 2)
    (fault,) = abandoned(tmp_path, [KEY])
    assert fault.path.name == f".{'0' * 32}.tmp"
    assert abandoned(tmp_path, []) == []
    assert verify(tmp_path, KEY) == []


def test_a_newer_stores_commit_is_an_error(tmp_path):
    make_store(tmp_path, [range(1, 5)])
    path = list_parts(Store(tmp_path), [])
    text = path.read_text().replace('"layout": 2', '"layout": 99')
    path.unlink()
    place(lambda file: file.write(text.encode()), path.parent, ".json")
    with pytest.raises(UserError, match="store layout 99"):
        verify(tmp_path, KEY)


@given(
    sets=st.lists(st.sets(st.integers(1, 300), min_size=1), min_size=1, max_size=4),
    rows=st.integers(1, 100),
    bins=st.sampled_from([1 << 20, 16]),
)
def test_stretches_cover_every_row_and_hold_no_more_than_asked(tmp_path_factory, sets, rows, bins):
    store = Store(tmp_path_factory.mktemp("store"))
    parts = [
        write_part(store.root, KEY, KINDS["sites"], "SQ.a", site_rows(positions))
        for positions in sets
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("varlm.store.stretches._BINS", bins)
        ranges = list(stretches(store, KEY, parts, rows))
    positions = [position for each in sets for position in each]
    assert ranges[0][0] == min(positions)
    assert ranges[-1][1] == max(positions)
    assert all(end + 1 == start for (_, end), (start, _) in pairwise(ranges))
    width = (max(positions) - min(positions)) // bins + 1
    for start, end in ranges:
        assert start <= end
        count = sum(start <= position <= end for position in positions)
        assert count <= rows or end - start < width

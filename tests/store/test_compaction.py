"""Compaction: fewer parts, the same rows, at every instant and for every reader."""

import os
import subprocess
import sys
from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from making.store import (
    KEY,
    MODEL,
    add_part,
    add_unseen,
    all_rows,
    allele_rows,
    background_rows,
    files,
    list_parts,
    make_store,
    same_rows,
    site_rows,
)
from varlm.errors import UserError
from varlm.store import KINDS, Store, layout
from varlm.store.compaction import compact
from varlm.store.identity import names
from varlm.store.part_file import write_part
from varlm.store.repair import repair
from varlm.store.verification import verify

PART_ROWS = 40


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    monkeypatch.setattr(layout, "PART_ROWS", PART_ROWS)


@settings(max_examples=30)
@given(commits=st.lists(st.sets(st.integers(1, 500), min_size=1, max_size=60), max_size=8))
def test_the_rows_are_the_same_in_fewer_parts(tmp_path_factory, commits):
    folder = tmp_path_factory.mktemp("store")
    store = make_store(folder, commits)
    store.commit(KEY, MODEL, [("SQ.b", site_rows([7]))])
    before = all_rows(folder)
    compact(store, KEY)
    assert same_rows(all_rows(folder), before)
    for kind in KINDS:
        parts = [part for part in store.parts(KEY) if (part.contig, part.kind) == ("SQ.a", kind)]
        assert sum(2 * part.rows < PART_ROWS for part in parts) <= 1
    assert verify(folder, KEY) == []
    assert len(store.manifest.commit_files(KEY)) == 1


@settings(max_examples=15)
@given(commits=st.lists(st.sets(st.integers(1, 500), min_size=1, max_size=60), max_size=8))
def test_the_second_time_nothing_happens(tmp_path_factory, commits):
    folder = tmp_path_factory.mktemp("store")
    store = make_store(folder, commits)
    compact(store, KEY)
    before = files(folder)
    done = compact(Store(folder), KEY)
    assert files(folder) == before
    assert done.parts[0] == done.parts[1]


def test_merged_parts_are_full(tmp_path):
    store = make_store(tmp_path, [range(n, 1000, 100) for n in range(1, 19)])  # 10 rows each
    done = compact(store, KEY)
    rows = [part.rows for part in store.parts(KEY) if part.kind == "sites"]
    assert rows == [PART_ROWS] * 4 + [20]
    assert done.parts == (36, 5 + 18)  # the alleles' parts of 20 rows are half full already
    assert done.commits == (18, 1)


def test_large_parts_and_single_ones_keep_their_files(tmp_path):
    store = make_store(tmp_path, [range(1, 30), range(100, 130), range(200, 210)])
    kept = {part.path(tmp_path / KEY) for part in store.parts(KEY)}
    compact(store, KEY)
    assert {part.path(tmp_path / KEY) for part in store.parts(KEY)} == kept
    assert all(path.exists() for path in kept)


def test_rows_that_two_parts_hold_are_kept_once(tmp_path):
    store = make_store(tmp_path, [range(1, 11)])
    add_unseen(store, range(5, 16), shift=1e-5)
    before = all_rows(tmp_path)
    compact(store, KEY)
    assert [part.rows for part in store.parts(KEY) if part.kind == "sites"] == [15]
    assert same_rows(all_rows(tmp_path), before)


def test_a_background_that_is_there_twice_is_one(tmp_path):
    store = Store(tmp_path)
    for again in (1, 2):
        rows = background_rows([5, 3])
        if again == 2:  # other bytes, the same rows
            rows = rows.with_columns(pl.col("llr") + 1e-6)
        add_part(store, KINDS["background"], "BG.x", rows.sort("pos", "alt"))
    compact(store, KEY)
    assert [part.rows for part in store.parts(KEY)] == [6]
    assert store.read_background(KEY, "BG.x")["pos"].to_list() == [3, 3, 3, 5, 5, 5]
    assert verify(tmp_path, KEY) == []


def test_different_scores_of_one_row_change_nothing(tmp_path):
    store = make_store(tmp_path, [range(1, 11)])
    store.commit(KEY, MODEL, alleles=[("SQ.0", allele_rows([1]))])  # merged before the conflict
    store.commit(KEY, MODEL, alleles=[("SQ.0", allele_rows([2]))])
    add_unseen(store, range(5, 16), shift=0.5)
    before = files(tmp_path)
    with pytest.raises(UserError, match=r"hold different scores of 5 .*delete one file"):
        compact(store, KEY)
    assert files(tmp_path) == before


@pytest.mark.parametrize("damage", ["flip", "cut", "delete", "claim"])
def test_a_part_with_a_fault_changes_nothing(tmp_path, damage):
    store = make_store(tmp_path, [range(1, 11), range(11, 16)])
    part = next(part for part in store.parts(KEY) if part.kind == "sites")
    path = part.path(tmp_path / KEY)
    content = path.read_bytes()
    path.chmod(0o644)
    if damage == "flip":
        path.write_bytes(content[:50] + bytes([content[50] ^ 1]) + content[51:])
    elif damage == "cut":
        path.write_bytes(content[:-1])
    elif damage == "delete":
        path.unlink()
    else:  # a commit that claims fewer positions than the part has: they would be lost
        part = write_part(tmp_path, KEY, KINDS["sites"], "SQ.a", site_rows(range(60, 70)))
        list_parts(store, [replace(part, last=65)])
    before = files(tmp_path)
    with pytest.raises(UserError, match=r"varlm store verify"):
        compact(Store(tmp_path), KEY)
    assert files(tmp_path) == before


def test_names_of_the_merged_commits_stay(tmp_path):
    store = Store(tmp_path)
    for n, name in enumerate(("one", "two", "one", "three")):
        store.commit(KEY, {**MODEL, "name": name}, [("SQ.a", site_rows([n + 1]))])
        compact(store, KEY)
    (commit,) = store.commits(KEY)
    assert commit.model["name"] == "three"
    assert names([commit.model]) == ["one", "three", "two"]


def test_a_commit_that_says_nothing_of_the_model_hides_nothing(tmp_path):
    store = make_store(tmp_path, [range(1, 9)])
    with store.committing(KEY, {}) as commit:  # as a repair of lost commits does
        commit.add("SQ.a", KINDS["sites"], site_rows([20]))
    compact(store, KEY)
    (commit,) = store.commits(KEY)
    assert commit.model == MODEL


def test_what_an_earlier_compaction_left_goes_unless_it_is_listed_again(tmp_path):
    store = make_store(tmp_path, [range(1, 6), range(11, 16)])
    old = {path: content for path, content in files(tmp_path).items() if "SQ.a" in path}
    compact(store, KEY)
    for path, content in old.items():
        (tmp_path / path).write_bytes(content)
    # One of the old files comes again, listed: its rows were computed anew after a loss.
    again = add_unseen(store, range(1, 6))
    before = all_rows(tmp_path)
    layout.PART_ROWS = 4  # nothing is merged, and the leftovers go all the same
    compact(store, KEY)
    assert again.path(tmp_path / KEY).exists()
    on_disk = {path.stem for path in (tmp_path / KEY).glob("SQ.a/*")}
    assert on_disk == {part.sha256 for part in store.parts(KEY)}
    assert same_rows(all_rows(tmp_path), before)


# Runs one compaction after the other, each in a process of its own on a copy of the store, and
# kills the n-th at its n-th write, rename, removal or change of mode.
KILLER = """
import os, shutil, signal, sys
from pathlib import Path
from varlm.store import Store, layout
from varlm.store.compaction import compact

original, copies = Path(sys.argv[1]), Path(sys.argv[2])
layout.PART_ROWS = int(sys.argv[3])
EVENTS = {"os.rename", "os.remove", "os.chmod", "os.mkdir"}

def die_at(number):
    passed = 0
    def hook(event, args):
        nonlocal passed
        if event in EVENTS or (event == "open" and isinstance(args[1], str) and "w" in args[1]):
            if passed == number:
                os.kill(os.getpid(), signal.SIGKILL)
            passed += 1
    sys.addaudithook(hook)

status, number = 1, 0
while status:
    copy = copies / f"{number:03}"
    shutil.copytree(original, copy)
    child = os.fork()
    if child == 0:
        die_at(number)
        compact(Store(copy), "key")
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, -signal.SIGKILL), status
    number += 1
"""


def run_python(root, code, *arguments, **kwargs):
    environment = {**os.environ, "PYTHONPATH": str(root / "workflow_scripts")}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, env=environment, text=True, **kwargs)


@pytest.mark.slow
def test_a_kill_at_any_stage_loses_nothing(root, tmp_path):
    original = tmp_path / "original"
    store = make_store(original, [range(n, 100, 10) for n in range(1, 6)] + [range(200, 230)])
    store.commit(KEY, MODEL, [("SQ.b", site_rows([1]))])
    expected = all_rows(original)
    (tmp_path / "copies").mkdir()
    killer = run_python(root, KILLER, original, tmp_path / "copies", PART_ROWS)
    assert killer.wait() == 0
    copies = sorted((tmp_path / "copies").iterdir())
    assert len(copies) > 30
    for number, copy in enumerate(copies):
        assert same_rows(all_rows(copy), expected), copy
        if number % 2:  # plan may come first, or another compaction
            repair(Store(copy), KEY, MODEL)
            assert same_rows(all_rows(copy), expected), copy
        compact(Store(copy), KEY)
        assert same_rows(all_rows(copy), expected), copy
        assert verify(copy, KEY) == [], copy
        on_disk = {path.stem for path in (copy / KEY).glob("SQ.*/*.parquet")}
        assert on_disk == {part.sha256 for part in Store(copy).parts(KEY)}, copy


# Reads for as long as it may, with listings of different ages.
READER = """
import sys
from pathlib import Path
import numpy as np
from varlm.store import Store

folder, stop = Path(sys.argv[1]), Path(sys.argv[2])
asked = np.arange(1, 101, dtype=np.uint32)
expected = Store(folder).read_sites("key", "SQ.a", 1, 100)
assert expected.height == 100
rounds = 0
print("ready", flush=True)
while not stop.exists() or rounds < 3:
    store = Store(folder)
    for _ in range(1 + rounds % 4):
        assert store.has_sites("key", "SQ.a", asked).all()
        assert store.read_sites("key", "SQ.a", 1, 100).equals(expected)
        assert store.sites_at("key", "SQ.a", asked).equals(expected)
        assert store.read_alleles("key", "SQ.a", 1, 100).height == 200
    rounds += 1
"""


def test_readers_see_every_row_while_parts_are_merged(root, tmp_path):
    folder, stop = tmp_path / "store", tmp_path / "stop"
    store = make_store(folder, [range(n, 101, 10) for n in range(1, 11)])
    readers = [run_python(root, READER, folder, stop, stdout=subprocess.PIPE) for _ in range(2)]
    try:
        for reader in readers:
            assert reader.stdout.readline() == "ready\n"
        for turn in range(1, 26):  # each time the last turn's parts are merged again
            layout.PART_ROWS = 40 + 20 * turn
            add_unseen(store, range(1, 101, turn + 1))
            compact(store, KEY)
    finally:
        stop.touch()
        statuses = [reader.wait() for reader in readers]
        for reader in readers:
            reader.stdout.close()
    assert statuses == [0, 0]

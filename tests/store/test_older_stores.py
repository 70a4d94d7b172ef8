"""A store that the code of commit c9c1f55 wrote goes on: read, added to, verified, compacted.

`tests/data/store_c9c1f55/regenerate.py` says what is in it.
"""

import json
import shutil
import tarfile

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from making.store import (
    KEY,
    MODEL,
    all_rows,
    allele_rows,
    background_rows,
    files,
    same_rows,
    site_rows,
)
from varlm.store import Store
from varlm.store.archive import MANIFEST, export
from varlm.store.compaction import compact
from varlm.store.importing import import_archive
from varlm.store.repair import repair
from varlm.store.verification import verify

POSITIONS = sorted({*range(1, 40, 2), *range(1, 60, 3)})  # of two commits that were compacted
UNSEEN = range(50, 65)  # of a run without locks: 52, 55 and 58 are in two parts


@pytest.fixture
def data(root):
    return root / "tests/data/store_c9c1f55"


@pytest.fixture
def old(data, tmp_path):
    """A copy of the store, of which parts are read-only as they are in any."""
    shutil.copytree(data / "store", tmp_path / "store")
    for path in (tmp_path / "store").rglob("*.*"):
        path.chmod(0o444)
    return tmp_path / "store"


def close(rows, expected):
    # Sines may differ in the last digit between processors; a row in two parts, by 5e-4.
    assert_frame_equal(rows, expected, rel_tol=0, abs_tol=1e-3)


def content(archive):
    """Return what an archive says of its models, and name → bytes of its parts."""
    with tarfile.open(archive) as tar:
        members = {member.name: tar.extractfile(member).read() for member in tar}
    return json.loads(members.pop(MANIFEST))["keys"], members


def test_every_row_is_read(old):
    store = Store(old)
    close(store.read_sites(KEY, "SQ.a"), site_rows({*POSITIONS, *UNSEEN}))
    close(store.read_sites(KEY, "SQ.b"), site_rows([3, 9]))
    close(store.read_alleles(KEY, "SQ.a"), allele_rows(POSITIONS))
    close(store.read_background(KEY, "BG.a"), background_rows([1, 2]))
    assert {(kind, contig) for _, kind, contig in all_rows(old)} == {
        ("sites", "SQ.a"),
        ("alleles", "SQ.a"),
        ("sites", "SQ.b"),
        ("background", "BG.a"),
    }
    assert {commit.layout for commit in store.commits(KEY)} == {2}
    assert any(commit.replaces for commit in store.commits(KEY))


def test_nothing_is_to_be_scored_again(old):
    store, before = Store(old), files(old)
    positions = np.array(sorted({*POSITIONS, *UNSEEN}), dtype=np.uint32)
    assert store.has_sites(KEY, "SQ.a", positions).all()
    assert store.has_alleles(KEY, "SQ.a", allele_rows(POSITIONS)).all()
    done = store.commit(
        KEY,
        MODEL,
        [("SQ.a", site_rows(positions)), ("SQ.b", site_rows([3, 9]))],
        [("SQ.a", allele_rows(POSITIONS))],
        [("BG.a", background_rows([1, 2]))],
    )
    assert done.parts == []
    assert done.known == len(positions) + 2 + 2 * len(POSITIONS) + 6
    assert files(old) == before


def test_verification_and_repair_find_nothing(old):
    before = files(old)
    assert verify(old, KEY) == []
    done = repair(Store(old), KEY, MODEL)
    assert (done.damaged, done.recovered) == ({}, [])
    assert files(old) == before


def test_it_is_added_to_compacted_and_verified(old):
    rows = all_rows(old)
    done = Store(old).commit(KEY, MODEL, [("SQ.a", site_rows([3, 100, 101]))])
    assert (done.known, [part.rows for part in done.parts]) == (1, [2])
    extended = all_rows(old)
    sites = extended[KEY, "sites", "SQ.a"]
    assert sites.filter(pl.col("pos") < 100).equals(rows.pop((KEY, "sites", "SQ.a")))
    close(sites.filter(pl.col("pos") >= 100), site_rows([100, 101]))
    assert all(extended[name].equals(rows[name]) for name in rows)
    compacted = compact(Store(old), KEY)
    assert compacted.parts == (6, 4)
    assert compacted.commits == (5, 1)
    assert same_rows(all_rows(old), extended)
    assert verify(old, KEY) == []


def test_lost_commit_files_cost_nothing(old):
    rows = all_rows(old)
    shutil.rmtree(old / KEY / "commits")
    assert len(repair(Store(old), KEY, MODEL).recovered) == 5
    assert same_rows(all_rows(old), rows)
    assert verify(old, KEY) == []


def test_its_archive_is_imported_and_exported_the_same(old, data, tmp_path):
    imported = import_archive(Store(tmp_path / "target"), data / "archive.tar")
    rows = all_rows(old)
    assert imported[0].rows == sum(frame.height for frame in rows.values())
    assert imported[0].known == 3
    assert same_rows(all_rows(tmp_path / "target"), rows)
    assert import_archive(Store(old), data / "archive.tar")[0].rows == 0
    export(Store(old), tmp_path / "again.tar", [KEY])
    models, parts = content(data / "archive.tar")
    assert content(tmp_path / "again.tar") == (models, parts)
    assert len(parts) == 5

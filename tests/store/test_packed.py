"""Packed parts: rows of many small contigs in one file, whatever is done to the store."""

from dataclasses import replace
from unittest.mock import patch

import numpy as np
import polars as pl
import pytest

from making.packed import ROWS, assert_holds, commit, of_many
from making.store import KEY, MODEL, add_part, files, list_parts, site_rows
from varlm.errors import UserError
from varlm.store import KINDS, Store
from varlm.store.archive import export
from varlm.store.compaction import compact
from varlm.store.importing import import_archive
from varlm.store.layout import FEW, PACKED, SMALL
from varlm.store.listing import describe
from varlm.store.repair import repair
from varlm.store.verification import verify

SITES, ALLELES = KINDS["sites"], KINDS["alleles"]
MANY = {f"SQ.{number}": {number % 7 + 1, number + 10} for number in range(2 * FEW)}


def packed_parts(folder, kind="sites"):
    return [part for part in Store(folder).parts(KEY) if part.packed and part.kind == kind]


def test_many_small_contigs_take_few_files_and_bytes(tmp_path):
    positions = {f"SQ.{n * 7919:032}": {n % 600 + 1} for n in range(3000)}
    commit(tmp_path, positions, kinds=["sites"])
    on_disk = files(tmp_path)
    assert len(on_disk) == 2, "a part and a commit"
    assert sum(map(len, on_disk.values())) < 3 * 32 * len(positions)
    assert_holds(tmp_path, {("sites", contig): wanted for contig, wanted in positions.items()})


def test_few_small_contigs_and_large_ones_have_parts_of_their_own(tmp_path):
    few = {f"SQ.{n}": {1, 2} for n in range(FEW)}
    commit(tmp_path / "few", few)
    store = Store(tmp_path / "few")
    assert {part.contig for part in store.parts(KEY)} == few.keys()
    assert [commit.layout for commit in store.commits(KEY)] == [2], "an older varlm reads it"
    large = {**MANY, "SQ.large": set(range(1, SMALL + 1))}
    commit(tmp_path / "large", large, kinds=["sites"])
    parts = Store(tmp_path / "large").parts(KEY)
    assert [(part.contig, part.rows) for part in parts] == [
        ("SQ.large", SMALL),
        (PACKED, sum(map(len, MANY.values()))),
    ]


def test_an_older_varlm_refuses_the_commit_by_its_layout(tmp_path):
    commit(tmp_path, MANY)
    (listed,) = Store(tmp_path).commits(KEY)
    assert listed.layout == 3
    with (
        patch("varlm.store.layout.READABLE", (1, 2)),
        pytest.raises(
            UserError, match=r"written with store layout 3, this varlm reads layouts 1 to 2"
        ),
    ):
        Store(tmp_path).parts(KEY)


def test_contigs_of_one_sequence_give_their_rows_once(tmp_path):
    rows, counts = of_many("sites", {**MANY})
    twice = pl.concat([rows, rows])
    with Store(tmp_path).committing(KEY, MODEL) as builder:
        builder.add_many(SITES, twice, np.concatenate([counts, counts]))
    assert builder.done.known == rows.height
    assert [part.rows for part in builder.done.parts] == [rows.height]


def test_known_rows_are_compared(tmp_path):
    commit(tmp_path, MANY)
    done = commit(tmp_path, MANY)
    assert (done.parts, done.known) == ([], 3 * 2 * len(MANY))
    before = files(tmp_path)
    with pytest.raises(
        UserError, match=r"the score of 1 .* on contig SQ\.0 was computed and is in"
    ):
        commit(tmp_path, MANY, shift=1.0)
    assert files(tmp_path) == before


def test_a_damaged_packed_part_loses_its_rows_and_no_others(tmp_path):
    commit(tmp_path, MANY, kinds=["sites"])
    (first,) = packed_parts(tmp_path)
    commit(tmp_path, {contig: {199} for contig in MANY}, kinds=["sites"])
    path = first.path(tmp_path / KEY)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UserError, match=r"damaged.*--forcerun plan"):
        Store(tmp_path).read_sites(KEY, "SQ.3")
    # As plan does, for the contigs of one genome.
    assert list(repair(Store(tmp_path), KEY, MODEL, ["SQ.3"]).damaged) == [str(path)]
    assert_holds(tmp_path, {("sites", contig): {199} for contig in MANY})


def test_lost_commits_cost_no_packed_rows(tmp_path):
    commit(tmp_path, MANY)
    for path in (tmp_path / KEY / "commits").iterdir():
        path.unlink()
    assert {part.contig for part in repair(Store(tmp_path), KEY, MODEL, ["SQ.3"]).recovered} == {
        PACKED
    }
    assert verify(tmp_path, KEY) == []
    assert_holds(tmp_path, {(kind, c): wanted for c, wanted in MANY.items() for kind in ROWS})


@pytest.mark.parametrize("packed", [True, False])
def test_verify_finds_contradictions_with_a_packed_part(tmp_path, packed):
    commit(tmp_path, MANY, kinds=["sites"])
    other = of_many("sites", {"SQ.3": {4, 13}, "SQ.x": {1}}, 1.0)[0] if packed else None
    if packed:
        part = add_part(Store(tmp_path), SITES, PACKED, other)
    else:
        part = add_part(Store(tmp_path), SITES, "SQ.3", site_rows([4, 13], 1.0))
    (fault,) = verify(tmp_path, KEY)
    assert "hold different scores of" in fault.found
    names = {path.stem for path in (tmp_path / KEY).glob("*/*.parquet")}
    assert part.sha256 in names
    assert part.sha256 in str(fault)
    assert packed_parts(tmp_path)[0].sha256 in str(fault) or packed


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda rows: rows[::-1], "not sorted or twice"),
        (lambda rows: rows[[0, 2, 1, 3]], "rows of contig SQ.a in several places"),
        (lambda rows: rows.drop("contig"), "other columns than sites have"),
        (lambda rows: rows.with_columns(contig=None).cast({"contig": pl.String}), "without a pos"),
    ],
)
def test_verify_finds_a_packed_part_of_other_rows(tmp_path, change, says):
    rows, _ = of_many("sites", {"SQ.a": {3, 9}, "SQ.b": {3, 9}})
    add_part(Store(tmp_path), SITES, PACKED, change(rows))
    assert [says in fault.found for fault in verify(tmp_path, KEY)] == [True]


def test_verify_finds_a_packed_part_that_its_commit_describes_wrongly(tmp_path):
    commit(tmp_path, MANY, kinds=["sites"])
    (part,) = packed_parts(tmp_path)
    list_parts(Store(tmp_path), [replace(part, last=part.last + 1)])
    assert any("its commit says" in fault.found for fault in verify(tmp_path, KEY))


def test_ls_counts_the_contigs_of_packed_parts(tmp_path):
    commit(tmp_path, MANY)
    model = describe(Store(tmp_path), KEY)
    assert len(model.contigs) == len(MANY)
    assert {(contig.sites, contig.alleles) for contig in model.contigs} == {(2, 4)}
    assert model.total.parts == 2
    part = packed_parts(tmp_path)[0].path(tmp_path / KEY)
    part.chmod(0o644)
    part.write_bytes(b"no part")
    assert describe(Store(tmp_path), KEY).total.sites == 2 * len(MANY)


@pytest.mark.parametrize("contigs", [None, ["SQ.3", "SQ.9"]])
def test_export_and_import_of_packed_parts(tmp_path, contigs):
    commit(tmp_path / "store", MANY)
    export(Store(tmp_path / "store"), tmp_path / "a.tar", [KEY], contigs)
    commit(tmp_path / "other", {"SQ.9": MANY["SQ.9"]})
    (imported,) = import_archive(Store(tmp_path / "other"), tmp_path / "a.tar")
    chosen = MANY.keys() if contigs is None else {"SQ.3", "SQ.9"}
    assert (imported.rows, imported.known) == (6 * len(chosen) - 6, 6)
    assert_holds(
        tmp_path / "other",
        {(k, c): (wanted if c in chosen else set()) for c, wanted in MANY.items() for k in ROWS},
    )
    assert verify(tmp_path / "other", KEY) == []


def test_compaction_packs_what_an_older_varlm_stored(tmp_path):
    store = Store(tmp_path)
    with store.committing(KEY, MODEL) as builder:
        for contig, wanted in MANY.items():
            builder.write(contig, SITES, site_rows(wanted))
    assert (len(store.parts(KEY)), store.commits(KEY)[0].layout) == (len(MANY), 2)
    compact(Store(tmp_path), KEY)
    (part,) = Store(tmp_path).parts(KEY)
    assert (part.contig, part.rows) == (PACKED, 2 * len(MANY))
    assert {path.name for path in (tmp_path / KEY).iterdir()} == {"commits", "lock", PACKED}
    assert_holds(tmp_path, {("sites", contig): wanted for contig, wanted in MANY.items()})
    before = files(tmp_path)
    compact(Store(tmp_path), KEY)
    assert files(tmp_path) == before


def test_compaction_unpacks_a_contig_that_has_grown(tmp_path):
    commit(tmp_path, MANY, kinds=["sites"])
    grown = set(range(1, SMALL + 5)) | MANY["SQ.3"]
    commit(tmp_path, {"SQ.3": grown}, kinds=["sites"])
    compact(Store(tmp_path), KEY)
    assert [(part.contig, part.rows) for part in Store(tmp_path).parts(KEY)] == [
        ("SQ.3", len(grown)),
        (PACKED, 2 * len(MANY) - 2),
    ]
    expected = {("sites", contig): wanted for contig, wanted in MANY.items()}
    assert_holds(tmp_path, {**expected, ("sites", "SQ.3"): grown})


def test_rows_that_two_runs_packed_at_once_are_read_once(tmp_path):
    """As it may come where a file system has no locks."""
    commit(tmp_path, MANY, kinds=["sites"])
    others = {f"SQ.x{n}": {n + 1} for n in range(FEW)}
    rows, _ = of_many("sites", {**dict(list(MANY.items())[::2]), **others})
    add_part(Store(tmp_path), SITES, PACKED, rows)
    expected = {("sites", contig): wanted for contig, wanted in {**MANY, **others}.items()}
    assert_holds(tmp_path, expected)
    assert verify(tmp_path, KEY) == []
    compact(Store(tmp_path), KEY)
    assert [part.rows for part in Store(tmp_path).parts(KEY)] == [2 * len(MANY) + FEW]
    assert_holds(tmp_path, expected)


@pytest.mark.parametrize("read_before", [True, False])
def test_a_reader_goes_on_while_packed_parts_are_merged(tmp_path, read_before):
    commit(tmp_path, MANY, kinds=["sites"])
    commit(tmp_path, {contig: {199} for contig in MANY}, kinds=["sites"])
    store, asked = Store(tmp_path), np.array([199], dtype=np.uint32)
    assert len(store.parts(KEY)) == 2
    if read_before:
        store.read_sites(KEY, "SQ.1")
    compact(Store(tmp_path), KEY)
    assert store.read_sites(KEY, "SQ.2").equals(site_rows(MANY["SQ.2"] | {199}))
    assert store.has_sites(KEY, "SQ.3", asked).all()
    keys, _ = of_many("sites", MANY)
    assert store.has(KEY, SITES, keys.select("contig", "pos")).all()

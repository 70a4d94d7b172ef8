"""Archives: what was exported comes back, once, and nothing else ever comes in."""

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import asdict

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
from varlm.store import KINDS, Part, Store, layout
from varlm.store.archive import MANIFEST, checksum, export
from varlm.store.compaction import compact
from varlm.store.importing import import_archive
from varlm.store.part_file import write_part
from varlm.store.verification import verify
from varlm.tables.parquet import ROW_GROUP


def rich_store(folder):
    """Two models, three contigs, all kinds of rows."""
    store = make_store(folder, [range(1, 9), range(5, 20)])
    store.commit(KEY, MODEL, [("SQ.b", site_rows([3, 9]))])
    store.commit(KEY, MODEL, background=[("BG.x", background_rows([1, 2]))])
    store.commit("other", {**MODEL, "key": "other"}, alleles=[("SQ.c", allele_rows([4]))])
    return store


def exported(store, path, keys=None, contigs=None):
    export(store, path, keys or store.keys(), contigs)
    return path


@settings(max_examples=25)
@given(
    source=st.lists(st.sets(st.integers(1, 60), min_size=1), min_size=1, max_size=4),
    target=st.lists(st.sets(st.integers(1, 60), min_size=1), max_size=3),
)
def test_the_target_then_has_the_rows_of_both(tmp_path_factory, source, target):
    folder = tmp_path_factory.mktemp("stores")
    archive = exported(make_store(folder / "source", source), folder / "a.tar")
    make_store(folder / "target", target)
    before = set().union(*target)
    (done,) = import_archive(Store(folder / "target"), archive)
    positions = sorted(before.union(*source))
    rows = all_rows(folder / "target")
    assert rows[KEY, "sites", "SQ.a"].equals(site_rows(positions))
    assert rows[KEY, "alleles", "SQ.a"].equals(allele_rows(positions))
    assert done.rows == 3 * (len(positions) - len(before))
    # No row is stored twice.
    assert sum(part.rows for part in Store(folder / "target").parts(KEY)) == 3 * len(positions)
    assert verify(folder / "target", KEY) == []
    state = files(folder / "target")
    (again,) = import_archive(Store(folder / "target"), archive)
    assert (again.rows, again.parts) == (0, 0)
    assert files(folder / "target") == state


def test_into_an_empty_store_the_parts_come_as_they_are(tmp_path):
    store = rich_store(tmp_path / "source")
    archive = exported(store, tmp_path / "a.tar")
    import_archive(Store(tmp_path / "target"), archive)
    assert same_rows(all_rows(tmp_path / "target"), all_rows(tmp_path / "source"))
    for key in (KEY, "other"):
        assert set(Store(tmp_path / "target").parts(key)) == set(store.parts(key))
        assert len(Store(tmp_path / "target").manifest.commit_files(key)) == 1
    again = exported(Store(tmp_path / "target"), tmp_path / "again.tar")
    assert again.read_bytes() == archive.read_bytes()


def test_the_archive_says_nothing_of_when_and_where(tmp_path):
    archives = []
    for place, order in (("/home/one", 1), ("/mnt/two", -1)):
        store = Store(tmp_path / place.strip("/"))
        commits = [("SQ.a", site_rows([1, 2])), ("SQ.b", site_rows([5]))]
        for n, rows in enumerate(commits[::order]):
            model = {**MODEL, "folder": f"{place}/cache", "name": f"m{(n + order) % 2}"}
            model["path"] = f"{place}/model" if n else "owner/model"
            store.commit(KEY, model, [rows])
        archives.append(exported(store, tmp_path / f"{place[-3:]}.tar").read_bytes())
    assert archives[0] == archives[1]
    for text in (b"/home", b"/mnt", b"cache"):
        assert text not in archives[0]
    with tarfile.open(tmp_path / "one.tar") as tar:
        members = tar.getmembers()
    assert members[0].name == MANIFEST
    assert [m.name for m in members[1:]] == sorted(m.name for m in members[1:])
    assert {(m.mtime, m.uid, m.gid, m.uname, m.gname) for m in members} == {(0, 0, 0, "", "")}


@pytest.mark.parametrize(
    ("path", "stays"),
    [
        ("owner/model", True),
        ("models/demo", True),
        ("/abs", False),
        ("~/m", False),
        ("../m", False),
    ],
)
def test_only_a_path_that_means_the_same_elsewhere_is_exported(tmp_path, path, stays):
    store = Store(tmp_path / "s")
    store.commit(KEY, {**MODEL, "path": path}, [("SQ.a", site_rows([1]))])
    with tarfile.open(exported(store, tmp_path / "a.tar")) as tar:
        model = json.load(tar.extractfile(MANIFEST))["keys"][KEY]["model"]
    assert ("path" in model) is stays
    assert "folder" not in model
    assert model["revision"] == MODEL["revision"]


def test_some_keys_and_contigs(tmp_path):
    store = rich_store(tmp_path / "s")
    export(store, tmp_path / "a.tar", [KEY], ["SQ.b", "BG.x"])
    import_archive(Store(tmp_path / "t"), tmp_path / "a.tar")
    assert {name[0::2] for name in all_rows(tmp_path / "t")} == {(KEY, "SQ.b"), (KEY, "BG.x")}
    with pytest.raises(UserError, match="no scores to export"):
        export(store, tmp_path / "b.tar", [KEY], ["SQ.none"])


@pytest.mark.parametrize("damage", ["flip", "cut", "longer", "delete"])
def test_a_damaged_part_is_not_exported(tmp_path, damage):
    store = rich_store(tmp_path / "s")
    path = store.parts(KEY)[0].path(tmp_path / "s" / KEY)
    content = path.read_bytes()
    path.unlink()
    if damage != "delete":
        changed = {"flip": b"?" + content[1:], "cut": content[:-9], "longer": content + b"\0"}
        path.write_bytes(changed[damage])
    with pytest.raises(UserError, match=rf"{path.name}: .*(damaged|lost).*nothing was exported"):
        export(Store(tmp_path / "s"), tmp_path / "out" / "a.tar", store.keys())
    assert list((tmp_path / "out").iterdir()) == []


def test_a_compaction_while_parts_are_exported(tmp_path):
    make_store(tmp_path / "s", [range(1, 9), range(5, 20)])

    class CompactedAfterwards(Store):
        """Gives a listing that is out of date as soon as it is given."""

        turns = 0

        def parts(self, key):
            found = super().parts(key)
            self.turns += 1
            if self.turns == 1:
                compact(Store(self.root), key)
            return found

    store = CompactedAfterwards(tmp_path / "s")
    export(store, tmp_path / "a.tar", [KEY])
    assert store.turns > 1
    import_archive(Store(tmp_path / "t"), tmp_path / "a.tar")
    assert same_rows(all_rows(tmp_path / "t"), all_rows(tmp_path / "s"))


# What the target has


def test_a_row_with_another_score_leaves_the_model_as_it_was(tmp_path):
    archive = exported(rich_store(tmp_path / "source"), tmp_path / "a.tar")
    target = Store(tmp_path / "target")
    target.commit(KEY, MODEL, [("SQ.b", site_rows([9], shift=0.5))])
    before = files(tmp_path / "target")
    with pytest.raises(UserError, match=r"a\.tar: not imported, model key: .*9 .*another value"):
        import_archive(Store(tmp_path / "target"), archive)
    assert files(tmp_path / "target") == before


def test_scores_within_the_tolerance_stay_as_they_are_stored(tmp_path):
    archive = exported(make_store(tmp_path / "source", [range(1, 9)]), tmp_path / "a.tar")
    target = Store(tmp_path / "target")
    target.commit(KEY, MODEL, [("SQ.a", site_rows([3], shift=1e-4))])
    import_archive(target, archive)
    rows = Store(tmp_path / "target").read_sites(KEY, "SQ.a")
    assert rows.filter(pos=3).equals(site_rows([3], shift=1e-4))
    assert rows["pos"].to_list() == list(range(1, 9))


def test_rows_that_the_archive_has_twice_come_once(tmp_path):
    store = make_store(tmp_path / "source", [range(1, 9)])
    add_unseen(store, range(5, 12), shift=1e-5)
    import_archive(Store(tmp_path / "target"), exported(store, tmp_path / "a.tar"))
    parts = Store(tmp_path / "target").parts(KEY)
    assert sum(part.rows for part in parts if part.kind == "sites") == 11
    assert verify(tmp_path / "target", KEY) == []


def test_an_archive_that_contradicts_itself_is_refused(tmp_path):
    store = make_store(tmp_path / "source", [range(1, 9)])
    add_unseen(store, range(5, 12), shift=0.5)
    archive = exported(store, tmp_path / "a.tar")
    with pytest.raises(UserError, match="not imported"):
        import_archive(Store(tmp_path / "target"), archive)
    assert files(tmp_path / "target") == {}


def test_a_background_in_two_parts_comes_whole(tmp_path):
    store = Store(tmp_path / "source")
    for positions in ([1, 2], [3]):
        add_part(store, KINDS["background"], "BG.x", background_rows(positions))
    archive = exported(store, tmp_path / "a.tar")
    import_archive(Store(tmp_path / "target"), archive)
    assert same_rows(all_rows(tmp_path / "target"), all_rows(tmp_path / "source"))
    assert import_archive(Store(tmp_path / "target"), archive)[0].rows == 0


def test_a_part_that_was_set_aside_comes_back(tmp_path):
    store = make_store(tmp_path / "s", [range(1, 9)])
    expected = all_rows(tmp_path / "s")
    archive = exported(store, tmp_path / "a.tar")
    part = store.parts(KEY)[0]
    (tmp_path / "s" / KEY / "damaged").mkdir()
    part.path(tmp_path / "s" / KEY).rename(
        tmp_path / "s" / KEY / "damaged" / part.path(tmp_path).name
    )
    assert not same_rows(all_rows(tmp_path / "s"), expected)
    import_archive(Store(tmp_path / "s"), archive)
    assert same_rows(all_rows(tmp_path / "s"), expected)


def test_a_part_without_metadata_is_written_with_it(tmp_path):
    store = Store(tmp_path / "source")
    rows = site_rows(range(1, 9))
    digest, size = layout.place(
        lambda file: rows.write_parquet(file, row_group_size=ROW_GROUP),
        tmp_path / "source" / KEY / "SQ.a",
        ".parquet",
    )
    with store.committing(KEY, MODEL) as commit:
        commit.add_listing([Part("sites", "SQ.a", digest, size, 8, 1, 8)])
    import_archive(Store(tmp_path / "target"), exported(store, tmp_path / "a.tar"))
    (part,) = Store(tmp_path / "target").parts(KEY)
    assert layout.describe_part(part.path(tmp_path / "target" / KEY), KEY) == part
    assert Store(tmp_path / "target").read_sites(KEY, "SQ.a").equals(rows)


IMPORT = """
import sys
from pathlib import Path
from varlm.store import Store
from varlm.store.importing import import_archive
print("ready", flush=True)
sys.stdin.readline()
print(sum(done.rows for done in import_archive(Store(Path(sys.argv[1])), Path(sys.argv[2]))))
"""


def test_two_imports_at_once_add_each_row_once(root, tmp_path):
    store = make_store(tmp_path / "source", [range(n, 400, 20) for n in range(1, 21)])
    archive = exported(store, tmp_path / "a.tar")
    environment = {**os.environ, "PYTHONPATH": str(root / "workflow_scripts")}
    command = [sys.executable, "-c", IMPORT, str(tmp_path / "target"), str(archive)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    runs = [subprocess.Popen(command, env=environment, **pipes) for _ in range(2)]
    for run in runs:
        assert run.stdout.readline() == "ready\n"
    for run in runs:
        run.stdin.write("\n")
        run.stdin.flush()
    added = [int(run.communicate()[0]) for run in runs]
    assert sorted(added) == [0, 3 * 399]
    assert same_rows(all_rows(tmp_path / "target"), all_rows(tmp_path / "source"))
    assert len(Store(tmp_path / "target").manifest.commit_files(KEY)) == 1


# What is no whole archive


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive")
    store = make_store(folder / "s", [range(1, 4)])
    store.commit(KEY, MODEL, [("SQ.b", site_rows([2]))])
    return exported(store, folder / "a.tar")


def refused(archive, target):
    """Import into a new store; the error's text, or None where the rows came. Nothing else may."""
    text = None
    try:
        import_archive(Store(target), archive)
    except UserError as error:
        text = str(error)
    if text is not None:
        assert len(text.splitlines()) == 1
        assert "nothing was imported" in text
        assert not target.exists()
    return text


@settings(max_examples=300)
@given(data=st.data())
def test_no_changed_byte_changes_a_row(tmp_path_factory, archive, data):
    folder = tmp_path_factory.mktemp("changed")
    content = bytearray(archive.read_bytes())
    headers = st.integers(0, 3000)  # those of the first members, and the manifest
    where = data.draw(headers | st.integers(0, len(content) - 1))
    content[where] ^= data.draw(st.integers(1, 255))
    (folder / "b.tar").write_bytes(content)
    if refused(folder / "b.tar", folder / "t") is None:
        assert same_rows(all_rows(folder / "t"), all_rows(archive.parent / "s"))
        shutil.rmtree(folder / "t")


@settings(max_examples=100)
@given(data=st.data())
def test_no_cut_archive_is_imported(tmp_path_factory, archive, data):
    folder = tmp_path_factory.mktemp("cut")
    content = archive.read_bytes()
    last_member = len(content.rstrip(b"\0"))  # blank blocks follow, of which one is enough
    (folder / "b.tar").write_bytes(content[: data.draw(st.integers(0, last_member))])
    assert refused(folder / "b.tar", folder / "t") is not None


def rewritten(archive, path, change):
    """The archive with its members, (TarInfo, bytes), changed."""
    with tarfile.open(archive) as tar:
        members = [(member, tar.extractfile(member).read()) for member in tar.getmembers()]
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for member, content in change(members):
            member.size = len(content) if member.type == tarfile.REGTYPE else 0
            tar.addfile(member, io.BytesIO(content))
    return path


def test_what_follows_the_end_is_refused(archive, tmp_path):
    (tmp_path / "b.tar").write_bytes(archive.read_bytes() + b"more")
    assert "something follows its last member" in refused(tmp_path / "b.tar", tmp_path / "t")


def retyped(member, content, kind, target=""):
    member.type, member.linkname = kind, target
    return member, content


def renamed(member, content, name):
    member.name = name
    return member, content


EXTRA = tarfile.TarInfo("extra.txt")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda m: [*m, (EXTRA, b"x")], "'extra.txt', which varlm-store.json does not list"),
        (lambda m: [m[0], (EXTRA, b"x"), *m[1:]], "'extra.txt' where"),
        (lambda m: [*m, m[-1]], "does not list"),
        (lambda m: m[:-1], "ends before"),
        (lambda m: m[1:], "where varlm-store.json is expected"),
        (lambda m: [m[0], m[2], m[1], *m[3:]], "where"),
        (lambda m: [m[0], renamed(*m[1], "../../escaped.parquet"), *m[2:]], "escaped"),
        (lambda m: [m[0], renamed(*m[1], "/escaped.parquet"), *m[2:]], "escaped"),
        (lambda m: [m[0], retyped(*m[1], tarfile.SYMTYPE, "/etc/passwd"), *m[2:]], "no plain file"),
        (lambda m: [m[0], retyped(*m[1], tarfile.LNKTYPE, MANIFEST), *m[2:]], "no plain file"),
        (lambda m: [m[0], retyped(*m[1], tarfile.DIRTYPE), *m[2:]], "no plain file"),
        (lambda m: [m[0], (m[1][0], m[1][1] + b"\0"), *m[2:]], "bytes, varlm-store.json says"),
        (lambda m: [m[0], (m[1][0], m[1][1][::-1]), *m[2:]], "is damaged: its SHA-256"),
        (lambda m: [(m[0][0], b"{}"), *m[1:]], "not what `varlm store export` writes"),
        (lambda m: [(m[0][0], b"[]"), *m[1:]], "not what `varlm store export` writes"),
        (lambda m: [(m[0][0], b"\xff"), *m[1:]], "not what `varlm store export` writes"),
        (lambda m: [(m[0][0], m[0][1].replace(b"demo", b"demi")), *m[1:]], "checksum"),
    ],
)
def test_members_are_exactly_the_manifests(archive, tmp_path, change, says):
    assert says in refused(rewritten(archive, tmp_path / "b.tar", change), tmp_path / "t")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.tar"]


def with_manifest(change):
    def of_members(members):
        manifest = json.loads(members[0][1])
        change(manifest)
        manifest["checksum"] = checksum(manifest)
        return [(members[0][0], json.dumps(manifest).encode()), *members[1:]]

    return of_members


def part_with(**changes):
    return with_manifest(lambda m: m["keys"][KEY]["parts"][0].update(changes))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (with_manifest(lambda m: m.update(archive=2)), "this varlm reads archive 1"),
        (with_manifest(lambda m: m.update(layout=99)), "this varlm reads archive 1"),
        (with_manifest(lambda m: m["keys"].update({"../up": m["keys"].pop(KEY)})), "model key"),
        (with_manifest(lambda m: m["keys"][KEY]["model"].update(key="else")), "model key"),
        (with_manifest(lambda m: m["keys"][KEY]["parts"].reverse()), "not sorted"),
        (with_manifest(lambda m: m["keys"][KEY].update(parts=[])), "model key"),
        (part_with(contig=".."), "part '..'"),
        (part_with(contig="commits"), "part 'commits'"),
        (part_with(contig="a/b"), "part 'a/b'"),
        (part_with(sha256="../../x"), "part "),
        (part_with(rows="3"), "rows of a part is '3'"),
        (part_with(rows=True), "rows of a part is True"),
        (part_with(rows=7), "3 rows, its commit says 7"),
        (part_with(first=2), "positions 1 to 3, its commit says 2 to 3"),
        (part_with(kind="alleles"), "its own metadata says"),
        (part_with(kind="elephants"), "'elephants'"),
        (part_with(more=1), "not what `varlm store export` writes"),
    ],
)
def test_the_manifest_is_believed_in_nothing(archive, tmp_path, change, says):
    assert says in refused(rewritten(archive, tmp_path / "b.tar", change), tmp_path / "t")


def test_a_part_whose_content_is_none(tmp_path):
    """A right checksum makes no part of a file that is none."""
    rows = site_rows([1, 2])
    store = Store(tmp_path / "s")
    for bad in (rows[::-1], rows.with_columns(fwd_a=pl.lit(float("nan"), pl.Float32))):
        part = write_part(store.root, KEY, KINDS["sites"], "SQ.a", bad)
        part = Part(**{**asdict(part), "first": 1, "last": 2})
        commit = list_parts(store, [part])
        archive = exported(store, tmp_path / "a.tar")
        assert "rows" in refused(archive, tmp_path / "t")
        commit.unlink()
        part.path(tmp_path / "s" / KEY).unlink()


@pytest.mark.parametrize("content", [b"", b"no tar", b"\x1f\x8b\x08" + b"a" * 999])
def test_other_files(tmp_path, content):
    (tmp_path / "b.tar").write_bytes(content)
    assert "no whole, uncompressed tar" in refused(tmp_path / "b.tar", tmp_path / "t")


def test_a_missing_archive(tmp_path):
    with pytest.raises(UserError, match=r"none\.tar: cannot be read \(No such file"):
        import_archive(Store(tmp_path / "t"), tmp_path / "none.tar")

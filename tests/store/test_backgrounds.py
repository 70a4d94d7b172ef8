"""Archives of backgrounds: they and their sites, nothing else, the same bytes for the same rows."""

import json
import shutil
import tarfile

import polars as pl
import pytest

from making.store import (
    KEY,
    MODEL,
    add_part,
    add_unseen,
    all_rows,
    background_rows,
    files,
    make_store,
    same_rows,
    site_rows,
)
from varlm.cli import main
from varlm.errors import UserError
from varlm.genome.reference import Genome
from varlm.store import KINDS, Store
from varlm.store.archive import MANIFEST
from varlm.store.backgrounds import digests_of, export_backgrounds
from varlm.store.compaction import compact
from varlm.store.importing import import_archive, list_archive
from varlm.store.layout import PACKED
from varlm.store.verification import verify

OTHER = {**MODEL, "key": "other", "name": "second", "window": 256}


def of_contig(contig, positions):
    return background_rows(positions).with_columns(contig=pl.lit(contig))


@pytest.fixture
def store(tmp_path):
    """Two models, each with more than its backgrounds; SQ.b is in one background alone."""
    store = make_store(tmp_path / "source", [range(1, 9), range(5, 20)])
    store.commit(KEY, MODEL, [("SQ.b", site_rows([3, 9]))])
    store.commit(KEY, MODEL, background=[("BG.x", background_rows([2, 6, 17]))])
    of_two = pl.concat([background_rows([6]), of_contig("SQ.b", [9])])
    store.commit(KEY, MODEL, background=[("BG.y", of_two)])
    store.commit("other", OTHER, [("SQ.a", site_rows([2, 3], shift=1))])
    store.commit("other", OTHER, background=[("BG.x", background_rows([2]))])
    return store


def test_the_backgrounds_and_their_sites_come_back_and_nothing_else(store, tmp_path):
    done = export_backgrounds(store, tmp_path / "a.tar", store.keys())
    assert (done.models, done.rows) == (2, 9 + 6 + 4 + 3 + 1)
    imported = import_archive(Store(tmp_path / "target"), tmp_path / "a.tar")
    assert [each.rows for each in imported] == [19, 4]
    rows = all_rows(tmp_path / "target")
    assert {name: table.height for name, table in rows.items()} == {
        (KEY, "background", "BG.x"): 9,
        (KEY, "background", "BG.y"): 6,
        (KEY, "sites", "SQ.a"): 3,
        (KEY, "sites", "SQ.b"): 1,
        ("other", "background", "BG.x"): 3,
        ("other", "sites", "SQ.a"): 1,
    }
    assert rows[KEY, "sites", "SQ.a"].equals(site_rows([2, 6, 17]))
    assert rows[KEY, "background", "BG.x"].equals(background_rows([2, 6, 17]))
    assert rows["other", "sites", "SQ.a"].equals(site_rows([2], shift=1))
    assert [verify(tmp_path / "target", key) for key in (KEY, "other")] == [[], []]
    state = files(tmp_path / "target")
    import_archive(Store(tmp_path / "target"), tmp_path / "a.tar")
    assert files(tmp_path / "target") == state


def test_equal_rows_give_equal_bytes_however_the_store_has_them(store, tmp_path):
    export_backgrounds(store, tmp_path / "a.tar", store.keys())
    compact(Store(store.root), KEY)
    export_backgrounds(Store(store.root), tmp_path / "b.tar", store.keys())
    import_archive(Store(tmp_path / "target"), tmp_path / "a.tar")
    export_backgrounds(Store(tmp_path / "target"), tmp_path / "c.tar", [KEY, "other"])
    content = (tmp_path / "a.tar").read_bytes()
    assert content == (tmp_path / "b.tar").read_bytes() == (tmp_path / "c.tar").read_bytes()
    assert b"/home" not in content


def test_a_background_in_two_parts_and_rows_that_are_there_twice(store, tmp_path):
    export_backgrounds(store, tmp_path / "a.tar", store.keys())
    split = Store(tmp_path / "split")
    for positions in ([17], [2, 6]):
        add_part(split, KINDS["background"], "BG.x", background_rows(positions))
    for positions in ([2, 6], [6, 17]):
        add_unseen(split, positions)
    export_backgrounds(split, tmp_path / "b.tar", [KEY])
    export_backgrounds(store, tmp_path / "c.tar", [KEY], ["BG.x"])
    assert (tmp_path / "b.tar").read_bytes() == (tmp_path / "c.tar").read_bytes()


def test_sites_of_many_contigs_are_packed(tmp_path):
    store = Store(tmp_path / "s")
    contigs = [f"SQ.{n:03}" for n in range(80)]
    store.commit(KEY, MODEL, [(contig, site_rows([4, 7])) for contig in contigs])
    rows = pl.concat(of_contig(contig, [4]) for contig in contigs)
    store.commit(KEY, MODEL, background=[("BG.x", rows)])
    export_backgrounds(store, tmp_path / "a.tar", [KEY])
    assert list_archive(tmp_path / "a.tar")[KEY].rows == {"BG.x": 240, PACKED: 80}
    import_archive(Store(tmp_path / "t"), tmp_path / "a.tar")
    wanted = pl.DataFrame({"contig": contigs, "pos": 4}, schema_overrides={"pos": pl.UInt32()})
    assert Store(tmp_path / "t").has(KEY, KINDS["sites"], wanted).all()


def test_sites_that_the_store_lost_are_told(store, tmp_path, caplog):
    for part in store.parts("other"):
        if part.kind == "sites":
            folder = store.root / "other" / "damaged"
            folder.mkdir()
            shutil.move(part.path(store.root / "other"), folder)
    export_backgrounds(Store(store.root), tmp_path / "a.tar", ["other"])
    assert "1 of the 1 sites of its backgrounds have no row in the store" in caplog.text
    assert list_archive(tmp_path / "a.tar")["other"].rows == {"BG.x": 3}


def test_a_store_without_backgrounds(tmp_path):
    store = make_store(tmp_path / "s", [[1]])
    with pytest.raises(UserError, match=r"no background to export; .*scoring\.background_sites"):
        export_backgrounds(store, tmp_path / "a.tar", store.keys())
    assert not (tmp_path / "a.tar").exists()


def test_a_damaged_background_is_not_exported(store, tmp_path):
    (part,) = (p for p in store.parts(KEY) if p.contig == "BG.y")
    path = part.path(store.root / KEY)
    path.chmod(0o644)
    path.write_bytes(b"?" + path.read_bytes()[1:])
    with pytest.raises(UserError, match="damaged"):
        export_backgrounds(Store(store.root), tmp_path / "a.tar", [KEY])
    assert not (tmp_path / "a.tar").exists()


def test_some_keys_and_contigs_of_an_archive(store, tmp_path):
    export_backgrounds(store, tmp_path / "a.tar", store.keys())
    import_archive(Store(tmp_path / "t"), tmp_path / "a.tar", [KEY], {"BG.x", "SQ.a"})
    rows = all_rows(tmp_path / "t")
    assert [*rows] == [(KEY, "background", "BG.x"), (KEY, "sites", "SQ.a")]
    assert same_rows(
        {n: all_rows(store.root)[n] for n in [*rows][:1]}, {n: rows[n] for n in [*rows][:1]}
    )


# The command


def exported(archive):
    """(key, background) of an archive."""
    listed = list_archive(archive)
    return {(key, name) for key in listed for name in listed[key].rows if name[:3] == "BG."}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], {(KEY, "BG.x"), (KEY, "BG.y"), ("other", "BG.x")}),
        (["--model", "second"], {("other", "BG.x")}),
        (["--model", "second", "--model", "demo", "--contig", "BG.y"], {(KEY, "BG.y")}),
        (["--key", "oth"], {("other", "BG.x")}),
        (["--contig", "BG.x"], {(KEY, "BG.x"), ("other", "BG.x")}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_which_backgrounds_the_command_takes(store, tmp_path, options, expected):
    archive = tmp_path / "a.tar"
    command = ["store", "export", "--background", str(store.root), str(archive), *options]
    assert main(command) == 0
    assert exported(archive) == expected
    assert main(["store", "import", str(tmp_path / "t"), str(archive)]) == 0
    assert Store(tmp_path / "t").keys() == sorted({key for key, _ in expected})


def test_those_of_a_genome(tmp_path, make_reference):
    genome = Genome.open(make_reference({"one": "ACGTACGT"}))
    digest = genome["one"].digest
    store = Store(tmp_path / "s")
    store.commit(KEY, MODEL, background=[("BG.mine", of_contig(digest, [2]))])
    store.commit(KEY, MODEL, background=[("BG.else", background_rows([2]))])
    assert digests_of(store, KEY) == ["BG.else", "BG.mine"]
    archive = tmp_path / "a.tar"
    command = ["store", "export", "--background", str(store.root), str(archive)]
    assert main([*command, "--reference", str(genome.folder)]) == 0
    assert exported(archive) == {(KEY, "BG.mine")}
    with tarfile.open(archive) as tar:
        model = json.load(tar.extractfile(MANIFEST))["keys"][KEY]["model"]
    assert "folder" not in model


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--background", "--model", "third"], "--model third: no model was called so; there are: "
         "demo, second"),
        (["--background", "--contig", "SQ.a"], "no scores of background SQ.a"),
        (["--contig", "SQ.none"], "no scores of contig SQ.none"),
        (["--reference", "r"], "give --background too"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant(store, tmp_path, capsys, options, says):
    command = ["store", "export", str(store.root), str(tmp_path / "a.tar"), *options]
    assert main(command) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "a.tar").exists()


def test_a_genome_without_a_background(store, tmp_path, make_reference, capsys):
    reference = make_reference({"one": "ACGTACGT"})
    command = ["store", "export", "--background", str(store.root), str(tmp_path / "a.tar")]
    assert main([*command, "--reference", str(reference)]) == 2
    assert "no background of the genome" in capsys.readouterr().err


def test_a_model_alone(store, tmp_path):
    """--model chooses without --background too."""
    assert (
        main(["store", "export", str(store.root), str(tmp_path / "a.tar"), "--model", "second"])
        == 0
    )
    assert [*list_archive(tmp_path / "a.tar")] == ["other"]

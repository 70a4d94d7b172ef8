"""The listing: what the commits say is there, counted."""

import logging

from making.store import KEY, MODEL, allele_rows, background_rows, make_store, site_rows
from varlm.cli import main
from varlm.genome.reference import Genome
from varlm.store import Store
from varlm.store.listing import describe


def test_rows_parts_and_bytes_are_those_of_the_files(tmp_path):
    store = make_store(tmp_path, [range(1, 9), range(5, 20)])
    store.commit(
        KEY, MODEL, [("SQ.b", site_rows([3]))], background=[("BG.x", background_rows([1]))]
    )
    model = describe(store, KEY)
    assert [each.contig for each in model.contigs] == ["SQ.a", "SQ.b"]  # the largest first
    first, second = model.contigs
    assert (first.sites, first.alleles, first.parts) == (19, 38, 4)
    assert first.bytes == sum(path.stat().st_size for path in (tmp_path / KEY / "SQ.a").iterdir())
    assert (second.sites, second.alleles, second.parts) == (1, 0, 1)
    assert (model.backgrounds["BG.x"].background, model.backgrounds["BG.x"].parts) == (3, 1)
    total = model.total
    assert (total.sites, total.alleles, total.background, total.parts) == (20, 38, 3, 6)
    assert total.bytes == sum(path.stat().st_size for path in tmp_path.rglob("*.parquet"))
    assert (model.commits, model.damaged, model.share) == (3, [], None)


def test_names_settings_and_sources_of_all_commits(tmp_path):
    store = Store(tmp_path)
    for n, (name, path) in enumerate([("b", "owner/x"), ("a", "/local/x"), ("b", "owner/x")]):
        store.commit(KEY, {**MODEL, "name": name, "path": path}, [("SQ.a", site_rows([n + 1]))])
    model = describe(store, KEY)
    assert model.names == ["a", "b"]
    assert model.settings == {
        "model_type": "GPN",
        "window": 128,
        "strands": "both",
        "precision": "float32",
    }
    assert [source["path"] for source in model.sources] == ["/local/x", "owner/x"]
    assert {source["revision"] for source in model.sources} == {"a" * 40}


def test_names_and_shares_by_a_reference(tmp_path, make_reference):
    contigs = {"one": "ACGTACGTNN", "twin": "ACGTACGTNN", "two": "AAAA", "gaps": "NNNN"}
    reference = Genome.open(make_reference(contigs)).contigs
    digest = dict(zip(reference["contig"], reference["digest"], strict=True))
    store = Store(tmp_path / "store")
    store.commit(KEY, MODEL, [(digest["one"], site_rows([1, 2])), (digest["two"], site_rows([1]))])
    store.commit(KEY, MODEL, alleles=[(digest["gaps"], allele_rows([2]))])
    store.commit(KEY, MODEL, [("SQ.of-another-genome", site_rows([1, 2, 3]))])
    model = describe(store, KEY, reference)
    shares = {tuple(each.names): each.share for each in model.contigs}
    assert shares == {("one", "twin"): 2 / 8, ("two",): 1 / 4, ("gaps",): None, (): None}
    assert model.share == 3 / 12  # the twins are one sequence


def test_damaged_files_are_named_and_not_counted(tmp_path, caplog):
    store = make_store(tmp_path, [range(1, 9), range(20, 30)])
    part = store.parts(KEY)[0]
    (tmp_path / KEY / "damaged").mkdir()
    part.path(tmp_path / KEY).rename(tmp_path / KEY / "damaged" / f"{part.sha256}.parquet")
    model = describe(Store(tmp_path), KEY)
    assert model.damaged == [f"{part.sha256}.parquet"]
    assert model.total.parts == 3
    commit = store.manifest.commit_files(KEY)[0]
    commit.chmod(0o644)
    commit.write_bytes(commit.read_bytes()[:-5])
    with caplog.at_level(logging.WARNING, "varlm"):
        model = describe(Store(tmp_path), KEY)
    assert model.commits == 1
    assert str(commit) in caplog.text


def test_models_of_one_checkpoint_are_told_apart_by_kind_and_options(tmp_path, capsys):
    kind = {"family": "species_lm", "score": "influence", "options": {"species": "homo_sapiens"}}
    Store(tmp_path).commit(KEY, {**MODEL, **kind}, [("SQ.a", site_rows([1]))])
    assert main(["store", "ls", str(tmp_path)]) == 0
    assert "family species_lm  score influence" in (out := capsys.readouterr().out)
    assert "species homo_sapiens" in out

"""A background beside a checkpoint: taken where it is the very one, else left alone and told."""

import json
import os

import numpy as np
import polars as pl
import pytest

from making.planning import SEQUENCES, Setting
from varlm.cli import main
from varlm.genome.reference import Genome
from varlm.models.prepared import PreparedModel
from varlm.run.checkpoint_folders import files_of
from varlm.scoring import dense_scale
from varlm.scoring.background import choose, kept_scores
from varlm.scoring.brought_background import FILE
from varlm.store import Store
from varlm.store.backgrounds import export_backgrounds
from varlm.tables.schemas import LOGIT_COLUMNS

SITES = 6


def scores(length, strands=2):
    """Rows of every position, with numbers that differ."""
    positions = np.arange(1, length + 1, dtype=np.uint32)
    columns = {
        name: np.sin(positions * (n + 1.0)).astype("f4") for n, name in enumerate(LOGIT_COLUMNS)
    }
    return pl.DataFrame({"pos": positions, **columns})


def put_background(setting, count=SITES, store="elsewhere", extra=0.0):
    """Make the background of the setting's last plan, and lay it beside the checkpoint."""
    model = PreparedModel.read(setting.folder / "m.json")
    genome = Genome.open(setting.reference)
    store = Store(setting.folder / store)
    rows = [
        (genome[name].stored_as, scores(genome[name].length).with_columns(pl.col("fwd_a") + extra))
        for name in genome.names
    ]
    store.commit(model.key, model.to_json(), rows)
    kept_scores(choose(genome, count, model.strands), store, model)
    export_backgrounds(store, setting.checkpoint / FILE, [model.key])
    return model.key, choose(genome, count, model.strands)


@pytest.fixture
def setting(tmp_path):
    """A checkpoint with the background of six sites beside it, which no store has."""
    setting = Setting(tmp_path)
    setting.plan(background=SITES)
    put_background(setting)
    return setting


def test_no_site_of_it_is_scored(setting, caplog):
    caplog.set_level("INFO")
    key, _, plan = setting.plan(background=SITES)
    assert f"background of 18 SNVs taken from {setting.checkpoint / FILE}" in caplog.text
    assert plan.background is None  # in the store, as after a run that scored it
    genome = Genome.open(setting.reference)
    chosen = choose(genome, SITES)
    store = Store(setting.store.root)
    assert store.read_background(key, chosen.digest).height == 3 * SITES
    for name, positions in chosen.sites.items():
        rows = store.read_sites(key, genome[name].stored_as)
        assert rows["pos"].to_list() == positions.tolist()
    # What the cohort shares with the background is not scored either.
    cohort = {("one", 3), ("two", 5), ("two", 6)}
    known = {(name, pos) for name, sites in chosen.sites.items() for pos in sites.tolist()}
    assert plan.total.sites_scored == len(cohort - known)
    assert plan.total.sites_from_store == len(cohort & known)
    state = sorted(path.name for path in setting.store.root.rglob("*"))
    caplog.clear()
    setting.plan(background=SITES)
    assert "taken from" not in caplog.text
    assert sorted(path.name for path in setting.store.root.rglob("*")) == state


def test_percentiles_rank_among_it(setting):
    setting.plan(background=SITES)
    ranked = setting.folder / "background.parquet"
    command = ["calibrate", "--model", setting.folder / "m.json", "--sites", SITES]
    command += ["--reference", setting.reference, "--store", setting.store.root]
    assert main(list(map(str, [*command, "--background", ranked]))) == 0
    model = PreparedModel.read(setting.folder / "m.json")
    chosen = choose(Genome.open(setting.reference), SITES)
    elsewhere = Store(setting.folder / "elsewhere").read_background(model.key, chosen.digest)
    assert pl.read_parquet(ranked).sort("contig", "pos", "alt")["llr"].to_list() == (
        elsewhere.sort("contig", "pos", "alt")["llr"].to_list()
    )


def test_it_is_no_file_of_the_checkpoint(setting):
    with_it, _, _ = setting.plan(background=SITES)
    fingerprinted = files_of(str(setting.checkpoint))
    files = json.loads((setting.folder / "m.json").read_text())["files"]
    (setting.checkpoint / FILE).unlink()
    assert setting.plan(background=SITES)[0] == with_it
    assert files_of(str(setting.checkpoint)) == fingerprinted
    assert json.loads((setting.folder / "m.json").read_text())["files"] == files


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"window": "66"}, "it is of window 64, not 66"),
        ({"strands": "forward"}, "it is of strands both, not forward"),
        ({"precision": "auto", "window": "66"}, "it is of window 64, not 66, it is of precision "
         "float32, not auto"),
        ({"background": 5}, "it is of 6 sites, not 5 (scoring.background_sites)"),
    ],
    ids=str,
)  # fmt: skip
def test_another_setting_leaves_it_alone_and_says_why(setting, caplog, change, says):
    caplog.set_level("INFO")
    plan = setting.plan(**{"background": SITES} | change)[2]
    (line,) = (r.getMessage() for r in caplog.records if FILE in r.getMessage())
    assert line == f"model m: {setting.checkpoint / FILE} is of no use here: {says}"
    assert plan.background.sites_scored == plan.background.sites > 0
    assert not setting.store.root.exists()


def test_other_files_of_the_checkpoint(setting, caplog):
    caplog.set_level("INFO")
    tokenizer = json.loads((setting.checkpoint / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"].update({"a": 4, "c": 3})
    (setting.checkpoint / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert setting.plan(background=SITES)[2].background.sites_scored == SITES
    assert "it is of a checkpoint with other files" in caplog.text


@pytest.mark.parametrize(
    ("sequences", "says"),
    [
        (SEQUENCES | {"two": "TTCAGTACCGTT"}, "it is of other contigs"),
        ({"one": "GACTTAGCATTC", "two": "TTCAGTACCGTT"}, "it is of another genome"),
    ],
    ids=["a base of one contig", "both contigs"],
)
def test_another_genome(setting, caplog, sequences, says):
    caplog.set_level("INFO")
    reference = setting.write_reference("changed", sequences)
    plan = setting.plan(background=SITES, reference=reference)[2]
    assert says in caplog.text
    assert plan.background.sites_scored == SITES


def test_circular_contigs_count(setting, caplog):
    """A linear background is none of the circular genome, and an archive may have both."""
    caplog.set_level("INFO")
    command = ["find_circular", "--reference", str(setting.reference), "--contig"]
    assert main([*command, "two"]) == 0
    assert setting.plan(background=SITES)[2].background.sites_scored > 0
    assert "it is of other contigs, or of others that are circular" in caplog.text
    put_background(setting)
    assert setting.plan(background=SITES)[2].background is None
    # The store of both: each takes its own.
    for contigs in ([], ["--contig", "two"]):
        setting.store = Store(setting.folder / f"store{len(contigs)}")
        assert main([*command[:3], *contigs]) == 0
        assert setting.plan(background=SITES)[2].background is None
        contigs_stored = {part.contig for part in setting.store.parts(setting.plan()[0])}
        assert any(name.startswith("circular.") for name in contigs_stored) is bool(contigs)


def test_the_sites_serve_strands_by_transcript(setting):
    """One key, another background: of the same sites, whose scores are there."""
    plan = setting.plan(background=SITES, strands="transcript")[2]
    assert plan.background.sites_from_store == SITES
    assert plan.background.sites_scored == 0


def dense_plan(setting, sites):
    """Plan dense scores, of which so many sites are compared with masked ones."""
    setting.plan(score="dense")
    command = ["plan", "--model", setting.folder / "m.json", "--reference", setting.reference]
    command += ["--store", setting.store.root, "--cohort", "c", "--variants", setting.cohort]
    command += ["--background-sites", SITES, "--dense-sites", sites, "--sites-per-shard", 100]
    assert main(list(map(str, [*command, "--plan", setting.folder / "plan"]))) == 0


def test_dense_scores_take_the_masked_ones_that_they_are_compared_with(setting, caplog):
    caplog.set_level("INFO")
    (masked,) = Store(setting.folder / "elsewhere").keys()
    dense_plan(setting, 0)
    assert "is of no use here: it is of score masked, not dense" in caplog.text
    assert not setting.store.root.exists()
    dense_plan(setting, 4)
    assert f"taken from {setting.checkpoint / FILE} (masked)" in caplog.text
    genome = Genome.open(setting.reference)
    for name, positions in dense_scale.sample(genome, 4).items():
        known = setting.store.has_sites(masked, genome[name].stored_as, positions)
        assert known.all()


def test_without_a_background_nothing_is_taken(setting):
    setting.plan(background=0)
    assert not setting.store.root.exists()


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "text", "folder"])
def test_a_damaged_one_is_told_and_the_sites_are_scored(setting, caplog, damage):
    archive = setting.checkpoint / FILE
    content = archive.read_bytes()
    archive.unlink()
    middle = len(content) // 2
    changed = {
        "flip": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "cut": content[:middle],
        "empty": b"",
        "text": b"version https://git-lfs.github.com/spec/v1\n",
    }
    if damage == "folder":
        archive.mkdir()
    else:
        archive.write_bytes(changed[damage])
    plan = setting.plan(background=SITES)[2]
    assert plan.background.sites_scored == SITES
    warnings = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    if damage == "folder":  # no file of that name
        assert warnings == []
        return
    (warning,) = warnings
    assert warning.startswith(f"model m: {archive}: ")
    assert warning.endswith(
        "nothing was imported: get the archive again from whoever exported it; the sites of the "
        "background are scored"
    )


def test_scores_that_contradict_the_store_are_not_taken(setting, caplog):
    key, chosen = put_background(setting)
    genome = Genome.open(setting.reference)
    name = next(name for name, sites in chosen.sites.items() if len(sites))
    other = scores(genome[name].length).with_columns(pl.col("fwd_a") + 1)
    setting.store.commit(key, {"precision": "float32"}, [(genome[name].stored_as, other)])
    plan = setting.plan(background=SITES)[2]
    assert "with another value" in caplog.text
    assert "the sites of the background are scored" in caplog.text
    assert plan.background.sites_from_store == len(chosen.sites[name])


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_store_that_cannot_be_written(setting, caplog):
    setting.store.root.mkdir()
    setting.store.root.chmod(0o500)
    setting.plan(background=SITES, status=2)
    assert "taken" not in caplog.text
    assert "WARNING" not in {record.levelname for record in caplog.records}


def test_a_store_that_cannot_be_written_takes_nothing(setting, caplog, monkeypatch, capsys):
    """As above, for whoever may write everywhere."""
    caplog.set_level("INFO")
    monkeypatch.setattr(Store, "writable", lambda *_: False)
    setting.plan(background=SITES, status=2)
    assert "the store cannot be written" in capsys.readouterr().err
    assert FILE not in caplog.text
    assert not setting.store.root.exists()

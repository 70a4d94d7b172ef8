"""The step `plan`: what the store must and must not be asked for."""

import json

import numpy as np
import polars as pl
import pytest

from making.planning import SEQUENCES, Setting
from making.records import prepared_model
from making.toy_models import CONFIGS, make_checkpoint
from varlm.cli import main
from varlm.genome.encoding import index_reference
from varlm.genome.reference import Genome
from varlm.scoring.plan_record import Plan
from varlm.store import Store
from varlm.tables.schemas import LOGIT_COLUMNS


@pytest.fixture
def setting(tmp_path):
    return Setting(tmp_path)


@pytest.fixture
def filled(setting):
    key, new, _ = setting.plan()
    assert new == 4
    setting.fill(key)
    assert setting.plan()[:2] == (key, 0)
    return setting


@pytest.mark.parametrize(
    "change", [{"window": "66"}, {"strands": "forward"}, {"precision": "auto"}], ids=str
)
def test_fault_41_another_setting_reuses_none(filled, change):
    assert filled.plan(**change)[1] == 4


def test_fault_41_another_model_or_tokeniser_reuses_none(filled, tmp_path):
    other = make_checkpoint(tmp_path / "other", CONFIGS["convnet"], seed=1)
    assert filled.plan(checkpoint=other)[1] == 4
    again = make_checkpoint(tmp_path / "again", CONFIGS["convnet"])
    assert filled.plan(checkpoint=again)[1] == 0
    tokenizer = json.loads((again / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"].update({"a": 4, "c": 3})
    (again / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert filled.plan(checkpoint=again)[1] == 4


def test_fault_41_one_base_of_a_contig_loses_that_contig_only(filled):
    changed = filled.write_reference("changed", SEQUENCES | {"two": "TTCAGTACCGTT"})
    assert filled.plan(reference=changed)[1] == 2


def test_fault_42_names_case_and_wrapping_do_not_count(filled, tmp_path):
    fasta = tmp_path / "other.fa"
    two, one = (SEQUENCES[n].lower() for n in ("two", "one"))
    fasta.write_text(f">two x\n{two[:5]}\n{two[5:]}\n>one\n{one}\n")
    index_reference(fasta, tmp_path / "other")
    assert filled.plan(reference=tmp_path / "other")[1] == 0


def test_the_background_is_planned_until_it_is_there(setting):
    key, new, plan = setting.plan(background=6)
    assert plan.background.sites == plan.background.sites_scored == 6
    assert 4 + 6 - 3 <= new <= 4 + 6
    everything = np.arange(1, 13, dtype=np.uint32)
    genome = Genome.open(setting.reference)
    zeros = dict.fromkeys(LOGIT_COLUMNS, 0.0)
    rows = pl.DataFrame({"pos": everything, **zeros})
    store = Store(setting.store.root)
    store.commit(key, {}, [(genome[c].digest, rows) for c in ("one", "two")])
    assert setting.plan(background=6)[2].background.sites_from_store == 6
    command = ["calibrate", "--model", setting.folder / "m.json", "--sites", 6]
    command += ["--reference", setting.reference, "--store", setting.store.root]
    command += ["--background", setting.folder / "background.parquet"]
    assert main(list(map(str, command))) == 0
    first = (setting.folder / "background.parquet").read_bytes()
    assert setting.plan(background=6)[2].background is None
    assert setting.plan(background=7)[2].background.sites == 7
    assert main(list(map(str, command))) == 0
    assert (setting.folder / "background.parquet").read_bytes() == first


def test_indels_that_have_no_score_are_counted_and_not_planned(setting, caplog):
    model = prepared_model(score="cosine")
    model.write(setting.folder / "m.json")
    command = ["plan", "--model", setting.folder / "m.json", "--reference", setting.reference]
    command += ["--store", setting.store.root, "--cohort", "c", "--variants", setting.cohort]
    command += ["--sites-per-shard", 100, "--plan", setting.folder / "plan"]
    with caplog.at_level("INFO"):
        assert main(list(map(str, command))) == 0
    plan = Plan.read(setting.folder / "plan/plan.json")
    assert (plan.total.sites_scored, plan.total.alleles, plan.unscored) == (3, 0, {"c": 1})
    shard = pl.read_parquet(setting.folder / "plan/shards/0.parquet")
    assert shard["ref"].null_count() == shard.height == 3
    assert "1 indels or MNVs of the cohorts are left out: the kind cosine is not" in caplog.text


def test_damaged_parts_are_in_the_plan(filled, caplog):
    for part in filled.store.root.glob("*/SQ.*/*.parquet"):
        data = bytearray(part.read_bytes())
        data[50] ^= 1
        part.chmod(0o644)
        part.write_bytes(data)
    _, new, plan = filled.plan()
    assert new == 4
    assert len(plan.damaged) == 3
    assert all("SHA-256" in reason for reason in plan.damaged.values())
    assert filled.plan()[2].damaged == {}


def test_fault_38_changed_variants_are_an_error(filled, capsys):
    table = pl.read_parquet(filled.cohort)
    table.with_columns(pos=pl.col("pos") + 1).write_parquet(filled.cohort)
    filled.plan(status=2)
    assert "variants.parquet: changed since varlm wrote it" in capsys.readouterr().err

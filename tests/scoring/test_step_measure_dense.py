"""The step `measure_dense`: random sites scored both ways, through the store."""

import numpy as np
import polars as pl
import pytest

from making.planning import variants
from making.records import prepared_model
from making.scoring import toy_model
from making.toy_models import CONFIGS, make_checkpoint
from varlm.cli import main
from varlm.files.whole import write_digest
from varlm.genome.reference import Genome
from varlm.models.corruption import Corruption
from varlm.models.preparing import prepare
from varlm.scoring import dense_scale, shard
from varlm.scoring.dense_scale import DenseScale
from varlm.scoring.hardware import Hardware
from varlm.scoring.plan_record import Plan
from varlm.store import Store

rng = np.random.default_rng(4)
GENOME = {name: "".join(rng.choice(list("ACGT"), 150)) for name in ("chrI", "chrII")}


@pytest.fixture
def job(tmp_path, make_reference):
    """A function: options → what the step wrote; `folder` has the checkpoint."""
    checkpoint = make_checkpoint(tmp_path / "model", CONFIGS["legacy"])
    settings = {"name": "toy", "path": "p", "revision": None, "precision": "float32"}
    model = prepare(checkpoint, **settings, window=32, score="dense")
    model.write(tmp_path / "toy.json")
    reference = make_reference(GENOME)

    def run(sites=30, least=-1, model="toy.json", status=0):
        words = ["measure_dense", "--model", tmp_path / model, "--reference", reference]
        words += ["--store", tmp_path / "store", "--sites", sites, "--least-spearman", least]
        words += ["--upstream", 10, "--scale", tmp_path / "dense.json", "--device", "cpu"]
        assert main([*map(str, words)]) == status
        return DenseScale.read(tmp_path / "dense.json")

    run.genome, run.folder, run.model = Genome.open(reference), tmp_path, model
    run.store = tmp_path / "store"
    return run


def refuse(*_):
    raise AssertionError("a model was loaded")


def test_the_sites_are_scored_both_ways_once(job, monkeypatch, caplog):
    with caplog.at_level("INFO"):
        scale = job()
    plain = toy_model(job.folder / "model", 32)
    assert (scale.key, scale.masked_key) == (job.model.key, plain.key)
    sites = dense_scale.sample(job.genome, 30)
    rows = pl.DataFrame(
        [(name, pos, None, None) for name, of in sites.items() for pos in of.tolist()],
        {"contig": pl.String, "pos": pl.UInt32, "ref": pl.String, "alt": pl.String},
        orient="row",
    )
    scored = [shard.score_rows(rows, job.genome, of, Hardware("cpu")) for of in (job.model, plain)]
    dense, masked = (dense_scale.snv_llrs(s.sites, job.genome) for s in scored)
    assert scale.constant == pytest.approx((masked - dense).mean(), abs=1e-6)
    assert scale.overall.rmse == pytest.approx((masked - dense).std(), abs=1e-6)
    assert (scale.origin, scale.overall.sites, scale.by_class) == ("measured", 30, {})
    assert "30 sites, of them in the store 0 dense and 0 masked ones" in caplog.text

    monkeypatch.setattr(shard, "load_scorer", refuse)
    assert job() == scale
    assert job(sites=10).overall.sites == 10  # a part of them
    for key in (job.model.key, plain.key):
        counts = [Store(job.store).read_sites(key, job.genome[n].digest).height for n in GENOME]
        assert counts == [len(sites[n]) for n in GENOME]


def test_the_checkpoints_own_constant_goes_first(job):
    said = Corruption(masked=0.8, random=0.1, kept=0.1, symbols=7)
    said.write(job.folder / "model/corruption.json")
    scale = job()
    assert (scale.constant, scale.origin) == (pytest.approx(np.log(8)), "checkpoint")
    difference = scale.overall.shift - scale.constant  # of what was seen
    assert scale.overall.rmse > abs(difference)
    assert job(sites=0).constant == scale.constant
    assert job(sites=0).overall is None


def test_a_rank_correlation_below_the_bound_is_a_warning(job, caplog):
    job(least=-1)
    assert [r for r in caplog.records if r.levelname == "WARNING"] == []
    scale = job(least=1)
    (warning,) = [r.message for r in caplog.records if r.levelname == "WARNING"]
    assert f"over 90 SNVs is {scale.overall.spearman:.3f}, less than scoring.dense.least" in warning
    assert "models.toy.score: masked" in warning


def test_nothing_measured_and_nothing_said_is_another_scale(job, caplog):
    scale = job(sites=0)
    assert (scale.constant, scale.origin, scale.overall) == (0, "none", None)
    assert "are on another scale than masked ones" in caplog.text
    assert not job.store.exists()


def test_a_family_that_masks_nothing_has_no_scale(job, caplog):
    model = prepared_model(name="p", family="phylogpn", score="dense", folder=job.folder)
    model.write(job.folder / "p.json")
    scale = job(model="p.json")
    assert (scale.constant, scale.origin, scale.masked_key) == (0, "none", None)
    assert [r for r in caplog.records if r.levelname == "WARNING"] == []


def test_the_plan_wants_them_and_counts_them_for_no_cohort(job, tmp_path):
    cohort = variants(tmp_path / "v.parquet", [("chrI", 3, GENOME["chrI"][2], "AT")])
    write_digest(cohort)
    prepared_model(name="m").write(tmp_path / "m.json")
    counts = {}
    for name, sites in (("toy", 30), ("toy", 0), ("m", 30)):
        words = ["plan", "--model", tmp_path / f"{name}.json", "--reference", job.genome.folder]
        words += [
            "--store",
            job.store,
            "--cohort",
            "c",
            "--variants",
            cohort,
            "--dense-sites",
            sites,
        ]
        words += ["--sites-per-shard", 100, "--plan", tmp_path / "plan"]
        assert main([*map(str, words)]) == 0
        plan = Plan.read(tmp_path / "plan/plan.json")
        counts[name, sites] = plan.total.sites
        assert list(plan.cohorts) == ["c"]
        assert plan.background is None
    assert counts == {("toy", 30): 30, ("toy", 0): 0, ("m", 30): 0}
    job()
    words[words.index("--model") + 1] = tmp_path / "toy.json"
    assert main([*map(str, words)]) == 0
    assert Plan.read(tmp_path / "plan/plan.json").total.sites_from_store == 30

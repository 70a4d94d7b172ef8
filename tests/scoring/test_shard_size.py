"""Shards of minutes: by the last run's speed, else the model's size; a share for each job."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from making.planning import Setting, variants
from making.records import prepared_model
from varlm.cli import main
from varlm.errors import UserError
from varlm.files.whole import check_digest, write_digest
from varlm.scoring import shard_size
from varlm.scoring.commit_record import CommitRecord, ShardRun
from varlm.scoring.plan_record import Plan
from varlm.tables.parquet import read_table
from varlm.tables.schemas import SHARD

RUN = ShardRun(device="cpu", arithmetic="float32", sites=6000, alleles=200, seconds=64.0)
LAST = CommitRecord(model="m", key="k", sites=1, alleles=0, parts=1, known=0, runs=(RUN, None))


def test_a_rate_is_that_of_jobs_on_such_a_device():
    gpu = replace(RUN, device="cuda:3", sites=90_000, alleles=0, seconds=9.0)
    assert shard_size.measured_rate([RUN, RUN, gpu, None], on_gpu=False) == 100
    assert shard_size.measured_rate([RUN, RUN, gpu, None], on_gpu=True) == 10_000
    assert shard_size.measured_rate([RUN], on_gpu=True) is None


def test_a_few_sites_are_no_measurement():
    few = replace(RUN, sites=90, alleles=0, seconds=2.0)
    assert shard_size.measured_rate([few], on_gpu=False) is None


def test_without_a_measurement_the_models_size_counts(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"\0" * 4_000_000)
    files = {"model.safetensors": "", "config.json": ""}
    model = prepared_model(folder=tmp_path, files=files, window=512)
    cpu = shard_size.expected_rate(model, on_gpu=False, cores=2)
    assert cpu == pytest.approx(300e9 / (2 * 1e6 * 512 * 2))
    assert shard_size.expected_rate(replace(model, strands="forward"), False, 2) == 2 * cpu
    assert shard_size.expected_rate(model, on_gpu=True, cores=2) > 50 * cpu


def test_the_65_million_parameter_gpn_gets_minutes_on_two_cores():
    """It was measured at 3.0 sites a second there (benchmarks/results/score.json)."""
    rate = 300e9 / shard_size.flops_a_site(65_900_000, 512, "both")
    assert 1 < rate < 9


@pytest.mark.parametrize(
    ("family", "score", "window", "weights", "measured"),
    [
        ("nucleotide_transformer", "masked", 5994, 54_900_000, 1.7),
        ("species_lm", "marginal", 1000, 14_400_000, 6),
        ("hyenadna", "mean_likelihood", 1024, 6_550_000, 4.2),
        ("gpt2", "likelihood", 512, 25_800_000, 1.8),
        ("caduceus", "masked", 1024, 7_000_000, 1.8),
    ],
)
def test_the_estimate_is_near_what_was_measured(
    tmp_path, monkeypatch, family, score, window, weights, measured
):
    """Two cores, not shared: from the processor time of the shapes of benchmarks/families.py."""
    monkeypatch.setattr(shard_size, "weights_of", lambda _: weights)
    model = prepared_model(folder=tmp_path, family=family, score=score, window=window)
    assert 0.3 < shard_size.expected_rate(model, on_gpu=False, cores=2) / measured < 3


def test_four_windows_of_a_site_take_four_times_as_long(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"\0" * 4_000_000)
    files = {"model.safetensors": ""}
    model = prepared_model(folder=tmp_path, files=files, family="splicebert", score="masked")
    rate = shard_size.expected_rate(model, on_gpu=False, cores=1)
    assert shard_size.expected_rate(replace(model, score="cosine"), False, 1) == rate / 4


@pytest.mark.parametrize(
    ("rate", "minutes", "size"),
    [(100, 10, 60_000), (1e-3, 10, 1000), (1e9, 10, 2_000_000), (100, 0.5, 3000)],
)
def test_the_size_is_the_time_wanted_within_bounds(rate, minutes, size):
    assert shard_size.wanted_size(rate, minutes) == size


@pytest.mark.parametrize(
    ("parts", "at_once", "together"),
    [(1, 1, 1), (16, 1, 16), (400, 1, 16), (16, 8, 2), (3, 8, 1), (400, 8, 16), (40, 8, 5)],
)
def test_each_job_that_runs_at_once_gets_a_share(parts, at_once, together):
    size = 60_000
    part = shard_size.part_size(size)
    assert size // part == 16
    assert shard_size.ShardSize(size, part, at_once).parts_together(parts) == together
    shards = -(-parts // together)
    assert shards >= min(parts, at_once)


@pytest.mark.parametrize(
    ("device", "environment", "jobs"),
    [
        ("cpu", {}, (False, 1, 1)),
        ("cuda:1", {"VARLM_JOBS": "4"}, (True, 1, 4)),
        ("auto", {"VARLM_GPUS": "2", "VARLM_JOBS": "8"}, (True, 1, 2)),
        ("cpu", {"VARLM_SCORING_THREADS": "6", "VARLM_GPUS": "", "VARLM_JOBS": "3"}, (False, 6, 3)),
    ],
)
def test_what_score_jobs_will_be_given(monkeypatch, device, environment, jobs):
    for name in ("VARLM_GPUS", "VARLM_JOBS", "VARLM_SCORING_THREADS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert shard_size.score_jobs(device) == shard_size.ScoreJobs(*jobs)


def test_there_may_be_no_last_run(tmp_path):
    path = tmp_path / "last.json"
    assert shard_size.last_runs(None) == shard_size.last_runs(path) == ()
    LAST.write(path)
    assert shard_size.last_runs(path) == (RUN, None)
    path.write_text(path.read_text()[:-9])
    with pytest.raises(UserError, match=r"last\.json: not readable as JSON .* the step commit"):
        shard_size.last_runs(path)


def planned(folder):
    """The shards' tables, in order, each checked against its digest; nothing else is there."""
    paths = sorted((folder / "plan/shards").glob("*.parquet"), key=lambda path: int(path.stem))
    for path in paths:
        check_digest(path)
    assert len(list((folder / "plan/shards").iterdir())) == 2 * len(paths)
    return [read_table(path, SHARD) for path in paths]


@pytest.mark.parametrize("at_once", [1, 4])
def test_auto_cuts_the_same_rows_into_shares(tmp_path, monkeypatch, at_once):
    setting = Setting(tmp_path)
    rng = np.random.default_rng(3)
    genome = {name: "".join(rng.choice(list("ACGT"), 9000)) for name in ("one", "two")}
    setting.reference = setting.write_reference("long", genome)
    rows = [("one", int(p), genome["one"][p - 1], "N") for p in range(1, 9001)]
    setting.cohort = variants(tmp_path / "long.parquet", rows)
    write_digest(setting.cohort)
    monkeypatch.setenv("VARLM_JOBS", str(at_once))
    monkeypatch.delenv("VARLM_GPUS", raising=False)
    setting.plan()
    whole = pl.concat(planned(tmp_path))
    LAST.write(tmp_path / "last.json")

    command = ["plan", "--model", tmp_path / "m.json", "--reference", setting.reference]
    command += ["--store", setting.store.root, "--cohort", "c", "--variants", setting.cohort]
    command += ["--sites-per-shard", "auto", "--minutes", 1, "--device", "cpu"]
    command += ["--committed", tmp_path / "last.json", "--plan", tmp_path / "auto/plan"]
    assert main(list(map(str, command))) == 0
    plan = Plan.read(tmp_path / "auto/plan/plan.json")
    shards = planned(tmp_path / "auto")
    assert plan.sites_per_shard == 6000  # 100 a second, one minute
    assert plan.shards == len(shards) == {1: 2, 4: 3}[at_once]  # parts of 1,000 each
    assert pl.concat(shards).equals(whole)

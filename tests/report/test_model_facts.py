"""What a report says of a model."""

from making.records import shard_run
from varlm.report.model_facts import ScoringRuns, scoring_runs


def job(device, seconds, sites=100):
    return shard_run(device=device, sites=sites, alleles=10, seconds=seconds)


def test_jobs_on_alike_hardware_are_one_row():
    jobs = [job("cuda", 100.0), job("cpu", 0.0), job("cuda", 120.0, 200)]
    assert scoring_runs(jobs) == [
        ScoringRuns("cpu", "float32", 1, 100, 10, "0.0 s", "–"),
        ScoringRuns("cuda", "float32", 2, 300, 20, "3 min 40 s", "1"),
    ]
    assert scoring_runs([]) == []


def test_a_shard_without_rows_is_no_job():
    assert scoring_runs([None]) == []
    assert [row.jobs for row in scoring_runs([None, job("cpu", 2.0)])] == [1]

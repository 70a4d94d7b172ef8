"""What a report says of a model."""

from varlm.report.model_facts import ScoringRuns, scoring_runs


def job(device, seconds, sites=100):
    arithmetic = "bfloat16 products, float32 sums"
    return {
        "device": device,
        "arithmetic": arithmetic,
        "sites": sites,
        "alleles": 10,
        "seconds": seconds,
    }


def test_jobs_on_alike_hardware_are_one_row():
    jobs = [job("cuda", 100.0), job("cpu", 0.0), job("cuda", 120.0, 200)]
    arithmetic = jobs[0]["arithmetic"]
    assert scoring_runs(jobs) == [
        ScoringRuns("cpu", arithmetic, 1, 100, 10, "0.0 s", "–"),
        ScoringRuns("cuda", arithmetic, 2, 300, 20, "3 min 40 s", "1"),
    ]
    assert scoring_runs([]) == []

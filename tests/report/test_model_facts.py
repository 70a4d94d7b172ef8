"""What a report says of a model."""

from types import SimpleNamespace

import pytest

from making.records import commit_record, plan, prepared_model, shard_run
from varlm.report.model_facts import ScoringRuns, model_facts, scoring_runs
from varlm.report.scales import Scale


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


def facts_of(**changes):
    prepared = prepared_model(**changes)
    scale = Scale(prepared.kind)
    model = SimpleNamespace(
        name="m", prepared=prepared, plan=plan(), commit=commit_record(), scale=scale
    )
    return model_facts(model, "c")


def test_family_score_and_options_of_a_model_are_told():
    facts = dict(facts_of().facts)
    assert (facts["family"], facts["score"]) == ("GPN", "LLR (nats): the site is masked")
    assert facts["harmful"] == "low scores"
    more = {"family": "hyenadna", "score": "likelihood", "options": {"counted": "all"}}
    facts = dict(facts_of(**more).facts)
    assert (facts["family"], facts["score"]) == ("HyenaDNA", "LLR (nats): of the whole window")
    assert facts["counted"] == "all"
    facts = dict(facts_of(family="caduceus", score="divergence").facts)
    assert facts["score"].endswith("ALT from REF, nats")
    assert facts["harmful"] == "high scores"


@pytest.mark.parametrize(
    ("strands", "words"),
    [
        ("both", "both, mean"),
        ("forward", "forward only"),
        (
            "transcript",
            "that of the allele’s transcripts; both, mean, where there is none",
        ),
    ],
)
def test_strands_are_told(strands, words):
    assert dict(facts_of(strands=strands).facts)["strands"] == words


def test_a_score_of_single_bases_says_so_where_indels_are_counted():
    names = [source.name for source in facts_of(family="gpn", score="probability").sources]
    assert "indels and MNVs (this score has none)" in names
    assert "indels and MNVs" in [source.name for source in facts_of().sources]

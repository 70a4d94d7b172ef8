"""plan.json, run.json and commits/{model}.json: the bytes of before, the checks when read."""

from pathlib import Path

import pytest

from making.records import plan
from varlm.errors import UserError
from varlm.scoring.commit_record import CommitRecord, ShardRun, read_run, write_run
from varlm.scoring.plan_record import Plan

# As the code of c9c1f55 wrote them.
PLAN = """\
{
  "model": "demo",
  "key": "ccba49e879657a98c356dc0d6fd23d00",
  "shards": 2,
  "sites_per_shard": 12,
  "total": {
    "sites": 12,
    "sites_from_store": 0,
    "sites_scored": 12,
    "alleles": 1,
    "alleles_from_store": 0,
    "alleles_scored": 1
  },
  "background": {
    "sites": 5,
    "sites_from_store": 0,
    "sites_scored": 5,
    "alleles": 0,
    "alleles_from_store": 0,
    "alleles_scored": 0
  },
  "cohorts": {
    "c": {
      "sites": 2,
      "sites_from_store": 0,
      "sites_scored": 2,
      "alleles": 1,
      "alleles_from_store": 0,
      "alleles_scored": 1
    },
    "regions": {
      "sites": 5,
      "sites_from_store": 0,
      "sites_scored": 5,
      "alleles": 0,
      "alleles_from_store": 0,
      "alleles_scored": 0
    }
  },
  "damaged": {},
  "recovered": 0
}
"""
RUN = """\
{"sites": 2, "alleles": 0, "resumed": 0, "device": "cpu", "arithmetic": "float32", "seconds": 0.009}
"""
COMMIT = """\
{
  "model": "demo",
  "key": "ccba49e879657a98c356dc0d6fd23d00",
  "sites": 12,
  "alleles": 1,
  "parts": 3,
  "known": 0,
  "runs": [
    {
      "sites": 10,
      "alleles": 1,
      "resumed": 0,
      "device": "cpu",
      "arithmetic": "float32",
      "seconds": 0.066
    },
    {
      "sites": 2,
      "alleles": 0,
      "resumed": 0,
      "device": "cpu",
      "arithmetic": "float32",
      "seconds": 0.009
    }
  ]
}
"""


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Plan, PLAN),
        (ShardRun, RUN),
        (CommitRecord, COMMIT),
        (Plan, PLAN.replace('"damaged": {}', '"damaged": {\n    "x.parquet": "cut"\n  }')),
    ],
)
def test_an_old_file_is_read_and_written_to_the_same_bytes(tmp_path, kind, text):
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text(text, encoding="utf-8")
    kind.read(old).write(new)
    assert new.read_bytes() == old.read_bytes()


def test_a_plan_without_a_background(tmp_path):
    plan(background=None).write(tmp_path / "plan.json")
    assert '"background": null' in (tmp_path / "plan.json").read_text()
    assert Plan.read(tmp_path / "plan.json") == plan(background=None)


def test_a_shard_without_rows_has_no_run(tmp_path):
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    run = COMMIT[COMMIT.index("    {\n") : COMMIT.index("    },") + 5]
    old.write_text(COMMIT.replace(run, "    {}"))
    commit = CommitRecord.read(old)
    assert commit.runs[0] is None
    assert commit.runs[1].seconds == 0.009
    commit.write(new)
    assert new.read_bytes() == old.read_bytes()


@pytest.mark.parametrize("text", [RUN, "{}\n"])
def test_an_old_run_is_read_and_written_to_the_same_bytes(tmp_path, text):
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text(text)
    run = read_run(old)
    assert (run is None) == (text == "{}\n")
    write_run(run, new)
    assert new.read_bytes() == old.read_bytes()


@pytest.mark.parametrize(
    ("text", "message"), [("", "not readable"), ('{"sites": 1}', "lacks"), (None, "not found")]
)
def test_a_run_that_says_nothing_is_refused(tmp_path, text, message):
    path = tmp_path / "run.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=rf"run\.json: {message}.*the step score makes it"):
        read_run(path)


def test_commits_of_before_runs_were_kept_or_resumed_are_read():
    document = {"model": "m", "key": "k", "sites": 1, "alleles": 0, "parts": 1, "known": 0}
    assert CommitRecord.from_json(document, Path("m.json")).runs == ()
    run = {"sites": 1, "alleles": 0, "device": "cpu", "arithmetic": "float32", "seconds": 1}
    (read,) = CommitRecord.from_json(document | {"runs": [run]}, Path("m.json")).runs
    assert read.resumed == 0


@pytest.mark.parametrize("name", ["shards", "total", "background", "cohorts", "damaged"])
def test_a_plan_that_lacks_a_key_is_refused(name):
    document = plan().to_json()
    del document[name]
    with pytest.raises(
        UserError, match=rf"plan\.json: lacks {name}; delete its folder and run the"
    ):
        Plan.from_json(document, Path("plan.json"))


def test_counts_are_never_taken_as_nought():
    document = plan().to_json()
    del document["cohorts"]["c"]["sites_scored"]
    with pytest.raises(UserError, match=r"plan\.json: cohorts\.c: lacks sites_scored; delete"):
        Plan.from_json(document, Path("plan.json"))

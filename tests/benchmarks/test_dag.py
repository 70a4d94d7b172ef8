"""A plan of hundreds of shards is a graph that Snakemake makes in time that grows with its size."""

import importlib.util
import json
import subprocess
from itertools import pairwise

import pytest

pytestmark = pytest.mark.slow

SIZES = (20, 120, 220)  # shards

# Snakemake as it is called, and how many functions it called: unlike seconds, no other load on
# the machine changes that.
COUNTED = """
import cProfile, pstats, sys
from snakemake.cli import main

profile = cProfile.Profile()
profile.enable()
try:
    main()
except SystemExit as error:
    status = error.code
profile.disable()
print("calls:", pstats.Stats(profile).total_calls)
sys.exit(status)
"""


@pytest.fixture(scope="module")
def dry_runs(tmp_path_factory):
    """Number of shards → what a dry run printed, and the functions it called."""
    from conftest import ROOT

    spec = importlib.util.spec_from_file_location("dag", ROOT / "benchmarks/dag.py")
    dag = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(dag)
    project = dag.Varlm(tmp_path_factory.mktemp("dag") / "project", SIZES[-1])
    plan = project.folder / "results/plan/tiny/plan.json"
    written = json.loads(plan.read_text())
    python, _, _, *arguments = map(str, project.command("--dry-run", "--", "tables"))
    found = {}
    for shards in SIZES:
        plan.write_text(json.dumps({**written, "shards": shards}))
        done = subprocess.run(
            [python, "-c", COUNTED, *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        output, _, calls = done.stdout.rpartition("calls: ")
        found[shards] = output + done.stderr, int(calls)
    return found


def test_a_dry_run_shows_each_shard_once(dry_runs):
    for shards, (output, _) in dry_runs.items():
        assert output.count("\nrule score:") == shards
        assert output.count("\ncheckpoint plan:") == 0  # it is made


def test_the_work_grows_as_the_shards_do(dry_runs):
    calls = [number for _, number in dry_runs.values()]
    first, second = (after - before for before, after in pairwise(calls))
    assert first > 100 * 5_000, "a shard costs something"
    assert second < 1.25 * first
    # 11,500 calls a shard, 3 to 4 ms: 10,000 shards take less than a minute.
    assert second < 100 * 25_000

"""Jobs that are stopped, killed or left behind: they end at once, and the next goes on from there.

Faults 29, 30, 31, 33 and 37, each on the step `score` as a program, with a real model.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from polars.testing import assert_frame_equal

from making.scoring import CONTIG, PROGRAM, Job, child_of, scored_so_far, wait_until
from varlm.genome.encoding import index_reference
from varlm.scoring import inference
from varlm.scoring.commit_record import ShardRun
from varlm.tables.parquet import read_table
from varlm.tables.schemas import SITES

SITES_SCORED = 600  # a second or two of work on an idle core: enough to be stopped in the middle
MEMORY_GROUPS = Path("/sys/fs/cgroup/memory")


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    folder = tmp_path_factory.mktemp("job")
    fasta = folder / "genome.fa"
    fasta.write_text(f">one\n{CONTIG}\n")
    index_reference(fasta, folder / "reference")
    job = Job(folder, folder / "reference", sites=SITES_SCORED)
    assert job.start("whole").wait() == 0
    yield job
    job.end()


def begun(job, name):
    return wait_until(lambda: scored_so_far(job, name))


def finish(job, name, *options):
    """Run once more; the tables are those of the undisturbed run, and nothing else is left."""
    assert job.start(name, *options).wait() == 0, job.log(name)
    assert job.tables(name) == job.tables("whole")
    left = {path.name for path in job.out(name).iterdir()}
    assert left == {"sites.parquet", "alleles.parquet", "run.json", "log"}


def resumed(job, name) -> int:
    return ShardRun.read(job.out(name) / "run.json").resumed


def newest_stretch(job, name) -> float:
    """When scores were last kept, seconds since the epoch."""
    return max(path.stat().st_mtime for path in (job.out(name) / "partial").glob("*.arrow"))


@pytest.mark.slow
def test_fault_29_killed_at_random_moments_loses_at_most_one_interval(job):
    rng = random.Random(29)
    kills = 0
    while kills < 6:
        process = job.start("random", supervise=False)
        before = scored_so_far(job, "random")
        scoring = rng.random() < 0.8  # else while it loads
        if scoring:
            wait_until(
                lambda b=before, p=process: scored_so_far(job, "random") > b or p.poll() == 0
            )
        time.sleep(rng.uniform(0, 0.1 if scoring else 1))
        process.kill()
        if process.wait() == 0:
            break
        kills += 1
        if scoring:
            # A stretch is made for half the interval; the machine may be busy.
            assert time.time() - newest_stretch(job, "random") < 2 * inference.INTERVAL + 5
    finish(job, "random")
    if kills == 6:
        assert resumed(job, "random") > 0
        assert "rows are scored already" in job.log("random")


def test_fault_29_tiles_killed_three_times_give_the_same_scores(tmp_path, job):
    """Dense scores: a job goes on in the middle of a tile that another had begun with."""
    tiled = Job(tmp_path, job.reference, sites=39_990, score="dense")
    assert tiled.start("whole").wait() == 0
    for _ in range(3):
        process = tiled.start("killed", supervise=False)
        before = scored_so_far(tiled, "killed")
        wait_until(lambda b=before, p=process: scored_so_far(tiled, "killed") > b or p.poll() == 0)
        process.kill()
        process.wait()
    finish(tiled, "killed")
    assert resumed(tiled, "killed") > 0
    tiled.end()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_fault_30_a_signal_ends_the_job_and_its_child_and_keeps_the_scores(job, number):
    name = number.name
    process = job.start(name)
    child = child_of(process)
    begun(job, name)
    told = time.monotonic()
    process.send_signal(number)
    assert process.wait(timeout=10) == 128 + number
    assert time.monotonic() - told < 10
    assert not child.is_running()
    assert f"error: stopped by {number.name}" in job.log(name)
    assert {path.name for path in job.out(name).iterdir()} <= {"partial", "partial.lock", "log"}
    finish(job, name)
    assert resumed(job, name) > 0


def test_fault_30_what_does_not_listen_is_ended_by_force():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import hashlib\n"
        "from varlm.run import signals as interruption\n"
        "interruption.GRACE = 1\n"
        "interruption.stop_in_good_order()\n"
        "print('ready', flush=True)\n"
        "hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)\n"  # minutes, in C
    )
    command = [sys.executable, "-c", code, PROGRAM[1]]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    time.sleep(1)  # now it is in C
    process.terminate()
    _, said = process.communicate(timeout=10)
    assert process.returncode == 128 + signal.SIGTERM
    assert b"ended by force" in said


def test_fault_30_nohup_is_respected(job):
    process = subprocess.Popen(
        ["nohup", *job.command("nohup")], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    begun(job, "nohup")
    process.send_signal(signal.SIGHUP)
    assert process.wait() == 0
    assert job.tables("nohup") == job.tables("whole")


@pytest.mark.slow
def test_fault_31_an_orphan_ends_and_the_next_job_goes_on(job):
    """Snakemake is killed; then the parent of the step that scores is."""
    snakemake = subprocess.Popen(["sleep", "600"])
    process = job.start("orphan", VARLM_SNAKEMAKE=str(snakemake.pid))
    child = child_of(process)
    begun(job, "orphan")
    snakemake.kill()
    snakemake.wait()
    assert process.wait(timeout=10) == 128 + signal.SIGTERM
    assert "the process that started it" in job.log("orphan")
    assert not child.is_running()

    process = job.start("orphan")
    child = child_of(process)
    wait_until(lambda: "rows are scored already" in job.log("orphan"))
    process.kill()
    process.wait()
    wait_until(lambda: not child.is_running() or child.status() == "zombie", seconds=10)
    finish(job, "orphan")


@pytest.mark.slow
def test_fault_31_two_jobs_on_one_shard_end_in_the_same_tables(job):
    first = job.start("two", supervise=False)
    begun(job, "two")
    second = job.start("two", supervise=False)  # waits for the first one's file, then goes on
    assert (first.wait(), second.wait()) == (0, 0)
    assert job.tables("two") == job.tables("whole")


def test_fault_33_a_job_that_the_kernel_kills_goes_on_with_half_the_batch(job):
    """SIGKILL is all that a process hears of memory that ran out."""
    process = job.start("killed")
    begun(job, "killed")
    child_of(process).kill()
    assert process.wait() == 0
    log = job.log("killed")
    assert "ended by SIGKILL, most likely since memory ran out" in log
    assert "4 windows a batch" in log
    assert "2 windows a batch" in log
    assert resumed(job, "killed") > 0


@pytest.mark.slow
@pytest.mark.skipif(
    not os.access(MEMORY_GROUPS, os.W_OK), reason="no memory control group can be made here"
)
def test_fault_33_a_real_limit_on_memory_ends_in_a_smaller_batch(job, tmp_path):
    """The kernel ends the process that takes too much; the run goes on and succeeds."""
    limited = Job(tmp_path, job.reference, sites=SITES_SCORED, insertions=0)
    limited.out("limited").mkdir()
    group = MEMORY_GROUPS / f"varlm-test-{os.getpid()}"
    group.mkdir()
    try:
        (group / "memory.limit_in_bytes").write_text(str(1000 << 20))
        inner = " ".join(limited.command("limited", "--batch-size", "32768"))
        result = subprocess.run(
            ["sh", "-c", f"echo $$ > {group}/cgroup.procs && exec {inner}"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        assert "most likely since memory ran out" in result.stderr
        sites = read_table(limited.out("limited") / "sites.parquet", SITES)
        whole = read_table(job.out("whole") / "sites.parquet", SITES)
        assert_frame_equal(sites, whole, abs_tol=1e-5, rel_tol=0)
    finally:
        wait_until(lambda: not (group / "cgroup.procs").read_text())
        group.rmdir()


@pytest.mark.slow
def test_fault_37_a_job_that_hangs_is_started_once_more(job):
    process = job.start("hung", patience=12)
    begun(job, "hung")
    child = child_of(process)
    child.suspend()
    assert process.wait(timeout=120) == 0
    assert "no batch was done for 12 s; starting the step once more" in job.log("hung")
    assert not psutil.pid_exists(child.pid)
    assert job.tables("hung") == job.tables("whole")
    assert resumed(job, "hung") > 0


@pytest.mark.slow
def test_fault_37_a_job_that_crashes_again_is_an_error(job):
    process = job.start("crash")
    for _ in range(2):
        child = child_of(process)
        known = scored_so_far(job, "crash")
        wait_until(lambda k=known: scored_so_far(job, "crash") > k)
        child.send_signal(signal.SIGSEGV)
        wait_until(lambda c=child: not c.is_running())
    assert process.wait() == 2
    assert "failed twice: it was ended by SIGSEGV" in job.log("crash")
    finish(job, "crash")


@pytest.mark.slow
def test_a_job_that_was_suspended_as_a_whole_is_not_taken_for_hung(job):
    process = job.start("slept", patience=8)
    begun(job, "slept")
    child = child_of(process)
    for each in (process, child):
        os.kill(each.pid, signal.SIGSTOP)
    time.sleep(10)
    for each in (child, process):
        os.kill(each.pid, signal.SIGCONT)
    assert process.wait() == 0
    assert "once more" not in job.log("slept")

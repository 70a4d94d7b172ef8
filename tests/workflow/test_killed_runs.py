"""The whole workflow, killed at random moments, started again each time: the tables are the same.

Node loss (SIGKILL of every process), SIGKILL of Snakemake alone, whose jobs must end by
themselves, a scheduler's SIGTERM and Ctrl-C; never `--unlock` by hand.
"""

import json
import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path

import polars as pl
import psutil
import pytest

from making.workflow import (
    BARE_ENVIRONMENT,
    made_genome,
    snakemake,
    snakemake_command,
    vcf_text,
    write_config,
    write_fasta,
    write_sheet,
)

KILLS = 20
TABLES = ("annotated.parquet", "annotated.tsv.gz")


def prepare(folder, name):
    """A user's folder: every SNV of a small genome, and a cohort of indels."""
    folder = folder / name
    folder.mkdir()
    genome = made_genome()
    write_fasta(folder / "genome.fa.gz", genome)
    (folder / "a.vcf").write_text(vcf_text(genome, "chr1", "1", 3, 150))
    write_sheet(folder, {"a": ["a.vcf"]})
    write_config(
        folder,
        regions={"contigs": ["chr1"]},
        shards={"sites_per_shard": 1000},
        scoring={
            "window": 128,
            "precision": "float32",
            "background_sites": 40,
            "batch_size": 2,
        },
    )
    return folder


def tables(folder) -> dict[str, bytes]:
    """File → content, of both cohorts; the TSV without what its compression adds."""
    found = {}
    for cohort in ("a", "regions"):
        for name in TABLES:
            found[f"{cohort}/{name}"] = (folder / "results/cohorts" / cohort / name).read_bytes()
    return found


def steps(folder) -> list[psutil.Process]:
    """The steps of varlm that run in this folder."""
    found = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
            if any("workflow_scripts" in word for word in words) and process.cwd() == str(folder):
                found.append(process)
        except psutil.Error:
            continue
    return found


def none_left(folder, seconds=15):
    end = time.monotonic() + seconds
    while left := steps(folder):
        assert time.monotonic() < end, [process.cmdline() for process in left]
        time.sleep(0.1)


class Run:
    """Snakemake on a folder, in a process group of its own."""

    def __init__(self, folder):
        self.folder = folder
        with (folder / "run.log").open("a") as log:
            self.process = subprocess.Popen(
                snakemake_command(folder),
                cwd="/",
                env=BARE_ENVIRONMENT,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def end(self, how):
        """End it in one of four ways; return when no process is left."""
        if how == "node lost":
            os.killpg(self.process.pid, signal.SIGKILL)
        elif how == "snakemake killed":
            self.process.kill()
        elif how == "time limit":
            os.killpg(self.process.pid, signal.SIGTERM)
        else:
            self.process.send_signal(signal.SIGINT)
        told = time.monotonic()
        self.process.wait(timeout=60)
        none_left(self.folder)
        return time.monotonic() - told


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing ended, its status, and what another one printed that came to its lock."""
    folder = prepare(tmp_path_factory.mktemp("whole"), "user")
    run = Run(folder)
    scoring(folder)
    output = snakemake(folder, check=False)
    return folder, run.process.wait(timeout=600), output


@pytest.fixture(scope="module")
def undisturbed(whole):
    return tables(whole[0])


@pytest.mark.slow
def test_fault_29_twenty_kills_of_the_run_change_nothing(tmp_path, undisturbed):
    rng = random.Random(20)
    folder = prepare(tmp_path, "user")
    resumed = runs = 0
    for kill in range(KILLS):
        how = ("node lost", "snakemake killed", "time limit", "Ctrl-C")[kill % 4]
        run = Run(folder)
        try:
            # From the start of Python to the second shard or so: the next run gets further.
            run.process.wait(timeout=rng.uniform(2, 9))
        except subprocess.TimeoutExpired:
            run.end(how)
        if run.process.returncode == 0:
            runs += 1
            assert tables(folder) == undisturbed
            for made in ("results", "store"):
                subprocess.run(["rm", "-r", folder / made], check=True)
    snakemake(folder)
    assert tables(folder) == undisturbed
    log = (folder / "run.log").read_text()
    assert "--unlock" not in log
    assert "left its lock on this folder; the lock is removed" in log
    for shard in (folder / "results/logs/score").rglob("*.log"):
        resumed += int("rows are scored already" in shard.read_text())
    print(f"{KILLS} kills, {runs} runs that ended before theirs, {resumed} shards resumed at last")
    assert not list((folder / "results/scores").rglob("partial*"))


def scoring(folder) -> Path:
    """Wait until a shard has kept some stretches; return their folder."""
    end = time.monotonic() + 300
    while True:
        for path in (folder / "results/scores").rglob("partial"):
            if len(list(path.glob("*.arrow"))) > 2:
                return path
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_fault_30_snakemake_told_to_stop_stops_its_jobs_and_unlocks(tmp_path, undisturbed, number):
    """Only Snakemake is told, as by `kill`; by itself it would wait for the shard."""
    folder = prepare(tmp_path, "user")
    run = Run(folder)
    partial = scoring(folder)
    told = time.monotonic()
    run.process.send_signal(number)
    run.process.wait(timeout=30)
    assert run.process.returncode != 0
    assert time.monotonic() - told < 15
    assert not steps(folder)
    assert not list((folder / ".snakemake/locks").glob("*.lock"))
    assert partial.exists()
    kept = sum(pl.read_ipc(path).height for path in partial.glob("*.arrow"))
    snakemake(folder)
    assert tables(folder) == undisturbed
    log = (folder / f"results/logs/score/tiny/{partial.parent.name}.log").read_text()
    assert int(re.search(r"(\d+) of \d+ rows are scored already", log)[1]) == kept


@pytest.mark.slow
def test_a_lock_of_a_run_that_lives_stays(whole):
    """What the other tests hold their tables to was such a run."""
    _, status, output = whole
    assert "lock" in output.lower()
    assert status == 0


def test_a_lock_that_another_program_made_stays(tmp_path):
    """Neither older than the dead run's start, nor of another machine's run, is it removed."""
    from varlm.run.snakemake_process import watch_over

    folder = tmp_path / ".snakemake"
    lock = folder / "locks" / "0.input.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text("genome.fa\n")
    dead = subprocess.Popen(["sleep", "0"])
    dead.wait()
    here = {"host": os.uname().nodename, "boot": psutil.boot_time(), "pid": dead.pid}
    for record, cleared in (
        (None, False),
        ("not JSON", False),
        ({**here, "started": time.time() + 60}, False),
        ({**here, "started": time.time() - 60, "host": "other"}, False),
        ({**here, "started": time.time() - 60, "boot": 1.0}, False),
        ({**here, "started": time.time() - 60}, True),
    ):
        if record is not None:
            text = record if isinstance(record, str) else json.dumps(record)
            (folder / "varlm-run.json").write_text(text)
        told = watch_over(folder)
        assert lock.exists() != cleared
        assert (told is not None) == cleared

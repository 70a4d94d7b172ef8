"""profiles/slurm on a real Slurm of loopback nodes (slurm_making): whole runs, and runs in trouble.

All runs start together when the first test wants one, each in a folder of its own, since they
mostly wait: for the queue, for a time limit, for a lost node. The tests look at what they left.
"""

import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

import making.slurm as slurm_making
import making.workflow as making
from making.slurm import wait_for

ROOT = Path(__file__).resolve().parents[2]
PROFILE = ROOT / "profiles/slurm"
WHY_NOT = slurm_making.missing()

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(WHY_NOT is not None, reason=f"no Slurm can be started: {WHY_NOT}"),
]

# All that this cluster needs beyond the profile: it has no accounting, and its jobs are short.
OPTIONS = (
    *("--slurm-status-command", "squeue", "--slurm-no-account"),
    *("--slurm-init-seconds-before-status-checks", "13", "--latency-wait", "10"),
)
# Local runs score with as many threads as jobs do, four if there are: sums' last bits depend on it.
LOCAL = ("--cores", "all", "--set-threads", "score=4", "score_pictures=4", "measure_dense=4")
LONGEST = 900  # seconds of a run; on an idle machine the longest takes some two minutes

# Python's own hook, which runs in each step of the workflow before varlm does. TROUBLE is
# "hang STEP FILE": the first process of the step, which makes FILE, never goes on;
# or "hold STEP MB": each holds so much memory, longer than Slurm takes to see it.
TROUBLE = """
import contextlib, os, sys, time
kind, step, value = os.environ["TROUBLE"].split()
if step in sys.orig_argv[2:4]:
    if kind == "hold":
        held = bytearray(int(value) << 20)
        held[::4096] = bytes(1) * len(held[::4096])
        time.sleep(4)
    else:
        with contextlib.suppress(FileExistsError), open(value, "x"):
            time.sleep(3600)
"""


@dataclass
class Outcome:
    """What a run of Snakemake left.

    Attributes
    ----------
    folder : Path
        Its working directory.
    status : int
    output : str
        All that it printed.
    jobs : list of slurm_making.Job
        In the order of their submission, of all runs in the folder.
    """

    folder: Path
    status: int
    output: str
    jobs: list

    def of(self, rule):
        """The jobs of a rule."""
        return [job for job in self.jobs if job.rule == rule]


class Runs:
    """Runs of the workflow on one cluster, each a method, and the local ones they are held to."""

    def __init__(self, cluster, home, wanted):
        """Start the runs whose names are in `wanted`, each in a thread."""
        self.cluster, self.home = cluster, home
        self._threads = ThreadPoolExecutor(max_workers=2 * len(wanted) + 2)
        self._made, self._processes = {}, []
        for name in ("planned", "planned_everywhere", *sorted(wanted)):
            self._made[name] = self._threads.submit(getattr(self, f"_{name}"))

    def __getitem__(self, name):
        """What the run returned; its error, if it had one."""
        return self._made[name].result(timeout=2 * LONGEST)

    def close(self):
        """End what still runs."""
        for process in self._processes:
            process.kill()
        self._threads.shutdown(cancel_futures=True)

    # What runs are made of.

    def command(self, folder, *arguments, profile=PROFILE, target="tables"):
        command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile"]
        command += ["--directory", folder, "--configfile", folder / "mine.yaml"]
        command += ["--workflow-profile", profile, *OPTIONS, *arguments, "--", target]
        return list(map(str, command))

    def environment(self, folder, trouble=None):
        # Steps of several threads share few cores here: waiting threads must not spin.
        environment = {**self.cluster.environment, "OMP_WAIT_POLICY": "passive"}
        if trouble is not None:
            hook = folder / "hook"
            hook.mkdir()
            (hook / "sitecustomize.py").write_text(TROUBLE)
            environment.update(PYTHONPATH=str(hook), TROUBLE=trouble)
        return environment

    def start_on_slurm(self, folder, *arguments, trouble=None, **options):
        """Start the workflow in `folder`; return the process."""
        process = subprocess.Popen(
            self.command(folder, *arguments, **options),
            env=self.environment(folder, trouble),
            cwd="/",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._processes.append(process)
        return process

    def outcome(self, folder, process):
        """Wait for a run's end; return what it left, which may be a failure."""
        output, _ = process.communicate(timeout=LONGEST)
        return Outcome(folder, process.returncode, output, self.cluster.jobs(folder))

    def on_slurm(self, folder, *arguments, **options):
        return self.outcome(folder, self.start_on_slurm(folder, *arguments, **options))

    def profile(self, folder, change=None, partition="rest"):
        """Return a copy of the profile in `folder`: with a partition, after `change`."""
        content = yaml.safe_load((PROFILE / "config.yaml").read_text())
        content["default-resources"]["slurm_partition"] = partition
        if change is not None:
            change(content)
        copy = folder / "profile"
        copy.mkdir()
        (copy / "config.yaml").write_text(yaml.safe_dump(content))
        return copy

    def cohort_folder(self, name):
        """A folder with a cohort, whose sites are two shards."""
        folder = self.home / name
        folder.mkdir()
        genome = making.made_genome()
        making.write_fasta(folder / "genome.fa.gz", genome)
        (folder / "p.vcf").write_text(making.vcf_text(genome, "chr1", "1", 1, 60))
        making.write_sheet(folder, {"p": ["p.vcf"]})
        making.write_config(folder, shards={"sites_per_shard": 60})
        return folder

    def copy(self, source, name):
        """Return a copy of the folder of a local run, as a run goes on from it."""
        return Path(shutil.copytree(source, self.home / name))

    # Local runs.

    def _planned(self):
        folder = self.cohort_folder("planned")
        making.snakemake(folder, *LOCAL, "--", "results/plan/tiny")
        return folder

    def _local(self):
        folder = self.copy(self["planned"], "local")
        making.snakemake(folder, *LOCAL)
        return folder

    def _planned_everywhere(self):
        """One shard that takes its time: all sites of a contig, in wide windows."""
        folder = self.home / "planned_everywhere"
        folder.mkdir()
        making.write_fasta(folder / "genome.fa.gz", making.made_genome())
        making.write_config(
            folder,
            cohorts=None,
            regions={"contigs": ["chr1"], "sample": 1500},
            scoring={"window": 512, "precision": "float32", "background_sites": 40},
            shards={"sites_per_shard": 100_000},
        )
        making.snakemake(folder, *LOCAL, "--", "results/plan/tiny")
        return folder

    def _local_everywhere(self):
        folder = self.copy(self["planned_everywhere"], "local_everywhere")
        making.snakemake(folder, *LOCAL)
        return folder

    # Runs on the cluster.

    def _cohort(self):
        return self.on_slurm(self.cohort_folder("cohort"))

    def _cancelled(self):
        """`scancel` of the score job while it works; then the same run again."""
        folder = self.copy(self["planned_everywhere"], "cancelled")
        profile = self.profile(folder)
        process = self.start_on_slurm(folder, "--retries", "0", profile=profile)
        log = folder / "results/logs/score/tiny/0.log"
        wait_for(
            lambda: log.exists() and "rows to score" in log.read_text(),
            LONGEST,
            f"the score job's work; jobs: {self.cluster.jobs(folder)}",
        )
        (job,) = [job for job in self.cluster.jobs(folder) if job.rule == "score"]
        self.cluster.run("scancel", job.id)
        first = self.outcome(folder, process)
        return first, tables(folder), self.on_slurm(folder, profile=profile)

    def _short_of_memory(self):
        folder = self.cohort_folder("short_of_memory")

        def change(content):
            rule = content["set-resources"]["index_reference"]
            rule["mem_mb"] = f"({rule['mem_mb']}) // 8"

        return self.on_slurm(
            folder,
            profile=self.profile(folder, change),
            target="results/reference/contigs.parquet",
            trouble="hold index_reference 600",
        )

    def _out_of_time(self):
        folder = self.copy(self["planned"], "out_of_time")

        def change(content):
            rule = content["set-resources"]["score"]
            rule["runtime"] = f"({rule['runtime']}) // 240"
            rule["gpu_model"] = slurm_making.GPU

        outcome = self.on_slurm(
            folder,
            profile=self.profile(folder, change),
            target="results/scores/tiny/0/sites.parquet",
            trouble=f"hang score {folder}/hangs",
        )
        making.snakemake(folder, *LOCAL)
        return outcome

    def _lost_node(self):
        """A node that goes down while it normalises a cohort."""
        folder = self.copy(self["planned"], "lost_node")
        shutil.rmtree(folder / "results/cohorts/p")
        process = self.start_on_slurm(
            folder,
            profile=self.profile(folder, partition="frail"),
            target="results/cohorts/p/variants.parquet",
            trouble=f"hang normalise {folder}/hangs",
        )
        wait_for((folder / "hangs").exists, LONGEST, "the step's start")
        (job,) = self.cluster.jobs(folder)
        self.cluster.lose(job.node)
        return job.node, self.outcome(folder, process)

    def _yeast(self):
        """The first records of real variants of yeast, with its genes, on Slurm and here."""
        yeast, folder = shared_folder() / "yeast", self.home / "yeast"
        folder.mkdir()
        write_slice(yeast / "cohorts/scer7.vcf.gz", folder / "slice.vcf", 300)
        making.write_sheet(folder, {"scer7": ["slice.vcf"]})
        making.write_config(
            folder,
            reference={
                "fasta": str(yeast / "genome.fa.gz"),
                "annotation": str(yeast / "annotation.gff3.gz"),
            },
            annotate={"genetic_codes": {"Mito": 3}},
            scoring={"window": 128, "precision": "float32", "background_sites": 200},
            shards={"sites_per_shard": 10_000},
        )
        local = self.copy(folder, "local_yeast")
        process = self.start_on_slurm(folder, profile=self.profile(folder))
        making.snakemake(local, *LOCAL)
        return self.outcome(folder, process), local


def shared_folder():
    """Where the fixture `shared_data` looks; it skips the test where nothing is there."""
    return Path(os.environ.get("VARLM_SHARED_DATA", ROOT.parent / "shared/data"))


def write_slice(source, path, count):
    """Write the first `count` records of a VCF, and its header."""
    with gzip.open(source, "rt") as lines, path.open("w") as file:
        for line in lines:
            count -= not line.startswith("#")
            if count < 0:
                return
            file.write(line)


def tables(folder):
    """Every table of the results → its SHA-256."""
    results = folder / "results"
    return {
        str(path.relative_to(results)): hashlib.sha256(path.read_bytes()).hexdigest()
        for pattern in ("summary.tsv", "cohorts/*/*.parquet", "cohorts/*/*.gz")
        for path in results.glob(pattern)
    }


@pytest.fixture(scope="module")
def runs(request, tmp_path_factory):
    """The runs that the selected tests want, already started."""
    wanted = {name for item in request.session.items for name in item.fixturenames} & RUNS
    if not shared_folder().is_dir():
        wanted -= {"yeast"}
    home = tmp_path_factory.mktemp("runs")
    with slurm_making.running_slurm(tmp_path_factory.mktemp("slurm")) as cluster:
        runs = Runs(cluster, home, wanted)
        try:
            yield runs
        finally:
            runs.close()


RUNS = {
    *("local", "local_everywhere", "cohort", "yeast"),
    *("cancelled", "short_of_memory", "out_of_time", "lost_node"),
}


@pytest.fixture
def local(runs):
    return runs["local"]


@pytest.fixture
def local_everywhere(runs):
    return runs["local_everywhere"]


@pytest.fixture
def cohort(runs):
    return runs["cohort"]


@pytest.fixture
def cancelled(runs):
    return runs["cancelled"]


@pytest.fixture
def short_of_memory(runs):
    return runs["short_of_memory"]


@pytest.fixture
def out_of_time(runs):
    return runs["out_of_time"]


@pytest.fixture
def lost_node(runs):
    return runs["lost_node"]


@pytest.fixture
def yeast(shared_data, runs):
    return runs["yeast"]


@pytest.mark.slow
def test_a_run_on_two_nodes_gives_the_tables_of_a_local_run(cohort, local):
    assert cohort.status == 0, cohort.output
    assert len(tables(local)) == 6
    assert tables(cohort.folder) == tables(local)


def test_jobs_ran_on_both_nodes_grouped_as_the_profile_says(cohort):
    assert [job.state for job in cohort.jobs] == ["COMPLETED"] * len(cohort.jobs)
    assert {job.node for job in cohort.jobs} == {"a", "b"}
    assert sorted(job.rule for job in cohort.jobs) == [
        *("alleles_normalise", "calibrate", "commit", "plan", "score", "score"),
        *("setup_index_reference", "summarise", "tables_annotate_export"),
    ]


def test_each_score_job_had_a_gpu_of_its_own_and_what_the_profile_asks_for(cohort):
    scores = cohort.of("score")
    # A node has one GPU, and room for both jobs otherwise.
    assert {job.node for job in scores} == {"a", "b"}
    for job in scores:
        assert (job.gpus, job.cpus, job.memory_mb, job.minutes) == (1, 4, 8000, 240)
    assert {job.gpus for job in cohort.jobs if job.rule != "score"} == {0}
    (setup,) = cohort.of("setup_index_reference")
    assert setup.memory_mb == 4000
    (tables_job,) = cohort.of("tables_annotate_export")
    assert (tables_job.memory_mb, tables_job.minutes) == (8000, 120 + 240)  # one after the other


def test_every_rule_of_the_profile_is_one_of_the_workflow():
    content = yaml.safe_load((PROFILE / "config.yaml").read_text())
    text = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    rules = set(re.findall(r"^(?:rule|checkpoint) (\w+):", text, re.MULTILINE))
    assert "score" in rules
    for key in ("set-resources", "set-threads", "groups"):
        assert set(content[key]) <= rules, key


@pytest.mark.real_data
def test_real_variants_of_yeast_give_the_tables_of_a_local_run(yeast):
    outcome, local = yeast
    assert outcome.status == 0, outcome.output
    assert outcome.of("alleles_call_consequences_normalise")
    assert outcome.of("setup_index_annotation_index_reference")
    assert {job.state for job in outcome.jobs} == {"COMPLETED"}
    assert [job.gpus for job in outcome.of("score")] == [1]
    assert making.summary(local / "results")["scer7"]["alleles_in"] == "300"
    assert tables(outcome.folder) == tables(local)


@pytest.mark.slow
def test_a_cancelled_score_job_is_reported_and_the_next_run_finishes(cancelled, local_everywhere):
    first, left, second = cancelled
    assert first.status == 1
    assert "Error in rule score" in first.output
    assert "log: results/logs/score/tiny/0.log" in first.output
    (job,) = first.of("score")
    assert job.state == "CANCELLED"
    assert not first.of("commit")
    assert not any("annotated" in name for name in left)
    assert second.status == 0, second.output
    assert [job.state for job in second.of("score")] == ["CANCELLED", "COMPLETED"]
    assert len(tables(local_everywhere)) == 4
    assert tables(second.folder) == tables(local_everywhere)


def test_a_job_above_its_memory_is_tried_again_with_more(short_of_memory, local):
    assert short_of_memory.status == 0, short_of_memory.output
    first, second = short_of_memory.jobs
    assert (first.memory_mb, second.memory_mb) == (500, 1000)
    assert (first.state, second.state) == ("FAILED", "COMPLETED")
    assert "exceeded memory limit" in Path(first.fields["StdOut"]).read_text()
    name = "results/reference/contigs.parquet"
    assert (short_of_memory.folder / name).read_bytes() == (local / name).read_bytes()


def test_a_job_above_its_time_is_tried_again_with_more(out_of_time, local):
    assert out_of_time.status == 0, out_of_time.output
    first, second = out_of_time.jobs
    assert (first.state, first.minutes) == ("TIMEOUT", 1)
    assert (second.state, second.minutes) == ("COMPLETED", 2)
    for job in (first, second):  # asked for by its type here
        assert (job.gpus, job.fields["TresPerJob"]) == (1, f"gres:gpu:{slurm_making.GPU}:1")
    assert tables(out_of_time.folder) == tables(local)


def test_a_job_that_lost_its_node_runs_on_another(lost_node, local):
    node, outcome = lost_node
    assert outcome.status == 0, outcome.output
    (job,) = outcome.jobs  # Slurm queued the same one again
    assert (job.state, job.fields["Restarts"]) == ("COMPLETED", "1")
    assert {node, job.node} == {"c", "d"}
    name = "results/cohorts/p/variants.parquet"
    assert (outcome.folder / name).read_bytes() == (local / name).read_bytes()

"""A training of several processes beside other jobs: never two on a device, none left behind."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from making.scoring import wait_until
from making.training import PROGRAM, command, small_corpus
from varlm.cli import main
from varlm.run import devices
from varlm.run.devices import lease
from varlm.scoring import batch_size
from varlm.steps import train

# Takes a device, or two for a training; each process says which, when it began and when it ended.
# A line is one write: two processes of a training have one pipe, and `print` may write its line end
# by itself.
SCORE = r"""
import json, os, sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from varlm.run.devices import lease
held = lease(json.loads(sys.argv[2]), folder=Path(sys.argv[3]))
os.write(1, json.dumps({"device": held.name, "start": time.time()}).encode() + b"\n")
time.sleep(float(sys.argv[4]))
os.write(1, json.dumps({"device": held.name, "end": time.time()}).encode() + b"\n")
"""
WORKER = r"""
import json, os, sys, time
sys.path.insert(0, sys.argv[1])
from varlm.run.signals import stop_in_good_order
stop_in_good_order()
assert sys.argv[-2] == "--device"
device = json.loads(sys.argv[2])[int(sys.argv[-1].removeprefix("cuda:"))]
rank, level = os.environ["VARLM_RANK"], os.environ.get("VARLM_LOG_LEVEL")
words = {"device": device, "pid": os.getpid(), "rank": rank, "level": level}
os.write(1, json.dumps({**words, "start": time.time()}).encode() + b"\n")
if sys.argv[4] == "fail":
    if rank == "1":
        sys.exit(3)
    time.sleep(600)
time.sleep(float(sys.argv[4]))
os.write(1, json.dumps({"device": device, "end": time.time()}).encode() + b"\n")
"""
TRAIN = f"""
import json, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from varlm.run.devices import lease_several
from varlm.run.signals import stop_in_good_order
from varlm.training.launching import launch
stop_in_good_order()
leases = lease_several(json.loads(sys.argv[2]), 2, Path(sys.argv[3]))
launch([sys.executable, "-c", {WORKER!r}, *sys.argv[1:]], 2, leases)
"""


@pytest.fixture
def start(tmp_path):
    """A function: code, devices and what to do → a running job; all are killed in the end."""
    jobs = []
    environment = {k: v for k, v in os.environ.items() if k != "VARLM_LOG_LEVEL"}

    def run(code, names, work):
        words = [sys.executable, "-c", code, PROGRAM, json.dumps(names), tmp_path / "locks", work]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        jobs.append(subprocess.Popen(list(map(str, words)), env=environment, **pipes))
        return jobs[-1]

    yield run
    for job in jobs:
        if job.poll() is None:
            for child in psutil.Process(job.pid).children(recursive=True):
                child.kill()
        job.kill()
        job.wait()
        job.stdout.close()
        job.stderr.close()


def said(job, lines):
    """Return the next lines of a job."""
    return [json.loads(job.stdout.readline()) for _ in range(lines)]


def ended(pid):
    """Whether a process is gone, or waits for its parent to notice."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_eight_devices_trainings_of_two_beside_score_jobs(start):
    names = [f"GPU-{i}" for i in range(8)]
    running = [start(TRAIN if i % 4 == 0 else SCORE, names, 1) for i in range(16)]
    spans = {name: [] for name in names}
    for job in running:
        output, errors = job.communicate(timeout=120)
        assert job.returncode == 0, errors
        began, ended = {}, {}
        for line in map(json.loads, output.splitlines()):
            (began if "start" in line else ended)[line["device"]] = line
        assert began.keys() == ended.keys()
        for name, line in began.items():
            spans[name].append((line["start"], ended[name]["end"]))
    assert sum(map(len, spans.values())) == 12 + 2 * 4
    for of_device in spans.values():
        of_device.sort()
        assert all(later[0] >= earlier[1] for earlier, later in itertools.pairwise(of_device))


def test_each_process_has_its_own_device_and_only_the_first_logs(start):
    job = start(TRAIN, ["a", "b"], 0)
    lines = [json.loads(line) for line in job.communicate(timeout=60)[0].splitlines()]
    processes = sorted((line for line in lines if "rank" in line), key=lambda line: line["rank"])
    assert [line["device"] for line in processes] == ["a", "b"]
    assert [line["level"] for line in processes] == [None, "WARNING"]


def test_a_killed_training_frees_its_devices(start):
    job = start(TRAIN, ["a", "b"], 600)
    workers = said(job, 2)
    job.kill()
    job.wait()
    assert said(start(SCORE, ["a"], 0), 1)[0]["device"] == "a"
    assert said(start(SCORE, ["b"], 0), 1)[0]["device"] == "b"
    wait_until(lambda: all(ended(worker["pid"]) for worker in workers), 10)


def test_a_device_stays_taken_while_a_process_of_a_killed_training_is_on_it(start):
    job = start(TRAIN, ["a", "b"], 600)
    workers = {worker["device"]: worker["pid"] for worker in said(job, 2)}
    os.kill(workers["a"], signal.SIGSTOP)
    job.kill()
    job.wait()
    second = start(SCORE, ["a"], 0)
    assert said(start(SCORE, ["b"], 0), 1)[0]["device"] == "b"
    time.sleep(1)
    assert second.poll() is None
    os.kill(workers["a"], signal.SIGKILL)
    assert said(second, 1)[0]["device"] == "a"


def test_a_process_that_fails_ends_the_training(start):
    job = start(TRAIN, ["a", "b"], "fail")
    output, errors = job.communicate(timeout=60)
    assert "process 2 of the 2 of this training ended with status 3" in errors
    workers = [json.loads(line)["pid"] for line in output.splitlines()]
    assert all(map(ended, workers))


def test_a_signal_ends_all_processes(start):
    job = start(TRAIN, ["a", "b"], 600)
    workers = said(job, 2)
    job.terminate()
    job.wait(timeout=10)
    assert all(ended(worker["pid"]) for worker in workers)


def test_the_step_takes_a_device_for_each_process(tmp_path, monkeypatch):
    """As on a machine with three GPUs, of which a score job has the first."""
    import torch

    small_corpus(tmp_path)
    monkeypatch.setattr(devices.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(train, "cuda_devices", lambda: ["u1", "u2", "u3"])
    monkeypatch.setattr(batch_size, "choose_device", lambda _: torch.device("cuda"))
    launched = []
    monkeypatch.setattr(train, "launch", lambda *words: launched.append(words))
    score = lease(["u1", "u2", "u3"])
    words = [*map(str, command(tmp_path, tmp_path / "out")), "--processes", "2"]
    assert main(words) == 0
    ((_, count, leases),) = launched
    assert count == 2
    assert [(held.index, held.name) for held in leases] == [(1, "u2"), (2, "u3")]
    for held in (score, *leases):
        held.release()

"""The parent of a step: it forks while it has one thread, and hears of signals and of ends."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

PROGRAM = Path(__file__).resolve().parents[2] / "workflow_scripts"

# Runs `varlm supervise`, whose step does as the first argument says; tells how many threads there
# were at each fork.
SUPERVISE = """
import json, os, signal, sys, threading, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from varlm import cli
from varlm.run.heartbeat import halvings
from varlm.run.signals import stop_in_good_order

threads = []

def count():
    tasks = Path("/proc/self/task")
    native = len(list(tasks.iterdir())) if tasks.exists() else 0
    threads.append(max(native, threading.active_count()))

def step(_):
    stop_in_good_order()
    print(os.getpid(), flush=True)
    if sys.argv[2] == "killed once" and halvings() == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    if sys.argv[2] == "sleeps":
        time.sleep(600)
    return 7

os.register_at_fork(before=count)
supervise, cli.program = cli.program, step
status = supervise(["supervise", "score"])
print(json.dumps(threads))
sys.exit(status)
"""


@pytest.fixture
def start():
    """A function: what the step does → the running parent; it is killed in the end."""
    processes = []

    def run(does, **environment):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        words = [sys.executable, "-W", "error::DeprecationWarning", "-c", SUPERVISE]
        processes.append(
            subprocess.Popen([*words, PROGRAM, does], env={**os.environ, **environment}, **pipes)
        )
        return processes[-1]

    yield run
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


@pytest.mark.parametrize(("does", "forks"), [("ends", 1), ("killed once", 2)])
def test_there_is_one_thread_at_each_fork(start, does, forks):
    """Python 3.12 and newer warn of more: a lock that another thread holds is never freed."""
    process = start(does, VARLM_SNAKEMAKE=str(os.getpid()))
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 7, errors
    assert json.loads(output.splitlines()[-1]) == [1] * forks
    assert ("starting it again with half the batch" in errors) == (forks == 2)


def test_a_signal_ends_the_step_too(start):
    process = start("sleeps")
    child = int(process.stdout.readline())
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 128 + signal.SIGTERM
    assert "stopped by SIGTERM" in errors
    assert not psutil.pid_exists(child)


def test_the_end_of_snakemake_ends_both(start):
    """Also where nobody waits for it, so that it stays as a zombie."""
    snakemake = subprocess.Popen(["sleep", "600"])
    process = start("sleeps", VARLM_SNAKEMAKE=str(snakemake.pid))
    child = int(process.stdout.readline())
    time.sleep(0.2)
    snakemake.kill()
    _, errors = process.communicate(timeout=10)
    snakemake.wait()
    assert process.returncode == 128 + signal.SIGTERM
    assert f"the process that started it ({snakemake.pid}) is gone" in errors
    assert not psutil.pid_exists(child)

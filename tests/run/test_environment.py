"""The environment variables: what is written is what is read, and no name is anywhere else."""

import logging
import os
import re
import sys

import pytest

from varlm.run import environment

NAMES = [
    *(environment.PACKAGE, environment.SNAKEMAKE, environment.JOBS, environment.GPUS),
    *(environment.SCORING_THREADS, environment.HEARTBEAT, environment.HALVINGS),
    *(environment.INDEX, environment.LOG_LEVEL),
]


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def put(monkeypatch, variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def test_outside_a_workflow():
    assert environment.heartbeat() is None
    assert environment.snakemake_process() is None
    assert environment.gpus() is None
    assert environment.halvings() == 0
    assert environment.scoring_threads() == environment.jobs_at_once() == 1
    assert environment.log_level() == logging.INFO


def test_what_the_plan_is_told(monkeypatch):
    put(monkeypatch, environment.for_plan(6, 4, None))
    assert (environment.jobs_at_once(), environment.scoring_threads()) == (6, 4)
    assert environment.gpus() is None
    put(monkeypatch, environment.for_plan(6, 4, 2))
    assert environment.gpus() == environment.jobs_at_once() == 2


def test_what_a_watched_step_is_told(monkeypatch):
    put(monkeypatch, environment.for_watched(7, 2, 123))
    assert environment.heartbeat() == 7
    assert environment.halvings() == 2
    assert environment.snakemake_process() == 123


def test_what_every_job_is_told(monkeypatch):
    told = environment.for_steps("/x/workflow_scripts", sys.executable, "csi")
    assert told["VARLM"] == "/x/workflow_scripts"
    assert told[environment.INDEX] == "csi"
    assert told["PATH"].split(os.pathsep)[0] == os.path.dirname(sys.executable)  # noqa: PTH120
    put(monkeypatch, told)
    assert environment.snakemake_process() == os.getpid()


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5"])
def test_what_is_no_number_is_as_if_not_set(monkeypatch, text):
    monkeypatch.setenv("VARLM_HALVINGS", text)
    monkeypatch.setenv("VARLM_SNAKEMAKE", text)
    assert environment.halvings() == 0
    assert environment.snakemake_process() is None


@pytest.mark.parametrize(
    ("text", "level"), [("debug", logging.DEBUG), ("ERROR", logging.ERROR), ("loud", logging.INFO)]
)
def test_the_log_level(monkeypatch, text, level):
    monkeypatch.setenv("VARLM_LOG_LEVEL", text)
    assert environment.log_level() == level


def test_no_other_module_spells_a_name(root):
    modules = {
        path.relative_to(root / "workflow_scripts/varlm").as_posix()
        for path in (root / "workflow_scripts").rglob("*.py")
        if {*re.findall(r'"(VARLM(?:_[A-Z]+)*)"', path.read_text())} & {*NAMES}
    }
    assert modules == {"run/environment.py"}


@pytest.mark.parametrize(("load", "spin"), [(0.4, None), (3.0, "10000")])
def test_threads_give_way_soon_where_there_is_other_work(monkeypatch, load, spin):
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0, 0))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    environment.spin_shortly()
    assert os.environ.get("GOMP_SPINCOUNT") == spin
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)


def test_what_the_user_says_of_spinning_stays(monkeypatch):
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    monkeypatch.setattr(os, "getloadavg", lambda: (99, 0, 0))
    environment.spin_shortly()
    assert os.environ["GOMP_SPINCOUNT"] == "7"

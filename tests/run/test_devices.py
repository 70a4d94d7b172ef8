"""Leases: never two jobs on one device, none idle while work waits, a crashed job frees its own."""

import itertools
import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from filelock import FileLock

from varlm.errors import UserError
from varlm.run import devices
from varlm.run.devices import lease, lease_several, visible_devices
from varlm.scoring import batch_size

# Takes a device, says when and which, works a while, says when it ended.
JOB = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from varlm.run.devices import lease
got = lease(json.loads(sys.argv[2]), folder=Path(sys.argv[3]))
started = time.time()
print(json.dumps({"device": got.name, "index": got.index, "start": started}), flush=True)
time.sleep(float(sys.argv[4]))
print(json.dumps({"end": time.time()}), flush=True)
"""

# Takes two devices, works a moment, says when it began and ended.
SEVERAL = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from varlm.run.devices import lease_several
leases = lease_several(json.loads(sys.argv[2]), 2, Path(sys.argv[3]))
started = time.time()
time.sleep(0.2)
print(json.dumps([started, time.time()]))
"""
ROOT = Path(__file__).resolve().parents[2] / "workflow_scripts"


@pytest.fixture
def start(root, tmp_path):
    """A function: devices and seconds of work → a running job; all are killed in the end."""
    jobs = []

    def run(names, seconds):
        words = [sys.executable, "-c", JOB, root / "workflow_scripts", json.dumps(names)]
        words += [tmp_path / "locks", seconds]
        jobs.append(subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE, text=True))
        return jobs[-1]

    yield run
    for job in jobs:
        job.kill()
        job.wait()
        job.stdout.close()


def test_eight_devices_sixteen_jobs(start):
    names = [f"GPU-{i}" for i in range(8)]
    running = [start(names, 1.5) for _ in range(16)]
    told = []
    for job in running:
        lines = [json.loads(line) for line in job.communicate(timeout=120)[0].splitlines()]
        assert job.returncode == 0
        told.append(lines[0] | lines[1])
    by_device = {name: [] for name in names}
    for job in told:
        assert names[job["index"]] == job["device"]
        by_device[job["device"]].append((job["start"], job["end"]))
    assert sum(map(len, by_device.values())) == 16
    for spans in by_device.values():
        spans.sort()
        assert all(later[0] >= earlier[1] for earlier, later in itertools.pairwise(spans))
    # No device is idle while a job waits: each freed one is taken again within a look or two.
    waited = sorted(job["start"] for job in told)[8:]
    freed = sorted(job["end"] for job in told)[:8]
    assert all(start - end < 3 for start, end in zip(waited, freed, strict=True))


def test_a_killed_job_frees_its_device(start):
    first = start(["0"], 600)
    assert json.loads(first.stdout.readline())["device"] == "0"
    second = start(["0"], 0)
    time.sleep(1)
    assert second.poll() is None
    os.kill(first.pid, signal.SIGKILL)
    assert json.loads(second.communicate(timeout=60)[0].splitlines()[0])["device"] == "0"


def test_a_device_by_name_is_waited_for_although_others_are_free(start, tmp_path):
    holder = start(["5"], 600)
    holder.stdout.readline()
    free = lease(["5", "6"], folder=tmp_path / "locks")
    assert (free.index, free.name) == (1, "6")
    free.release()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(devices.time, "sleep", lambda _: holder.kill() or holder.wait())
        assert lease(["5", "6"], index=0, folder=tmp_path / "locks").name == "5"


def test_waiting_is_told_with_its_remedy(start, tmp_path, monkeypatch, caplog):
    holder = start(["0"], 600)
    holder.stdout.readline()
    monkeypatch.setattr(devices, "_PATIENCE", 0)
    looks = []

    def look(_):
        looks.append(1)
        if len(looks) == 3:
            holder.kill()
            holder.wait()

    monkeypatch.setattr(devices.time, "sleep", look)
    with caplog.at_level(logging.WARNING):
        lease(["0"], folder=tmp_path / "locks").release()
    assert [record.message for record in caplog.records] == [
        "every one of the 1 devices is used by another varlm job; waiting. Give snakemake "
        "--resources gpu=1, so that no more jobs start than there are devices"
    ]


@pytest.mark.parametrize(
    ("uuids", "environment", "expected"),
    [
        (["u1", "u2"], None, ["u1", "u2"]),
        (["u1", "u2"], "", ["u1", "u2"]),
        (["u5", "u3"], "5,3", ["u5", "u3"]),
        (["u5"], "0,9", ["u5"]),  # CUDA stops at a number that is not there
        (["u1", "u2"], "GPU-aaa, MIG-bbb", ["GPU-aaa", "MIG-bbb"]),
        ([], None, []),
    ],
)
def test_the_machines_names_of_visible_devices(uuids, environment, expected):
    assert visible_devices(uuids, environment) == expected


def test_a_device_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match=r"cuda:2 is not here; 2 CUDA devices are visible \(4, 7\)"):
        lease(["4", "7"], index=2, folder=tmp_path)
    with pytest.raises(UserError, match=r"cuda is not here; 0 CUDA devices are visible \(none\)"):
        lease([], folder=tmp_path)


def test_a_lock_folder_that_is_a_link_or_a_file_is_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "file").touch()
    for name in ("link", "file"):
        with pytest.raises(UserError, match="no folder that can be written"):
            lease(["0"], folder=tmp_path / name)


def test_all_users_may_use_the_folder_and_the_locks(tmp_path):
    held = lease(["0"], folder=tmp_path / "locks")
    assert (tmp_path / "locks").stat().st_mode & 0o7777 == 0o1777
    assert (tmp_path / "locks/0.lock").stat().st_mode & 0o666 == 0o666
    held.release()


def test_a_score_job_takes_one_of_the_visible_devices(tmp_path, monkeypatch):
    import torch

    monkeypatch.setattr(devices.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    # As a scheduler numbers them that confines the job to three of eight.
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
    uuids = ["u4", "u5", "u7"]
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda number: SimpleNamespace(uuid=uuids[number])
    )
    monkeypatch.setattr(batch_size, "choose_device", torch.device)
    leases = []
    monkeypatch.setattr(
        batch_size, "lease", lambda *words: leases.append(lease(*words)) or leases[-1]
    )
    assert batch_size.take_device("cpu") == torch.device("cpu")
    assert batch_size.take_device("cuda") == torch.device("cuda:0")
    assert batch_size.take_device("cuda:2") == torch.device("cuda:2")
    assert batch_size.take_device("cuda") == torch.device("cuda:1")
    assert [held.name for held in leases] == ["u4", "u7", "u5"]
    for held in leases:
        held.release()


# Several at once -------------------------------------------------------------------------------


def test_several_devices_are_taken_beside_those_in_use(start, tmp_path):
    holder = start(["a", "b", "c", "d"], 600)
    assert json.loads(holder.stdout.readline())["device"] == "a"
    leases = lease_several(["a", "b", "c", "d"], 2, tmp_path / "locks")
    assert [(held.index, held.name) for held in leases] == [(1, "b"), (2, "c")]
    single = lease(["a", "b", "c", "d"], folder=tmp_path / "locks")
    assert single.name == "d"
    for held in (*leases, single):
        held.release()


def test_what_becomes_free_is_kept_until_there_are_enough(start, tmp_path, monkeypatch, caplog):
    """A single job that looks between does not get the device, and the wait is told."""
    holders = [start(["a", "b"], 600) for _ in range(2)]
    for holder in holders:
        holder.stdout.readline()
    monkeypatch.setattr(devices, "_PATIENCE", 0)
    looks = []

    def look(_):
        looks.append(devices._take(tmp_path / "locks", "a") or devices._take(folder, "b"))
        if holders:
            holder = holders.pop()
            holder.kill()
            holder.wait()

    folder = tmp_path / "locks"
    monkeypatch.setattr(devices.time, "sleep", look)
    with caplog.at_level(logging.WARNING):
        leases = lease_several(["a", "b"], 2, folder)
    assert looks == [None, None]
    assert [record.message for record in caplog.records] == [
        "2 devices are needed, 0 of the 2 are this job's and the others are used by other varlm "
        "jobs; waiting. Give snakemake --resources gpu=2, so that no more jobs start than there "
        "are devices"
    ]
    for held in leases:
        held.release()


def test_two_trainings_do_not_wait_for_each_other(start, tmp_path):
    """Both want both devices: each in its turn, and neither holds one while the other has one."""
    folder = tmp_path / "locks"
    jobs = []
    try:
        for _ in range(4):
            words = [sys.executable, "-c", SEVERAL, ROOT, json.dumps(["a", "b"]), folder]
            jobs.append(subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE, text=True))
        spans = sorted(json.loads(job.communicate(timeout=120)[0]) for job in jobs)
    finally:
        for job in jobs:
            job.kill()
            job.wait()
            job.stdout.close()
    assert all(later[0] >= earlier[1] for earlier, later in itertools.pairwise(spans))


def test_more_devices_than_there_are(tmp_path):
    with pytest.raises(UserError, match=r"gpus: 3 devices are asked for; 2 CUDA devices .*a, b"):
        lease_several(["a", "b"], 3, tmp_path / "locks")


def test_a_lock_that_filelock_holds_is_one(tmp_path):
    """As jobs of earlier code take theirs."""
    (tmp_path / "locks").mkdir()
    with FileLock(tmp_path / "locks/a.lock", mode=0o666):
        held = lease(["a", "b"], folder=tmp_path / "locks")
    assert held.name == "b"
    held.release()

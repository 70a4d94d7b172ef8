"""Memory that a job may still take: the least that machine, control groups and ulimit leave."""

import resource
import subprocess
import sys

import psutil
import pytest

from varlm.run import memory

GIB = 1 << 30


def make_group(folder, version, limit, usage, cache):
    names = memory._FILES[version]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{usage}\n")
    (folder / "memory.stat").write_text(f"anon 5\n{names[2]} {cache}\n")


def test_without_limits_it_is_the_machines():
    found = memory.available_memory()
    assert 0 < found <= psutil.virtual_memory().total


@pytest.mark.parametrize(("version", "line"), [(1, "4:memory:/a/b"), (2, "0::/a/b")])
def test_a_control_groups_limit_counts_and_its_cache_is_given_up(tmp_path, version, line):
    top = tmp_path / "cgroup" / ("memory" if version == 1 else "")
    make_group(top / "a", version, 8 * GIB, 6 * GIB, GIB)
    make_group(top / "a/b", version, 4 * GIB, GIB, 0)
    membership = tmp_path / "membership"
    membership.write_text(f"9:pids:/x\n{line}\n")
    assert sorted(memory._left_in_cgroups(membership, tmp_path / "cgroup")) == [3 * GIB, 3 * GIB]


def test_a_group_without_a_limit_and_one_that_is_not_there_do_not_count(tmp_path):
    make_group(tmp_path / "a", 2, "max", GIB, 0)
    membership = tmp_path / "membership"
    membership.write_text("0::/a/gone\n")
    assert memory._left_in_cgroups(membership, tmp_path) == []
    assert memory._left_in_cgroups(tmp_path / "none", tmp_path) == []


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS does not enforce ulimit -v")
def test_ulimit_counts():
    limit = 2 * GIB
    code = (
        "import resource; from varlm.run.memory import available_memory as a;"
        f"resource.setrlimit(resource.RLIMIT_AS, ({limit}, {limit})); print(a())"
    )
    found = int(
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            check=True,
            env={"PYTHONPATH": str(memory.__file__).rsplit("/", 3)[0]},
        ).stdout
    )
    assert limit // 2 < found < limit
    assert resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY

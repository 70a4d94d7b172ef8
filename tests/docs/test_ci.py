"""What runs the tests elsewhere: .ci/run, the Makefile on a bare machine, the hosted workflow."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml


@pytest.fixture(scope="module")
def workflow(root):
    text = (root / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    return yaml.load(text, yaml.BaseLoader)  # all as text: YAML 1.1 reads 3.10 as 3.1, on as True


def test_the_workflow_runs_what_anybody_can_run(workflow):
    assert workflow["on"].keys() >= {"push", "pull_request"}
    assert workflow["permissions"] == {"contents": "read"}
    assert "${{ github.ref }}" in workflow["concurrency"]["group"]
    (job,) = workflow["jobs"].values()
    assert job["runs-on"] == "ubuntu-latest"
    assert 0 < int(job["timeout-minutes"]) <= 360
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]


def test_the_workflow_tests_the_pythons_that_the_project_names(root, workflow):
    (job,) = workflow["jobs"].values()
    tested = job["strategy"]["matrix"]["python"]
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    named = [
        re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", each)[1]
        for each in project["classifiers"]
    ]
    assert tested == named
    assert project["requires-python"] == f">={tested[0]}"
    assert "${{ matrix.python }}" in job["container"]["image"]


def test_ci_run_is_a_program_that_makes_every_check(root):
    script = root / ".ci/run"
    assert script.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", script], check=True)
    made = re.findall(r"^make (\S+)$", script.read_text(), re.M)
    assert made == ["check", "test", "test-slow"]


def test_make_finds_the_programs_of_its_environment_on_a_bare_machine(root):
    """Snakefmt calls shfmt by name, which lies beside it."""
    path = "/usr/bin:/bin"
    shown = subprocess.run(
        ["make", "--eval", "shown: ; @echo $$PATH", "shown"],
        cwd=root,
        env={"PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.strip() == f"{root}/.venv/bin:{path}"


@pytest.fixture
def ci_run(root, tmp_path):
    """Run .ci/run with a Makefile that shows the environment; without all it needs it installs."""
    needed = ("make", "git", "chromium", "fc-list", "slurmctld", "slurmd", "sbatch", "munged")
    if absent := [name for name in needed if not shutil.which(name, path="/usr/sbin:/usr/bin")]:
        pytest.skip(f"{', '.join(absent)} not found: .ci/run would install Debian's packages")
    shutil.copytree(root / ".ci", tmp_path / ".ci")
    home = tmp_path / "home"
    (home / ".config/pip").mkdir(parents=True)
    (home / ".config/pip/pip.conf").write_text("[global]\n")

    def run(recipe, **environment):
        (tmp_path / "Makefile").write_text(f"check: ; @{recipe}\ntest test-slow: ; @:\n")
        return subprocess.run(
            [tmp_path / ".ci/run"],
            env={"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(home), **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_ci_run_keeps_where_packages_come_from_and_nothing_else(ci_run, tmp_path):
    shown = ci_run(
        "env; ls -A $$HOME | wc -l", PIP_INDEX_URL="file:///mirror", https_proxy="p", PYTHONPATH="x"
    )
    assert shown.returncode == 0, shown.stderr
    lines = shown.stdout.splitlines()
    given = dict(line.split("=", 1) for line in lines if "=" in line)
    assert given["PATH"] == "/usr/sbin:/usr/bin:/sbin:/bin"
    assert given["HOME"] != str(tmp_path / "home")
    assert lines[-1] == "0"  # an empty HOME …
    assert not Path(given["HOME"]).exists()  # … which is gone afterwards
    assert given["PIP_CONFIG_FILE"] == str(tmp_path / "home/.config/pip/pip.conf")
    assert (given["PIP_INDEX_URL"], given["https_proxy"]) == ("file:///mirror", "p")
    assert "PYTHONPATH" not in given


def test_ci_run_fails_where_a_check_fails(ci_run):
    failed = ci_run("exit 3")
    assert failed.returncode != 0
    assert "check" in failed.stderr


def test_ci_run_takes_the_python_that_it_is_given(ci_run, tmp_path):
    (tmp_path / "python3.99").symlink_to(sys.executable)
    given = ci_run("echo $$PYTHON", PYTHON="python3.99").stdout.strip()
    assert Path(given).is_absolute()
    assert Path(given).samefile(sys.executable)

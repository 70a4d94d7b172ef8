"""What runs the tests elsewhere: .ci/run, the Makefile on a bare machine, the hosted workflow."""

import re
import subprocess
import tomllib

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

"""One word names one thing: rule = step = subcommand = log folder; the pins agree."""

import importlib.metadata
import re
import subprocess
import sys
import tomllib

import yaml
from packaging.specifiers import SpecifierSet

from making.rules import rules
from varlm import cli


def test_rules_are_the_steps(root):
    steps = {p.stem for p in (root / "workflow_scripts/varlm/steps").glob("[a-z]*.py")}
    assert set(rules(root)) == set(cli.STEPS) == steps - {"options"}  # what several share


def test_each_rule_runs_its_step_and_logs_under_its_name(root):
    for name, body in rules(root).items():
        assert re.search(rf'python "\$VARLM" (supervise )?{name} \\\n', body), name
        assert re.search(rf"log:\s+f\"{{RESULTS}}/logs/{name}[./]", body), name
        assert re.search(rf"benchmark:\s+f\"{{RESULTS}}/benchmarks/{name}[./]", body), name


# Each room imports only from those before it; steps, the command line and tools from any.
ROOMS = (
    *("errors", "files", "tables", "run", "genome", "vcf", "variants", "models", "store"),
    *("scoring", "annotation", "results", "tracks", "figures", "evaluation", "probing"),
    *("report", "checks", "training"),
)


def test_no_room_imports_from_one_above_it(root):
    package = root / "workflow_scripts/varlm"
    upwards = set()
    for path in package.rglob("*.py"):
        room = path.relative_to(package).parts[0].removesuffix(".py")
        if room not in ROOMS:
            continue
        for module in re.findall(r"^\s*(?:from|import) varlm\.(\w+)", path.read_text(), re.M):
            if module in ROOMS and ROOMS.index(module) > ROOMS.index(room):
                upwards.add(f"{path.relative_to(package)} imports varlm.{module}")
    assert upwards == set()
    others = {"__init__", "cli", "supervise", "steps"}
    names = {path.name.removesuffix(".py") for path in package.iterdir() if path.name[:2] != "__"}
    assert names | {"__init__"} == {*ROOMS} | others


def test_no_rule_uses_script_or_run(root):
    # Both parse the Snakefile again, 1.7 s a job, and break in a module.
    for body in rules(root).values():
        assert not re.search(r"^\s+(script|run|notebook):", body, re.M)


# Prints for each step which of them its module imports, each in a fork of its own. What takes the
# time, and is not looked for, is imported before.
IMPORTED = """
import importlib, os, sys
import numpy, polars
sys.path.insert(0, sys.argv[1])
for step in sys.argv[2:]:
    child = os.fork()
    if not child:
        importlib.import_module(f"varlm.steps.{step}")
        heavy = [name for name in ("torch", "transformers", "gpn") if name in sys.modules]
        print(step, *heavy, flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, step
"""


def test_only_score_imports_torch(root):
    steps = [step for step in cli.STEPS if step != "score"]
    command = [sys.executable, "-c", IMPORTED, root / "workflow_scripts", *steps]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.splitlines() == steps


def test_the_snakefile_imports_nothing_heavy(root):
    text = (root / "rules/common.smk").read_text()
    modules = sorted(set(re.findall(r"^ *from (varlm[.\w]+) import", text, re.M)))
    assert {"varlm.run.loading", "varlm.run.snakemake_process"} <= set(modules)
    modules += [
        f"varlm.run.{path.stem}" for path in (root / "workflow_scripts/varlm/run").glob("[a-z]*.py")
    ]
    code = (
        f"import sys; sys.path.insert(0, {str(root / 'workflow_scripts')!r}); "
        f"import {', '.join(modules)}; "
        "print([m for m in ('torch', 'polars', 'numpy', 'pysam') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def locked(root):
    lines = (root / "requirements.lock").read_text().splitlines()
    return dict(line.lower().split("==") for line in lines if "==" in line)


def test_the_lock_pins_exactly_and_only(root):
    lines = (root / "requirements.lock").read_text().splitlines()
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][A-Za-z0-9.]*", line) for line in lines)
    assert locked(root)["torch"] == "2.13.0"


def test_the_locks_packages_run_on_the_oldest_python_of_all(root):
    """A release may want a patch of 3.11 that a long-lived distribution does not have."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    oldest = project["requires-python"].removeprefix(">=") + ".0"
    refusing = {}
    for name in locked(root):
        wanted = importlib.metadata.metadata(name).get("Requires-Python") or ""
        if oldest not in SpecifierSet(wanted):
            refusing[name] = wanted
    assert refusing == {}


def test_environments_have_the_locks_versions(root):
    pins = locked(root)
    for path in (root / "envs").glob("*.yaml"):
        for entry in yaml.safe_load(path.read_text())["dependencies"]:
            names = entry["pip"] if isinstance(entry, dict) else [entry]
            for name, version in (re.split("=+", n, maxsplit=1) for n in names if "=" in n):
                if name in ("python", "pip"):
                    continue
                pinned = pins[{"pytorch": "torch", "python-isal": "isal"}.get(name, name)]
                assert version == pinned, f"{path.name}: {name}={version}, the lock has {pinned}"


def test_every_test_that_the_fault_list_names_exists(root):
    named = re.findall(r"`(test_\w+)`", (root / "docs/faults.md").read_text())
    written = "".join(path.read_text() for path in (root / "tests").rglob("test_*.py"))
    assert len(named) > 30
    assert [name for name in named if f"def {name}(" not in written] == []

"""Environments and containers: what the recipes install is what the steps import; offline runs."""

import ast
import importlib.metadata
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from making.git_host import hosted_at, make_repository
from making.hub import Hub
from making.rules import rules
from making.workflow import made_genome, snakemake, vcf_text, write_config, write_fasta, write_sheet

COMMIT = "0123456789abcdef0123456789abcdef01234567"

# Environments of --software-deployment-method conda


def environments(root):
    """Rule → its environment file, as the rule names it."""
    found = {}
    for name, body in rules(root).items():
        (path,) = re.findall(r'^    conda:\n        "\.\./(envs/\w+\.yaml)"$', body, re.M)
        found[name] = path
    return found


def installed(path):
    """The distributions that an environment file names, in lower case."""
    entries = yaml.safe_load(path.read_text())["dependencies"]
    plain = [entry for entry in entries if isinstance(entry, str)]
    pip = [name for entry in entries if isinstance(entry, dict) for name in entry["pip"]]
    names = {re.split("=+", name)[0].lower() for name in [*plain, *pip]}
    return {"isal" if name == "python-isal" else name for name in names}  # conda-forge's name


def module_file(package, name):
    path = package / name.replace(".", "/")
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.is_file():
            return file
    return None


def imports(file):
    """What a module imports when it is run: also inside functions, but not for type checkers."""

    def walk(node):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                continue
            if isinstance(child, ast.Import):
                yield from (name.name for name in child.names)
            elif isinstance(child, ast.ImportFrom):
                yield child.module
                yield from (f"{child.module}.{name.name}" for name in child.names)
            else:
                yield from walk(child)

    return list(walk(ast.parse(file.read_text())))


def third_party(package, *start):
    """The top-level packages that modules reach which are neither Python's nor varlm's."""
    seen, waiting, found = set(), list(start), set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if name.partition(".")[0] != "varlm":
            if name.partition(".")[0] not in sys.stdlib_module_names:
                found.add(name.partition(".")[0])
        elif file := module_file(package, name):
            waiting += imports(file)
            waiting += [name.rpartition(".")[0] or "varlm"]
    return found


def test_every_rule_has_an_environment_with_all_that_its_step_imports(root):
    package = root / "workflow_scripts"
    distributions = importlib.metadata.packages_distributions()
    families = [
        ".".join(file.relative_to(package).with_suffix("").parts)
        for file in (package / "varlm/models").rglob("*.py")
    ]
    reached = {}
    for rule, environment in environments(root).items():
        start = ["varlm.cli", f"varlm.steps.{rule}"]
        if environment.startswith("envs/torch"):
            start += families  # load_model names them at run time
        found = third_party(package, *start)
        names = {distributions[name][0].lower() for name in found}
        lacking = names - installed(root / environment)
        assert lacking == set(), f"{environment} lacks what the rule {rule} imports"
        reached.setdefault(environment, set()).update(names)
    assert {"torch", "safetensors", "huggingface_hub"} <= reached["envs/torch.yaml"]
    assert {"altair", "jinja2", "vl-convert-python"} <= reached["envs/tables.yaml"]
    assert "torch" not in reached["envs/tables.yaml"]


def test_each_environment_is_used(root):
    assert set(environments(root).values()) == {
        str(path.relative_to(root)) for path in (root / "envs").glob("*.yaml")
    }


def test_the_walk_of_imports_sees_those_in_functions(tmp_path):
    (tmp_path / "varlm/inner").mkdir(parents=True)
    (tmp_path / "varlm/__init__.py").write_text("import first\n")
    (tmp_path / "varlm/inner/__init__.py").write_text("")
    (tmp_path / "varlm/inner/a.py").write_text(
        "from __future__ import annotations\nimport os.path\nfrom varlm.inner import b\n"
        "if TYPE_CHECKING:\n    import never\n"
    )
    (tmp_path / "varlm/inner/b.py").write_text("def f():\n    import second.part as p\n")
    assert third_party(tmp_path, "varlm.inner.a") == {"first", "second"}


# Containers


def steps_of_the_dockerfile(root):
    """[(instruction, rest)], continued lines joined."""
    text = re.sub(r"^#.*\n", "", (root / "Dockerfile").read_text(), flags=re.M)
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    return [tuple(line.split(maxsplit=1)) for line in lines]


def sections_of_the_definition(root):
    text = re.sub(r"^#.*\n", "", (root / "apptainer.def").read_text(), flags=re.M)
    head, *parts = re.split(r"^%(\w+)\n", text, flags=re.M)
    return head, dict(zip(parts[::2], parts[1::2], strict=True))


def words(text):
    return " ".join(text.replace("\\\n", " ").split())


def copied(root):
    """[(what is copied, where to)] of the Dockerfile."""
    found = []
    for instruction, rest in steps_of_the_dockerfile(root):
        if instruction == "COPY":
            *sources, target = rest.split()
            found += [(source, target) for source in sources]
    return found


def test_the_dockerfile_installs_the_lock_as_make_does(root):
    made = re.search(r"pip (install .*-r requirements\.lock)", (root / "Makefile").read_text())
    runs = [rest for instruction, rest in steps_of_the_dockerfile(root) if instruction == "RUN"]
    (pip,) = [words(run) for run in runs if "pip install" in run]
    assert pip.replace("--no-cache-dir ", "") == "pip " + made[1]
    base = steps_of_the_dockerfile(root)[0]
    assert base[0] == "FROM"
    minor = re.fullmatch(r"python:3\.(\d+)-slim-bookworm", base[1])[1]
    required = re.search(r'requires-python = ">=3\.(\d+)"', (root / "pyproject.toml").read_text())
    assert int(minor) >= int(required[1])
    for environment in (root / "envs").glob("*.yaml"):
        assert f"python=3.{minor}" in environment.read_text()


def test_the_image_holds_all_that_the_workflow_names(root):
    inside = {source for source, _ in copied(root)}
    assert all((root / source).exists() for source in inside)
    assert {"Snakefile", "rules", "envs", "config", "profiles", "workflow_scripts"} <= inside
    for source, target in copied(root):
        assert target == ("/opt/varlm/" if (root / source).is_file() else f"/opt/varlm/{source}")
    kept = (root / ".dockerignore").read_text().split("\n")
    allowed = {line[1:] for line in kept if line.startswith("!")}
    assert allowed == inside, "what .dockerignore lets through is what the Dockerfile copies"


def test_the_apptainer_definition_does_what_the_dockerfile_does(root):
    head, sections = sections_of_the_definition(root)
    steps = steps_of_the_dockerfile(root)
    assert f"From: {steps[0][1]}" in head
    files = [tuple(line.split()) for line in sections["files"].splitlines() if line.strip()]
    assert files == copied(root)
    runs = [words(rest) for instruction, rest in steps if instruction == "RUN"]
    post = words(sections["post"])
    for run in runs[:-1]:
        assert run in post
    assert runs[-1] == words(sections["test"])
    (entry,) = [rest for instruction, rest in steps if instruction == "ENTRYPOINT"]
    assert words(sections["runscript"]) == f'exec {shlex.join(yaml.safe_load(entry))} "$@"'


# Offline

# Python reads it when it starts: any connection but within the machine's own file system fails,
# and is told.
NO_NETWORK = """
import os, socket, sys
def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        family = getattr(arguments[0], "family", None)
        if family != socket.AF_UNIX:
            with open(os.environ["CONNECTIONS"], "a") as file:
                file.write(f"{sys.argv} {event} {arguments}\\n")
            raise OSError("no network in this test")
sys.addaudithook(refuse)
"""


@pytest.fixture
def cut_off(tmp_path, monkeypatch):
    """Return a function that cuts every Python started later off the network; what they tried."""
    tried = tmp_path / "connections"
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text(NO_NETWORK)

    def cut():
        import making.workflow as workflow_making

        changed = {"PYTHONPATH": str(tmp_path / "site"), "CONNECTIONS": str(tried)}
        environment = {**workflow_making.BARE_ENVIRONMENT, **changed}
        monkeypatch.setattr(workflow_making, "BARE_ENVIRONMENT", environment)
        return tried

    return cut


@pytest.mark.slow
def test_fault_39_after_the_download_a_run_tries_no_network(root, tmp_path, monkeypatch, cut_off):
    """A model of the hub, prepared while there is a network; everything else without one."""
    import making.workflow as workflow_making

    folder = tmp_path / "project"
    folder.mkdir()
    genome = made_genome()
    write_fasta(folder / "genome.fa.gz", genome)
    (folder / "one.vcf").write_text(vcf_text(genome, "chr1", "1", 1, 15))
    write_sheet(folder, {"a": ["one.vcf"]})
    write_config(
        folder,
        models={"tiny": {"path": "owner/name", "revision": COMMIT}},
        scoring={"window": 64, "precision": "float32", "background_sites": 0},
    )
    hub = Hub(root / "resources/demo/model", "owner/name", COMMIT)
    offered = {"HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path / "hf")}
    environment = {**workflow_making.BARE_ENVIRONMENT, **offered}
    monkeypatch.setattr(workflow_making, "BARE_ENVIRONMENT", environment)

    snakemake(folder, "--", "results/models/tiny.json")
    assert ("GET", f"/owner/name/resolve/{COMMIT}/model.safetensors") in hub.requests
    hub.stop()
    tried = cut_off()
    snakemake(folder)
    assert (folder / "results/cohorts/a/annotated.tsv.gz").is_file()
    # The model is prepared again from the cache.
    (folder / "results/models/tiny.json").unlink()
    snakemake(folder, "--", "results/models/tiny.json")
    assert not tried.exists(), tried.read_text()


def test_the_network_is_cut_off_in_that_test(cut_off):
    import making.workflow as workflow_making

    tried = cut_off()
    code = "import urllib.request as u; u.urlopen('http://127.0.0.1:9')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=workflow_making.BARE_ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "no network in this test" in done.stderr
    assert "socket.getaddrinfo" in tried.read_text()


def test_the_model_is_prepared_where_snakemake_runs(root):
    """Compute nodes may have no network: only prepare_model uses it."""
    assert re.search(r"^    localrule: True$", rules(root)["prepare_model"], re.M)
    package = root / "workflow_scripts/varlm"
    users = [
        str(file.relative_to(package))
        for file in package.rglob("*.py")
        if re.search(
            r"snapshot_download|hf_hub_download|httpx|urlopen|requests\.", file.read_text()
        )
    ]
    assert users == ["models/download.py"]
    callers = [
        str(file.relative_to(package))
        for file in package.rglob("*.py")
        if re.search(r"download\.resolve\(|import resolve", file.read_text())
    ]
    assert callers == ["steps/prepare_model.py"]


# snakedeploy


@pytest.fixture(scope="module")
def repository(tmp_path_factory, root):
    return make_repository(tmp_path_factory.mktemp("git") / "varlm", root, "v1")


@pytest.fixture
def in_project(tmp_path, repository):
    """A function that runs a command in a folder, where git takes github.com from `repository`."""
    from making.workflow import BARE_ENVIRONMENT

    cache = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    environment = {**BARE_ENVIRONMENT, **hosted_at(repository), **cache}

    def run(folder, *command):
        program = Path(sys.executable).parent / command[0]
        done = subprocess.run(
            [program, *command[1:]],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


# Made of every file that the demo's config and sheet name.
OF_THE_DEMO = [
    "results/models/gpn.json",
    "results/reference/annotation",
    *(f"results/cohorts/{cohort}/accounting.json" for cohort in ("denovo", "segregating")),
]


def test_a_deployed_workflow_starts_as_the_demo(in_project, tmp_path, root):
    address = "https://github.com/lab/varlm"
    in_project(tmp_path, "snakedeploy", "deploy-workflow", address, "project", "--tag", "v1")
    project = tmp_path / "project"
    assert (
        'github("lab/varlm", path="Snakefile", tag="v1")'
        in (project / "workflow/Snakefile").read_text()
    )
    planned = in_project(project, "snakemake", "--cores", "2", "--dry-run")
    assert re.search(r"^score_pictures +2$", planned, re.M)
    in_project(project, "snakemake", "--cores", "2", *OF_THE_DEMO)
    records = json.loads((project / OF_THE_DEMO[2]).read_text())
    assert records["cohort"] == "denovo"
    again = in_project(project, "snakemake", "--cores", "2", "--dry-run", *OF_THE_DEMO)
    assert "Nothing to be done" in again


def test_a_workflow_deployed_from_a_folder_needs_its_path(in_project, repository, tmp_path, root):
    """snakedeploy 0.17 writes the new Snakefile's own path; docs/deployment.md says so."""
    in_project(tmp_path, "snakedeploy", "deploy-workflow", repository, "project", "--tag", "v1")
    snakefile = tmp_path / "project/workflow/Snakefile"
    written = snakefile.read_text()
    assert re.search(r'snakefile:\s+"Snakefile"$', written, re.M)
    snakefile.write_text(written.replace('"Snakefile"', f'"{repository}/Snakefile"'))
    planned = in_project(tmp_path / "project", "snakemake", "--cores", "2", "--dry-run")
    assert f"{repository}/resources/demo/genome.fa" in planned
    assert "`snakefile:` line" in (root / "docs/deployment.md").read_text()

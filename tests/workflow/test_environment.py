"""Where a run takes place changes nothing: no network, another locale, odd folders; nothing in a
checkpoint runs.
"""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from making.toy_models import CONFIGS, make_checkpoint
from making.workflow import (
    BARE_ENVIRONMENT,
    made_genome,
    snakemake_command,
    vcf_text,
    write_config,
    write_fasta,
    write_sheet,
)

TABLES = ("annotated.parquet", "annotated.tsv.gz", "annotated.vcf.gz", "rejected.tsv.gz")

# Put before everything else of a Python process: it writes down who started, and who asks for a
# host or for a connection to one.
RECORDER = """
import os, sys

def record(event, args):
    if event == "socket.connect" and isinstance(args[1], (str, bytes)):
        return  # a Unix socket: a path on this machine
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        write(event, repr(args[1:] if event.endswith("connect") else args))

def write(what, detail):
    with open(os.environ["VARLM_TEST_RECORD"], "a", encoding="utf-8") as file:
        file.write("\\t".join([what, " ".join(sys.orig_argv)[:300], detail]) + "\\n")

write("start", "")
sys.addaudithook(record)
"""


def make_project(folder, vcf="one.vcf"):
    """A user's folder: two contigs, a cohort with indels, one shard of work."""
    folder.mkdir(parents=True)
    genome = made_genome()
    write_fasta(folder / "genome.fa.gz", genome)
    (folder / vcf).write_text(vcf_text(genome, "chr1", "1", 1, 30), encoding="utf-8")
    write_sheet(folder, {"a": [vcf]})
    write_config(folder, shards={"sites_per_shard": 5000}, report={"pictures": 0})
    return folder


def run(folder, environment=None, before=(), cwd="/", reports=True):
    """Run the workflow to its end."""
    done = subprocess.run(
        [*before, *snakemake_command(folder, reports=reports)],
        cwd=cwd,
        env={**BARE_ENVIRONMENT, **(environment or {})},
        capture_output=True,
        check=False,
    )
    output = (done.stdout + done.stderr).decode("utf-8", "backslashreplace")
    assert done.returncode == 0, output


def tables(folder):
    cohort = folder / "results/cohorts/a"
    return {name: (cohort / name).read_bytes() for name in TABLES}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A plain run whose Python processes were listened to: its folder and the record's lines."""
    top = tmp_path_factory.mktemp("plain")
    (top / "site").mkdir()
    (top / "site/sitecustomize.py").write_text(RECORDER)
    environment = {"PYTHONPATH": str(top / "site"), "VARLM_TEST_RECORD": str(top / "record")}
    folder = make_project(top / "project")
    run(folder, environment)
    lines = (top / "record").read_text(encoding="utf-8").splitlines()
    # The recorder does record: a process that asks for a connection is in it.
    control = "import socket; socket.socket().connect_ex(('127.0.0.1', 9))"
    subprocess.run(
        [sys.executable, "-c", control], env={**BARE_ENVIRONMENT, **environment}, check=True
    )
    added = (top / "record").read_text(encoding="utf-8").splitlines()[len(lines) :]
    assert [line.split("\t")[0] for line in added] == ["start", "socket.connect"]
    return folder, [line.split("\t") for line in lines]


@pytest.mark.slow
def test_fault_39_no_process_of_a_run_asks_for_a_host(recorded):
    _, lines = recorded
    commands = "\n".join(command for what, command, _ in lines if what == "start")
    started = set(re.findall(r"workflow_scripts (?:supervise )?(\w+)", commands))
    assert {"index_reference", "prepare_model", "plan", "score", "commit", "export"} <= started
    assert [line for line in lines if line[0] != "start"] == []


@pytest.fixture(scope="module")
def no_network():
    """The command that runs another without any network."""
    command = ["unshare", "--net"]
    if shutil.which("unshare") is None:
        pytest.skip("unshare is not installed")
    tried = subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        command = ["unshare", "--map-root-user", "--net"]
        tried = subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"no network namespace may be made here: {tried.stderr.strip()}")
    return command


@pytest.mark.slow
def test_fault_39_a_run_without_a_network_gives_the_same_bytes(recorded, no_network, tmp_path):
    folder = make_project(tmp_path / "offline")
    run(folder, before=no_network)
    assert tables(folder) == tables(recorded[0])
    assert (folder / "results/cohorts/a/report.html").stat().st_size > 100_000


def locales():
    """Locales that sort, print numbers and change case as others do, as far as they are here."""
    found = subprocess.run(["locale", "-a"], capture_output=True, text=True, check=False)
    there = {name.replace("utf8", "UTF-8") for name in found.stdout.split()}
    return [name for name in ("tr_TR.UTF-8", "de_DE.UTF-8") if name in there]


# Python takes the locale C for UTF-8, unless it is told not to: then names of files are ASCII only.
ASCII = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("locale", "letters"),
    [
        pytest.param({"LC_ALL": "C"}, "año 日本", id="C"),
        pytest.param(ASCII, "ASCII", id="ASCII"),
        *(pytest.param({"LC_ALL": name}, "año 日本", id=name) for name in locales()[:1]),
    ],
)
def test_fault_40_locale_spaces_letters_and_links_give_the_same_bytes(
    recorded, locale, letters, tmp_path
):
    name = f"{letters} 'x' $y.vcf"
    folder = tmp_path / "a link" / f"mi {letters}"
    (tmp_path / "disk/elsewhere").mkdir(parents=True)
    (tmp_path / "a link").symlink_to("disk", target_is_directory=True)
    make_project(folder, vcf=name)
    (folder / "results").symlink_to("../elsewhere", target_is_directory=True)
    (folder / name).rename(tmp_path / "disk/data.vcf")
    (folder / name).symlink_to("../data.vcf")
    run(folder, {**locale, "TZ": "Asia/Kathmandu"}, cwd=folder, reports=False)
    assert tables(folder) == tables(recorded[0])


def sources(root):
    return sorted((root / "workflow_scripts").rglob("*.py"))


RUNS_CODE = re.compile(r"(c?[pP]ickle|dill|joblib|marshal|shelve)\.(loads?|open|Unpickler)")


def unsafe_calls(text):
    """The calls in Python source that run code of a file: line and what it is."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            given = {word.arg: ast.unparse(word.value) for word in node.keywords if word.arg}
            if given.get("weights_only", "True") != "True":
                found.append((node.lineno, "weights_only"))
            if name in ("torch.load", "load") and "weights_only" not in given:
                found.append((node.lineno, "torch.load without weights_only"))
            if RUNS_CODE.fullmatch(name):
                found.append((node.lineno, name))
            if given.get("allow_pickle", "False") != "False":
                found.append((node.lineno, "allow_pickle"))
            if given.get("trust_remote_code", "False") != "False":
                found.append((node.lineno, "trust_remote_code"))
        named = [node.value] if isinstance(node, ast.Constant) else []
        if "trust_remote_code" in named:  # a dictionary of options
            found.append((node.lineno, "trust_remote_code"))
    return found


@pytest.mark.parametrize("variable", ["HOME", "XDG_CACHE_HOME"])
def test_a_home_that_cannot_be_written_says_what_to_set(tmp_path, variable):
    """Snakemake makes its cache before it reads the Snakefile: the profile looks before it."""
    project = make_project(tmp_path / "project")
    environment = {**BARE_ENVIRONMENT, variable: "/dev/null/x"}  # where not even root can write
    if variable == "HOME":
        environment.pop("XDG_CACHE_HOME", None)
    command = snakemake_command(project, "-n")
    result = subprocess.run(
        command, cwd="/", env=environment, capture_output=True, text=True, check=False
    )
    output = result.stdout + result.stderr
    assert result.returncode == 1
    assert re.search(
        r"error: Snakemake keeps a cache in /dev/null/x.+; set XDG_CACHE_HOME to", output
    )
    assert "Traceback" not in output
    assert not (project / ".snakemake").exists()


def test_a_run_without_a_home_or_a_temporary_folder(tmp_path):
    """With the variable that the error names, a run needs neither."""
    project = make_project(tmp_path / "project")
    environment = {**BARE_ENVIRONMENT, "HOME": "/dev/null/x", "TMPDIR": "/dev/null/y"}
    run(project, {**environment, "XDG_CACHE_HOME": str(tmp_path / "cache")}, reports=False)
    assert (project / "results/cohorts/a/annotated.vcf.gz.tbi").exists()


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("torch.load(path, weights_only=False)", "weights_only"),
        ("torch.load(path, weights_only=safe)", "weights_only"),
        ("torch.load(path)", "torch.load without weights_only"),
        ("pickle.load(file)", "pickle.load"),
        ("np.load(path, allow_pickle=True)", "allow_pickle"),
        ("AutoModel.from_pretrained(x, trust_remote_code=True)", "trust_remote_code"),
        ("f(**{'trust_remote_code': True})", "trust_remote_code"),
    ],
)
def test_the_search_for_unsafe_calls_finds_them(text, what):
    assert what in [name for _, name in unsafe_calls(text)]


def test_fault_49_50_no_call_runs_what_a_file_holds(root):
    found = {
        f"{path.relative_to(root)}:{line}": what
        for path in sources(root)
        for line, what in unsafe_calls(path.read_text(encoding="utf-8"))
    }
    assert found == {}
    text = (root / "workflow_scripts/varlm/models/weights.py").read_text(encoding="utf-8")
    assert "weights_only=True" in text  # the only place that reads pickles


def test_fault_49_torch_is_newer_than_its_last_known_hole(root):
    """CVE-2026-24747: `weights_only=True` ran code before torch 2.10."""
    import torch

    lock = (root / "requirements.lock").read_text(encoding="utf-8")
    conda = (root / "envs/torch.yaml").read_text(encoding="utf-8")
    versions = [
        *re.findall(r"^torch==([\d.]+)$", lock, re.M),
        *re.findall(r"- (?:py)?torch=+([\d.]+)$", conda, re.M),
        torch.__version__.split("+")[0],
    ]
    assert len(versions) == 3, versions
    assert all(tuple(map(int, version.split(".")[:2])) >= (2, 10) for version in versions), versions


@pytest.mark.parametrize("known", [True, False])
def test_fault_50_the_code_of_a_checkpoint_is_not_run(tmp_path, root, known):
    folder = make_checkpoint(tmp_path / "model", CONFIGS["convnet"])
    ran = tmp_path / "ran"
    (folder / "evil.py").write_text(f"open({str(ran)!r}, 'w')\nclass M: ...\nclass C: ...\n")
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoConfig": "evil.C", "AutoModelForMaskedLM": "evil.M"}
    if not known:
        config["model_type"] = "evil"
    (folder / "config.json").write_text(json.dumps(config))
    command = [sys.executable, str(root / "workflow_scripts"), "prepare_model", "--name", "m"]
    command += ["--path", str(folder), "--window", "64", "--strands", "both"]
    command += ["--precision", "float32", "--model", str(tmp_path / "m.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    if known:  # varlm's own class for this family reads the tensors
        from varlm.models.loading import load_model

        assert done.returncode == 0, done.stderr
        load_model(folder)
    else:
        assert done.returncode == 2
        assert done.stderr.startswith("error: ")
        assert len(done.stderr.splitlines()) == 1
        assert f"{Path(folder) / 'config.json'}: model_type is 'evil', of no" in done.stderr
    assert not ran.exists()

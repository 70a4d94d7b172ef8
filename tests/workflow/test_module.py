"""varlm as a module of another workflow: from a folder, a git host by tag, a web server."""

import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest
import yaml

from making.git_host import git, hosted_at, make_repository, package, sources
from making.workflow import (
    BARE_ENVIRONMENT,
    made_genome,
    snakemake,
    summary,
    vcf_text,
    write_config,
    write_fasta,
    write_sheet,
)
from varlm.run.checkpoint_folders import CORRUPTION
from varlm.scoring.brought_background import FILE

TABLES = [f"cohorts/{cohort}/annotated.{kind}" for cohort in "ab" for kind in ("parquet", "tsv.gz")]

# `calls.vcf` is made by the caller; the module is given no path but what its config says.
CALLER = """
configfile: "caller.yaml"

rule all:
    input:
        "{results}/summary.tsv",
        expand("{results}/cohorts/{{cohort}}/annotated.tsv.gz", cohort=["a", "b"]),

rule call:
    input: "source.vcf"
    output: "calls.vcf"
    shell: "cp {{input}} {{output}}"

module varlm:
    snakefile: {snakefile}
    config: config["varlm"]
    {prefix}

use rule * from varlm as varlm_*
"""


CONDA = """#!/bin/sh
case "$*" in
    "info --json") echo '{"conda_prefix": "/x", "root_prefix": "/x", "platform": "linux-64"}' ;;
    --version) echo "conda 25.1.0" ;;
    *channel_priority*) echo '{"get": {"channel_priority": "strict"}}' ;;
esac
"""


def test_a_remote_import_fetches_every_file_of_the_package(root):
    folders = ("workflow_scripts/", "config/schemas/")
    wanted = [name for name in sources(root) if name.startswith(folders)]
    code = [name for name in package(root) if not name.startswith("resources/")]
    assert code == sorted(wanted), (
        "a file of workflow_scripts or config/schemas is new, moved or gone: make the lines of "
        "rules/package.txt again as its head says"
    )


def test_of_resources_it_lists_what_a_config_may_name_and_no_more(root):
    shipped = [name for name in package(root) if name.startswith("resources/")]
    models = [path.parent for path in (root / "resources").rglob("model.safetensors")]
    beside = (FILE, CORRUPTION)
    checkpoints = [
        path
        for folder in models
        for path in folder.iterdir()
        if path.name
        in {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", *beside}
    ]
    demo = root / "resources/demo"
    inputs = [path for path in demo.glob("*") if path.suffix in {".fa", ".gff3", ".vcf", ".gz"}]
    assert shipped == sorted(str(path.relative_to(root)) for path in [*checkpoints, *inputs])


def test_the_package_survives_the_source_cache(root):
    """It takes files through `git show`, as text, without the newlines at their end."""
    for name in package(root):
        if name.startswith("resources/"):  # which do not go through it
            continue
        text = (root / name).read_bytes().decode("utf-8")
        assert "\r" not in text, name
        assert not text.endswith("\n\n"), name


@pytest.fixture(scope="module")
def genome():
    return made_genome()


def make_project(folder, genome):
    """A caller's folder, with a config below its own key `varlm`."""
    write_fasta(folder / "genome.fa.gz", genome)
    (folder / "source.vcf").write_text(vcf_text(genome, "chr1", "1", 1, 40))
    (folder / "two.vcf").write_text(vcf_text(genome, "chrM", "MT", 2, 20))
    write_sheet(folder, {"a": ["calls.vcf"], "b": ["two.vcf"]})
    return folder


def write_caller(folder, snakefile, *, prefix="", results="results", **changes):
    write_config(folder, **changes)
    config = yaml.safe_load((folder / "mine.yaml").read_text())
    (folder / "caller.yaml").write_text(yaml.safe_dump({"other": 1, "varlm": config}))
    text = CALLER.format(snakefile=snakefile, prefix=prefix, results=results)
    (folder / "Snakefile").write_text(text)


def run(folder, *arguments, check=True, **environment):
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "2", *arguments],
        cwd=folder,
        env={**BARE_ENVIRONMENT, "XDG_CACHE_HOME": str(folder / "cache"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    output = done.stdout + done.stderr
    assert (done.returncode == 0) == check, output
    return output


@pytest.fixture(scope="module")
def alone(tmp_path_factory, genome):
    """The workflow by itself: its tables, and a store that the modules read."""
    folder = make_project(tmp_path_factory.mktemp("alone"), genome)
    (folder / "calls.vcf").write_bytes((folder / "source.vcf").read_bytes())
    write_config(folder)
    snakemake(folder)
    return folder


@pytest.fixture(scope="module")
def local(alone, genome, tmp_path_factory, root):
    """A module by path, with a prefix; its store is that of the run alone."""
    folder = make_project(tmp_path_factory.mktemp("caller of a folder"), genome)
    write_caller(
        folder,
        repr(str(root / "Snakefile")),
        prefix='prefix: "below"',
        results="below/results",
        store=str(alone / "store"),
    )
    return folder, run(folder)


@pytest.mark.slow
def test_a_module_by_path_makes_the_same_tables_below_its_prefix(local, alone):
    folder, output = local
    for name in TABLES:
        made = (folder / "below/results" / name).read_bytes()
        assert made == (alone / "results" / name).read_bytes(), name
    rows = summary(folder / "below/results")
    assert int(rows["a"]["sites_scored"]) == 0
    assert int(rows["a"]["sites_from_store"]) > 20
    assert "rule varlm_normalise" in output
    assert "rule varlm_score:" not in output
    assert not (folder / "results").exists()
    assert (folder / "below/results/logs/normalise/a.log").is_file()
    assert not (folder / "below/genome.fa.gz").exists()


def test_the_callers_default_target_and_what_it_makes_are_its_own(local):
    folder, output = local
    assert (folder / "calls.vcf").read_bytes() == (folder / "source.vcf").read_bytes()
    assert "rule call:" in output
    assert "rule varlm_all" not in output
    assert "rule varlm_report:" not in output


@pytest.mark.slow
def test_a_second_run_of_a_module_does_nothing(local):
    """`calls.vcf` was not there in the first run, and is now."""
    folder, _ = local
    assert "Nothing to be done" in run(folder, "--dry-run")
    (folder / "source.vcf").write_text((folder / "source.vcf").read_text() + "\n")
    planned = run(folder, "--dry-run", "--quiet", "rules")
    assert "varlm_normalise" in run(folder, "--dry-run"), planned


@pytest.mark.slow
def test_two_imports_with_other_settings(alone, genome, tmp_path, root):
    """Each has its results; `use rule … with` changes one rule of one of them.

    (Snakemake 9.27 knows no such change for a rule that takes `rules.other.output`.)
    """
    folder = make_project(tmp_path, genome)
    (folder / "calls.vcf").write_bytes((folder / "source.vcf").read_bytes())
    write_config(folder, store=str(alone / "store"), results="one")
    config = yaml.safe_load((folder / "mine.yaml").read_text())
    (folder / "caller.yaml").write_text(yaml.safe_dump(config))
    (folder / "Snakefile").write_text(
        f"""
configfile: "caller.yaml"

module first:
    snakefile: {str(root / "Snakefile")!r}
    config: config

use rule * from first as first_*

use rule index_reference from first as first_index_reference with:
    threads: 2

module second:
    snakefile: {str(root / "Snakefile")!r}
    config: {{**config, "results": "two", "normalise": {{"max_allele_length": 5}}}}
    replace_prefix: {{"two/": "moved/two/"}}

use rule * from second as second_*

rule both:
    default_target: True
    input:
        "one/cohorts/b/variants.parquet",
        "moved/two/cohorts/b/variants.parquet",
        "one/models/tiny.json",
        "moved/two/models/tiny.json",
"""
    )
    output = run(folder)
    assert "rule first_normalise" in output
    assert "rule second_normalise" in output
    for place in ("one", "moved/two"):
        assert (folder / place / "cohorts/b/variants.parquet").is_file()
        assert (folder / place / "models/tiny.json").is_file()
    assert not (folder / "two").exists()


def test_a_module_without_a_file_that_no_rule_makes(genome, tmp_path, root):
    folder = make_project(tmp_path, genome)
    write_caller(folder, repr(str(root / "Snakefile")))
    write_sheet(folder, {"a": ["calls.vcf"], "b": ["none.vcf"]})
    output = run(folder, "--dry-run", check=False)
    assert "none.vcf: input not found" in output
    assert "calls.vcf" not in output


def test_a_module_without_a_config_is_told_what_is_missing(tmp_path, root):
    (tmp_path / "Snakefile").write_text(
        f"module varlm:\n    snakefile: {str(root / 'Snakefile')!r}\n    config: {{}}\n\n"
        "use rule * from varlm as varlm_*\n"
    )
    output = run(tmp_path, "--dry-run", check=False)
    assert "reference: missing; set it" in output
    assert "can there be no cohort sheet" in output


# From elsewhere


@pytest.fixture(scope="module")
def repository(tmp_path_factory, root):
    """A repository with the checkout's files at the tag v1; later, its branch is broken."""
    folder = make_repository(tmp_path_factory.mktemp("git") / "varlm", root, "v1", "v0.1.0")
    (folder / "Snakefile").write_text("this is no Snakefile\n")
    git(folder, "commit", "--quiet", "--all", "--message", "two")
    return folder


@pytest.mark.slow
def test_a_module_from_a_git_host_by_tag_with_reports(alone, genome, repository, tmp_path):
    folder = make_project(tmp_path, genome)
    snakefile = 'github("lab/varlm", path="Snakefile", tag="v1")'
    write_caller(folder, snakefile, store=str(alone / "store"), report={"pictures": 0})
    write_sheet(folder, {"b": ["two.vcf"]})
    hosted = hosted_at(repository)
    run(folder, "varlm_all", **hosted)
    for name in TABLES[2:]:
        assert (folder / "results" / name).read_bytes() == (alone / "results" / name).read_bytes()
    assert "</html>" in (folder / "results/cohorts/b/report.html").read_text()
    assert "</html>" in (folder / "results/index.html").read_text()
    # The tag is in the cache: neither a host nor a repository is needed any more.
    nowhere = {**hosted, "GIT_CONFIG_KEY_0": "url.file:///nowhere/.insteadOf"}
    assert "Nothing to be done" in run(folder, "--dry-run", "varlm_all", **nowhere)
    run(folder, "--report", "report.html", "varlm_all", **nowhere)
    assert (folder / "report.html").stat().st_size > 100_000
    # The environments come from there too. (Of conda, only what Snakemake asks it first.)
    (folder / "bin").mkdir()
    (folder / "bin/conda").write_text(CONDA)
    (folder / "bin/conda").chmod(0o755)
    nowhere["PATH"] = f"{folder / 'bin'}{os.pathsep}{nowhere['PATH']}"
    conda = ["--software-deployment-method", "conda", "--list-conda-envs"]
    listed = run(folder, "varlm_all", "--forceall", *conda, **nowhere)
    assert "/lab/varlm/v1/envs/tables.yaml" in listed
    assert "/lab/varlm/v1/envs/torch.yaml" in listed


@pytest.mark.slow
def test_the_example_of_the_docs(genome, repository, tmp_path, root):
    text = (root / "docs/deployment.md").read_text()
    (snakefile,) = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    (config,) = re.findall(r"^```yaml\n(other: .*?)^```", text, re.M | re.S)
    (tmp_path / "Snakefile").write_text(snakefile)
    (tmp_path / "config.yaml").write_text(config)
    write_fasta(tmp_path / "genome.fa.gz", genome)
    (tmp_path / "reads.bam").touch()
    write_sheet(tmp_path, {"patients": ["calls/patients.vcf.gz"]})
    shutil.copytree(root / "resources/demo/model", tmp_path / "checkpoints/gpn")
    planned = run(tmp_path, "--dry-run", **hosted_at(repository))
    assert "rule call:" in planned
    assert "rule varlm_annotate:" in planned
    assert "rule varlm_report:" in planned


@pytest.mark.slow
def test_a_module_from_a_git_server_of_ones_own(genome, repository, tmp_path):
    folder = make_project(tmp_path, genome)
    write_caller(
        folder, 'github("group/varlm", path="Snakefile", tag="v1", host="git.example.org")'
    )
    output = run(folder, "--dry-run", **hosted_at(repository))
    assert "rule varlm_prepare_model" in output


def write_demo_caller(folder, snakefile):
    """A caller of the demo's files by their names."""
    models = {"demo": {"path": "varlm:demo/model", "window": 128}}
    folder.mkdir(exist_ok=True)
    write_caller(folder, snakefile, models=models, reference={"fasta": "varlm:demo/genome.fa"})
    write_sheet(folder, {"a": ["varlm:demo/segregating.vcf.gz"]})
    return folder


SHIPPED = ["results/models/demo.json", "results/reference/reference.json"]


def assert_shipped_files_are_the_checkouts(folder, root):
    """Byte for byte, and only those that the config names."""
    copies = folder / ".snakemake/varlm"
    names = sorted(str(path.relative_to(copies)) for path in copies.rglob("*") if path.is_file())
    demo = [name for name in package(root) if name.startswith("resources/demo/")]
    assert names == [name for name in demo if not name.endswith((".gff3", ".vcf"))]
    for name in names:
        assert (copies / name).read_bytes() == (root / name).read_bytes(), name
    model = json.loads((folder / "results/models/demo.json").read_text())
    assert model["path"] == ".snakemake/varlm/resources/demo/model"


def test_files_that_ship_with_varlm_from_a_git_host(repository, tmp_path, root):
    """Its binary files too, and a second run makes nothing anew."""
    folder = write_demo_caller(tmp_path, 'github("lab/varlm", path="Snakefile", tag="v1")')
    run(folder, *SHIPPED, **hosted_at(repository))
    assert_shipped_files_are_the_checkouts(folder, root)
    nowhere = {**hosted_at(repository), "GIT_CONFIG_KEY_0": "url.file:///nowhere/.insteadOf"}
    assert "Nothing to be done" in run(folder, "--dry-run", *SHIPPED, **nowhere)


def test_files_that_ship_with_varlm_from_a_web_server(web_server, tmp_path, root):
    folder = write_demo_caller(tmp_path, f'"{web_server}/Snakefile"')
    run(folder, *SHIPPED)
    assert_shipped_files_are_the_checkouts(folder, root)
    assert "Nothing to be done" in run(folder, "--dry-run", *SHIPPED)


def test_a_name_that_does_not_ship_is_an_error_in_a_module_too(tmp_path, root):
    folder = write_demo_caller(tmp_path, repr(str(root / "Snakefile")))
    write_caller(folder, repr(str(root / "Snakefile")), models={"m": {"path": "varlm:yeast"}})
    output = run(folder, "--dry-run", check=False)
    assert "models.m.path: varlm:yeast: varlm ships nothing of this name" in output
    assert "varlm:saccharomyces" in output


@pytest.fixture
def web_server(root):
    """The checkout on a web server of this machine."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(root)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_module_from_a_web_server(genome, web_server, tmp_path):
    folder = make_project(tmp_path, genome)
    write_caller(folder, f'"{web_server}/Snakefile"')
    run(folder, "results/models/tiny.json")
    assert (folder / "results/models/tiny.json").is_file()


def test_a_tag_that_is_not_there(genome, repository, tmp_path):
    folder = make_project(tmp_path, genome)
    write_caller(folder, 'github("lab/varlm", path="Snakefile", tag="v2")')
    output = run(folder, "--dry-run", check=False, **hosted_at(repository))
    assert "Failed to get mtime of git source file v2:Snakefile" in output
    assert "Traceback" not in output


def test_nothing_of_the_checkout_is_needed_but_what_a_remote_import_fetches(root):
    """The workflow's own paths: what the rules name beside the package is Snakemake's to fetch."""
    named = set()
    for path in [root / "Snakefile", *(root / "rules").glob("*.smk")]:
        named |= {part for part in path.read_text().split('"') if part.endswith((".yaml", ".rst"))}
    plain = {name for name in named if "{" not in name}
    assert plain == {
        "../envs/tables.yaml",
        "../envs/torch.yaml",
        "../envs/torch_statistics.yaml",
        "captions/evaluation.rst",
        "captions/index.rst",
        "captions/learning_curve.rst",
        "captions/model_card.rst",
        "captions/probe.rst",
        "captions/report.rst",
        "config/config.yaml",
        "config/schemas/config.schema.yaml",
    }
    assert Path(root / "rules/captions/report.rst").is_file()

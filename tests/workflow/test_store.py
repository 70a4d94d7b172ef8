"""The store under the workflow: new cohorts cost what is new, and nothing that happens to the store
changes a table.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from making.once import once
from making.steps import Steps
from making.workflow import (
    BARE_ENVIRONMENT,
    made_genome,
    snakemake,
    snakemake_command,
    summary,
    vcf_text,
    write_config,
    write_fasta,
    write_sheet,
)

COHORTS = {"a": 1, "b": 2, "c": 3}  # cohort → seed of its alleles
TABLES = ("annotated.parquet", "annotated.tsv.gz", "annotated.vcf.gz")


def make_project(folder, cohorts=COHORTS, **config):
    """A user's folder with three cohorts on disk, those in the sheet that `cohorts` names."""
    folder.mkdir()
    genome = made_genome()
    write_fasta(folder / "genome.fa.gz", genome)
    for name, seed in COHORTS.items():
        (folder / f"{name}.vcf").write_text(vcf_text(genome, "chr1", "1", seed, 300))
    write_sheet(folder, {name: [f"{name}.vcf"] for name in cohorts})
    write_config(folder, **{"shards": {"sites_per_shard": 5000}, **config})
    return folder


def wanted(results, cohort):
    """The site and allele keys that a cohort asks for."""
    table = pl.read_parquet(results / f"cohorts/{cohort}/variants.parquet")
    snv = pl.col("kind") == "snv"
    sites = {(c, p) for c, p in table.filter(snv).select("contig", "pos").iter_rows()}
    others = table.filter(~snv).select("contig", "pos", "ref", "alt")
    return sites, set(others.iter_rows())


def tables(results, cohorts=COHORTS):
    return {
        (cohort, name): (results / f"cohorts/{cohort}/{name}").read_bytes()
        for cohort in cohorts
        for name in TABLES
    }


@pytest.fixture(scope="session")
def fresh(tmp_path_factory):
    """All three cohorts in one run on an empty store: what every other run must equal."""

    def run(folder):
        make_project(folder / "project", shards={"sites_per_shard": 600})
        (folder / "output.txt").write_text(snakemake(folder / "project", "--printshellcmds"))

    return once(tmp_path_factory, "store", run) / "project"


@pytest.fixture(scope="session")
def steps(fresh):
    """The steps of that run, to be called one by one where Snakemake is not the subject."""
    return Steps.of_output((fresh.parent / "output.txt").read_text())


@pytest.fixture
def known(fresh, tmp_path):
    """A new working directory with a copy of that run's store, not its results."""
    folder = make_project(tmp_path / "again")
    shutil.copytree(fresh / "store", folder / "store")
    return folder


@pytest.fixture
def finished(fresh, tmp_path):
    """A copy of that run: its store, results and Snakemake's records, all as old as they are."""
    return Path(shutil.copytree(fresh, tmp_path / "finished"))


def parts(folder):
    return sorted((folder / "store").glob("*/SQ.*/*.parquet"))


@pytest.mark.slow
def test_each_new_cohort_costs_the_set_difference_and_the_tables_are_a_fresh_runs(fresh, tmp_path):
    folder = make_project(tmp_path / "growing", cohorts="a")
    done_sites, done_others = set(), set()
    for names in ("a", "ba", "bca"):  # the new one comes first, too: fault row 47
        write_sheet(folder, {name: [f"{name}.vcf"] for name in names})
        output = snakemake(folder)
        new = {"a": "a", "ba": "b", "bca": "c"}[names]
        sites, others = wanted(folder / "results", new)
        row = summary(folder / "results")[new]
        assert int(row["sites"]) == len(sites)
        assert int(row["sites_scored"]) <= len(sites - done_sites)
        # Sites of the background may be among them: those are known from the first run on.
        if names != "a":
            background = background_sites(folder)
            assert int(row["sites_scored"]) == len(sites - done_sites - background)
            assert int(row["alleles_scored"]) == len(others - done_others)
            for old in set(names) - {new}:
                assert f"cohort={old}" not in output, "an old cohort's tables were made again"
        done_sites |= sites
        done_others |= others
    assert tables(folder / "results") == tables(fresh / "results")


def background_sites(folder):
    contigs = pl.read_parquet(folder / "results/reference/contigs.parquet")
    names = dict(contigs.select("digest", "contig").iter_rows())
    rows = pl.read_parquet(folder / "results/background/tiny.parquet")
    return {(names[digest], pos) for digest, pos in rows.select("contig", "pos").iter_rows()}


def test_fault_47_known_rows_and_cohort_order_give_the_same_bytes(known, fresh):
    """Nor is torch imported: one that cannot be stands before it, in every process of the run."""
    hook = known / "hook"
    (hook / "torch").mkdir(parents=True)
    (hook / "torch/__init__.py").write_text("raise SystemExit('torch was imported')\n")
    environment = {**BARE_ENVIRONMENT, "PYTHONPATH": str(hook)}
    refused = subprocess.run(
        [sys.executable, "-c", "import torch"], env=environment, capture_output=True, check=False
    )
    assert b"torch was imported" in refused.stderr
    write_sheet(known, {name: [f"{name}.vcf"] for name in "cab"})
    run = subprocess.run(
        snakemake_command(known),
        cwd="/",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    output = run.stdout + run.stderr
    assert run.returncode == 0, output
    assert "rule score:" not in output
    assert {r["sites_scored"] for r in summary(known / "results").values()} == {"0"}
    assert tables(known / "results") == tables(fresh / "results")


def test_the_steps_called_one_by_one_make_the_tables_of_a_run(steps, fresh, tmp_path):
    """What the tests below rest on: from an empty store, and again from the store of that."""
    folder = make_project(tmp_path / "project")
    assert steps.run(folder).count("score") == 2
    assert tables(folder / "results") == tables(fresh / "results")
    shutil.rmtree(folder / "results")
    assert "score" not in steps.run(folder)
    assert tables(folder / "results") == tables(fresh / "results")


def test_fault_42_other_names_wrapping_and_case_reuse_every_row(known, fresh, steps):
    genome = made_genome()
    text = "".join(
        f">{name.replace('chr', 'Chr0')}\n"
        + "\n".join(seq.lower()[i : i + 61] for i in range(0, len(seq), 61))
        + "\n"
        for name, seq in reversed(genome.items())
    )
    (known / "genome.fa.gz").write_bytes(text.encode())
    assert "score" not in steps.run(known)
    for name in COHORTS:
        here, there = (
            pl.read_parquet(f / f"results/cohorts/{name}/annotated.parquet") for f in (known, fresh)
        )
        assert here.equals(there)


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 4
    path.chmod(0o644)
    path.write_bytes(data)


def cut(path):
    data = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(data[: len(data) // 2])


def foreign(path):
    path.chmod(0o644)
    pl.DataFrame({"pos": [1]}).write_parquet(path)


@pytest.mark.parametrize("damage", [flip, cut, foreign, Path.unlink])
def test_fault_43_a_damaged_part_is_set_aside_named_and_computed_again(known, fresh, steps, damage):
    part = max(parts(known), key=lambda path: path.stat().st_size)
    damage(part)
    assert "score" in steps.run(known)
    row = summary(known / "results")["a"]
    assert row["damaged_files"] == "1"
    assert 0 < int(row["sites_scored"]) <= int(row["sites"])
    log = (known / "results/logs/plan/tiny.log").read_text()
    assert str(part) in log or part.name in log
    assert "set aside" in log
    assert tables(known / "results") == tables(fresh / "results")


def test_fault_46_a_lost_manifest_costs_nothing(known, fresh, steps):
    for commit in (known / "store").glob("*/commits/*"):
        commit.unlink()
    assert "score" not in steps.run(known)
    assert "parts that no commit lists" in (known / "results/logs/plan/tiny.log").read_text()
    assert tables(known / "results") == tables(fresh / "results")


@pytest.mark.slow
def test_a_part_that_is_damaged_after_the_plan_is_an_error_with_its_remedy(finished, fresh):
    (finished / "results/cohorts/a/annotated.parquet").unlink()
    for part in parts(finished):
        flip(part)
    output = snakemake(finished, check=False)
    assert "--forcerun plan" in output
    snakemake(finished, "--forcerun", "plan")
    assert tables(finished / "results") == tables(fresh / "results")


@pytest.mark.slow
def test_fault_34_two_runs_at_once_on_one_store(fresh, tmp_path):
    folders = [
        make_project(tmp_path / name, cohorts=names, store=str(tmp_path / "shared"))
        for name, names in (("one", "ab"), ("two", "cb"))
    ]
    children = [
        subprocess.Popen(
            snakemake_command(folder),
            cwd="/",
            env=BARE_ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for folder in folders
    ]
    outputs = [child.communicate()[0] for child in children]
    assert [child.returncode for child in children] == [0, 0], "\n".join(outputs)
    expected = tables(fresh / "results")
    for folder, names in zip(folders, ("ab", "cb"), strict=True):
        assert tables(folder / "results", names) == {
            key: value for key, value in expected.items() if key[0] in names
        }
    rows = pl.concat(
        pl.read_parquet(path).select(contig=pl.lit(path.parent.name), pos="pos")
        for path in (tmp_path / "shared").glob("*/SQ.*/*.parquet")
        if "fwd_a" in pl.read_parquet_schema(path)
    )
    assert not rows.is_duplicated().any()


def remount(folder, options):
    return subprocess.run(["mount", *options, str(folder)], capture_output=True, check=False)


@pytest.fixture
def read_only_store(known):
    """The store, mounted read-only: root may write to anything else."""
    store = known / "store"
    if os.geteuid() or remount(store, ["--bind", str(store)]).returncode:
        pytest.skip("a read-only mount needs root")
    assert remount(store, ["-o", "remount,ro,bind"]).returncode == 0
    yield known
    subprocess.run(["umount", str(store)], check=True)


@pytest.mark.slow
def test_fault_35_a_read_only_store_is_used_and_one_that_must_be_written_fails_early(
    read_only_store, fresh
):
    folder = read_only_store
    assert "rule score:" not in snakemake(folder)
    assert tables(folder / "results") == tables(fresh / "results")
    (folder / "d.vcf").write_text(vcf_text(made_genome(), "chr1", "1", 9, 100))
    write_sheet(folder, {"a": ["a.vcf"], "d": ["d.vcf"]})
    output = snakemake(folder, check=False)
    assert "rule score:" not in output
    errors = [line for line in output.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "the store cannot be written" in errors[0]


def test_fault_26_a_full_disk_under_the_store(fresh, steps, tmp_path):
    store = tmp_path / "small"
    store.mkdir()
    size = "16k"
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(store)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small tmpfs needs root")
    try:
        folder = make_project(tmp_path / "project")
        (folder / "store").symlink_to(store)
        for step in steps.steps[: [step.name for step in steps.steps].index("commit")]:
            steps.call(folder, step)
        said = steps.refused(folder, "commit")
        assert said.startswith("error: ")
        assert said.count("\n") == 1
        assert "No space left" in said
        assert "free some space" in said
        assert not list(store.glob("**/.*.tmp"))
        remount(store, ["-o", "remount,size=64m"])
        for step in steps.steps[[step.name for step in steps.steps].index("commit") :]:
            steps.call(folder, step)  # with the shards' scores as they are
        assert tables(folder / "results") == tables(fresh / "results")
    finally:
        subprocess.run(["umount", str(store)], check=True)


@pytest.mark.slow
def test_fault_36_content_decides_not_the_time(finished):
    for name in ("a.vcf", "genome.fa.gz"):
        os.utime(finished / name, (1_000_000_000, 1_000_000_000))
    assert "Nothing to be done" in snakemake(finished)
    (finished / "a.vcf").write_text(vcf_text(made_genome(), "chr1", "1", 2, 300))
    os.utime(finished / "a.vcf", (1_000_000_000, 1_000_000_000))
    snakemake(finished)
    a, b = (finished / f"results/cohorts/{name}/annotated.tsv.gz" for name in "ab")
    assert a.read_bytes() == b.read_bytes()


@pytest.mark.slow
def test_fault_38_an_edited_or_deleted_intermediate_is_detected_and_made_again(finished, fresh):
    results = finished / "results"
    for name in ("cohorts/b/variants.parquet", "cohorts/c/annotated.vcf.gz"):
        (results / name).unlink()
    snakemake(finished)
    assert tables(results) == tables(fresh / "results")
    for name in (
        "cohorts/a/variants.parquet",
        "cohorts/b/annotated.parquet",
        "reference/genome.fa",
    ):
        path = results / name
        with path.open("r+b") as file:
            file.seek(path.stat().st_size // 2)
            byte = file.read(1)
            file.seek(-1, 1)
            file.write(b"A" if byte != b"A" else b"C")
        output = snakemake(finished, check=False)
        errors = [line for line in output.splitlines() if line.startswith("error: ")]
        assert errors
        assert all("delete" in error and path.name in error for error in errors), errors
        path.unlink()
    snakemake(finished)
    assert tables(results) == tables(fresh / "results")


@pytest.mark.slow
@pytest.mark.real_data
def test_yeast_cohorts_one_after_the_other(shared_data, tmp_path):
    """by_rm, then scer7, then sgrp, on three small chromosomes: exact differences, equal tables."""
    yeast = shared_data / "yeast"
    files = {
        "by_rm": "by_rm.gatk.vcf.gz",
        "scer7": "scer7.vcf.gz",
        "sgrp": "sgrp.ensembl109.sites.vcf.gz",
    }
    settings = {
        "reference": {"fasta": str(yeast / "genome.fa.gz")},
        "normalise": {"max_allele_length": 16, "regions": "part.bed"},
        "shards": {"sites_per_shard": 2000},
    }
    results = {}
    for run, steps in {"growing": [1, 2, 3], "fresh": [3]}.items():
        folder = tmp_path / run
        folder.mkdir()
        (folder / "part.bed").write_text("chrI\t0\t60000\nMito\t0\t20000\n")
        write_config(folder, **settings)
        done_sites, done_others = set(), set()
        for count in steps:
            names = list(files)[:count]
            write_sheet(folder, {n: [yeast / "cohorts" / files[n]] for n in names})
            snakemake(folder)
            if run == "fresh":
                continue
            sites, others = wanted(folder / "results", names[-1])
            assert len(sites) > 100
            row = summary(folder / "results")[names[-1]]
            if count > 1:
                new = sites - done_sites - background_sites(folder)
                assert int(row["sites_scored"]) == len(new)
                assert int(row["alleles_scored"]) == len(others - done_others)
            done_sites |= sites
            done_others |= others
        results[run] = tables(folder / "results", files)
    assert results["growing"] == results["fresh"]

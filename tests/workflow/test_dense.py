"""Runs with dense scores: measured once, on the scale of masked ones; others stay what they are."""

import csv
import json
import os
import re
import shutil
import subprocess

import polars as pl
import pytest

from making.workflow import (
    GENE,
    WINDOW,
    made_genome,
    snakemake_command,
    vcf_text,
    write_config,
    write_fasta,
    write_sheet,
)

COMMIT = "a" * 40
SCORING = {"window": WINDOW, "precision": "float32", "background_sites": 40}


@pytest.fixture(scope="module")
def project(tmp_path_factory, root):
    """A folder with a cohort; `far` of its models come from the hub's cache, which is offline."""
    folder = tmp_path_factory.mktemp("dense")
    write_fasta(folder / "genome.fa.gz", made_genome())
    (folder / "a.vcf").write_text(vcf_text(made_genome(), "chr1", "1", 1, 60))
    (folder / "genes.gff3").write_text(GENE)
    write_sheet(folder, {"a": ["a.vcf"]})
    demo = root / "resources/demo/model"
    snapshot = folder / "hf/hub/models--owner--demo/snapshots" / COMMIT
    shutil.copytree(demo, snapshot)
    hub = {"path": "owner/demo", "revision": COMMIT}
    models = {
        "masked": {"path": str(demo)},
        "dense": {"path": str(demo), "score": "dense"},
        "far": hub,  # of a family that nothing tells before the run
        "far_dense": {**hub, "score": "dense"},
    }
    write_config(
        folder,
        models=models,
        reference={"fasta": "genome.fa.gz", "annotation": "genes.gff3"},
        scoring={**SCORING, "dense": {"sites": 50, "least_spearman": 1}},
        shards={"sites_per_shard": 5000},
    )
    return folder


def run(folder, *arguments):
    """Run the workflow; return what it printed."""
    done = subprocess.run(
        snakemake_command(folder, *arguments),
        env={**os.environ, "HF_HOME": str(folder / "hf"), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def finished(project):
    run(project)
    return project / "results"


def test_models_with_dense_scores_have_a_scale_and_no_others(finished):
    assert sorted(p.name for p in (finished / "dense").iterdir()) == [
        "dense.json",
        "far_dense.json",
    ]
    here, far = (
        json.loads((finished / f"dense/{name}.json").read_text()) for name in ("dense", "far_dense")
    )
    assert {**far, "model": "dense"} == here
    assert here["masked_key"] == json.loads((finished / "models/masked.json").read_text())["key"]
    assert here["overall"]["sites"] == 50
    assert {"coding", "intergenic"} <= set(here["by_class"])
    with (finished / "summary.tsv").open(newline="") as file:
        rows = {row["model"]: row for row in csv.DictReader(file, delimiter="\t")}
    assert rows["masked"]["dense_constant"] == rows["far"]["dense_constant"] == ""
    assert float(rows["dense"]["dense_constant"]) == pytest.approx(here["constant"], abs=1e-4)


def test_their_scores_are_on_the_scale_of_masked_ones(finished):
    table = pl.read_parquet(finished / "cohorts/a/annotated.parquet")
    assert table["dense_llr"].to_list() == table["far_dense_llr"].to_list()
    snvs = table.filter(pl.col("kind") == "snv")
    constant = json.loads((finished / "dense/dense.json").read_text())["constant"]
    shift = (snvs["masked_llr"] - snvs["dense_llr"]).mean()
    assert abs(shift) < 0.3 < 1 < constant
    background = [
        pl.read_parquet(finished / f"background/{name}.parquet")["llr"].mean()
        for name in ("masked", "dense")
    ]
    assert background[0] == pytest.approx(background[1], abs=0.3)


def test_a_bound_that_is_not_met_is_among_the_warnings(finished):
    with (finished / "warnings.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    told = [row["model"] for row in rows if row["step"] == "measure_dense"]
    assert told == ["dense", "far_dense"]


def test_a_second_run_has_nothing_to_do(finished, project):
    assert "Nothing to be done" in run(project, "--dry-run")


def test_more_sites_are_measured_anew_without_another_plan(finished, project):
    text = (project / "mine.yaml").read_text()
    (project / "mine.yaml").write_text(text.replace("sites: 50", "sites: 60"))
    jobs = re.findall(r"^(?:rule|checkpoint) (\w+):", run(project, "--dry-run"), re.M)
    (project / "mine.yaml").write_text(text)
    assert jobs.count("measure_dense") == 2
    assert {"annotate", "calibrate", "summarise"} <= set(jobs)
    assert not {"prepare_model", "plan", "score", "commit"} & set(jobs)

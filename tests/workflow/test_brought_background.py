"""A whole run with a background beside the checkpoint: none of its sites is scored."""

import csv
import json
import shutil

import pytest

from making.once import once
from making.workflow import (
    made_genome,
    snakemake,
    summary,
    vcf_text,
    write_config,
    write_fasta,
    write_sheet,
)
from varlm.scoring.brought_background import FILE
from varlm.store import Store
from varlm.store.backgrounds import export_backgrounds

TABLES = ("annotated.parquet", "annotated.tsv.gz", "annotated.vcf.gz")


def make_project(folder, root):
    """A user's folder with a cohort and a copy of the demo's model."""
    folder.mkdir()
    genome = made_genome()
    write_fasta(folder / "genome.fa.gz", genome)
    (folder / "a.vcf").write_text(vcf_text(genome, "chr1", "1", 1, 20))
    write_sheet(folder, {"a": ["a.vcf"]})
    shutil.copytree(root / "resources/demo/model", folder / "model")
    write_config(folder, models={"tiny": {"path": "model"}})
    return folder


def plan(folder):
    return json.loads((folder / "results/plan/tiny/plan.json").read_text())


@pytest.fixture(scope="session")
def scored(root, tmp_path_factory):
    """A run that scores the background, and the archive of what it stored."""

    def run(folder):
        make_project(folder / "project", root)
        snakemake(folder / "project")
        store = Store(folder / "project/store")
        export_backgrounds(store, folder / FILE, store.keys())

    return once(tmp_path_factory, "brought_background", run)


def test_no_background_site_is_scored_and_the_tables_are_the_same(scored, root, tmp_path):
    before = plan(scored / "project")
    assert before["background"]["sites_scored"] > 0
    folder = make_project(tmp_path / "project", root)
    shutil.copy(scored / FILE, folder / "model")
    snakemake(folder)
    # What the background and the cohort share came with the background.
    shared = before["cohorts"]["a"]["sites"] + before["background"]["sites"]
    shared -= before["total"]["sites"]
    total = plan(folder)["total"]
    assert total["sites"] == before["cohorts"]["a"]["sites"]
    assert total["sites_from_store"] == shared
    log = (folder / "results/logs/plan/tiny.log").read_text()
    assert f"background of 120 SNVs taken from {folder / 'model' / FILE}" in log
    (row,) = summary(folder / "results").values()
    assert int(row["sites_scored"]) == total["sites_scored"] == total["sites"] - shared
    for name in TABLES:
        one, other = (
            (place / "results/cohorts/a" / name).read_bytes()
            for place in (folder, scored / "project")
        )
        assert one == other, name


def test_an_archive_that_comes_later_makes_nothing_anew(scored, root, tmp_path):
    folder = tmp_path / "project"
    shutil.copytree(scored / "project", folder)
    shutil.copy(scored / FILE, folder / "model")
    assert "Nothing to be done" in snakemake(folder)


def test_a_damaged_archive_is_a_warning_of_the_run(scored, root, tmp_path):
    folder = make_project(tmp_path / "project", root)
    (folder / "model" / FILE).write_bytes((scored / FILE).read_bytes()[:5000])
    shown = snakemake(folder)
    with (folder / "results/warnings.tsv").open() as file:
        texts = [row["warning"] for row in csv.DictReader(file, delimiter="\t")]
    (text,) = (text for text in texts if FILE in text)
    assert "get the archive again from whoever exported it" in text
    assert "get the archive again" in shown
    assert plan(folder)["background"] == plan(scored / "project")["background"]

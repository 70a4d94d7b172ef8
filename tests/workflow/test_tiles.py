"""Dense scores of regions: the same however the work is cut, ordered and stopped."""

import json
import shutil
import subprocess
import time

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from making.workflow import (
    BARE_ENVIRONMENT,
    made_genome,
    snakemake,
    snakemake_command,
    summary,
    write_config,
    write_fasta,
)

WHOLE = {"contigs": "all"}
# Where no tile of 32 sites ends; the second shares a tile with the first, the third overlaps it.
PIECES = ("chr1\t0\t701\n", "chr1\t701\t1003\nchrM\t7\t400\n", "chr1\t990\t3000\nchrM\t0\t8\n")


def make_project(folder, regions, **changes):
    """A folder where the demo's model scores regions of a small genome densely."""
    folder.mkdir()
    write_fasta(folder / "genome.fa.gz", made_genome())
    settings = {
        "cohorts": None,
        "regions": regions,
        "models": {"tiny": {"path": "varlm:demo/model", "score": "dense"}},
        "scoring": {
            "window": 64,
            "precision": "float32",
            "background_sites": 40,
            "dense": {"sites": 40},
        },
        "shards": {"sites_per_shard": 5000},
    }
    write_config(folder, **{**settings, **changes})
    return folder


def annotated(project):
    path = project / "results/cohorts/regions/annotated.parquet"
    return pl.read_parquet(path).drop("input_pos", "input_ref", "input_alt", "record", "file")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    project = make_project(tmp_path_factory.mktemp("dense") / "whole", WHOLE)
    snakemake(project)
    return project


def test_all_sites_are_scored_once_and_planned_by_tiles(whole):
    row = summary(whole / "results")["regions"]
    genome = made_genome()
    sites = sum(len(bases.replace("N", "")) for bases in genome.values())
    assert int(row["sites"]) == sites
    assert int(row["sites_scored"]) == sites
    plan = json.loads((whole / "results/plan/tiny/plan.json").read_text())
    assert plan["beyond"] == 0
    assert annotated(whole)["tiny_llr"].null_count() == 0


def test_the_size_of_shards_does_not_count(whole, tmp_path):
    cut = make_project(tmp_path / "cut", WHOLE, shards={"sites_per_shard": 333})
    snakemake(cut)
    assert len(list((cut / "results/plan/tiny/shards").glob("*.parquet"))) > 9
    assert_frame_equal(annotated(cut), annotated(whole), check_exact=True)


def test_regions_cut_in_pieces_give_the_same_and_keep_what_tiles_answer(whole, tmp_path):
    """In another order, with one store: what a tile answered for one is not read again."""
    tables, beyond = [], []
    for number, bed in enumerate((PIECES[2], *PIECES[:2])):
        project = make_project(tmp_path / str(number), "regions.bed", store="../store")
        (project / "regions.bed").write_text(bed)
        snakemake(project)
        tables.append(annotated(project))
        plan = json.loads((project / "results/plan/tiny/plan.json").read_text())
        beyond.append(plan["beyond"])
        planned = sum(
            pl.read_parquet(path).height
            for path in (project / "results/plan/tiny/shards").glob("*.parquet")
        )
        assert planned == plan["total"]["sites_scored"] + plan["beyond"]
    order = ["chrom", "pos", "alt"]
    together = pl.concat(tables).unique().sort(order)
    scores = [name for name in together.columns if name.startswith("tiny_")]
    assert_frame_equal(
        together.select(*order, *scores),
        annotated(whole).sort(order).select(*order, *scores),
        check_exact=True,
    )
    assert beyond[0] > 0


def test_a_run_killed_three_times_ends_with_the_same_tables(whole, tmp_path):
    project = make_project(tmp_path / "killed", WHOLE, shards={"sites_per_shard": 700})
    for kill in range(3):
        process = subprocess.Popen(
            snakemake_command(project),
            cwd="/",
            env=BARE_ENVIRONMENT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        scores = project / "results/scores/tiny"
        end = time.monotonic() + 120
        while process.poll() is None and len(list(scores.glob("*/sites.parquet"))) <= kill:
            assert time.monotonic() < end
            time.sleep(0.05)
        process.kill()
        process.wait()
    snakemake(project)
    assert_frame_equal(annotated(project), annotated(whole), check_exact=True)


def test_a_second_run_scores_nothing(whole, tmp_path):
    again = make_project(tmp_path / "again", WHOLE)
    shutil.copytree(whole / "store", again / "store")
    snakemake(again)
    assert summary(again / "results")["regions"]["sites_scored"] == "0"
    assert_frame_equal(annotated(again), annotated(whole), check_exact=True)

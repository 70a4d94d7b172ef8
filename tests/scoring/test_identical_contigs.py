"""Contigs of one sequence (haplotigs, alternative contigs) through every step of the store."""

import json

import numpy as np
import polars as pl
import pyBigWig
import pytest

from making.planning import variants
from making.scored import score_and_store, step
from making.toy_models import CONFIGS, make_checkpoint
from varlm.files.whole import write_digest
from varlm.genome.reference import Genome
from varlm.scoring.commit_record import CommitRecord
from varlm.scoring.plan_record import Plan
from varlm.store import Store

SAME = "".join(np.random.default_rng(5).choice(list("ACGT"), 40))
OTHER = SAME[::-1]
ORDERS = {
    "neighbouring": {"one": SAME, "copy": SAME, "other": OTHER},
    "apart": {"one": SAME, "other": OTHER, "copy": SAME},
}
ALLELES = [("one", 9), ("one", 20), ("copy", 20), ("copy", 30), ("other", 7)]


@pytest.fixture(scope="module", params=list(ORDERS))
def run(request, tmp_path_factory):
    """A folder in which each step has run, on all SNVs of the genome and on some insertions."""
    folder, contigs = tmp_path_factory.mktemp(request.param), ORDERS[request.param]
    (folder / "g.fa").write_text("".join(f">{name}\n{seq}\n" for name, seq in contigs.items()))
    reference, model, store = folder / "reference", folder / "m.json", folder / "store"
    step("index_reference", fasta=folder / "g.fa", reference=reference)
    checkpoint = make_checkpoint(folder / "model", CONFIGS["convnet"])
    options = {"window": 32, "strands": "both", "precision": "float32"}
    step("prepare_model", name="m", path=checkpoint, model=model, **options)
    snvs, insertions = folder / "snvs.parquet", folder / "insertions.parquet"
    step(
        "saturate",
        "--all-contigs",
        cohort="snvs",
        reference=reference,
        variants=snvs,
        accounting=folder / "accounting.json",
    )
    rows = [(c, p, contigs[c][p - 1], contigs[c][p - 1] + "A") for c, p in ALLELES]
    variants(insertions, sorted(rows, key=lambda row: list(contigs).index(row[0])))
    write_digest(insertions)
    both = ["--cohort", "snvs", "--variants", snvs, "--cohort", "i", "--variants", insertions]
    shared = {"reference": reference, "model": model}
    sizes = {"background_sites": 1000, "sites_per_shard": 25}
    step("plan", *both, **shared, store=store, plan=folder / "plan", **sizes)
    background = score_and_store(folder, shared, store, sites=1000)
    for path in (snvs, insertions):
        table = folder / f"annotated.{path.name}"
        step(
            "annotate",
            **shared,
            variants=path,
            store=store,
            background=background,
            annotated=table,
        )
    step("draw_tracks", **shared, store=store, variants=snvs, tracks=folder / "tracks")
    step("plan", *both, **shared, store=store, plan=folder / "again", **sizes)
    return folder


def annotated(folder, name):
    return pl.read_parquet(folder / f"annotated.{name}.parquet")


def on(table, chrom):
    return table.filter(pl.col("chrom") == chrom)


def test_each_sequence_is_scored_and_stored_once(run):
    committed = CommitRecord.read(run / "committed.json")
    assert (committed.sites, committed.alleles, committed.known) == (80, 4, 0)
    genome, store = Genome.open(run / "reference"), Store(run / "store")
    for contig in ("copy", "other"):
        stored = store.read_sites(committed.key, genome[contig].digest)
        assert stored["pos"].to_list() == list(range(1, 41))


def test_a_new_plan_has_nothing_to_score(run):
    total = Plan.read(run / "again/plan.json").total
    assert (total.sites_scored, total.alleles_scored) == (0, 0)


@pytest.mark.parametrize("cohort", ["snvs", "insertions"])
def test_their_alleles_have_the_same_scores(run, cohort):
    table = annotated(run, cohort)
    assert table["m_llr"].null_count() == 0
    one, copy = (
        on(table, contig).select("pos", "ref", "alt", "^m_.*$") for contig in ("one", "copy")
    )
    if cohort == "insertions":
        assert copy["pos"].to_list() == [20, 30]
        one, copy = (rows.filter(pl.col("pos") == 20) for rows in (one, copy))
    assert one.height == {"snvs": 120, "insertions": 1}[cohort]
    assert one.equals(copy)


def test_the_background_has_each_of_their_sites_once(run):
    background = pl.read_parquet(run / "background.parquet")
    assert background.height == 3 * 80
    assert not background.select("contig", "pos", "ref", "alt").is_duplicated().any()


def test_their_tracks_are_alike(run):
    described = json.loads((run / "tracks/tracks.json").read_text())
    assert described["contigs"] == dict.fromkeys(described["contigs"], 40)
    assert set(described["contigs"]) == {"one", "copy", "other"}
    for path in (run / "tracks").glob("*.bw"):
        with pyBigWig.open(str(path)) as file:
            one, copy = (file.intervals(contig) for contig in ("one", "copy"))
        assert one
        assert one == copy

"""From the shards' scores to the store: all of them or none, each row once."""

import hashlib
import json

import polars as pl
import pytest

from making.store import KEY, MODEL, allele_rows, files, site_rows
from varlm.errors import UserError
from varlm.genome.reference import Genome
from varlm.scoring.committing import commit_shards, shard_files
from varlm.store import Store
from varlm.tables.parquet import write_table
from varlm.tables.schemas import ALLELES, SHARD, SITES

SAME, OTHER = "ACGT" * 20, "TTGCA" * 20
NEIGHBOURING = {"one": SAME, "copy": SAME, "other": OTHER}
APART = {"one": SAME, "other": OTHER, "copy": SAME}
STRANDS = {**MODEL, "strands": "forward"}  # the alleles have no reverse strand


def on(contig, rows):
    return rows.insert_column(0, pl.lit(contig).alias("contig"))


@pytest.fixture
def make_shards(tmp_path):
    """A function: of each shard (contig, positions, shift)… → the files of a plan and its scores.

    Each position has a site, and two alleles.
    """

    def make(*shards):
        plan, scores = tmp_path / "plan", tmp_path / "scores"
        for number, parts in enumerate(shards):
            sites = pl.concat([on(c, site_rows(pos, shift)) for c, pos, shift in parts])
            alleles = pl.concat([on(c, allele_rows(pos, shift)) for c, pos, shift in parts])
            planned = pl.concat(
                [
                    sites.select("contig", "pos", ref=pl.lit(None, pl.String), alt=None),
                    alleles.select("contig", "pos", "ref", "alt"),
                ],
                how="vertical_relaxed",
            )
            path = plan / "shards" / f"{number}.parquet"
            write_table(planned, path, SHARD)
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            path.with_name(f"{path.name}.sha256").write_text(f"{digest}  {path.name}\n")
            write_table(sites, scores / str(number) / "sites.parquet", SITES)
            write_table(alleles, scores / str(number) / "alleles.parquet", ALLELES)
            (scores / str(number) / "run.json").write_text(json.dumps({"seconds": number}))
        plan.mkdir(exist_ok=True)
        (plan / "plan.json").write_text(json.dumps({"shards": len(shards)}))
        return shard_files(plan, scores)

    return make


@pytest.fixture
def genome(make_reference):
    return Genome.open(make_reference(NEIGHBOURING))


def test_all_shards_are_one_commit_and_the_report_counts(make_shards, genome, tmp_path):
    shards = make_shards([("one", [1, 2], 0.0)], [("one", [5], 0.0), ("other", [7], 0.0)])
    store = Store(tmp_path / "store")
    report = commit_shards(shards, genome, store, STRANDS)
    assert report == {
        "model": "demo",
        "key": KEY,
        "sites": 4,
        "alleles": 8,
        "parts": 4,
        "known": 0,
        "runs": [{"seconds": 0}, {"seconds": 1}],
    }
    assert len(store.commits(KEY)) == 1
    assert store.read_sites(KEY, genome["one"].digest).equals(site_rows([1, 2, 5]))
    assert store.read_alleles(KEY, genome["other"].digest).equals(allele_rows([7]))
    again = commit_shards(shards, genome, store, STRANDS)
    assert (again["parts"], again["known"]) == (0, 12)


def test_no_shards_touch_no_store(make_shards, genome, tmp_path):
    report = commit_shards(make_shards(), genome, Store(tmp_path / "store"), STRANDS)
    assert (report["sites"], report["parts"], report["runs"]) == (0, 0, [])
    assert not (tmp_path / "store").exists()


def test_a_bad_shard_leaves_the_store_untouched(make_shards, genome, tmp_path):
    shards = make_shards([("one", [1], 0.0)], [("one", [5], 0.0)])
    write_table(SITES.empty(), shards[1].table("sites"), SITES)
    with pytest.raises(UserError, match="0 scored sites, 1 planned"):
        commit_shards(shards, genome, Store(tmp_path / "store"), STRANDS)
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("contigs", [NEIGHBOURING, APART], ids=["neighbouring", "apart"])
@pytest.mark.parametrize("together", [True, False], ids=["one shard", "a shard each"])
def test_contigs_of_one_sequence_share_their_rows(
    make_shards, make_reference, tmp_path, contigs, together
):
    """A plan asks for each row once; scores that come twice cost nothing all the same."""
    genome = Genome.open(make_reference(contigs))
    positions = {"one": [1, 2, 5], "copy": [2, 3, 5], "other": [4]}
    parts = [(contig, positions[contig], 0.0) for contig in contigs]
    shards = make_shards(parts) if together else make_shards(*([part] for part in parts))
    store = Store(tmp_path / "store")
    report = commit_shards(shards, genome, store, STRANDS)
    assert report["known"] == 2 + 4
    assert store.read_sites(KEY, genome["copy"].digest).equals(site_rows([1, 2, 3, 5]))
    assert store.read_alleles(KEY, genome["one"].digest).equals(allele_rows([1, 2, 3, 5]))
    assert sum(part.rows for part in store.parts(KEY)) == 5 + 10


@pytest.mark.parametrize("contigs", [NEIGHBOURING, APART], ids=["neighbouring", "apart"])
def test_contigs_of_one_sequence_with_other_scores_store_nothing(
    make_shards, make_reference, tmp_path, contigs
):
    genome = Genome.open(make_reference(contigs))
    shifts = {"one": 0.0, "copy": 0.5, "other": 0.0}
    shards = make_shards([(contig, [1, 2], shifts[contig]) for contig in contigs])
    with pytest.raises(UserError, match=r"score of 1 \(fwd_a .*another value"):
        commit_shards(shards, genome, Store(tmp_path / "store"), STRANDS)
    assert files(tmp_path / "store") == {}

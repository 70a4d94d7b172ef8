"""From the shards' scores to the store: all of them or none, each row once."""

import hashlib

import polars as pl
import pytest

from making.records import plan, prepared_model
from making.store import KEY, allele_rows, files, site_rows
from varlm.cli import main
from varlm.errors import UserError
from varlm.genome.reference import Genome
from varlm.scoring.commit_record import CommitRecord, ShardRun, write_run
from varlm.scoring.committing import commit_shards, shard_files
from varlm.store import Store
from varlm.tables.parquet import write_table
from varlm.tables.schemas import ALLELES, SHARD, SITES

SAME, OTHER = "ACGT" * 20, "TTGCA" * 20
NEIGHBOURING = {"one": SAME, "copy": SAME, "other": OTHER}
APART = {"one": SAME, "other": OTHER, "copy": SAME}
DEMO = prepared_model(name="demo", key=KEY, strands="forward")  # alleles have no reverse strand


def shard_run(seconds: float) -> ShardRun:
    """How a shard was scored that took so long."""
    return ShardRun(sites=1, alleles=2, device="cpu", arithmetic="float32", seconds=seconds)


def on(contig, rows):
    return rows.insert_column(0, pl.lit(contig).alias("contig"))


@pytest.fixture
def make_shards(tmp_path):
    """A function: of each shard (contig, positions, shift)… → the files of a plan and its scores.

    Each position has a site, and two alleles.
    """

    def make(*shards):
        folder, scores = tmp_path / "plan", tmp_path / "scores"
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
            path = folder / "shards" / f"{number}.parquet"
            write_table(planned, path, SHARD)
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            path.with_name(f"{path.name}.sha256").write_text(f"{digest}  {path.name}\n")
            write_table(sites, scores / str(number) / "sites.parquet", SITES)
            write_table(alleles, scores / str(number) / "alleles.parquet", ALLELES)
            write_run(shard_run(number), scores / str(number) / "run.json")
        plan(shards=len(shards)).write(folder / "plan.json")
        return shard_files(folder, scores)

    return make


@pytest.fixture
def genome(make_reference):
    return Genome.open(make_reference(NEIGHBOURING))


def test_all_shards_are_one_commit_and_the_report_counts(make_shards, genome, tmp_path):
    shards = make_shards([("one", [1, 2], 0.0)], [("one", [5], 0.0), ("other", [7], 0.0)])
    store = Store(tmp_path / "store")
    report = commit_shards(shards, genome, store, DEMO)
    assert report == CommitRecord(
        model="demo",
        key=KEY,
        sites=4,
        alleles=8,
        parts=4,
        known=0,
        runs=(shard_run(0), shard_run(1)),
    )
    (commit,) = store.commits(KEY)
    assert commit.model == DEMO.to_json()
    assert store.read_sites(KEY, genome["one"].digest).equals(site_rows([1, 2, 5]))
    assert store.read_alleles(KEY, genome["other"].digest).equals(allele_rows([7]))
    again = commit_shards(shards, genome, store, DEMO)
    assert (again.parts, again.known) == (0, 12)


def test_no_shards_touch_no_store(make_shards, genome, tmp_path):
    report = commit_shards(make_shards(), genome, Store(tmp_path / "store"), DEMO)
    assert (report.sites, report.parts, report.runs) == (0, 0, ())
    assert not (tmp_path / "store").exists()


def test_a_bad_shard_leaves_the_store_untouched(make_shards, genome, tmp_path):
    shards = make_shards([("one", [1], 0.0)], [("one", [5], 0.0)])
    write_table(SITES.empty(), shards[1].table("sites"), SITES)
    with pytest.raises(UserError, match="0 scored sites, 1 planned"):
        commit_shards(shards, genome, Store(tmp_path / "store"), DEMO)
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
    report = commit_shards(shards, genome, store, DEMO)
    assert report.known == 2 + 4
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
        commit_shards(shards, genome, Store(tmp_path / "store"), DEMO)
    assert files(tmp_path / "store") == {}


def test_a_plan_that_is_cut_is_one_clear_error(make_shards, tmp_path):
    make_shards([("one", [1], 0.0)])
    (tmp_path / "plan/plan.json").write_text('{"shards": 1}')
    with pytest.raises(UserError, match=r"plan\.json: lacks .*delete its folder .* the step plan"):
        shard_files(tmp_path / "plan", tmp_path / "scores")


@pytest.mark.parametrize(("text", "message"), [("{", "not readable as JSON"), ("{}", "lacks")])
@pytest.mark.parametrize("step", ["plan", "commit"])
def test_a_model_that_is_cut_is_one_clear_error(tmp_path, capsys, step, text, message):
    (tmp_path / "m.json").write_text(text)
    words = [step, "--model", tmp_path / "m.json"]
    for name in ("reference", "store", "plan"):
        words += [f"--{name}", tmp_path / name]
    words += {
        "plan": ["--cohort", "c", "--variants", tmp_path / "v", "--sites-per-shard", "9"],
        "commit": ["--scores", tmp_path / "scores", "--committed", tmp_path / "c.json"],
    }[step]
    assert main([str(word) for word in words]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "error: " in line]
    assert f"m.json: {message}" in line
    assert "the step prepare_model makes it anew" in line

"""The step `score_pictures`: every position of a logo, scored once, through the store."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from making.records import accounted_contig, accounting
from making.scoring import toy_model
from making.toy_models import CONFIGS, make_checkpoint
from varlm import cli
from varlm.files.whole import write_digest
from varlm.genome.circular import CircularContigs
from varlm.genome.reference import Genome
from varlm.scoring import hardware, shard
from varlm.store import Store
from varlm.tables.parquet import read_table
from varlm.tables.schemas import PICTURES, annotated

CONTIG = "".join(np.random.default_rng(3).choice(list("ACGT"), 200))
GENOME = {"chrI": CONTIG[:60] + "NN" + CONTIG[62:], "chrII": CONTIG[::-1]}
KEY = "0" * 32
# chrom, pos, LLR: two hits that share positions, one on another contig, one that is no hit.
ALLELES = [("I", 20, -3.0), ("I", 24, -2.0), ("II", 3, -4.0), ("I", 150, 1.0)]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("toy") / "model", CONFIGS["legacy"])


@pytest.fixture
def make_job(tmp_path, make_reference, model):
    """A function: {contig: sequence} and hits → a function: options → the table of sites."""
    return lambda genome, alleles: _job(tmp_path, make_reference(genome), model, alleles)


@pytest.fixture
def job(make_job):
    """A function: options → the table of sites that the step writes."""
    return make_job(GENOME, ALLELES)


def _job(tmp_path, reference, model, alleles):
    prepared = toy_model(model, 32, key=KEY)
    prepared.write(tmp_path / "model.json")
    genome = Genome.open(reference)
    contigs = tuple(accounted_contig(name.removeprefix("chr"), name) for name in genome.names)
    accounting(contigs=contigs).write(tmp_path / "accounting.json")
    table = annotated(["toy"])
    rows = [
        {"chrom": c, "pos": p, "ref": "A", "alt": "C", "toy_llr": llr, "record": i}
        for i, (c, p, llr) in enumerate(alleles)
    ]
    path = tmp_path / "annotated.parquet"
    pl.DataFrame(rows, {n: table.schema[n] for n in rows[0]}).select(
        (pl.col(n) if n in rows[0] else pl.lit(None, dtype=t)).alias(n)
        for n, t in table.schema.items()
    ).write_parquet(path)
    write_digest(path)

    def run(pictures=3, flank=5, out="sites.parquet"):
        options = {
            "--annotated": path,
            "--accounting": tmp_path / "accounting.json",
            "--reference": reference,
            "--model": tmp_path / "model.json",
            "--name": "toy",
            "--store": tmp_path / "store",
            "--pictures": pictures,
            "--flank": flank,
            "--sites": tmp_path / out,
            "--device": "cpu",
            "--batch-size": 4,
        }
        words = [str(word) for pair in options.items() for word in pair]
        assert cli.main(["score_pictures", *words]) == 0
        return read_table(tmp_path / out, PICTURES)

    run.genome, run.store, run.model = genome, tmp_path / "store", prepared
    return run


def test_every_position_once_in_genome_order(job):
    sites = job()
    expected = [*(("chrI", p) for p in range(15, 30)), *(("chrII", p) for p in range(1, 9))]
    assert sites.select("contig", "pos").rows() == expected
    rows = sites.select("contig", "pos", ref=pl.lit(None, pl.String), alt=pl.lit(None, pl.String))
    direct = shard.score_rows(rows, job.genome, job.model, hardware.Hardware("cpu", 4))
    assert np.allclose(sites.drop("contig", "pos"), direct.sites.drop("contig", "pos"), atol=1e-6)


def refuse(*_):
    raise AssertionError("a model was loaded")


def scored_by(job, monkeypatch, **options):
    """Run the step; return its sites and the (contig, pos) that the model scored."""
    inner, scored = shard._run, []

    def noted(sites, *others):
        scored.extend(sites.select("contig", "pos").rows())
        return inner(sites, *others)

    with monkeypatch.context() as patch:
        patch.setattr(shard, "_run", noted)
        return job(**options), scored


def test_what_the_store_has_loads_no_model(job, monkeypatch):
    first = job()
    stored = Store(job.store).read_sites(KEY, job.genome["chrI"].digest)
    assert stored["pos"].to_list() == list(range(15, 30))
    monkeypatch.setattr(shard, "load_scorer", refuse)
    assert job(out="again.parquet").equals(first)
    fewer = job(pictures=1, flank=2, out="fewer.parquet")
    assert fewer.select("contig", "pos").rows() == [("chrII", p) for p in range(1, 6)]


def test_only_what_is_lacking_is_scored(job, monkeypatch):
    job(pictures=1)
    sites, scored = scored_by(job, monkeypatch)
    assert sites.height == 23
    assert scored == [("chrI", p) for p in range(15, 30)]


def test_no_pictures_no_sites(job):
    assert job(pictures=0).is_empty()


def test_a_model_that_gives_no_probabilities_is_not_loaded_and_has_no_pictures(job, monkeypatch):
    path = job.store.parent / "model.json"
    replace(job.model, family="gpn", score="influence").write(path)
    monkeypatch.setattr(shard, "load_scorer", refuse)
    assert job().is_empty()
    assert not job.store.exists()


# Haplotigs and alternative contigs are often one sequence

SAME, OTHER = CONTIG, CONTIG[::-1]
NEIGHBOURING = {"chrI": SAME, "chrT": SAME, "chrII": OTHER}
APART = {"chrI": SAME, "chrII": OTHER, "chrT": SAME}


@pytest.mark.parametrize("genome", [NEIGHBOURING, APART], ids=["neighbouring", "apart"])
@pytest.mark.parametrize(
    "order", [("I", "T", "II"), ("T", "II", "I")], ids=["hits neighbouring", "hits apart"]
)
def test_contigs_of_one_sequence_are_scored_once_and_pictured_alike(
    make_job, monkeypatch, genome, order
):
    """Each hit is the next best; those of I and T share positions 19 to 25."""
    pos = {"I": 20, "T": 24, "II": 3}
    job = make_job(genome, [(chrom, pos[chrom], -4.0 + i) for i, chrom in enumerate(order)])
    sites, scored = scored_by(job, monkeypatch)
    expected = {"chrI": range(15, 26), "chrII": range(1, 9), "chrT": range(19, 30)}
    assert sites.select("contig", "pos").rows() == [(c, p) for c in genome for p in expected[c]]
    assert sorted(p for contig, p in scored if contig != "chrII") == list(range(15, 30))
    rows = sites.select("contig", "pos", ref=pl.lit(None, pl.String), alt=pl.lit(None, pl.String))
    direct = shard.score_rows(rows, job.genome, job.model, hardware.Hardware("cpu", 4))
    assert np.allclose(sites.drop("contig", "pos"), direct.sites.drop("contig", "pos"), atol=1e-6)
    shared = [
        sites.filter(pl.col("contig") == contig, pl.col("pos").is_between(19, 25)).drop("contig")
        for contig in ("chrI", "chrT")
    ]
    assert shared[0].height == 7
    assert shared[0].equals(shared[1])
    stored = Store(job.store).read_sites(KEY, job.genome["chrT"].digest)
    assert stored["pos"].to_list() == list(range(15, 30))
    monkeypatch.setattr(shard, "load_scorer", refuse)
    assert job(out="again.parquet").equals(sites)


def test_what_one_contig_had_scored_is_known_on_its_copy(make_job, monkeypatch):
    job = make_job(NEIGHBOURING, [("I", 20, -4.0), ("T", 20, -3.0)])
    job(pictures=1)
    monkeypatch.setattr(shard, "load_scorer", refuse)
    assert job(pictures=2, out="both.parquet").height == 22


# A circular contig


def test_a_picture_near_the_origin_goes_on_over_it(make_job, monkeypatch):
    job = make_job(GENOME, [("II", 3, -4.0)])
    linear = job(out="linear.parquet")
    CircularContigs(contigs={"chrII": "x"}).write(job.genome.folder / "circular.json")
    circular, scored = scored_by(job, monkeypatch)
    expected = [*range(1, 9), *range(198, 201)]
    assert circular.select("contig", "pos").rows() == [("chrII", p) for p in expected]
    assert sorted(p for _, p in scored) == expected  # none of a linear contig's scores is used
    assert linear["pos"].to_list() == expected[:8]
    assert not linear.equals(circular[:8])
    genome = Genome.open(job.genome.folder)
    stored = Store(job.store).read_sites(KEY, genome["chrII"].stored_as)
    assert stored["pos"].to_list() == expected

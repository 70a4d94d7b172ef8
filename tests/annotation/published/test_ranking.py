"""A table's scores at the sites of the background."""

import random

import numpy as np
import polars as pl
import pytest

from making.score_tables import frame_of, snvs, table
from varlm.annotation.published.ranking import ScoreRanking, rank_scores
from varlm.cli import main
from varlm.genome.reference import Genome
from varlm.scoring import background
from varlm.scoring.background import Percentiles

SEQUENCE = "".join(random.Random(3).choices("ACGT", k=400)) + "N" * 10
ROWS = snvs(SEQUENCE[:400], "chr1")
HIGH, LOW = {"harmful": "high"}, {"harmful": "low"}


@pytest.fixture
def reference(make_reference):
    return make_reference({"chr1": SEQUENCE})


@pytest.fixture
def scores(tmp_path):
    """A table of three columns: all values, some, and what is no score."""
    frame = frame_of(ROWS).with_columns(
        some=pl.when(pl.col("pos") % 2 == 0).then("score"), text=pl.lit("x")
    )
    frame.write_parquet(tmp_path / "t.parquet")
    return table(
        tmp_path / "t.parquet",
        ("all", "score", HIGH),
        ("some", "some", LOW),
        ("text", "text", {"type": "text"}),
    )


def test_the_backgrounds_snvs_have_the_tables_scores(tmp_path, reference, scores):
    genome, out = Genome.open(reference), tmp_path / "b.parquet"
    record = rank_scores(genome, None, scores, 50, out)
    rows = pl.read_parquet(out)
    assert rows.columns == ["contig", "pos", "ref", "alt", "t_all", "t_some"]
    sites = background.choose(genome, 50).sites["chr1"]
    by_key = {row[:4]: row[4] for row in ROWS}
    keys = rows.select("contig", "pos", "ref", "alt").rows()
    assert [key[1] for key in keys] == np.repeat(sites, 3).tolist()
    assert len(set(keys)) == len(keys) == record.alleles == 150
    assert rows["t_all"].to_list() == [by_key[key] for key in keys]
    # Half of the sites have a value in the other column: too few for a percentile.
    assert rows["t_some"].null_count() == 150
    assert record.shares["t_all"] == 1
    assert 0.3 < record.shares["t_some"] < 0.7
    assert record.ranked == ("t_all",)


def test_a_sparse_table_gives_no_rows(tmp_path, reference, scores):
    frame = pl.read_parquet(scores.path).filter(pl.col("pos") <= 350)
    frame.write_parquet(scores.path)
    out = tmp_path / "b.parquet"
    record = rank_scores(Genome.open(reference), None, scores, 400, out)
    rows = pl.read_parquet(out)
    assert (rows.height, rows.schema["t_all"]) == (0, pl.Float64)
    assert record.shares["t_all"] == 350 / 400
    assert record.ranked == ()


def test_the_step(tmp_path, reference, scores):
    out, record = tmp_path / "b.parquet", tmp_path / "b.json"
    for sites, height in ((20, 60), (0, 0)):
        arguments = ["--reference", reference, "--table", scores.to_json(), "--sites", sites]
        arguments += ["--scores", out, "--record", record]
        assert main(["rank_scores", *map(str, arguments)]) == 0
        assert pl.read_parquet(out).height == height
        assert ScoreRanking.read(record).alleles == height


@pytest.mark.parametrize(("harmful", "expected"), [("low", [0, 62.5]), ("high", [100, 37.5])])
def test_percentiles_of_a_direction(harmful, expected):
    percentiles = Percentiles(np.array([1.0, 2, 3, 4]), harmful)
    assert percentiles(np.array([0.5, 3])).tolist() == expected

"""Counting the annotated table: against NumPy and Polars on the whole table at once."""

import numpy as np
import polars as pl
import pytest

from making.report import make_inputs
from varlm.report import counts
from varlm.report.counts import GenomeBins, count
from varlm.report.distributions import LLR_BINS


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("counted")
    lengths = {"a": 30_000, "b": 9_000, "c": 200}
    make_inputs(folder, rows=2000, models=("m", "k"), lengths=lengths)
    return folder / "annotated.parquet", lengths


def counted(inputs, width=1000):
    path, lengths = inputs
    bins = GenomeBins({"a": lengths["a"], "b": lengths["b"]}, width, 1)
    return count(path, ["m", "k"], bins, {name: name for name in lengths})


@pytest.fixture(scope="module")
def table(inputs):
    return pl.read_parquet(inputs[0])


def test_slices_add_up_to_the_whole(inputs, monkeypatch):
    whole = counted(inputs)
    monkeypatch.setattr(counts, "ROWS", 333)
    parts = counted(inputs)
    for model, of_model in whole.items():
        for name in ("classes", "by_af", "genome", "strands", "percentiles"):
            assert getattr(of_model, name).equals(getattr(parts[model], name)), name
        assert parts[model].correlation == pytest.approx(of_model.correlation, abs=1e-12)


def test_classes_hold_every_allele(inputs, table):
    of_model = counted(inputs)["m"]
    assert of_model.missing == 0
    sums = of_model.classes.group_by("consequence", "kind").agg(pl.col("n").sum())
    expected = table.group_by("consequence", "kind").agg(pl.len().cast(pl.Int64).alias("n"))
    key = ["consequence", "kind"]
    assert sums.sort(key).equals(expected.sort(key))
    median = of_model.by("classes", "consequence")[("missense_variant",)].quantile(0.5)
    exact = table.filter(consequence="missense_variant")["m_llr"].median()
    assert median == pytest.approx(exact, abs=2 * LLR_BINS.step)


def test_strands_correlate_as_numpy_says(inputs, table):
    of_model = counted(inputs)["k"]
    exact = np.corrcoef(table["k_llr_fwd"], table["k_llr_rev"])[0, 1]
    assert of_model.correlation == pytest.approx(exact, abs=1e-9)
    assert of_model.strands["n"].sum() == table.height


def test_windows_are_half_open_and_others_contigs_left_out(inputs, table):
    genome = counted(inputs, width=1000)["m"].genome
    sums = {
        (contig, window): n
        for contig, window, n in genome.group_by("contig", "window")
        .agg(pl.col("n").sum())
        .iter_rows()
    }
    expected = (
        table.filter(pl.col("chrom") != "c")
        .group_by("chrom", ((pl.col("pos") - 1) // 1000).alias("w"))
        .len()
    )
    assert sums == {(chrom, w): n for chrom, w, n in expected.iter_rows()}


def test_frequency_of_an_edge_belongs_to_the_interval_below(tmp_path):
    frequencies = [0.0001, 0.00010001, 0.01, 0.5, 0.9, 0.91, 0.0, 1.0]

    def edit(piece):
        values = (frequencies * piece.height)[: piece.height]
        return piece.with_columns(pl.Series("af", values, dtype=pl.Float32))

    make_inputs(tmp_path, rows=8, lengths={"a": 500}, edit=edit)
    bins = GenomeBins({"a": 500}, 10, 0)
    of_model = count(tmp_path / "annotated.parquet", ["gpn"], bins, {})["gpn"]
    sums = dict(of_model.by_af.group_by("af").agg(pl.col("n").sum()).iter_rows())
    # ≤ 0.0001: 0.0001 and 0; up to 0.001; up to 0.01; 0.25 to 0.5; 0.75 to 0.9; above 0.9: two
    assert sums == {0: 2, 1: 1, 2: 1, 6: 1, 8: 1, 9: 2}
    assert of_model.genome.height == 0  # no contig is shown


def test_choice_of_contigs_among_thousands():
    lengths = {f"scaffold{i}": 100 + i for i in range(3000)}
    bins = GenomeBins.choose(lengths, [f"scaffold{i}" for i in range(0, 3000, 2)], 500)
    assert len(bins.contigs) == 25
    assert bins.left_out == 1475
    assert list(bins.contigs)[-1] == "scaffold2998"
    assert "scaffold2999" not in bins.contigs  # without alleles
    assert sum(-(-length // bins.width) for length in bins.contigs.values()) <= 525

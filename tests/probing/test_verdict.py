"""Who wins is said as the intervals say it."""

from dataclasses import replace

import pytest

from making.probed import PROBES, judged, run_of
from varlm.probing.verdict import _pairs, describe, reference
from varlm.report.charts.probes import probe_charts, probe_figure
from varlm.report.probes import probe_page
from varlm.tables.model_schemas import PROBE


def test_embeddings_that_are_better_win():
    _, table, summary = judged([0.5, 1, 3, 4])
    assert summary.best == "gpn_positions_cnn"
    assert "The embeddings win: the difference is +0." in summary.verdict[1]
    assert "The embeddings win" in summary.verdict[2]
    assert table.filter(input="gpn", method="cnn", metric="pearson")["difference_low"][0] > 0


@pytest.mark.parametrize("noises", [[0.5, 1, 1, 4], [4, 1, 1, 0.5], [1, 4, 0.5, 1]])
def test_pairs_are_judged_that_were_fixed_before(noises):
    """Whichever probe comes out best."""
    _, _, summary = judged(noises)
    assert len(summary.verdict) == 3
    assert summary.verdict[0].startswith("The best of 4 probes is ")
    assert summary.verdict[1].startswith("The CNN on the embeddings of gpn: ")
    assert "; the same CNN on one-hot sequence: " in summary.verdict[1]
    assert summary.verdict[2].startswith("The ridge on the embeddings of gpn, their mean: ")
    assert "; the same on k-mer counts: " in summary.verdict[2]


def test_the_mean_is_judged_and_the_centre_where_there_is_no_mean():
    probes = [("gpn", "mean", "ridge", True), ("gpn", "centre", "ridge", True), *PROBES[2:]]
    probes += [("GC", "share", "ridge", False), ("two", "centre", "ridge", True)]
    assert [*_pairs(run_of(probes=probes).fits)] == [(0, 3), (5, 3)]


def test_sequence_that_is_better_wins():
    _, _, summary = judged([3, 4, 1, 0.5])
    assert summary.best == "k-mers_counts_ridge"
    assert "The sequence alone wins: the difference is −0." in summary.verdict[1]
    assert "The sequence alone wins: the difference is −0." in summary.verdict[2]


def test_what_may_be_chance_is_called_so():
    _, _, summary = judged([None, None, None, None])
    assert "which may be chance (0)" in summary.verdict[0]
    assert summary.verdict[1].endswith("Neither is told from chance.")
    _, _, summary = judged([1, 1, 1, 1])
    assert "Neither wins: the difference" in summary.verdict[1]


def test_without_resamples_differences_are_said_without_judging():
    _, table, summary = judged([1, 2, 3, 4], bootstrap=0)
    assert table["low"].null_count() == table.height
    assert "The difference is +0." in summary.verdict[1]


def test_without_networks_kmers_are_the_reference():
    probes = [probe for probe in PROBES if probe[2] != "cnn"]
    fits = run_of(probes=probes).fits
    assert describe(fits[reference(fits)]) == "k-mer counts (ridge)"


def test_too_few_rows_are_rows_without_values():
    run, table, summary = judged([1, 2, 3, 4], rows=20)
    assert PROBE.check(table, "here").height == 4
    assert table["value"].null_count() == 4
    left_out = "left out, with fewer than 10 rows, or one label alone: chr0; chr1; chr2; chr3"
    assert table["note"][0] == left_out
    assert summary.best is None
    assert summary.verdict[0].startswith("Nothing was measured")
    assert probe_page(table, summary).rows == []
    assert "No fold has enough rows" in str(probe_figure(table, run))


@pytest.mark.parametrize("classes", [False, True])
def test_the_chart_has_each_probe_and_the_reference(classes):
    run, table, summary = judged([0.5, 1, 3, 4], classes=classes)
    charts = probe_charts(table, run)
    names = ["auroc", "auprc"] if classes else ["pearson", "spearman"]
    assert [chart.name for chart in charts] == [f"mpra_{name}" for name in names]
    points = charts[0].specification["datasets"]["rows"]
    assert [point["reads"] for point in points] == ["embeddings"] * 2 + ["sequence alone"] * 2
    assert {point["reference"] for point in points} == {points[2]["value"]}
    page = probe_page(table, summary)
    assert ("left out", "3 on contigs that the reference does not have") in page.facts
    rows = page.rows
    assert len(rows) == 8
    assert [row.difference for row in rows if row.probe.startswith("one-hot")] == ["–", "–"]


@pytest.mark.parametrize(
    ("column", "words"), [("chrom", "folds of chromosomes"), ("gene", "folds by gene")]
)
def test_folds_are_named_by_their_column(column, words):
    _, table, summary = judged([0.3, 1, 3, 4], folds_by=column)
    page = probe_page(table, summary)
    assert words in page.notes[0]
    assert all(chart.title.endswith(words) for chart in page.charts)
    assert words in page.verdict[0]


def test_rows_that_overlap_are_said_to_be_drawn_together():
    _, table, summary = judged([0.3, 1, 3, 4], units=[row // 8 for row in range(400)])
    assert summary.run.units == 50
    note = probe_page(table, summary).notes[1]
    assert "the 50 units within folds that do not overlap on the genome (the 400 rows do" in note
    assert "1.53 times as wide" in note
    _, alone, before = judged([0.3, 1, 3, 4])
    assert "resamples of the rows within folds, 1.53" in probe_page(alone, before).notes[1]
    widths = [(of["high"] - of["low"]).mean() for of in (table, alone)]
    assert widths[0] != widths[1]


def test_few_units_are_no_interval_and_said():
    _, table, summary = judged([0.3, 1, 3, 4], units=[row % 4 for row in range(400)])
    assert table["low"].null_count() == table["difference_high"].null_count() == table.height
    said = "No intervals: with fewer than 5 units of rows that do not overlap: chr0; chr1; chr2;"
    notes = probe_page(table, summary).notes
    assert len(notes) == 2
    assert notes[1].startswith(said)
    assert "The difference is +" in summary.verdict[1]


def test_the_page_says_what_models_read_around_a_row():
    run, table, summary = judged([0.3, 1, 3, 4])
    shown = dict(probe_page(table, summary).facts)
    assert shown["around it"].startswith("the genome, which models read")
    alone = replace(summary, run=replace(run, flanks=False))
    assert dict(probe_page(table, alone).facts)["around it"].startswith("nothing: ")
    sequences = replace(summary, run=replace(run, kind="sequences"))
    assert "around it" not in dict(probe_page(table, sequences).facts)

"""The page of all cohorts: numbers from the reports' summaries, names as text."""

import dataclasses
import json
import re

import numpy as np
import polars as pl
import pytest

from making.probed import judged
from making.report import summary
from varlm import cli
from varlm.report.comparison import make_index
from varlm.report.distributions import of_values
from varlm.report.probes import probe_section
from varlm.tables.model_schemas import PROBE
from varlm.tables.parquet import write_table
from varlm.tables.schemas import BACKGROUND
from varlm.tables.tsv import write_tsv


def text_of(html):
    """The page's visible text, roughly: no scripts, no styles, no tags."""
    body = re.sub(r"<(script|style)[^>]*>.*?</\1>", " ", html, flags=re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


def charts_of(html):
    block = re.search(r'<script type="application/json" id="charts">(.*?)</script>', html, re.S)
    return json.loads(block[1])


BACKGROUNDS = {"m": of_values(np.linspace(-4, 0, 401))}


def test_the_numbers_are_those_of_the_cohorts():
    one = summary("one", {"missense_variant": [-3.0] * 30, "synonymous_variant": [-1.0] * 10})
    two = summary("two", {"missense_variant": [-2.0] * 20})
    html = make_index([one, two], BACKGROUNDS)
    assert "2 cohorts 70 alleles 60 scored 10 rejected" in text_of(html)
    assert '<a href="cohorts/one/report.html">one</a>' in html
    assert re.search(r"one 45 40 5 0 −(2\.9\d|3\.0\d)", text_of(html))  # from a bin of 0.05 nats
    assert " 4 42 " in text_of(html)
    charts = charts_of(html)
    rows = charts["llr_by_cohort"]["datasets"]["rows"]
    assert [row["class"] for row in rows] == ["genome background", "one", "two"]
    assert rows[2]["median"] == pytest.approx(-2, abs=0.06)
    shares = {
        (row["cohort"], row["class"]): row["share"]
        for row in charts["classes_by_cohort"]["datasets"]["rows"]
    }
    assert shares == {
        ("one", "missense_variant"): 0.75,
        ("one", "synonymous_variant"): 0.25,
        ("two", "missense_variant"): 1.0,
    }
    medians = charts["medians_by_cohort"]["datasets"]["rows"]
    assert [(row["cohort"], row["class"]) for row in medians] == [
        ("one", "missense_variant"),
        ("one", "synonymous_variant"),
        ("two", "missense_variant"),
    ]


def test_many_classes_and_cohorts_are_cut_and_counted():
    llrs = {f"class_{i:02}": [-1.0] * (40 - i) for i in range(20)}
    html = make_index([summary(f"c{i}", llrs) for i in range(45)], BACKGROUNDS)
    assert "5 more are in the table" in text_of(html)
    rows = charts_of(html)["classes_by_cohort"]["datasets"]["rows"]
    assert {row["class"] for row in rows} == {f"class_{i:02}" for i in range(12)} | {"others"}
    assert sum(row["share"] for row in rows if row["cohort"] == "c0") == pytest.approx(1, abs=1e-3)


def test_a_cohort_without_alleles():
    html = make_index([summary("none", {})], BACKGROUNDS)
    assert "none 5 0 5 0 – –" in text_of(html)
    assert "No class has 5 alleles." in html


def test_fault_54_names_in_the_summary_stay_text():
    nasty = "</script><script>alert(1)</script>"
    entry = summary("c", {nasty: [-1.0] * 9}, rejected_by_reason={nasty: 1})
    html = make_index([entry], BACKGROUNDS)
    assert "alert(1)</script>" not in html
    assert charts_of(html)["classes_by_cohort"]["datasets"]["rows"][0]["class"] == nasty


def test_the_step_refuses_reports_of_other_models(tmp_path, capsys):
    summary("c", {"x": [-1.0]}).write(tmp_path / "report.json")
    background = {"contig": "SQ", "pos": 1, "ref": "A", "alt": "C", "llr": [-1.0, -2.0]}
    path = tmp_path / "background.parquet"
    write_table(pl.DataFrame(background).cast(BACKGROUND.schema), path, BACKGROUND)
    words = ["--summary", tmp_path / "report.json", "--background", path]
    words += ["--index", tmp_path / "index.html"]
    assert cli.main(["compare_cohorts", *map(str, words), "--model", "m"]) == 0
    assert (tmp_path / "index.html").stat().st_size < 3_000_000
    assert cli.main(["compare_cohorts", *map(str, words), "--model", "other"]) == 2
    assert "is of the models m, expected other" in capsys.readouterr().err


def test_the_warnings_of_a_cohort_lead_to_them():
    odd = dataclasses.replace(summary("odd", {"missense_variant": [-1.0]}), warnings=3)
    html = make_index([summary("fine", {"missense_variant": [-1.0]}), odd], BACKGROUNDS)
    assert '<a href="cohorts/odd/report.html#warnings">3</a>' in html
    assert "fine/report.html#warnings" not in html


def test_probes_are_shown_with_what_wins(tmp_path):
    _, table, result = judged([0.5, 1, 3, 4])
    one = summary("one", {"missense_variant": [-3.0] * 30})
    html = make_index([one], BACKGROUNDS, probes=[probe_section(table, result)])
    assert '<a href="probes/mpra/probe.html">mpra</a>' in html
    for sentence in result.verdict:
        assert sentence in text_of(html)
    points = charts_of(html)["mpra_pearson"]["datasets"]["rows"]
    assert [point["line"] for point in points][:2] == ["CNN: gpn", "ridge, mean: gpn"]
    assert "Probes" not in text_of(make_index([one], BACKGROUNDS))


def test_the_step_reads_the_folders_of_probes(tmp_path):
    _, table, result = judged([0.5, 1, 3, 4])
    result.write(tmp_path / "probe.json")
    write_tsv(PROBE.check(table, "here"), tmp_path / "probe.tsv")
    summary("one", {"missense_variant": [-3.0] * 30}, models={}).write(tmp_path / "one.json")
    files = ["--summary", tmp_path / "one.json", "--probe", tmp_path]
    files += ["--vega", tmp_path / "vega.js", "--index", tmp_path / "index.html"]
    (tmp_path / "vega.js").write_text("")
    assert cli.main(["compare_cohorts", *map(str, files)]) == 0
    assert result.verdict[0] in text_of((tmp_path / "index.html").read_text())

"""From the store's four numbers a site to the report's scores: the steps, one after the other."""

import json

import numpy as np
import polars as pl
import pytest

from making.records import accounting, commit_record, plan, prepared_model
from making.report import block, words
from making.store import MODEL
from varlm import cli
from varlm.files.whole import write_digest
from varlm.genome.reference import Genome
from varlm.store import SITE_SCHEMA, Store
from varlm.tables.parquet import write_table
from varlm.tables.schemas import LOGIT_COLUMNS, PICTURES, VARIANTS
from varlm.variants.accounting import Accounting

CONTIG = "".join(np.random.default_rng(5).choice(list("ACGT"), 400))
MODELS = {"splice": ("splicebert", "probability"), "bert": ("dnabert2", "cosine")}


def numbers(score, letters, rng):
    """A site's four numbers a strand, as the store keeps them: REF's is 0 of a distance."""
    four = rng.random((len(letters), 2, 4))
    if score == "probability":
        return four / four.sum(axis=2, keepdims=True)
    four[np.arange(len(letters)), :, ["ACGT".index(base) for base in letters]] = 0
    return 0.01 * four**2


def write_store(folder, genome, score, key):
    four = numbers(score, CONTIG, np.random.default_rng(len(score)))
    columns = dict(zip(LOGIT_COLUMNS, four.reshape(-1, 8).T, strict=True))
    frame = pl.DataFrame({"pos": np.arange(1, len(CONTIG) + 1), **columns})
    sites = frame.cast(dict(SITE_SCHEMA))
    document = {**MODEL, "key": key}
    Store(folder).commit(key, document, [(genome["c"].stored_as, sites)], [])
    return four


def step(name, *words):
    assert cli.main([name, *(str(word) for word in words)]) == 0


@pytest.fixture
def reported(tmp_path, make_reference, monkeypatch):
    """The report of every SNV of a contig and a deletion, under two models."""
    monkeypatch.setattr("varlm.steps.report.write_figures", lambda *_: None)
    monkeypatch.setattr("varlm.report.page.vega_bundle", lambda: "")
    genome = Genome.open(make_reference({"c": CONTIG}))
    rows = [
        ("c", "c", p, None, r, a, p, r, a, "snv", None, 0, 3 * p + i, 1)
        for p, r in enumerate(CONTIG, 1)
        for i, a in enumerate(base for base in "ACGT" if base != r)
    ]
    long = CONTIG[-3:]
    rows.append(("c", "c", 398, None, long, long[0], 398, long, long[0], "del", None, 0, 9999, 1))
    variants = tmp_path / "variants.parquet"
    table = pl.DataFrame(rows, schema=VARIANTS.schema, orient="row").sort("pos", "record")
    write_table(table, variants, VARIANTS)
    write_digest(variants)
    options, store, answers = [], tmp_path / "store", {}
    for number, (name, (family, score)) in enumerate(MODELS.items()):
        key = f"{number}" * 32
        model = prepared_model(name=name, family=family, score=score, key=key, model_type="bert")
        paths = {kind: tmp_path / f"{name}.{kind}.json" for kind in ("model", "plan", "committed")}
        model.write(paths["model"])
        plan(name, ("c",), key=key).write(paths["plan"])
        commit_record(model=name, key=key).write(paths["committed"])
        answers[name] = write_store(store, genome, score, key)
        paths |= {kind: tmp_path / f"{name}.{kind}" for kind in ("background", "pictures")}
        where = ["--reference", genome.folder, "--store", store]
        background = ["--sites", 300, "--background", paths["background"]]
        step("calibrate", "--model", paths["model"], *where, *background)
        write_table(PICTURES.empty(), paths["pictures"], PICTURES)
        options += [word for kind, path in paths.items() for word in (f"--{kind}", path)]
    annotated = tmp_path / "annotated.parquet"
    models = [o for i, o in enumerate(options) if options[i - i % 2] in ("--model", "--background")]
    step("annotate", "--variants", variants, *where, *models, "--annotated", annotated)
    entry = accounting(alleles_in=len(rows), accepted=len(rows), rejected=0, by_reason={})
    entry.write(tmp_path / "accounting.json")
    assert Accounting.read(tmp_path / "accounting.json").accepted == len(rows)
    (tmp_path / "settings.json").write_text("{}")
    words_of = ["--annotated", annotated, "--accounting", tmp_path / "accounting.json"]
    words_of += ["--reference", genome.folder, *options, "--cohort", "c", "--pictures-count", 3]
    words_of += ["--settings", tmp_path / "settings.json", "--top-hits", 25, "--flank", 4]
    words_of += ["--report", tmp_path / "report.html", "--figures", tmp_path / "figures"]
    words_of += ["--multiqc", tmp_path / "mqc.json", "--summary", tmp_path / "report.json"]
    step("report", *words_of)
    return tmp_path, answers


def test_the_reports_scores_are_those_of_the_stores_numbers(reported):
    folder, answers = reported
    html = (folder / "report.html").read_text()
    medians = json.loads((folder / "mqc.json").read_text())["data"]["c"]
    index = np.array(["ACGT".index(base) for base in CONTIG])
    rows = np.arange(len(CONTIG))
    for name, column in (("splice", "probability"), ("bert", "cosine")):
        mean = answers[name].mean(axis=1)
        scores = mean - mean[rows, index][:, None]
        others = scores[np.arange(4) != index[:, None]]
        assert medians[f"{name}_median_{column}"] == pytest.approx(
            np.median(others), abs=np.ptp(others) / 100
        )
    text = words(html)
    assert "splice (P(alt) − P(ref)), bert (cosine distance): 1 indels and MNVs have no" in text
    assert "The 25 alleles of the most harmful score of each model" in text
    parts = block(html, "charts")["llr_by_consequence"]["parts"]
    assert [part["models"] for part in parts] == [["splice"], ["bert"]]
    # The background is of the same sites, three quarters of them: a percent holds about a percent.
    shares = block(html, "charts")["percentiles"]["datasets"]["rows"]
    for name in MODELS:
        own = [row["share"] for row in shares if row["model"] == name]
        assert sum(own) == pytest.approx(1, abs=1e-3)
        assert max(own) < 0.05


def test_the_highest_distance_has_the_lowest_percentile(reported):
    table = pl.read_parquet(reported[0] / "annotated.parquet").drop_nulls("bert_cosine")
    first = table.sort("bert_cosine", descending=True).row(0, named=True)
    assert first["bert_percentile"] < 1
    assert table.sort("bert_cosine")["bert_percentile"].is_sorted(descending=True)
    assert table.sort("splice_probability")["splice_percentile"].is_sorted()

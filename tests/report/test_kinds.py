"""Reports of models whose scores are no masked LLRs, alone and beside one whose are."""

import json

import numpy as np
import polars as pl
import pytest

from making.report import block, make_inputs, scaled_summary, words
from varlm.cli import main
from varlm.figures.files import FIGURES
from varlm.report.comparison import make_index
from varlm.report.counts import GenomeBins, count
from varlm.report.distributions import bins_for, of_values
from varlm.report.scales import Scale
from varlm.report.summaries import CohortSummary
from varlm.tables.parquet import read_table
from varlm.tables.schemas import BACKGROUND
from varlm.tables.score_kinds import SCORE_KINDS

MODELS = {"gpn": "masked", "splice": "probability", "bert": "cosine", "hyena": "likelihood"}


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """A report of four models, their kinds of score all unlike."""
    inputs = make_inputs(tmp_path_factory.mktemp("mixed"), rows=1200, models=MODELS)
    inputs.html = inputs.make()
    inputs.table = pl.read_parquet(inputs.folder / "annotated.parquet")
    return inputs


@pytest.fixture
def quick(monkeypatch):
    """No figures and no Vega bundle: what takes seconds of a report."""
    monkeypatch.setattr("varlm.steps.report.write_figures", lambda *_: None)
    monkeypatch.setattr("varlm.report.page.vega_bundle", lambda: "")


def part_of(html, chart, model):
    entry = block(html, "charts")[chart]
    return next(part for part in entry["parts"] if model in part["models"])


def test_models_on_one_scale_share_a_chart_and_the_others_have_their_own(mixed):
    charts = block(mixed.html, "charts")
    assert set(charts) == set(FIGURES)
    for name, chart in charts.items():
        if name == "percentiles":  # on one scale whatever the kind
            assert {row["model"] for row in chart["datasets"]["rows"]} == set(MODELS)
            continue
        models = [part["models"] for part in chart["parts"]]
        assert models == [["gpn", "hyena"], ["splice"], ["bert"]]
        shown = [part["specification"]["datasets"]["rows"] for part in chart["parts"]]
        assert [{row["model"] for row in rows} for rows in shown] == [set(m) for m in models]
        assert sum(map(len, shown)) <= 5000


@pytest.mark.parametrize(
    ("model", "column", "title", "axis"),
    [
        ("gpn", "llr", "LLR by consequence", "LLR (nats)"),
        ("splice", "probability", "P(alt) − P(ref) by consequence", "P(alt) − P(ref)"),
        ("bert", "cosine", "Cosine distance by consequence", "cosine distance, square-root axis"),
    ],
)
def test_a_chart_has_the_words_and_quantiles_of_its_scores(mixed, model, column, title, axis):
    part = part_of(mixed.html, "llr_by_consequence", model)
    assert part["title"] == title
    assert ("Further right" in part["caption"]) == (column == "cosine")
    specification = part["specification"]
    assert {layer["encoding"]["x"]["title"] for layer in specification["layer"]} == {axis}
    rows = [row for row in specification["datasets"]["rows"] if row["model"] == model]
    for row in rows:
        if row["class"] in ("missense_variant", "synonymous_variant"):
            scores = mixed.table.filter(consequence=row["class"])[f"{model}_{column}"].drop_nulls()
            assert row["alleles"] == len(scores)
            spread = scores.quantile(0.95) - scores.quantile(0.05)
            assert row["median"] == pytest.approx(scores.median(), abs=spread / 50)
            assert row["q95"] == pytest.approx(scores.quantile(0.95, "linear"), abs=spread / 20)


def test_the_most_harmful_classes_come_first(mixed):
    for model, harmful in (("gpn", min), ("splice", min), ("bert", max)):
        part = part_of(mixed.html, "llr_by_consequence", model)["specification"]
        order = part["layer"][0]["encoding"]["y"]["scale"]["domain"]
        medians = {
            row["class"]: row["median"]
            for row in part["datasets"]["rows"]
            if row["model"] == model and row["class"] in order[1:13]
        }
        assert next(iter(order)) == "genome background"
        assert medians[order[1]] == harmful(medians.values())


def test_the_genome_shows_the_quantile_at_the_harmful_end(mixed):
    low = part_of(mixed.html, "llr_along_genome", "splice")["specification"]
    high = part_of(mixed.html, "llr_along_genome", "bert")["specification"]
    assert {"q05", "q95"} & low["datasets"]["rows"][0].keys() == {"q05"}
    assert {"q05", "q95"} & high["datasets"]["rows"][0].keys() == {"q95"}
    assert high["transform"][0]["calculate"] == "datum[metric === 'q05' ? 'q95' : metric]"
    assert "5 % quantile or 95 % quantile of score" in words(mixed.html)


def test_the_page_says_what_each_score_is_and_lacks(mixed):
    text = words(mixed.html)
    others = mixed.table.filter(pl.col("kind") != "snv").height
    for said in (
        "<dt>family</dt><dd>SpliceBERT</dd>",
        "<dt>score</dt><dd>P(alt) − P(ref) at the masked site</dd>",
        "<dt>embedding</dt><dd>variant</dd>",
        "<dt>harmful</dt><dd>high scores</dd>",
        "<dt>score</dt><dd>LLR (nats): of the whole window</dd>",
        f"splice (P(alt) − P(ref)), bert (cosine distance): {others} indels and MNVs have no score",
        '<td class="n">no score</td>',
        "bert (cosine distance): no entropy, p(ref), p(alt) or sequence logos",
        "The harmful end of the scores is low for LLR (gpn, hyena) and P(alt) − P(ref) (splice), "
        "and high for cosine distance (bert).",
        "<dt>Cosine distance: bert</dt>",
        "<dt>LLR (log-likelihood ratio): hyena</dt>",
        "that have a more harmful score under the same model",
        "A distance has no direction",
        "from bins of 0.05 nats (gpn), 0.0005 (splice), ",
    ):
        assert said in text, said
    assert "alleles without a score" not in text  # the warning of what should have one
    assert text.count('<svg class="logo"') == 2 * mixed.pictures  # of gpn and hyena


def test_every_figure_names_its_scores(mixed):
    for name in FIGURES:
        svg = (mixed.folder / "figures" / f"{name}.svg").read_text()
        assert all(model in svg for model in MODELS)
    svg = (mixed.folder / "figures/llr_density.svg").read_text()
    for title in ("LLR (nats)", "P(alt) − P(ref)", "cosine distance", "share per unit"):
        assert title in svg


def test_the_table_has_the_share_beyond_the_harmful_percent_of_the_background(mixed):
    path = mixed.folder / "background/bert.parquet"
    background = read_table(path, BACKGROUND)["llr"].to_numpy()
    scores = mixed.table.filter(consequence="missense_variant")["bert_cosine"].drop_nulls()
    scale = Scale(SCORE_KINDS["cosine"], bins_for(SCORE_KINDS["cosine"], background))
    share = scale.share_extreme(
        of_values(scores.to_numpy(), scale.bins), of_values(background, scale.bins)
    )
    exact = (scores.to_numpy() > np.quantile(background, 0.99)).mean()
    assert share == pytest.approx(exact, abs=0.02)
    assert exact > 0.05
    assert f'<td class="n">{100 * share:.2f} %</td>' in words(mixed.html)


def test_multiqc_has_each_models_median_under_its_own_name(mixed):
    document = json.loads((mixed.folder / "cohort_mqc.json").read_text())
    data, headers = document["data"]["cohort"], document["headers"]
    median = mixed.table["bert_cosine"].median()
    assert data["bert_median_cosine"] == pytest.approx(median, rel=0.05)
    assert headers["bert_median_cosine"]["title"] == "bert median cosine distance"
    assert headers["splice_median_probability"]["format"] == "{:,.4f}"
    assert headers["hyena_median_llr"]["format"] == "{:,.2f}"


def test_the_comparison_of_cohorts_knows_kinds_and_bins(mixed, tmp_path):
    summary = CohortSummary.read(mixed.folder / "report.json")
    kinds = {model: of_model.scale.kind.name for model, of_model in summary.models.items()}
    assert kinds == MODELS
    document = json.loads((mixed.folder / "report.json").read_text())["models"]
    assert document["gpn"].keys() == {"planned", "classes"}
    assert document["hyena"].keys() == {"planned", "classes", "score"}
    assert summary.models["bert"].scores.total == mixed.table["bert_cosine"].count()
    words_of = ["--summary", mixed.folder / "report.json", "--index", tmp_path / "index.html"]
    for model in MODELS:
        words_of += ["--model", model, "--background", mixed.folder / f"background/{model}.parquet"]
    assert main(["compare_cohorts", *map(str, words_of)]) == 0
    html = (tmp_path / "index.html").read_text()
    rows = part_of(html, "llr_by_cohort", "bert")["specification"]["datasets"]["rows"]
    assert [row["class"] for row in rows] == ["genome background", "cohort"]
    exact = mixed.table["bert_cosine"].median()
    assert rows[1]["median"] == pytest.approx(exact, rel=0.05)
    text = words(html)
    assert '>median cosine distance</th><th class="n">95 % quantile</th>' in text
    assert part_of(html, "medians_by_cohort", "splice")["title"] == (
        "Median P(alt) − P(ref) by consequence and cohort"
    )
    assert "Alleles that a model has no score of are left out." in text


def test_a_summary_of_an_unknown_kind_is_refused(mixed, tmp_path, capsys):
    document = json.loads((mixed.folder / "report.json").read_text())
    document["models"]["bert"]["score"] = "magic"
    (tmp_path / "report.json").write_text(json.dumps(document))
    background = mixed.folder / "background/bert.parquet"
    arguments = ["--summary", tmp_path / "report.json", "--model", "bert"]
    arguments += ["--background", background, "--index", tmp_path / "index.html"]
    assert main(["compare_cohorts", *map(str, arguments)]) == 2
    assert "found 'magic', expected one of masked" in capsys.readouterr().err


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("score", [name for name in SCORE_KINDS if name != "masked"])
def test_a_report_of_any_kind_alone(tmp_path, score):
    kind = SCORE_KINDS[score]
    inputs = make_inputs(tmp_path, rows=400, models={"m": score})
    inputs.top_hits = 50
    html = inputs.make()
    text = words(html)
    assert ("LLR" in text) == kind.is_llr  # nothing else is called so
    end = "highest" if kind.worst_first else "lowest"
    assert f"The 50 alleles of {end} {kind.title} of the model, the {end} first." in text
    assert ('<section id="pictures">' in text) == kind.distribution
    assert ("<dt>Entropy</dt>" in text) == kind.distribution
    charts = block(html, "charts")
    assert set(charts) == set(FIGURES)
    assert not any("parts" in chart for chart in charts.values())
    assert ("have no score, for the score is of single bases" in text) == (kind.alleles is None)


@pytest.mark.usefixtures("quick")
def test_without_a_background_the_bins_are_to_the_cohort(tmp_path):
    inputs = make_inputs(tmp_path, rows=300, models={"m": "euclidean"}, background_rows=0)
    html = inputs.make()
    rows = block(html, "charts")["llr_by_consequence"]["datasets"]["rows"]
    table = pl.read_parquet(tmp_path / "annotated.parquet")
    scores = table.filter(consequence="missense_variant")["m_euclidean"].drop_nulls()
    (row,) = (row for row in rows if row["class"] == "missense_variant")
    assert row["median"] == pytest.approx(scores.median(), rel=0.05)


@pytest.mark.usefixtures("quick")
def test_a_cohort_of_indels_alone_has_no_score_of_single_bases(tmp_path):
    inputs = make_inputs(
        tmp_path,
        rows=40,
        models={"m": "cosine"},
        edit=lambda piece: piece.with_columns(
            pl.lit("del").alias("kind"),
            *(pl.lit(None, pl.Float32).alias(n) for n in piece.columns if n.startswith("m_")),
        ),
    )
    text = words(inputs.make())
    assert "No allele has a score, so there is no hit." in text
    assert "m (cosine distance): 40 indels and MNVs have no score" in text


@pytest.mark.usefixtures("quick")
def test_a_table_of_another_kind_than_the_model_is_refused(tmp_path, capsys):
    inputs = make_inputs(tmp_path, rows=60)
    arguments = inputs.arguments()
    path = tmp_path / "models/gpn.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"score": "influence"}))
    assert main(arguments) == 2
    said = "the scores of the model 'gpn' are llr, expected influence; delete it"
    assert said in capsys.readouterr().err


def test_strands_of_scores_far_from_zero_correlate_as_numpy_says(tmp_path):
    make_inputs(tmp_path, rows=500, models={"m": "inner_product"})
    path = tmp_path / "annotated.parquet"
    table = pl.read_parquet(path).drop_nulls("m_inner_product")
    kind = SCORE_KINDS["inner_product"]
    scale = Scale(kind, bins_for(kind, table["m_inner_product"].to_numpy()))
    counted = count(path, {"m": scale}, GenomeBins({}, 10, 0), {})["m"]
    exact = np.corrcoef(table["m_inner_product_fwd"], table["m_inner_product_rev"])[0, 1]
    assert counted.correlation == pytest.approx(exact, abs=1e-9)
    cells = counted.strands["fwd"] * counted.strand_step
    assert cells.min() == pytest.approx(table["m_inner_product_fwd"].min(), abs=scale.bins.step * 2)
    assert counted.missing == counted.missing_alleles == 500 - table.height
    assert counted.totals("kind").keys() == {"snv", "ins", "del"}


def test_cohorts_whose_backgrounds_differ_keep_their_own_bins():
    one = scaled_summary("one", "euclidean", {"missense_variant": [0.5] * 9}, [0.1, 0.9])
    two = scaled_summary("two", "euclidean", {"missense_variant": [5.0] * 9}, [1.0, 9.0])
    assert one.models["m"].scale.bins != two.models["m"].scale.bins
    html = make_index([one, two], {"m": of_values(np.array([0.5]), one.models["m"].scale.bins)})
    rows = block(html, "charts")["llr_by_cohort"]["datasets"]["rows"]
    assert [row["median"] for row in rows[1:]] == pytest.approx([0.5, 5.0], rel=0.05)

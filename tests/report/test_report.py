"""The step report: whole pages of ordinary and odd cohorts, the figures, the same bytes twice."""

import json
import struct

import polars as pl
import pytest

from making.report import block, make_inputs, words
from varlm.cli import main
from varlm.figures.files import FIGURES
from varlm.report import pictures
from varlm.report.charts import chart as chart_module
from varlm.tables.schemas import REJECTED

LIMIT = 8_000_000


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    inputs = make_inputs(tmp_path_factory.mktemp("whole"), rows=1200, models=("gpn", "other"))
    inputs.html = inputs.make()
    return inputs


def test_same_inputs_give_the_same_bytes(two):
    outputs = [
        two.report,
        two.folder / "cohort_mqc.json",
        two.folder / "report.json",
        *sorted((two.folder / "figures").iterdir()),
    ]
    before = [path.read_bytes() for path in outputs]
    two.make()
    assert [path.read_bytes() for path in outputs] == before


def test_every_figure_is_written_as_svg_and_png(two):
    names = {path.name for path in (two.folder / "figures").iterdir()}
    assert names == {f"{name}.{kind}" for name in FIGURES for kind in ("svg", "png")}
    for name in FIGURES:
        text = (two.folder / "figures" / f"{name}.svg").read_text()
        assert text.startswith("<svg")
        assert "gpn" in text
        assert "other" in text
        png = (two.folder / "figures" / f"{name}.png").read_bytes()
        width, height = struct.unpack(">II", png[16:24])
        assert width > 1200
        assert height > 200


def test_charts_stay_small_and_hold_all_models(two):
    for specification in block(two.html, "charts").values():
        (rows,) = specification["datasets"].values()
        assert 0 < len(rows) <= 5000
        assert {row["model"] for row in rows} == {"gpn", "other"}
    assert set(block(two.html, "charts")) == set(FIGURES)


def test_interval_chart_has_the_tables_quantiles(two):
    table = pl.read_parquet(two.folder / "annotated.parquet")
    specification = block(two.html, "charts")["llr_by_consequence"]
    rows = specification["datasets"]["rows"]
    for row in rows:
        if row["class"] in ("missense_variant", "synonymous_variant"):
            llr = table.filter(consequence=row["class"])[f"{row['model']}_llr"]
            assert row["alleles"] == len(llr)
            assert row["median"] == pytest.approx(llr.median(), abs=0.06)
            assert row["q05"] == pytest.approx(llr.quantile(0.05, "linear"), abs=0.2)


def test_page_says_what_was_run_and_counted(two):
    text = words(two.html)
    accounting = json.loads((two.folder / "accounting.json").read_text())
    for said in (
        "1,209",
        "1,200",
        "models/gpn",
        "512 bp",
        "both, mean",
        "bfloat16 products, float32 sums",
        "ALT is symbolic (&#39;&lt;DEL&gt;&#39;",
        "chr1:100 A&gt;&lt;DEL&gt;",
        "The first 5; all are in rejected.tsv.gz.",
        "r = 0.8",
        f"{accounting['sites']:,}",
    ):
        assert said in text, said


def test_pictures_show_the_reference_and_each_models_hits(two):
    text = words(two.html)
    assert text.count('<svg class="logo"') == 2 * two.pictures
    table = pl.read_parquet(two.folder / "annotated.parquet")
    lowest = table.sort("other_llr").row(0, named=True)
    title = f"{lowest['chrom']}:{lowest['pos']:,} {lowest['ref']}&gt;{lowest['alt']}"
    assert f"around {title}, model other" in text


def test_without_annotation_frequency_background_or_reverse_strand(tmp_path):
    inputs = make_inputs(
        tmp_path,
        rows=150,
        with_consequences=False,
        with_af=False,
        strands="forward",
        background_rows=0,
        edit=lambda piece: piece.with_columns(pl.lit(None, pl.Float32).alias("gpn_percentile")),
    )
    inputs.with_rejected = False
    text = words(inputs.make())
    assert "No annotation" in text
    assert "LLR by kind of allele" in text
    assert "No allele has a frequency" in text
    assert "Only the forward strand was scored" in text
    assert "scoring.background_sites is 0" in text
    assert "Counted, not listed" in text
    svg = (tmp_path / "figures" / "strand_agreement.svg").read_text()
    assert "Only the forward strand was scored" in svg


def test_cohort_without_an_accepted_allele(tmp_path):
    inputs = make_inputs(tmp_path, rows=0)
    html = inputs.make()
    assert "No allele was accepted" in words(html)
    assert len(list((tmp_path / "figures").iterdir())) == 2 * len(FIGURES)
    assert (
        "gpn_median_llr"
        not in json.loads((tmp_path / "cohort_mqc.json").read_text())["data"]["cohort"]
    )


def test_regions_have_no_rejected_file_and_nothing_scored_now(tmp_path):
    inputs = make_inputs(tmp_path, rows=100, cohort="regions")
    inputs.with_rejected = False
    path = tmp_path / "commits" / "gpn.json"
    document = json.loads(path.read_text())
    del document["runs"]
    path.write_text(json.dumps(document))
    assert "every score was in the store" in words(inputs.make())
    path.write_text(json.dumps({**document, "runs": [{}]}))  # of a shard without rows
    assert "every score was in the store" in words(inputs.make())


@pytest.fixture
def quick(monkeypatch):
    """No figures and no Vega bundle: what takes seconds of a report."""
    monkeypatch.setattr("varlm.steps.report.write_figures", lambda *_: None)
    monkeypatch.setattr("varlm.report.page.vega_bundle", lambda: "")


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("classes", "other"), [(12, ""), (13, "class_"), (14, "2 rarer classes")])
def test_each_class_shown_has_a_colour(tmp_path, classes, other):
    def edit(piece):
        named = [f"class_{i % classes}" for i in range(piece.height)]
        return piece.with_columns(pl.Series("consequence", named, pl.String))

    html = make_inputs(tmp_path, rows=4000, models=("a",), edit=edit).make()
    chart = block(html, "charts")["llr_density"]
    scale = next(layer for layer in chart["layer"] if "color" in layer["encoding"])
    scale = scale["encoding"]["color"]["scale"]
    assert len(scale["domain"]) == len(set(scale["range"])) == min(classes, 13)
    assert scale["domain"][-1].startswith(other)


@pytest.mark.usefixtures("quick")
def test_size_holds_for_long_text_many_contigs_and_many_classes(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "_PICTURE_BYTES", 500_000)
    lengths = {f"scaffold_{i}": 4000 if i < 30 else 200 for i in range(300)}
    long = "GENE<&>" * 2000

    def edit(piece):
        n = piece.height
        start = int(piece["pos"][0]) if n else 0
        return piece.with_columns(
            pl.Series("consequence", [f"class_{(start + i) % 400}" for i in range(n)], pl.String),
            pl.lit(long).alias("info_CLNSIG"),
            pl.lit(long).alias("gene"),
        )

    rejected = pl.DataFrame(
        [("c", "1", long, "A", "C", "symbolic", long, 0, i, 1) for i in range(50)],
        schema=REJECTED.schema,
        orient="row",
    )
    models = ("a", "b")
    inputs = make_inputs(
        tmp_path, rows=3000, models=models, lengths=lengths, edit=edit, rejected=rejected
    )
    inputs.settings = {f"key{i}": long for i in range(500)}
    inputs.top_hits, inputs.pictures, inputs.flank = 2000, 100, 30
    html = inputs.make()
    assert len(html.encode()) < LIMIT - 1_000_000  # the Vega bundle
    text = words(html)
    assert "the 25 longest contigs" in text
    assert "more pictures are left out" in text
    assert "rarer classes" in text
    assert "cells are cut to" in text
    assert "300 more values are in the config" in text
    for specification in block(html, "charts").values():
        (rows,) = specification["datasets"].values()
        assert len(rows) <= 5000


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: edit_json(f / "accounting.json", accepted=3), "the accounting says that 3"),
        (lambda f: edit_json(f / "accounting.json", cohort="b"), "accounting is of the cohort 'b'"),
        (lambda f: edit_json(f / "commits/gpn.json", model="b"), "commit is of the model 'b'"),
        (lambda f: edit_json(f / "plan/gpn/plan.json", key="b"), "plan is of the model 'gpn'"),
        (lambda f: edit_json(f / "plan/gpn/plan.json", cohorts={}), "does not know the cohort"),
        (lambda f: (f / "plan/gpn/plan.json").unlink(), "the step plan makes it"),
        (lambda f: edit_json(f / "models/gpn.json", window="512"), 'window: found "512", expected'),
        (lambda f: edit_json(f / "commits/gpn.json", runs=[{"device": "cpu"}]), "runs[0]: lacks"),
        (lambda f: (f / "settings.json").write_text("[]"), "expected a JSON object"),
        (lambda f: (f / "annotated.parquet").write_bytes(b"x"), "changed since varlm wrote it"),
    ],
)
def test_inputs_of_another_run_are_refused(tmp_path, capsys, change, said):
    inputs = make_inputs(tmp_path, rows=60)
    arguments = inputs.arguments()
    change(tmp_path)
    assert main(arguments) == 2
    assert said in capsys.readouterr().err
    assert not inputs.report.exists()


def edit_json(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.usefixtures("quick")
def test_options_of_models_must_be_as_many(tmp_path, capsys):
    inputs = make_inputs(tmp_path, rows=60)
    arguments = [*inputs.arguments(), "--plan", str(tmp_path / "plan/gpn/plan.json")]
    assert main(arguments) == 2
    assert "1 --model, 2 --plan" in capsys.readouterr().err


@pytest.mark.usefixtures("quick")
def test_warnings_say_what_is_odd(tmp_path):
    inputs = make_inputs(tmp_path, rows=60)
    accounting = json.loads((tmp_path / "accounting.json").read_text())
    first = accounting["contigs"][0]
    unknown = {"chrom": "chrUn", "contig": None, "records": 12, "how": "not in the reference"}
    accounting["contigs"] += [{**first, **unknown}]
    first["ref_checked"], first["ref_mismatches"] = 100, 20
    accounting["af_unreadable"] = 4
    (tmp_path / "accounting.json").write_text(json.dumps(accounting))
    edit_json(tmp_path / "plan/gpn/plan.json", damaged={"x.parquet": "checksum"})
    text = words(inputs.make())
    assert "that are not in the reference: 1 (chrUn). Their records (12) were" in text
    assert "20 of 100 REF alleles (20.0 %)" in text
    assert "no frequency: 4." in text
    assert "gpn: damaged files of the store: 1." in text


@pytest.mark.usefixtures("quick")
def test_what_the_steps_warned_of_is_told_in_words_with_its_log(tmp_path):
    inputs = make_inputs(tmp_path, rows=60)
    edit_json(tmp_path / "plan/gpn/plan.json", damaged={"x.parquet": "checksum"})
    edit_json(tmp_path / "accounting.json", af_unreadable=4)
    when = "2026-01-02 03:04:05"
    frequency = "Alleles with an AF (or AC, AN) that is no frequency: 4. It is taken as missing."
    for log, text in {
        "normalise/cohort": frequency,
        "normalise/other": "of another cohort",
        "annotate/cohort": "sites.bed: <b>odd</b>",
        "plan/gpn": "store/x.parquet: checksum; set aside",
        "index_reference": "2 contigs have no sequence",
        "evaluate/cohort": "[somewhere.else] what another package says",
    }.items():
        path = tmp_path / f"logs/{log}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{when} INFO    x\n{when} WARNING {text}\nerror: WARNING\n")
    page = inputs.make()
    text = words(page)
    assert "Warnings (4)" in text
    assert text.count(frequency) == 1
    assert "<b>Reading the reference:</b> 2 contigs have no sequence <a" in text
    assert "annotated table:</b> sites.bed: &lt;b&gt;odd&lt;/b&gt; <a" in text
    assert "gpn: damaged files of the store: 1." in text
    for other in ("of another cohort", "set aside\n", "what another package says"):
        assert other not in text
    assert '<a href="../../logs/annotate/cohort.log">Log</a>' in page
    assert json.loads((tmp_path / "report.json").read_text())["warnings"] == 4


def test_density_integrates_to_one(two):
    rows = block(two.html, "charts")["llr_density"]["datasets"]["rows"]
    one = [r for r in rows if (r["model"], r["class"]) == ("gpn", chart_module.BACKGROUND_LABEL)]
    step = one[1]["llr"] - one[0]["llr"]
    assert sum(row["density"] for row in one) * step == pytest.approx(1, abs=0.03)


@pytest.mark.usefixtures("quick")
def test_settings_may_be_text(tmp_path):
    inputs = make_inputs(tmp_path, rows=60)
    arguments = inputs.arguments()
    at = arguments.index("--settings") + 1
    arguments[at] = json.dumps({"scoring": {"window": 77}})
    assert main(arguments) == 0
    assert "scoring.window</dt><dd>77" in inputs.report.read_text()


def test_an_organelle_without_a_genetic_code_is_a_warning(tmp_path):
    inputs = make_inputs(tmp_path, rows=60)
    annotation = {"dialect": "GTF", "refused_contigs": ["Mito"], "contigs": {}}
    (tmp_path / "annotation.json").write_text(json.dumps(annotation))
    inputs.annotation = tmp_path / "annotation.json"
    text = inputs.make()
    assert "No coding consequences are called on Mito" in text

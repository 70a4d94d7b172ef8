"""The report in a browser: it draws, sorts, filters, downloads, prints; and runs no data."""

import csv
import io
import json

import numpy as np
import polars as pl
import pytest

from making.browser import opened
from making.report import make_inputs, summary
from varlm.report.comparison import make_index
from varlm.report.distributions import of_values
from varlm.tables.schemas import REJECTED
from varlm.tables.spreadsheet import escaped

pytestmark = pytest.mark.browser

BROWSERS = [
    "UCSC=https://genome.example/cgi?position={chrom}:{start}-{end}",
    "Local=http://localhost:60151/goto?locus={contig}:{pos}&alleles={ref}/{alt}",
]
READY = "document.documentElement.dataset.charts === 'drawn'"
BUILT = "document.getElementById('table').dataset.built === 'true'"

# Each would call window.pwned or alert, or change the title, if it ran as markup or code.
PAYLOADS = [
    "<script>pwned(1)</script>",
    '"><img src=x onerror=pwned(2)>',
    "</script><script>pwned(3)</script>",
    "javascript:pwned(4)",
    "{{7*7}}",
    "line\u2028separator",
    "back\\slash\\u003cimg",
    "<!--<script>",
    "'-pwned(5)-'",
    "<svg onload=pwned(6)>",
]


# What a spreadsheet would run, or take for other cells.
FORMULAS = ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "tab\there", 'quo"te,comma', "'=1+1"]
# What a reader of tables would take for something else than text.
WORDS = [
    "NA",
    "nan",
    "007",
    "1e5",
    "5",
    "True",
    "2024-01-01",
    "12:30",
    "a'",
    " ",
    "' ",
    "T",
    "12E",
    "#x",
]


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A report of two models."""
    inputs = make_inputs(tmp_path_factory.mktemp("report"), rows=1500, models=("gpn", "other"))
    inputs.browsers = BROWSERS
    inputs.top_hits = 60
    inputs.make()
    return inputs


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (375, "dark")])
def test_page_draws_offline_without_complaint(browser, two, width, scheme):
    with opened(browser, two.report, width, scheme) as watched:
        page = watched.page
        watched.wait(READY)
        watched.wait(BUILT)
        charts = page.locator(".chart")
        assert charts.count() == 6
        for i in range(6):
            assert charts.nth(i).locator("svg .role-mark path").count() > 3
        assert page.locator("svg.logo use").count() > 200
        sizes = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert sizes[0] <= sizes[1], "the page scrolls sideways"
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert background == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(18, 22, 28)")


def test_page_without_a_background_draws_without_complaint(browser, tmp_path):
    inputs = make_inputs(tmp_path, rows=1500, background_rows=0)
    inputs.make()
    with opened(browser, inputs.report) as watched:
        watched.wait(READY)
        assert watched.page.locator(".chart").count() >= 5


def test_theme_toggle_changes_text_of_page_and_charts(browser, two):
    with opened(browser, two.report) as watched:
        page = watched.page
        watched.wait(READY)
        label = "getComputedStyle(document.querySelector('.chart .role-axis-label text')).fill"
        light = page.evaluate(label)
        page.click("#theme")
        page.click("#theme")
        assert page.inner_text("#theme") == "Theme: dark"
        assert page.evaluate(label) != light
        page.reload()
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def rows_of(page):
    """Return the visible table: a list of dicts by the headers shown."""
    names = page.locator(".tabulator-col:visible .tabulator-col-title").all_inner_texts()
    rows = page.locator(".tabulator-row")
    cells = [row.locator(".tabulator-cell:visible").all_inner_texts() for row in rows.all()]
    return [dict(zip(names, row, strict=True)) for row in cells]


def counter_says(rows):
    """Return the JavaScript that tells whether the table has so many rows."""
    counter = "document.querySelector('.tabulator-page-counter').textContent"
    return f"{counter}.endsWith('of {rows} rows')"


def column_filter(page, name):
    title = page.locator(".tabulator-col-title", has_text=name).first
    return title.locator("xpath=ancestor::div[contains(@class,'tabulator-col ')]").locator("input")


def test_table_sorts_filters_and_searches(browser, two):
    table = pl.read_parquet(two.folder / "annotated.parquet")
    hits = pl.concat([table.sort(f"{m}_llr").head(60) for m in two.models]).unique("record")
    with opened(browser, two.report) as watched:
        page = watched.page
        watched.wait(BUILT)
        lowest = table.sort("gpn_llr").row(0, named=True)
        first = rows_of(page)[0]
        assert (first["chrom"], first["pos"]) == (lowest["chrom"], str(lowest["pos"]))

        page.locator(".tabulator-col-title", has_text="pos").first.click()
        shown = [int(row["pos"]) for row in rows_of(page)]
        assert shown == sorted(shown)
        assert len(shown) == 25

        column_filter(page, "gpn_llr").press_sequentially("< -6")
        watched.wait(counter_says(table.filter(pl.col("gpn_llr") < -6).height))
        shown = [float(row["gpn_llr"]) for row in rows_of(page)]
        assert shown
        assert max(shown) < -6

        column_filter(page, "gpn_llr").press("Control+A")
        column_filter(page, "gpn_llr").press("Delete")
        watched.wait(counter_says(hits.height))
        page.fill("#search", "missense")
        watched.wait(counter_says(hits.filter(consequence="missense_variant").height))
        assert {row["consequence"] for row in rows_of(page)} == {"missense_variant"}


def test_download_has_the_filtered_rows_in_their_order(browser, two, tmp_path):
    with opened(browser, two.report) as watched:
        page = watched.page
        watched.wait(BUILT)
        before = page.inner_text(".tabulator-page-counter")
        page.fill("#search", "chr2")
        watched.wait(f"document.querySelector('.tabulator-page-counter').innerText !== '{before}'")
        page.locator(".tabulator-col-title", has_text="pos").first.click()
        for button, separator in (("Download CSV", ","), ("Download TSV", "\t")):
            with page.expect_download() as download:
                page.click(f"text={button}")
            text = download.value.path().read_text()
            rows = list(csv.DictReader(io.StringIO(text), delimiter=separator))
            counter = page.inner_text(".tabulator-page-counter")
            assert f"of {len(rows)} rows" in counter
            assert {row["chrom"] for row in rows} == {"chr2"}
            positions = [int(row["pos"]) for row in rows]
            assert positions == sorted(positions)
            assert {"gpn_llr", "other_entropy", "info_CLNSIG", "phylop"} <= set(rows[0])


def test_fault_55_a_download_runs_nothing_in_a_spreadsheet(browser, tmp_path):
    texts = [*FORMULAS, *WORDS]

    def edit(piece):
        names = [texts[i % len(texts)] for i in range(piece.height)]
        return piece.with_columns(pl.Series("id", names), gene=pl.lit("T"), biotype=pl.lit("1"))

    inputs = make_inputs(tmp_path, rows=400, edit=edit)
    inputs.make()
    with opened(browser, inputs.report) as watched:
        page = watched.page
        watched.wait(BUILT)
        for button, separator in (("Download CSV", ","), ("Download TSV", "\t")):
            with page.expect_download() as download:
                page.click(f"text={button}")
            text = download.value.path().read_text()
            rows = list(csv.DictReader(io.StringIO(text), delimiter=separator))
            ids = {row["id"] for row in rows}
            assert len(ids) == len(texts)
            assert not [name for name in ids if name[:1] in "=+-@" or "\t" in name]
            assert {escaped(name) for name in texts} == ids
            assert {f"'{name}" for name in FORMULAS[:4]} <= ids
            assert {row["gene"] for row in rows} == {"'T"}
            assert {row["biotype"] for row in rows} == {"1"}


def test_the_page_of_all_cohorts_draws_and_leads_to_the_reports(browser, tmp_path):
    entries = [summary(f"c{i}", {"missense_variant": [-3.0 - i] * 9}) for i in range(3)]
    entries.append(summary("odd", {PAYLOADS[0]: [-2.0] * 20, PAYLOADS[2]: [-1.0] * 20}))
    index = tmp_path / "index.html"
    index.write_text(make_index(entries, {"m": of_values(np.linspace(-4, 0, 401))}))
    for width, scheme in ((1280, "light"), (375, "dark")):
        with opened(browser, index, width, scheme) as watched:
            page = watched.page
            watched.wait(READY)
            for chart in page.locator(".chart").all():
                assert chart.locator("svg .role-mark path").count() >= 3
            sizes = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
            assert sizes[0] <= sizes[1], "the page scrolls sideways"
            links = page.locator("td a").evaluate_all("all => all.map(a => a.href)")
            assert links[0] == (tmp_path / "cohorts/c0/report.html").as_uri()
            assert "<script>pwned" in page.locator(".chart").nth(1).evaluate("e => e.textContent")


@pytest.mark.slow
def test_a_window_of_no_width_on_its_way_to_another_size(browser, two):
    with opened(browser, two.report) as watched:
        watched.wait(READY)
        for width in (1, 1280, 300, 900):
            watched.page.set_viewport_size({"width": width, "height": 900})
        watched.page.wait_for_timeout(3000)
        widths = "[...document.querySelectorAll('.chart svg')].map(e => e.clientWidth)"
        assert all(300 < width <= 900 for width in watched.page.evaluate(widths))


def test_model_choice_changes_every_chart(browser, two):
    with opened(browser, two.report) as watched:
        page = watched.page
        watched.wait(READY)
        marks = (
            "[...document.querySelectorAll('.chart .role-mark path')].map(p=>p.outerHTML).join()"
        )
        before = page.evaluate(marks)
        page.select_option("select[data-signal=model]", "other")
        page.wait_for_timeout(600)
        other = page.evaluate(marks)
        assert other != before
        page.select_option("select[data-signal=model]", "gpn")
        page.select_option("select[data-signal=metric]", "alleles")
        page.wait_for_timeout(600)
        assert page.evaluate(marks) not in (before, other)


def test_legend_click_and_tooltip(browser, two):
    with opened(browser, two.report) as watched:
        page = watched.page
        watched.wait(READY)
        chart = page.locator(".chart[data-chart=llr_density]")
        chart.scroll_into_view_if_needed()
        lines = "[...document.querySelectorAll('.chart[data-chart=llr_density] .mark-line path')]"
        opacities = lines + ".map(p => p.getAttribute('opacity') ?? p.style.opacity ?? '')"
        assert len(set(page.evaluate(opacities))) == 1
        chart.locator(".role-legend-label text", has_text="missense_variant").click()
        page.wait_for_timeout(400)
        assert len(set(page.evaluate(opacities))) == 2

        page.locator(".chart[data-chart=percentiles] .mark-rect path").nth(1).hover()
        assert "alleles" in page.inner_text("#tooltip")


def test_links_leave_nothing_behind(browser, two):
    with opened(browser, two.report) as watched:
        page = watched.page
        watched.wait(BUILT)
        row = rows_of(page)[0]
        links = page.locator(".tabulator-row").first.locator("a")
        assert links.all_inner_texts() == ["UCSC", "Local"]
        pos = int(row["pos"])
        end = pos + len(row["ref"]) - 1 + 100
        address = f"https://genome.example/cgi?position={row['chrom']}:{max(pos - 100, 1)}-{end}"
        assert links.first.get_attribute("href") == address
        assert links.first.get_attribute("rel") == "noopener noreferrer"


def test_printing_opens_what_is_folded(browser, two):
    with opened(browser, two.report, scheme="dark") as watched:
        page = watched.page
        watched.wait(READY)
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.locator("details:not([open]):not(.columns)").count() == 0
        page.emulate_media(media="print")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == (
            "rgb(255, 255, 255)"
        )


def test_fault_54_text_of_the_input_stays_text(browser, tmp_path):
    """IDs, names, genes, INFO, file names, settings and details: none runs, all are readable."""
    n = len(PAYLOADS)

    def poison(piece):
        def mixed(name, shift):
            values = [PAYLOADS[(i + shift) % n] for i in range(piece.height)]
            return pl.Series(name, values)

        names = ("id", "consequence", "gene", "gene_id", "protein_change", "info_CLNSIG")
        return piece.with_columns(
            *(mixed(name, i) for i, name in enumerate(names)), mixed("chrom", 7)
        )

    rejected = pl.DataFrame(
        [
            (text, text, text, text[:60], text[:60], "symbolic", text, 0, i, 1)
            for i, text in enumerate(PAYLOADS[:5])
        ],
        schema=REJECTED.schema,
        orient="row",
    )
    inputs = make_inputs(tmp_path, rows=900, rejected=rejected, edit=poison)
    accounting = json.loads((tmp_path / "accounting.json").read_text())
    accounting["files"] = [{**accounting["files"][0], "path": text} for text in PAYLOADS]
    accounting["contigs"].append(
        {**accounting["contigs"][0], "chrom": PAYLOADS[1] + "x", "contig": None, "how": PAYLOADS[0]}
    )
    accounting["contigs_without_records"] = list(PAYLOADS)
    (tmp_path / "accounting.json").write_text(json.dumps(accounting))
    for name in ("models", "commits"):
        path = tmp_path / name / "gpn.json"
        document = json.loads(path.read_text())
        if name == "models":
            document |= {"path": PAYLOADS[2], "revision": PAYLOADS[1]}
        else:
            document["runs"][0] |= {"device": PAYLOADS[0], "arithmetic": PAYLOADS[1]}
        path.write_text(json.dumps(document))
    inputs.settings = {text: {"nested": [text, {text: text}]} for text in PAYLOADS}
    inputs.browsers = ["<img src=x onerror=pwned(8)>=https://a.example/{chrom}?{ref}"]
    inputs.pictures = 20
    inputs.make()

    with opened(browser, inputs.report) as watched:
        page = watched.page
        watched.wait(READY)
        watched.wait(BUILT)
        for details in page.locator("details").all():
            details.evaluate("element => { element.open = true; }")
        for box in page.locator("#columns input").all():
            box.evaluate("element => { if (!element.checked) element.click(); }")
        page.locator(".chart[data-chart=llr_by_consequence] .mark-rect path").first.hover()
        page.wait_for_timeout(500)
        shown = page.evaluate("document.body.innerText")
        cells = set(page.locator(".tabulator-cell").all_text_contents())
        chart = page.locator(".chart[data-chart=llr_density]").evaluate("e => e.textContent")
        for text in PAYLOADS:
            assert text in cells, text
            assert text.replace("\u2028", "") in shown.replace("\u2028", "").replace("\n", ""), text
        assert "<svg onload=pwned(6)>" in chart
        assert page.locator("img").count() == 0
        assert page.locator("iframe, object, embed, form:not(.vega-bindings), base").count() == 0
        assert page.title() == "cohort – varlm report"
        hrefs = page.locator("a[href]").evaluate_all("all => all.map(a => a.href)")
        assert not [href for href in hrefs if not href.startswith(("file:", "https://a.example/"))]
        handlers = "[...document.querySelectorAll('*')].filter(e => [...e.attributes].some("
        assert page.evaluate(handlers + "a => a.name.startsWith('on'))).length") == 0


def test_the_policy_stops_what_an_escape_would_let_through(browser, two, tmp_path):
    """The second line of defence: markup that got into the page does not run."""
    text = two.report.read_text(encoding="utf-8")
    broken = tmp_path / "broken.html"
    inject = "<script>pwned(1)</script><img src=x onerror=pwned(2)>"
    inject += "<a href='javascript:pwned(3)'>x</a>"
    broken.write_text(text.replace("<h1>", inject + "<h1>", 1), encoding="utf-8")
    context = browser.new_context(offline=True)
    try:
        context.add_init_script("window.ran = []; window.pwned = (n) => window.ran.push(n);")
        page = context.new_page()
        said = []
        page.on("console", lambda message: said.append(message.text))
        page.goto(broken.as_uri())
        page.locator("a[href^=javascript]").click(no_wait_after=True)
        page.wait_for_timeout(500)
        assert page.evaluate("window.ran") == []
        refused = [text for text in said if "Content Security Policy" in text]
        assert len(refused) == 4, said  # the script, the image, its handler, the link
    finally:
        context.close()


def test_choosing_a_model_of_another_kind_shows_its_charts(browser, tmp_path):
    models = {"gpn": "masked", "splice": "probability", "bert": "cosine"}
    inputs = make_inputs(tmp_path, rows=900, models=models)
    inputs.make()
    with opened(browser, inputs.report) as watched:
        page = watched.page
        watched.wait(READY)
        figure = page.locator("#figure-llr_by_consequence")
        pick = page.locator("#scores select[data-signal='model']")
        axis = "document.querySelector('#figure-llr_by_consequence .chart').textContent"
        for model, title, unit in (
            ("gpn", "LLR by consequence", "LLR (nats)"),
            ("bert", "Cosine distance by consequence", "cosine distance"),
            ("splice", "P(alt) − P(ref) by consequence", "P(alt) − P(ref)"),
            ("gpn", "LLR by consequence", "LLR (nats)"),
        ):
            pick.select_option(model)
            watched.wait(f"{axis}.includes({unit!r})")
            assert figure.locator("h3").inner_text() == title
            other = "cosine" if model == "gpn" else "LLR"
            assert other not in figure.locator(".chart").inner_text()
        # What is on one scale for all models follows too, and so does a second choice.
        pick.select_option("bert")
        watched.wait(f"{axis}.includes('cosine distance')")
        page.locator("select[data-signal='metric']").select_option("q05")
        page.wait_for_timeout(500)
        heading = page.locator("#figure-llr_along_genome h3")
        assert heading.inner_text() == "Cosine distance along the genome"
        assert page.locator(".chart").count() == 6
        for number in range(6):
            assert page.locator(".chart").nth(number).locator("svg").count() == 1


def test_a_part_without_rows_says_why_and_the_next_is_drawn(browser, tmp_path):
    def edit(piece):
        return piece.with_columns(pl.lit(None, pl.Float32).alias("one_cosine_rev"))

    inputs = make_inputs(tmp_path, rows=300, models={"two": "masked", "one": "cosine"}, edit=edit)
    inputs.make()
    with opened(browser, inputs.report) as watched:
        page = watched.page
        watched.wait(READY)
        figure = page.locator("#figure-strand_agreement")
        drawn = "document.querySelector('#figure-strand_agreement svg') !== null"
        watched.wait(drawn)
        pick = page.locator("#scores select[data-signal='model']")
        pick.select_option("one")
        watched.wait(f"!({drawn})")
        assert figure.locator("figcaption").inner_text() == "Only the forward strand was scored."
        pick.select_option("two")
        watched.wait(drawn)
        assert "logarithmic colours" in figure.locator("figcaption").inner_text()

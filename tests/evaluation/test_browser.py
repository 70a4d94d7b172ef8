"""The report's section Evaluation in a browser: it draws, fits a phone, complains of nothing."""

import json

import pytest

from making.browser import opened
from making.config import load_config
from making.evaluation import step
from making.report import make_inputs
from varlm.cli import main

pytestmark = [pytest.mark.browser, pytest.mark.slow]

READY = "document.documentElement.dataset.charts === 'drawn'"


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (375, "dark")])
def test_the_section_draws(browser, evaluated, width, scheme):
    with opened(browser, evaluated, width, scheme) as watched:
        page = watched.page
        watched.wait(READY)
        charts = page.locator("#evaluation .chart")
        assert charts.count() == 4
        for i in range(4):
            assert charts.nth(i).locator("svg .role-mark path").count() > 3
        assert page.locator("#evaluation table").count() >= 3
        sizes = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert sizes[0] <= sizes[1], "the page scrolls sideways"


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory, root):
    """A report with an evaluation."""
    folder = tmp_path_factory.mktemp("evaluated")
    inputs = make_inputs(folder, rows=1500, models=("gpn", "other"))
    label = {"column": "impact", "positive": ["HIGH", "MODERATE"], "negative": ["LOW", "MODIFIER"]}
    config = {
        "reference": {"fasta": "g.fa"},
        "cohorts": "c.tsv",
        "models": {"gpn": {"path": "x"}, "other": {"path": "y"}},
        "annotate": {"bigwigs": {"phylop": "x.bw"}},
        "evaluate": {
            "labels": {"impact": label},
            "scores": {"phylop": "higher"},
            "combine": [["gpn", "phylop"]],
            "bootstrap": 20,
        },
    }
    whole = load_config(config, root / "config/schemas/config.schema.yaml")
    assert step(folder, whole["evaluate"]) == 0
    more = ["--evaluation", folder / "out/evaluation.tsv"]
    more += ["--evaluation-summary", folder / "out/evaluation.json"]
    assert main([*inputs.arguments(), *map(str, more)]) == 0
    assert json.loads((folder / "out/evaluation.json").read_text())["tasks"]
    return inputs.report

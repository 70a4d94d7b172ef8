"""The section "Dense scores" of a report."""

import re
from dataclasses import replace

import numpy as np
import pytest

from making.records import prepared_model
from making.report import make_inputs
from varlm.cli import main
from varlm.models.prepared import PreparedModel
from varlm.scoring.dense_scale import measured, unmeasured

MODEL = prepared_model(name="d")


@pytest.fixture
def inputs(tmp_path, monkeypatch):
    monkeypatch.setattr("varlm.steps.report.write_figures", lambda *_: None)
    monkeypatch.setattr("varlm.report.page.vega_bundle", lambda: "")
    (tmp_path / "dense").mkdir()
    return make_inputs(tmp_path, rows=60, models={"m": "masked", "d": "dense"}, background_rows=50)


def write(inputs, scale):
    key = PreparedModel.read(inputs.folder / "models/d.json").key
    replace(scale, key=key).write(inputs.folder / "dense/d.json")


def section(html):
    start = html.index('<h3 id="dense">')
    text = re.sub(r"<[^>]+>", " ", html[start : html.index("<details>", start)])
    return " ".join(text.split())


def test_how_dense_stands_for_masked_by_class(inputs):
    rng = np.random.default_rng(0)
    dense = rng.normal(size=(400, 3))
    masked = dense + 1.6 + rng.normal(scale=[[0.1]] * 300 + [[0.6]] * 100, size=(400, 3))
    classes = np.repeat(["intergenic", "coding"], [300, 100])
    scale = measured(MODEL, MODEL, None, (dense, masked), classes)
    write(inputs, scale)
    text = section(inputs.make())
    assert f"d: {scale.constant:.3f} nats are added to each LLR of a single-base change" in text
    assert "their mean difference at these sites. 400 random sites" in text
    assert f"a rank correlation of {scale.overall.spearman:.3f}" in text
    coding = scale.by_class["coding"]
    assert text.index("all 1,200") < text.index("coding 300") < text.index("intergenic 900")
    assert f"coding 300 {coding.spearman:.3f} {coding.pearson:.3f} {coding.rmse:.2f}" in text
    assert "Classes are those of the annotation" in text


def test_what_is_said_without_a_measurement(inputs):
    write(inputs, unmeasured(MODEL, MODEL, None))
    assert "lower than masked ones would be, by a constant that is not known" in section(
        inputs.make()
    )
    write(inputs, unmeasured(MODEL, MODEL, np.log(5)))
    text = section(inputs.make())
    assert "1.609 nats are added" in text
    assert "How well they agree was not measured." in text
    assert "rank correlation of" not in text


def test_without_dense_scores_there_is_no_section(inputs):
    assert 'id="dense"' not in inputs.make()


def test_a_scale_of_other_scores_is_refused(inputs, capsys):
    replace(unmeasured(MODEL, MODEL, 1.0), key="9" * 32).write(inputs.folder / "dense/d.json")
    assert main(inputs.arguments()) == 2
    assert "dense/d.json is of the key 9999" in capsys.readouterr().err

"""Which models have dense scores that stand for masked ones, before the run and in it."""

import json

import pytest

from making.config import load_config
from varlm.run.dense_models import any_dense, may_be_dense, prepared_dense
from varlm.run.step_settings import shown_settings, steps_of

HUB = {"path": "owner/name", "revision": "0" * 40}
CASES = {
    "own": ({"path": "varlm:demo/model", "family": "gpn"}, False),
    "dense": ({**HUB, "family": "gpn", "score": "dense"}, True),
    "masked": ({**HUB, "score": "masked"}, False),
    "phylogpn": ({**HUB, "family": "phylogpn"}, False),  # there is nothing that it stands for
    "unknown": (HUB, None),
    "dense_unknown": ({**HUB, "score": "dense"}, None),
    "trained": ({"train": "t"}, False),
    "trained_dense": ({"train": "t", "score": "dense"}, True),
}


def config_of(root, models):
    given = {
        "reference": {"fasta": "https://h/g.fa"},
        "cohorts": "c.tsv",
        "models": models,
        "train": {"t": {"genomes": {"g": {"fasta": "g.fa"}}}},
    }
    return load_config(given, root / "config/schemas/config.schema.yaml")


@pytest.mark.parametrize("name", CASES)
def test_what_is_known_before_the_run(root, name):
    model, expected = CASES[name]
    config = config_of(root, {name: model})
    assert may_be_dense(config, config["models"][name]) is expected
    assert any_dense(config) is (expected is not False)
    assert ("measure_dense" in steps_of(config)) is any_dense(config)
    shown = json.loads(shown_settings(config, []))
    assert ("dense" in shown["scoring"]) is any_dense(config)
    assert config["scoring"]["dense"] == {"sites": 1000, "least_spearman": 0.9}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"family": "gpn", "score": "dense"}, True),
        ({"family": "phylogpn", "score": "dense"}, False),
        ({"family": "gpn", "score": "influence"}, False),
        ({}, False),  # masked, of before there were kinds
    ],
    ids=str,
)
def test_what_prepare_model_wrote(tmp_path, document, expected):
    (tmp_path / "m.json").write_text(json.dumps(document))
    assert prepared_dense(tmp_path / "m.json") is expected
    assert prepared_dense(tmp_path / "none.json") is False

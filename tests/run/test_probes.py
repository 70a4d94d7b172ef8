"""The config key `probe`: which models it is of, and what is wrong in it."""

import json

import pytest

from making.config import load_config
from varlm.errors import UserError
from varlm.probing.cnn import Settings
from varlm.probing.running import ProbeSettings
from varlm.probing.specification import ProbeSpec
from varlm.run.probes import embed_settings, passed_over, probe_settings, probed_models
from varlm.run.step_settings import shown_settings, steps_of
from varlm.run.step_warnings import Configured, step_warnings

TRAIN = {
    "chain": {"genomes": {"g": {"fasta": "g.fa"}}, "model": {"family": "markov"}},
    "net": {"genomes": {"g": {"fasta": "g.fa"}}, "model": {"family": "gpn"}},
}
MODELS = {
    "hub": {"path": "owner/name", "revision": "0" * 40},
    "chain": {"train": "chain"},
    "net": {"train": "net"},
}


@pytest.fixture
def load(root):
    def load(probe, models=MODELS):
        config = {
            "reference": {"fasta": "g.fa"},
            "cohorts": "c.tsv",
            "models": models,
            "train": TRAIN,
            "probe": {"mpra": {"table": "t.tsv", "label": "logFC", **probe}},
        }
        return load_config(config, root / "config/schemas/config.schema.yaml")

    return load


def test_models_without_embeddings_are_passed_over(load):
    config = load({})
    assert probed_models(config, "mpra") == ["hub", "net"]  # what a hub's is, is not known yet
    assert passed_over(config, "mpra") == ["chain"]
    config = load({"models": ["net"]})
    assert probed_models(config, "mpra") == ["net"]
    assert passed_over(config, "mpra") == []


@pytest.mark.parametrize(
    ("probe", "message"),
    [
        (
            {"models": ["chain"]},
            "probe.mpra.models: chain is a Markov chain of varlm, which has no",
        ),
        ({"models": ["nett"]}, "no model has the name nett; did you mean net?"),
        ({"positive": ["yes"]}, "probe.mpra: positive is given without negative"),
        ({"negative": ["no"]}, "probe.mpra: negative is given without positive"),
        ({"positive": ["a", 1], "negative": [1]}, "probe.mpra: 1 is both positive and negative"),
        (
            {"positive": ["a"], "negative": ["b"], "absolute": True},
            "probe.mpra.absolute: is for numbers",
        ),
        ({"positions": "middle"}, "use one of all, mean, centre"),
    ],
)
def test_what_is_wrong_is_said(load, probe, message):
    with pytest.raises(UserError) as caught:
        load(probe)
    assert message in str(caught.value)


def test_a_probe_needs_a_model_with_embeddings(load):
    with pytest.raises(UserError) as caught:
        load({}, {"chain": {"train": "chain"}})
    assert "probe.mpra: no model has embeddings to probe (models: chain)" in str(caught.value)


def test_what_is_embedded_does_not_depend_on_how_it_is_probed(load):
    settings = embed_settings(load({}), "mpra")
    assert settings == embed_settings(load({"seed": 3, "bootstrap": 10, "models": ["net"]}), "mpra")
    assert settings != embed_settings(load({"length": 64}), "mpra")
    assert json.loads(settings)["label"] == "logFC"
    assert settings == embed_settings(load({"flanks": True}), "mpra")
    assert "flanks" not in settings  # the text of before, so that nothing is made anew
    alone = embed_settings(load({"flanks": False}), "mpra")
    assert json.loads(alone) == json.loads(settings) | {"flanks": False}
    label = ProbeSpec.parse("mpra", json.loads(settings), 0.1)
    assert (label.flanks, ProbeSpec.parse("mpra", json.loads(alone), 0.1).flanks) == (True, False)


def test_what_is_fitted_has_its_defaults_and_names_the_label(load):
    settings = json.loads(probe_settings(load({"absolute": True, "cnn": {"dense": 8}}), "mpra"))
    assert (settings.pop("label"), settings["classes"]) == ("|logFC|", False)
    assert settings.pop("folds") == "chrom"  # for the page's words
    fitted = ProbeSettings(**settings)
    assert Settings(**fitted.cnn) == Settings(dense=8, filters=[64, 64])
    assert fitted == ProbeSettings(classes=False, probes=["linear", "cnn"], cnn=settings["cnn"])
    classes = probe_settings(load({"positive": [1], "negative": [0], "bootstrap": 3}), "mpra")
    assert json.loads(classes)["classes"]


def test_reports_of_configs_without_probes_are_those_of_before(load):
    assert "probe" not in json.loads(shown_settings(load({}), []))
    assert "embed" in steps_of(load({}))
    assert "embed" not in steps_of({**load({}), "probe": {}})


def test_warnings_of_embedding_name_the_model(tmp_path):
    log = tmp_path / "logs/embed/mpra.net.log"
    log.parent.mkdir(parents=True)
    log.write_text("2026-01-01 00:00:00 WARNING 3 rows are left out\n")
    configured = Configured(["embed"], [], ["net"], probes={"mpra": ["net"]})
    (warning,) = step_warnings(tmp_path, configured)
    assert (warning.step, warning.model, warning.text) == ("embed", "net", "3 rows are left out")


def test_warnings_of_probes_are_of_no_model(tmp_path):
    log = tmp_path / "logs/probe/mpra.log"
    log.parent.mkdir(parents=True)
    log.write_text("2026-01-01 00:00:00 WARNING lbfgs failed to converge\n")
    configured = Configured(["probe"], [], ["net"], probes={"mpra": ["net"]})
    (warning,) = step_warnings(tmp_path, configured)
    assert (warning.step, warning.model) == ("probe", None)

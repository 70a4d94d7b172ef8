"""How a model of a config is scored: its own keys, those of all models, its family's."""

import json

import pytest
import yaml

from varlm.run.config import checked_config
from varlm.run.model_families import FAMILIES, OPTION_VALUES
from varlm.run.model_settings import (
    family_of,
    indels_of,
    kind_of,
    model_errors,
    prepare_flags,
    strands_of,
    window_of,
)
from varlm.tables.score_kinds import SCORE_KINDS


@pytest.fixture
def config(root, tmp_path, monkeypatch):
    """Return a function: a whole config of one model with these keys, and others."""
    monkeypatch.chdir(tmp_path)

    def make(model, **others):
        written = {"reference": {"fasta": "f.fa"}, "cohorts": "c.tsv", "models": {"m": model}}
        schema = root / "config/schemas/config.schema.yaml"
        whole, errors = checked_config({**written, **others}, schema)
        assert errors == []
        return whole

    return make


def checkpoint(folder, config_json):
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config_json))
    return str(folder)


def test_the_schema_lists_every_family_kind_and_option(root):
    schema = yaml.safe_load((root / "config/schemas/config.schema.yaml").read_text())
    keys = schema["properties"]["models"]["additionalProperties"]["properties"]
    assert keys["family"]["enum"] == [*FAMILIES, None]
    assert keys["score"]["enum"] == [*SCORE_KINDS, None]
    for name, values in OPTION_VALUES.items():
        assert keys[name]["default"] is None
        if values is not None:
            assert sorted(filter(None, keys[name]["enum"])) == sorted(values)
    assert {kind for family in FAMILIES.values() for kind in family.scores} <= set(SCORE_KINDS)


def test_a_family_is_recognised_by_config_json_the_key_or_the_training(config, tmp_path):
    path = checkpoint(tmp_path / "nt", {"model_type": "esm"})
    model = config({"path": path})["models"]["m"]
    assert family_of(config({"path": path}), model).name == "nucleotide_transformer"
    auto = {"AutoModel": "someone/model--bert_layers.BertModel"}
    path = checkpoint(tmp_path / "dnabert2", {"auto_map": auto})
    whole = config({"path": path})
    assert family_of(whole, whole["models"]["m"]).name == "dnabert2"
    path = checkpoint(tmp_path / "bert", {"model_type": "bert"})
    whole = config({"path": path})
    assert family_of(whole, whole["models"]["m"]) is None  # of two families
    whole = config({"path": path, "family": "splicebert"})
    assert family_of(whole, whole["models"]["m"]).name == "splicebert"
    genomes = {"genomes": {"g": {"fasta": "g.fa"}}, "model": {"family": "lstm"}}
    whole = config({"train": "t"}, train={"t": genomes})
    assert family_of(whole, whole["models"]["m"]).name == "lstm"


@pytest.mark.parametrize(
    ("model", "scoring", "settings"),
    [
        ({"family": "gpn"}, {}, (512, "both", "masked")),
        ({"family": "splicebert"}, {}, (510, "transcript", "probability")),
        ({"family": "splicebert"}, {"window": 200, "strands": "both"}, (200, "both", None)),
        (
            {"family": "splicebert", "window": 64, "strands": "forward", "score": "dense"},
            {"window": 200, "strands": "both"},
            (64, "forward", "dense"),
        ),
        ({}, {}, (None, None, None)),
    ],
)
def test_a_models_own_keys_go_first_then_those_of_all_then_the_published(
    config, model, scoring, settings
):
    whole = config({"path": "owner/name", **model}, scoring=scoring)
    entry = whole["models"]["m"]
    window, strands, score = settings
    assert window_of(whole, entry) == window
    assert strands_of(whole, entry) == strands
    kind = kind_of(whole, entry)
    assert kind is None if model == {} else kind.name == (score or "probability")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"family": "species_lm"}, "models.m.species: missing; SpeciesLM needs it"),
        ({"family": "gpn", "species": "x"}, "models.m.species: found 'x'; GPN with the score mask"),
        ({"family": "gpn", "score": "cosine"}, "models.m.score: found 'cosine'; GPN has masked"),
        ({"family": "dnabert2", "flank": 3}, "models.m.flank: found 3; DNABERT-2 with the score"),
    ],
)
def test_keys_that_a_family_does_not_have(config, model, message):
    (error,) = model_errors(config({"path": "owner/name", **model}))
    assert error.startswith(message)


@pytest.mark.parametrize(
    ("document", "family", "message"),
    [
        ({"model_type": "bert"}, None, "'bert', that of species_lm and splicebert; say in the con"),
        ({"model_type": "t5"}, None, "'t5', of no family that varlm knows by it; it scores gpn, "),
        ({"model_type": "gpt2"}, "llama", "'gpt2', that of gpt2, but the config says models.m.fam"),
        ({"model_type": "VarlmGPT"}, "lstm", "'VarlmGPT', that of gpt, but the config says"),
        ({"model_type": "GPN"}, "plantcaduceus", "'GPN', that of gpn, but the config says"),
        ({"model_type": "gptneo"}, "gpt2", "'gptneo', expected gpt2 of the family gpt2 that the"),
        (
            {"auto_map": {"AutoModel": "bert_layers.B"}},
            "gpn",
            "auto_map names the code of dnabert2, but the config says models.m.family: gpn; corr",
        ),
        ({"model_type": "caduceus"}, "plantcaduceus", None),
        ({"model_type": "bert"}, "splicebert", None),
        ({"model_type": "anothers"}, "splicebert", None),
        ({"model_type": "gpt2"}, "gpt2", None),
    ],
)
def test_a_family_and_a_checkpoint_that_do_not_fit(config, tmp_path, document, family, message):
    path = checkpoint(tmp_path / "model", document)
    errors = [*model_errors(config({"path": path, "family": family}))]
    if message is None:
        assert errors == []
    else:
        (error,) = errors
        assert error.startswith(f"models.m.path: {path}/config.json: ")
        assert message in error


def test_alleles_must_fit_the_window_of_each_model_that_scores_them(config):
    long = {"normalise": {"max_allele_length": 200}}
    (error,) = model_errors(config({"path": "owner/name"}, **long))
    assert "200 is more than a quarter of the window of model m (512 bp)" in error
    assert not [*model_errors(config({"path": "owner/name", "window": 800}, **long))]
    assert not [*model_errors(config({"path": "owner/name", "family": "dnabert2"}, **long))]
    skipped = config({"path": "owner/name"}, **long, scoring={"indels": "skip"})
    assert not [*model_errors(skipped)]


def test_indels_that_no_model_scores_are_rejected_for_that(config):
    assert indels_of(config({"path": "owner/name", "family": "dnabert2"})) == "undefined"
    assert indels_of(config({"path": "owner/name", "family": "gpn"})) == "score"
    assert indels_of(config({"path": "owner/name"})) == "score"  # nothing tells yet
    skip = {"indels": "skip"}
    assert indels_of(config({"path": "owner/name", "family": "dnabert2"}, scoring=skip)) == "skip"


def test_only_what_a_model_says_reaches_prepare_model(config):
    assert prepare_flags(config({"path": "owner/name"})["models"]["m"]) == []
    model = {"path": "owner/name", "family": "species_lm", "species": "a b", "score": "masked"}
    assert prepare_flags(config(model)["models"]["m"]) == [
        *("--option", "species=a b", "--family", "species_lm", "--score", "masked")
    ]

"""Parts of the config as the steps take them."""

import json

import pytest

from making.config import load_config
from varlm.run import step_settings
from varlm.run.config_keys import LOOP, CohortFile


@pytest.fixture
def config(root):
    given = {
        "reference": {"fasta": "https://h/g.fa?token=secret"},
        "cohorts": "c.tsv",
        "models": {"m": {"train": "mine"}},
        "evaluate": {
            "labels": {
                "own": {"table": "sheet", "column": "x"},
                "all": {"table": "l.tsv", "column": "x"},
                "kind": {"column": "kind"},
            }
        },
        "train": {"mine": {"genomes": {"a": {"fasta": "a.fa"}}, "batch_size": 16}},
    }
    return load_config(given, root / "config/schemas/config.schema.yaml")


def test_reports_show_no_token(config):
    text = step_settings.shown_settings(config, ["https://h/g.fa?token=secret"])
    assert "secret" not in text
    shown = json.loads(text)
    assert shown["reference"]["fasta"] == "https://h/g.fa?…"
    assert shown["models"] == config["models"]


def test_a_config_that_calibrates_nothing_is_shown_as_before_there_was_the_key(config):
    shown = json.loads(step_settings.shown_settings(config, []))
    assert "calibrate" not in shown["annotate"]
    config["annotate"]["calibrate"] = "mutation_context"
    shown = json.loads(step_settings.shown_settings(config, []))
    assert shown["annotate"]["calibrate"] == "mutation_context"


def test_reports_show_younger_keys_of_a_training_only_where_they_are_used(config):
    """Reports of before these keys are not made again for them."""
    training = config["train"]["mine"]
    shown = json.loads(step_settings.shown_settings(config, []))["train"]["mine"]
    assert "elements" not in shown
    assert "shares" not in shown["windows"]
    assert shown["genomes"] == {"a": {"fasta": "a.fa", "annotation": None}}
    assert "measure_elements" not in step_settings.steps_of(config)
    training["elements"] = {"bed": "x.bed"}
    training["windows"]["shares"] = {"near": 1}
    training["genomes"]["a"]["group"] = "near"
    assert json.loads(step_settings.shown_settings(config, []))["train"]["mine"] == training
    assert "measure_elements" in step_settings.steps_of(config)


def test_a_label_of_the_sheet_is_only_of_cohorts_that_have_it(config):
    with_table = [CohortFile("x", "a.vcf", labels="own.tsv")]
    for files, names in ((with_table, {"own", "all", "kind"}), ([], {"all", "kind"})):
        settings = json.loads(step_settings.evaluate_settings(config["evaluate"], files))
        assert set(settings["labels"]) == names
        assert all("table" not in label for label in settings["labels"].values())
        assert settings["bootstrap"] == 1000
    assert json.loads(step_settings.evaluate_settings(None, [])) == {"labels": {}}


def test_what_is_younger_and_as_by_default_is_not_told(config):
    """Nothing runs anew for a key that a project of before did not have."""
    taken = (
        lambda: json.loads(step_settings.evaluate_settings(config["evaluate"], [])),
        lambda: json.loads(step_settings.checked_settings(config))["evaluate"],
        lambda: json.loads(step_settings.shown_settings(config, []))["evaluate"],
    )
    younger = {
        "fit": [["a", "b"]],
        "mutation_context": False,
        "strata": {"by": ["cpg"], "distance_bins": []},
        "match": {"controls": 2},
    }
    of_label = {"group": ["gene"], "pairs": True, "harmful": "low"}
    assert not any({*younger} & {*settings()} for settings in taken)
    assert not any({*of_label} & {*settings()["labels"]["kind"]} for settings in taken)
    config["evaluate"] |= younger
    config["evaluate"]["labels"]["kind"] |= of_label
    assert all(younger.items() <= settings().items() for settings in taken)
    assert all(of_label.items() <= settings()["labels"]["kind"].items() for settings in taken)
    config["evaluate"] = None
    assert [settings() for settings in taken[1:]] == [None, None]


def test_how_a_model_is_trained(config):
    training = config["train"]["mine"]
    settings = json.loads(step_settings.loop_settings(training))
    assert set(settings) == {*LOOP, "jitter"}
    assert settings["micro_batch"] == 16  # no more than the batch
    assert settings["jitter"] == 128  # half of the stride, which is half a window of 512
    training["windows"]["stride"] = 100
    assert json.loads(step_settings.loop_settings(training))["jitter"] == 50


@pytest.mark.parametrize(
    ("device", "gpus"), [("auto", 1), ("cuda:1", 1), ("cuda", 1), ("cpu", 0), ("mps", 0)]
)
def test_gpus_of_a_job(device, gpus):
    assert step_settings.gpus_of_a_job(device) == gpus


@pytest.mark.parametrize(
    ("cores", "gpus", "threads"), [(8, None, 8), (8, 0, 8), (8, 3, 2), (2, 8, 1)]
)
def test_jobs_share_the_cores(cores, gpus, threads):
    assert step_settings.threads_of_a_job(cores, gpus) == threads
